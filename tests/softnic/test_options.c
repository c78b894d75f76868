/* SPDX-License-Identifier: BSD-2-Clause */
/* What a NIC can be told to be: models, capabilities, wires in memory. */
#include "nic.h"

#include <softnic.h>

static char why[200];

static int set(const char *ifname, const char *words)
{
	why[0] = '\0';
	return softnic_options(ifname, words, why, sizeof(why));
}

static void open_pd(ef_driver_handle *dh, ef_pd *pd, const char *ifname, unsigned flags)
{
	assert_int_equal(ef_driver_open(dh), 0);
	assert_int_equal(ef_pd_alloc_by_name(pd, *dh, ifname, (enum ef_pd_flags)flags), 0);
}

static void close_pd(ef_driver_handle dh, ef_pd *pd)
{
	assert_int_equal(ef_pd_free(pd, dh), 0);
	assert_int_equal(ef_driver_close(dh), 0);
}

static void a_wrong_word_is_named(void **state)
{
	static const struct {
		const char *words, *told;
	} wrong[] = {
		{ "speed=fast", "speed" },
		{ "nic=x9999", "nic=x9999" },
		{ "mtu", "mtu" },
		{ "mtu=20", "mtu=20" },
		{ "mtu=9x", "mtu=9x" },
		{ "step=often", "step=often" },
		{ "peer=sim1", "peer" },
		{ "clock=", "clock=" },
		{ "check=yes", "check=yes" },
		{ "peer=nosuch", "peer" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(set("sim1", wrong[i].words), -EINVAL);
		assert_non_null(strstr(why, wrong[i].told));
	}
	assert_int_equal(set("nosuchif0", "mtu=1500"), -ENODEV);
	assert_non_null(strstr(why, "nosuchif0"));
	assert_int_equal(set("sim64", ""), -ENODEV);
	assert_int_equal(set("sim01", ""), -ENODEV);
	assert_int_equal(set("sim63", ""), 0);
}

static void some_words_need_a_nic_without_pds(void **state)
{
	ef_driver_handle dh;
	ef_pd pd;

	(void)state;
	assert_int_equal(set("sim1", "nic=x2522,mtu=1500"), 0);
	open_pd(&dh, &pd, "sim1", 0);
	assert_int_equal(set("sim1", "nic=x3522"), -EBUSY);
	assert_non_null(strstr(why, "nic"));
	assert_int_equal(set("sim1", "mtu=9000"), -EBUSY);
	assert_int_equal(set("sim1", "clock=manual"), 0);
	close_pd(dh, &pd);
	assert_int_equal(set("sim1", "mtu=9000,clock=host"), 0);
}

static unsigned long cap(const char *ifname, unsigned pd_flags, enum ef_vi_capability c)
{
	unsigned long v = 0, w = 0;
	struct softnic_info info;
	ef_driver_handle dh;
	ef_pd pd;
	int rc;

	open_pd(&dh, &pd, ifname, pd_flags);
	rc = ef_pd_capabilities_get(dh, &pd, dh, c, &v);
	assert_int_equal(softnic_info_get(ifname, &info), 0);
	assert_int_equal(ef_vi_capabilities_get_from_pd_flags(dh, info.ifindex,
							      (enum ef_pd_flags)pd_flags, c, &w),
			 rc);
	assert_true(rc == 0 || rc == -EOPNOTSUPP);
	assert_int_equal(v, w);
	close_pd(dh, &pd);
	return rc ? 0 : v;
}

static void models_differ_in_what_they_can(void **state)
{
	(void)state;
	assert_int_equal(set("sim1", "nic=sfn8522"), 0);
	assert_int_equal(cap("sim1", 0, EF_VI_CAP_PIO), 1);
	assert_int_equal(cap("sim1", 0, EF_VI_CAP_CTPIO), 0);
	assert_int_equal(cap("sim1", 0, EF_VI_CAP_RX_REF), 0);
	assert_int_equal(set("sim1", "nic=x2522"), 0);
	assert_int_equal(cap("sim1", 0, EF_VI_CAP_CTPIO), 1);
	assert_int_equal(cap("sim1", 0, EF_VI_CAP_CTPIO_ONLY), 0);
	assert_int_equal(cap("sim1", 0, EF_VI_CAP_MIN_BUFFER_MODE_SIZE), 4096);
	assert_int_equal(set("sim1", "nic=x3522"), 0);
	assert_int_equal(cap("sim1", 0, EF_VI_CAP_PIO), 0);
	assert_int_equal(cap("sim1", 0, EF_VI_CAP_RX_REF), 1);
	assert_int_equal(cap("sim1", 0, EF_VI_CAP_RX_SHARED), 1);
	assert_int_equal(cap("sim1", 0, EF_VI_CAP_CTPIO_ONLY), 1);
	assert_int_equal(cap("sim1", 0, EF_VI_CAP_HW_RX_TIMESTAMPING), 1);
	assert_int_equal(set("sim1", "nic=x4542"), 0);
	assert_int_equal(cap("sim1", 0, EF_VI_CAP_RX_REF), 0);
	assert_int_equal(cap("sim1", EF_PD_EXPRESS, EF_VI_CAP_RX_REF), 1);
	assert_int_equal(cap("sim1", 0, EF_VI_CAP_EXTRA_DATAPATHS), EF_VI_EXTRA_DATAPATH_EXPRESS);
}

static void an_unknown_capability_is_enosys(void **state)
{
	struct softnic_info info;
	ef_driver_handle dh;
	unsigned long v;

	(void)state;
	assert_int_equal(softnic_info_get("sim1", &info), 0);
	assert_int_equal(ef_driver_open(&dh), 0);
	assert_int_equal(ef_vi_capabilities_get(dh, info.ifindex, EF_VI_CAP_MAX, &v), -ENOSYS);
	assert_int_equal(ef_vi_capabilities_get(dh, 0x7fffffff, EF_VI_CAP_PIO, &v), -ENODEV);
	ef_driver_close(dh);
}

static void the_express_datapath_receives_by_reference(void **state)
{
	ef_driver_handle dh;
	ef_pd pd;
	ef_vi vi;

	(void)state;
	assert_int_equal(set("sim1", "nic=x4542,mtu=1500"), 0);
	open_pd(&dh, &pd, "sim1", EF_PD_EXPRESS);
	assert_true(ef_vi_alloc_from_pd(&vi, dh, &pd, dh, -1, -1, -1, NULL, -1,
					EF_VI_FLAGS_DEFAULT) >= 0);
	assert_int_equal(vi.nic_type.arch, EF_VI_ARCH_EF10CT);
	assert_int_equal(ef_vi_receive_init(&vi, 0, 0), -ENOSYS);
	assert_true(ef_vi_flags(&vi) & EF_VI_TX_CTPIO);
	assert_int_equal(ef_vi_free(&vi, dh), 0);
	close_pd(dh, &pd);
	open_pd(&dh, &pd, "sim1", 0);
	assert_true(ef_vi_alloc_from_pd(&vi, dh, &pd, dh, -1, -1, -1, NULL, -1,
					EF_VI_FLAGS_DEFAULT) >= 0);
	assert_int_equal(vi.nic_type.arch, EF_VI_ARCH_EF10);
	assert_int_equal(ef_vi_free(&vi, dh), 0);
	close_pd(dh, &pd);
}

static void a_pd_is_allocated_by_index_too(void **state)
{
	struct softnic_info info;
	ef_driver_handle dh;
	ef_pd pd;

	(void)state;
	assert_int_equal(softnic_info_get("sim5", &info), 0);
	assert_int_equal(info.mac[5], 6);
	assert_false(info.attached);
	assert_int_equal(ef_driver_open(&dh), 0);
	assert_int_equal(ef_pd_alloc(&pd, dh, info.ifindex, EF_PD_DEFAULT), 0);
	assert_string_equal(ef_pd_interface_name(&pd), "sim5");
	close_pd(dh, &pd);
}

static void rings_have_the_sizes_that_nics_have(void **state)
{
	ef_driver_handle dh;
	ef_pd pd;
	ef_vi vi;

	(void)state;
	assert_int_equal(set("sim1", "nic=sfn8522"), 0);
	open_pd(&dh, &pd, "sim1", 0);
	assert_int_equal(ef_vi_alloc_from_pd(&vi, dh, &pd, dh, -1, 600, 100, NULL, -1,
					     EF_VI_FLAGS_DEFAULT),
			 0);
	assert_int_equal(ef_vi_receive_capacity(&vi), 1023);
	assert_int_equal(ef_vi_transmit_capacity(&vi), 511);
	assert_int_equal(ef_eventq_capacity(&vi), 2047);
	assert_int_equal(ef_vi_free(&vi, dh), 0);
	assert_int_equal(ef_vi_alloc_from_pd(&vi, dh, &pd, dh, -1, 5000, 0, NULL, -1,
					     EF_VI_FLAGS_DEFAULT),
			 -EINVAL);
	assert_int_equal(ef_vi_alloc_from_pd(&vi, dh, &pd, dh, -1, 512, 0, NULL, -1, EF_VI_TX_CTPIO),
			 -EOPNOTSUPP);
	close_pd(dh, &pd);
}

static void peers_hear_each_other(void **state)
{
	struct nic n;
	uint8_t out[2048];
	ef_event evs[8];
	ef_driver_handle dh;
	ef_pd pd;
	ef_vi vi;
	ef_memreg mr;

	(void)state;
	nic_begin(NIC_EF10);
	assert_int_equal(set("sim1", "nic=sfn8522,mtu=1500,peer=sim0"), 0);
	nic_open(&n, -1, -1, -1, 0);
	nic_post(&n, 8);
	open_pd(&dh, &pd, "sim1", 0);
	assert_true(ef_vi_alloc_from_pd(&vi, dh, &pd, dh, -1, 0, 512, NULL, -1,
					EF_VI_FLAGS_DEFAULT) >= 0);
	assert_int_equal(ef_memreg_alloc(&mr, dh, &pd, dh, nic_buf(&n, 500), 4096), 0);
	nic_frame(nic_buf(&n, 500), NIC_IP, NIC_PORT, 18);
	assert_int_equal(ef_vi_transmit(&vi, ef_memreg_dma_addr(&mr, 0), 60, 0), 0);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	assert_int_equal(EF_EVENT_TYPE(evs[0]), EF_EVENT_TYPE_RX);
	assert_int_equal(softnic_collect("sim1", out, sizeof(out)), 0);
	assert_int_equal(set("sim0", "peer=none"), 0);
	assert_int_equal(ef_vi_transmit(&vi, ef_memreg_dma_addr(&mr, 0), 60, 0), 0);
	assert_int_equal(softnic_collect("sim1", out, sizeof(out)), 60);
	assert_int_equal(ef_vi_free(&vi, dh), 0);
	assert_int_equal(ef_memreg_free(&mr, dh), 0);
	close_pd(dh, &pd);
	nic_close(&n);
}

static void a_wire_holds_65536_frames(void **state)
{
	struct softnic_info before, after;
	uint8_t frame[60] = { 2 };

	(void)state;
	assert_int_equal(softnic_info_get("sim2", &before), 0);
	for (unsigned i = 0; i < SOFTNIC_WIRE_MAX; i++)
		assert_int_equal(softnic_inject("sim2", frame, 60, 0), 0);
	assert_int_equal(softnic_inject("sim2", frame, 60, 0), -ENOBUFS);
	assert_int_equal(softnic_info_get("sim2", &after), 0);
	assert_int_equal(after.wire_dropped - before.wire_dropped, 1);
	assert_int_equal(softnic_wire_clear("sim2"), 0);
	assert_int_equal(softnic_inject("sim2", frame, 60, 0), 0);
	assert_int_equal(softnic_wire_clear("sim2"), 0);
	assert_int_equal(softnic_inject("sim2", frame, 0, 0), -EINVAL);
}

static void frames_beyond_the_mtu_do_not_come_in(void **state)
{
	struct softnic_info before, after;
	static uint8_t frame[2000];
	struct nic n;
	ef_event evs[8];

	(void)state;
	nic_begin(NIC_EF10);
	nic_open(&n, -1, -1, 0, 0);
	nic_post(&n, 8);
	assert_int_equal(softnic_info_get("sim0", &before), 0);
	nic_inject(frame, nic_frame(frame, NIC_IP, NIC_PORT, 1472 + 5), NIC_GOOD);
	nic_inject(frame, nic_frame(frame, NIC_IP, NIC_PORT, 1472), NIC_GOOD);
	assert_int_equal(nic_poll(&n, evs, 8), 1);
	assert_int_equal(softnic_info_get("sim0", &after), 0);
	assert_int_equal(after.wire_oversize - before.wire_oversize, 1);
	nic_close(&n);
}

static void the_hosts_clock_is_not_moved(void **state)
{
	uint64_t ns;

	(void)state;
	assert_int_equal(set("sim3", "clock=host"), 0);
	assert_int_equal(softnic_clock_set("sim3", 5), -EINVAL);
	assert_int_equal(set("sim3", "clock=manual"), 0);
	assert_int_equal(softnic_clock_set("sim3", 5), 0);
	assert_int_equal(softnic_clock_advance("sim3", 6), 0);
	assert_int_equal(softnic_clock_get("sim3", &ns), 0);
	assert_int_equal(ns, 11);
}

static void an_unknown_ethtool_counter_is_enoent(void **state)
{
	uint64_t v;

	(void)state;
	assert_int_equal(softnic_ethtool_stat("sim3", "rx_nodesc_trunc", &v), 0);
	assert_int_equal(softnic_ethtool_stat("sim3", "rx_bytes", &v), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wrong_word_is_named),
		cmocka_unit_test(some_words_need_a_nic_without_pds),
		cmocka_unit_test(models_differ_in_what_they_can),
		cmocka_unit_test(an_unknown_capability_is_enosys),
		cmocka_unit_test(the_express_datapath_receives_by_reference),
		cmocka_unit_test(a_pd_is_allocated_by_index_too),
		cmocka_unit_test(rings_have_the_sizes_that_nics_have),
		cmocka_unit_test(peers_hear_each_other),
		cmocka_unit_test(a_wire_holds_65536_frames),
		cmocka_unit_test(frames_beyond_the_mtu_do_not_come_in),
		cmocka_unit_test(the_hosts_clock_is_not_moved),
		cmocka_unit_test(an_unknown_ethtool_counter_is_enoent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

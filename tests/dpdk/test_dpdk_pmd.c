/* SPDX-License-Identifier: BSD-2-Clause */
/* test_dpdk_pmd.c - driver libraries of DPDK, good and bad ones, and those that are not there. */

#include "host.h"

/* ---------------------------------------------------------------- PMD libraries */

static void a_pmd_is_found_by_vendor_and_device(void **state)
{
	struct kbp_dpdk_pci d = intel();
	struct kbp_dpdk_pmd pmd;

	(void)state;
	put_info(PMDS "/librte_net_af_packet.so", AF_PACKET_PMD);
	put_info(PMDS "/librte_net_ixgbe.so.23", "\177ELF rubbish " INTEL_10G);
	put_info(PMDS "/librte_net_ixgbe.so.23.0", INTEL_10G);
	put_info(PMDS "/librte_common_x.so", INTEL_10G);
	assert_int_equal(kbp_dpdk_pmd_find(at(PMDS), &d, &pmd), 0);
	assert_string_equal(pmd.library, "librte_net_ixgbe.so.23");
	assert_string_equal(pmd.driver, "net_ixgbe");
	assert_string_equal(pmd.kmod, "* igb_uio | uio_pci_generic | vfio-pci");
	d.device = 0x10fc;
	assert_int_equal(kbp_dpdk_pmd_find(at(PMDS), &d, &pmd), -ENOENT);
	assert_string_equal(pmd.library, "");
}

static void the_subsystem_counts_where_the_pmd_names_it(void **state)
{
	struct kbp_dpdk_pci d = intel();
	struct kbp_dpdk_pmd pmd;

	(void)state;
	put_info(PMDS "/librte_net_x.so",
		 "PMD_INFO_STRING= {\"name\": \"net_x\", \"pci_ids\": [[32902, 65535, 32902, 3]]}");
	assert_int_equal(kbp_dpdk_pmd_find(at(PMDS), &d, &pmd), 0);
	d.subdevice = 4;
	assert_int_equal(kbp_dpdk_pmd_find(at(PMDS), &d, &pmd), -ENOENT);
}

static void a_library_may_hold_several_pmds(void **state)
{
	static const char two[] =
		"PMD_INFO_STRING= {\"name\": \"net_ixgbe_vf\", \"pci_ids\": [[32902, 1, 65535, 65535]]}\0"
		"x" INTEL_10G;
	struct kbp_dpdk_pci d = intel();
	struct kbp_dpdk_pmd pmd;

	(void)state;
	put_bytes(PMDS "/librte_net_ixgbe.so", two, sizeof(two));
	assert_int_equal(kbp_dpdk_pmd_find(at(PMDS), &d, &pmd), 0);
	assert_string_equal(pmd.driver, "net_ixgbe");
}

static void damaged_libraries_are_passed_over(void **state)
{
	static const char *const texts[] = {
		"",
		"PMD_INFO_STRING=",
		"PMD_INFO_STRING= {",
		"PMD_INFO_STRING= {\"name\"",
		"PMD_INFO_STRING= {\"name\": \"",
		"PMD_INFO_STRING= {\"name\": \"x\", \"pci_ids\": ",
		"PMD_INFO_STRING= {\"name\": \"x\", \"pci_ids\": [[[[[[",
		"PMD_INFO_STRING= {\"name\": \"x\", \"pci_ids\": ]]]]",
		"PMD_INFO_STRING= {\"name\": \"x\", \"pci_ids\": [[32902, 4347, 65535, 65535, 1]]}",
		"PMD_INFO_STRING= {\"name\": \"x\", \"pci_ids\": [[4294999999, 4347]]}",
		"PMD_INFO_STRING= {\"name\": \"x\", \"pci_ids\": [[99999999999999999999999999]]}",
		"PMD_INFO_STRING= {\"name\": \"x\", \"pci_ids\": [[32902]]}",
		"PMD_INFO_STRING= {\"name\": \"x\", \"pci_ids\": [[]]}",
		"PMD_INFO_STRING= {\"name\": \"x\", \"pci_ids\": [[32902, -1]]}",
		"PMD_INFO_STRING= {\"pci_ids\": [[32902, 4347, 65535, 65535]]}",
		"PMD_INFO_STRING= {\"name\": \"\", \"pci_ids\": [[32902, 4347, 65535, 65535]]}",
		"PMD_INFO_STRING= {\"name\": \"a_name_of_more_letters_than_any_driver_of_dpdk_has_had\", \"pci_ids\": [[32902, 4347, 65535, 65535]]}",
	};
	struct kbp_dpdk_pci d = intel();
	struct kbp_dpdk_pmd pmd;

	(void)state;
	for (size_t i = 0; i < KBP_ARRAY_SIZE(texts); i++) {
		put_info(PMDS "/librte_net_bad.so", texts[i]);
		assert_int_equal(kbp_dpdk_pmd_find(at(PMDS), &d, &pmd), -ENOENT);
	}
	/* every length of a good one, without the NUL that ends it */
	for (size_t n = 0; n <= strlen(INTEL_10G); n++) {
		put_bytes(PMDS "/librte_net_bad.so", INTEL_10G, n);
		assert_int_equal(kbp_dpdk_pmd_find(at(PMDS), &d, &pmd), -ENOENT);
	}
	/* and the good one behind all of that */
	put_info(PMDS "/librte_net_good.so", INTEL_10G);
	put_dir(PMDS "/librte_net_directory.so");
	put_link(PMDS "/librte_net_dangling.so", "/nowhere");
	assert_int_equal(mkfifo(at(PMDS "/librte_net_fifo.so"), 0644), 0);
	assert_int_equal(kbp_dpdk_pmd_find(at(PMDS), &d, &pmd), 0);
	assert_string_equal(pmd.library, "librte_net_good.so");
}

static void a_number_that_wraps_does_not_match(void **state)
{
	struct kbp_dpdk_pci d = intel();
	struct kbp_dpdk_pmd pmd;

	(void)state;
	/* 2^32 + 32902 */
	put_info(PMDS "/librte_net_x.so",
		 "PMD_INFO_STRING= {\"name\": \"x\", \"pci_ids\": [[4295000198, 4347, 65535, 65535]]}");
	assert_int_equal(kbp_dpdk_pmd_find(at(PMDS), &d, &pmd), -ENOENT);
}

static void the_installed_dpdk_knows_the_nics_it_drives(void **state)
{
	static const char dir[] = "/usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0";
	static const struct {
		uint16_t vendor, device;
		const char *driver, *kmod;
	} nics[] = {
		{ 0x8086, 0x10fb, "net_ixgbe", "vfio-pci" },
		{ 0x8086, 0x10d3, "net_e1000_em", "vfio-pci" },
		{ 0x15ad, 0x07b0, "net_vmxnet3", "uio_pci_generic" },
		{ 0x1af4, 0x1041, "net_virtio", "uio_pci_generic" },
		{ 0x1d0f, 0xec20, "net_ena", "uio_pci_generic" },
		{ 0x15b3, 0x1017, "mlx5_eth", "mlx5_core" },
		{ 0x15b3, 0x1003, "net_mlx4", "mlx4_core" },
	};
	struct kbp_dpdk_pmd pmd;

	(void)state;
	if (access(dir, R_OK))
		skip();
	for (size_t i = 0; i < KBP_ARRAY_SIZE(nics); i++) {
		struct kbp_dpdk_pci d = { .vendor = nics[i].vendor, .device = nics[i].device };

		if (kbp_dpdk_pmd_find(dir, &d, &pmd)) /* its package may be missing */
			continue;
		assert_string_equal(pmd.driver, nics[i].driver);
		assert_non_null(strstr(pmd.kmod, nics[i].kmod));
	}
	assert_int_equal(kbp_dpdk_pmd_find(dir, &(struct kbp_dpdk_pci){ .vendor = 1, .device = 1 },
					   &pmd),
			 -ENOENT);
}

static void the_library_of_a_virtual_device_is_found(void **state)
{
	(void)state;
	put_info(PMDS "/librte_net_af_packet.so.23", AF_PACKET_PMD);
	put_info(PMDS "/librte_net_bond.so",
		 "PMD_INFO_STRING= {\"name\": \"net_bonding\", \"pci_ids\": []}");
	assert_int_equal(kbp_dpdk_pmd_check(at(PMDS), "net_af_packet", &err), 0);
	assert_int_equal(kbp_dpdk_pmd_check(at(PMDS), "net_af_packet0,iface=eth1", &err), 0);
	assert_int_equal(kbp_dpdk_pmd_check(at(PMDS), "eth_af_packet7", &err), 0);
	assert_int_equal(kbp_dpdk_pmd_check(at(PMDS), "net_bonding0", &err), 0);
	/* the name of a driver will do, though its text has net_e1000_em and net_e1000_igb */
	put_info(PMDS "/librte_net_e1000.so.23", "x");
	assert_int_equal(kbp_dpdk_pmd_check(at(PMDS), "net_e1000", &err), 0);
}

static void a_missing_library_is_named_with_its_package(void **state)
{
	(void)state;
	put_info(PMDS "/librte_net_null.so", "x");
	failed(kbp_dpdk_pmd_check(at(PMDS), "net_af_packet0,iface=eth1", &err), -ENOENT);
	says("\"net_af_packet0\"");
	says("apt install librte-net-af-packet23\"");
	failed(kbp_dpdk_pmd_check(at(PMDS), "net_virtio_user3", &err), -ENOENT);
	says("librte-net-virtio23");
	failed(kbp_dpdk_pmd_check(at(PMDS), "net_mlx5", &err), -ENOENT);
	/* there the digit is no number of a device */
	says("librte-net-mlx5-23");
}

static void a_package_is_not_guessed_from_another_directory(void **state)
{
	(void)state;
	put_info("/opt/dpdk/librte_net_null.so", "x");
	failed(kbp_dpdk_pmd_check(at("/opt/dpdk"), "net_af_packet0", &err), -ENOENT);
	says("librte_net_af_packet.so");
	does_not_say("apt install");
}

static void a_missing_and_an_empty_directory_differ(void **state)
{
	(void)state;
	failed(kbp_dpdk_pmd_check(at(PMDS), "net_ring0", &err), -ENOENT);
	says("there is no directory");
	says("RTE_EAL_PMD_PATH");
	says("librte-net-ring23");
	put_dir(PMDS);
	failed(kbp_dpdk_pmd_check(at(PMDS), "net_ring0", &err), -ENOENT);
	says("holds no network driver");
	does_not_say("there is no directory");
}

static void a_device_without_its_library_names_the_packages_of_its_maker(void **state)
{
	struct kbp_dpdk_pci d = intel();

	(void)state;
	put_info(PMDS "/librte_net_i40e.so", "x");
	failed(kbp_dpdk_pmd_missing(at(PMDS), &d, &err), -ENOENT);
	says("(8086:10fb)");
	says("librte-net-ixgbe23");
	says("librte-net-e1000-23");
	does_not_say("i40e");
}

static void a_device_of_an_unknown_maker_is_unknown(void **state)
{
	struct kbp_dpdk_pci d = intel();

	(void)state;
	d.vendor = 0x1234;
	put_info(PMDS "/librte_net_i40e.so", "x");
	failed(kbp_dpdk_pmd_missing(at(PMDS), &d, &err), -ENODEV);
	says("knows this device");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, host_begin, host_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_pmd_is_found_by_vendor_and_device),
		TEST(the_subsystem_counts_where_the_pmd_names_it),
		TEST(a_library_may_hold_several_pmds),
		TEST(damaged_libraries_are_passed_over),
		TEST(a_number_that_wraps_does_not_match),
		TEST(the_installed_dpdk_knows_the_nics_it_drives),
		TEST(the_library_of_a_virtual_device_is_found),
		TEST(a_missing_library_is_named_with_its_package),
		TEST(a_package_is_not_guessed_from_another_directory),
		TEST(a_missing_and_an_empty_directory_differ),
		TEST(a_device_without_its_library_names_the_packages_of_its_maker),
		TEST(a_device_of_an_unknown_maker_is_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

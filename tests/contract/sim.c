/* SPDX-License-Identifier: BSD-2-Clause */
/* sim.c - see sim.h. */
#include "contract.h"

#include "../../lib/backend/ef_vi.h"

extern const struct kbp_backend kbp_backend_ef_vi_sim;

static void on_violation(void *arg, const char *ifname, const char *what)
{
	(void)arg;
	fail_msg("the software NIC on %s: %s", ifname, what);
}

void sim_register(void)
{
	kbp_backend_register(&kbp_backend_ef_vi_sim);
}

void sim_begin(void)
{
	softnic_on_violation(on_violation, NULL);
	softnic_first_index(0xffffff00u);
	softnic_faults_clear(t.s->wire->ifname);
}

void sim_stall_tx(bool stalled)
{
	assert_int_equal(softnic_fault(t.s->wire->ifname, SOFTNIC_HOLD_TX, stalled), 0);
}

void sim_overflow(void)
{
	assert_int_equal(softnic_fault(t.s->wire->ifname, SOFTNIC_OVERFLOW, 1), 0);
}

void sim_check_idle(struct kbp_queue *q)
{
	struct kbp_efvi_full *f = kbp_efvi_full_q(q);
	struct softnic_owned owned;

	while (kbp_efvi_collect(f))
		;
	assert_int_equal(softnic_owned_by_nic(&f->x.vi, &owned), 0);
	assert_int_equal(q->held, 0);
	assert_int_equal(f->stash.in, f->stash.out);
	assert_int_equal(kbp_efvi_in_flight(f), 0);
	assert_int_equal(owned.tx_in_flight, 0);
	assert_int_equal(f->x.n_free, f->n_tx);
	assert_int_equal(f->strange, 0);
	if (f->x.refs) {
		assert_int_equal(owned.pkts_out, 0);
		assert_int_equal(f->count.pins, 0);
		return;
	}
	assert_int_equal(owned.rx_posted + owned.rx_unpushed + f->n_spare, f->n_rx);
	assert_int_equal(f->missing + owned.rx_posted + owned.rx_unpushed, f->target);
}

unsigned sim_superbuffers(struct kbp_queue *q, unsigned *packets)
{
	struct softnic_owned owned;

	*packets = 512; /* 1 MiB of 2 KiB each */
	assert_int_equal(softnic_owned_by_nic(&kbp_efvi(q)->vi, &owned), 0);
	return owned.superbufs;
}

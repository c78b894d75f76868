/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_module.c - a backend that is loaded by name, as a program with the public headers and the shared library
 * alone sees it. The modules of the build are found beside the library; argv: their folder, and one with modules
 * that are none.
 */
#include <errno.h>

#include <kbypass/hot.h>

#include "../lib/test.h"

static const char *modules, *broken;
static struct kbp_error err;

#define ok(call)                                                                     \
	do {                                                                         \
		int rc_ = (call);                                                    \
		if (rc_ < 0)                                                         \
			fail_msg("%s = %d: %s: %s", #call, rc_, err.step, err.hint); \
	} while (0)

static unsigned on_frame(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct kbp_datagram d;

	assert_int_equal(kbp_datagram(rx.q, &f, &d), KBP_PARSE_OK);
	assert_int_equal(d.len, 5);
	assert_memory_equal(d.payload, "hello", 5);
	++*(unsigned *)arg;
	return KBP_DONE;
}

static uint32_t fill(struct kbp_tx tx, struct kbp_frame f, void *arg)
{
	(void)tx;
	(void)arg;
	memcpy(f.data, "hello", 5);
	return 5;
}

static struct kbp_queue *open_one(const char *ifname, const char *words, struct kbp_port **port)
{
	struct kbp_port_opts o = KBP_PORT_OPTS_INIT;
	struct kbp_queue *q;

	o.args = words;
	ok(kbp_port_open("ef_vi_sim", ifname, &o, port, &err));
	ok(kbp_queue_open(*port, NULL, &q, &err));
	return q;
}

/* Two adapters in memory, back to back: what one sends the other receives. */
static void a_backend_is_loaded_by_its_name_and_works(void **state)
{
	struct kbp_port *a, *b;
	struct kbp_queue *rx = open_one("sim1", "nic=x2522", &b);
	struct kbp_queue *tx = open_one("sim0", "nic=x2522,peer=sim1", &a);
	struct kbp_flow flow;
	struct kbp_txflow *t;
	unsigned got = 0;

	(void)state;
	assert_int_equal(kbp_rx_of(rx).kind,
			 KBP_EF_VI_SIM); /* the half is not compiled in: array form */
	ok(kbp_flow_parse("239.1.1.1:5000@10.0.0.1:4000+nojoin", &flow, &err));
	ok(kbp_flow_add(rx, &flow, NULL, &err));
	ok(kbp_txflow_open(tx, &flow, &t, &err));
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(kbp_tx_each(kbp_tx_of(t), 8, fill, NULL), 8);
		while (got < 8 * (i + 1))
			if (!kbp_rx_each(kbp_rx_of(rx), 32, on_frame, &got))
				assert_int_equal(kbp_wait(&rx, 1, 10000000000ll), 1);
	}
	kbp_txflow_close(t);
	ok(kbp_queue_close(tx, 0, &err));
	ok(kbp_queue_close(rx, 0, &err));
	ok(kbp_port_close(a, &err));
	ok(kbp_port_close(b, &err));
}

static int open_rc(const char *backend, const char *dir)
{
	struct kbp_port_opts o = KBP_PORT_OPTS_INIT;
	struct kbp_port *port = (void *)&o;
	int rc;

	o.module_dir = dir;
	rc = kbp_port_open(backend, "sim9", &o, &port, &err);
	if (!rc)
		ok(kbp_port_close(port, &err));
	else
		assert_null(port);
	return rc;
}

static void the_folder_can_be_named(void **state)
{
	(void)state;
	assert_int_equal(open_rc("ef_vi_sim", modules), 0);
}

static void an_unknown_name_lists_what_there_is(void **state)
{
	(void)state;
	assert_int_equal(open_rc("ef_vi_simm", NULL), -ENOENT);
	assert_non_null(strstr(err.hint, "socket, af_xdp"));
	assert_non_null(strstr(err.hint, "ef_vi_sim"));
	assert_int_equal(open_rc("../ef_vi_sim", NULL), -ENOENT);
	assert_int_equal(open_rc("", NULL), -ENOENT);
}

static void what_is_no_module_of_this_version_is_refused(void **state)
{
	(void)state;
	assert_int_equal(open_rc("other", broken), -ENOEXEC);
	assert_non_null(strstr(err.hint, "another version"));
	assert_int_equal(open_rc("none", broken), -ENOEXEC);
	assert_non_null(strstr(err.hint, "not a kbypass module"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backend_is_loaded_by_its_name_and_works),
		cmocka_unit_test(the_folder_can_be_named),
		cmocka_unit_test(an_unknown_name_lists_what_there_is),
		cmocka_unit_test(what_is_no_module_of_this_version_is_refused),
	};

	if (argc != 3)
		return 2;
	modules = argv[1];
	broken = argv[2];
	return cmocka_run_group_tests(tests, NULL, NULL);
}

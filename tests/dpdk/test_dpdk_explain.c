/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_dpdk_explain.c - what EAL says and what it means. The texts were taken from DPDK 22.11.11 failing for
 * real, but for what needs a device or free hugepages: those are from its source.
 */
#include "host.h"

/* ---------------------------------------------------------------- what EAL said */

#define START "EAL: Detected CPU lcores: 2\nEAL: Detected NUMA nodes: 1\n"
#define LINKED "EAL: Detected shared linkage of DPDK\n"
#define SOCKET "EAL: Multi-process socket /var/run/dpdk/rte/mp_socket\n"
#define IOVA_PA "EAL: Selected IOVA mode 'PA'\n"
#define IOVA_VA                                                                 \
	"EAL: Physical addresses are unavailable, selecting IOVA as VA mode.\n" \
	"EAL: Selected IOVA mode 'VA'\n"
#define NO_CONTAINER                                                                     \
	"EAL: Cannot open VFIO container /dev/vfio/vfio, error 13 (Permission denied)\n" \
	"EAL: VFIO support could not be initialized\n"
#define FATAL(text) "EAL: FATAL: " text "\nEAL: " text "\n"

static struct kbp_dpdk_need need;
static struct kbp_dpdk_pci d; /* what need.pci points to */

static void explained(const char *said, int eal_errno, int code)
{
	memset(&err, 0, sizeof(err));
	failed(kbp_dpdk_explain(root, said, eal_errno, &need, &err), code);
}

static void no_port(const char *said, int code)
{
	memset(&err, 0, sizeof(err));
	failed(kbp_dpdk_explain_no_port(root, said, &need, &err), code);
}

static int need_begin(void **state)
{
	need = (struct kbp_dpdk_need){ .bytes = 64 << 20, .node = -1, .privileged = true };
	return host_begin(state);
}

/* EAL calls it "Permission denied", also to root. */
static void missing_hugepages_are_not_a_permission(void **state)
{
	(void)state;
	put_pages(NODE0, 2048, 0, 0);
	explained(START LINKED SOCKET IOVA_PA FATAL("Cannot get hugepage information."), 13, -ENOMEM);
	says("32 hugepages of 2048 kB are needed, 0 of 0 are free");
	says("echo 32 >");
	explained(START LINKED IOVA_VA
		  "EAL: No free 2048 kB hugepages reported on node 0\n" NO_CONTAINER FATAL(
			  "Cannot get hugepage information."),
		  13, -ENOMEM);
	does_not_say("ermission");
}

static void hugepages_without_a_mount_are_explained(void **state)
{
	(void)state;
	put_pages(NODE0, 2048, 64, 64);
	put("/proc/mounts", "proc /proc proc rw 0 0\n");
	explained(START
		  "EAL: 64 hugepages of size 2097152 reserved, but no mounted hugetlbfs found for "
		  "that size\n" FATAL("Cannot get hugepage information."),
		  13, -ENOENT);
	says("mount -t hugetlbfs");
	says("--in-memory");
}

static void a_hugepage_directory_that_cannot_be_read_is_quoted(void **state)
{
	(void)state;
	put_pages(NODE0, 2048, 64, 64);
	put("/proc/mounts", "hugetlbfs /dev/hugepages hugetlbfs rw,relatime 0 0\n");
	explained(START "EAL: Unable to open hugepage directory /dev/hugepages\n" FATAL(
			  "Cannot get hugepage information."),
		  13, -EACCES);
	says("\"Unable to open hugepage directory /dev/hugepages\"");
}

static void a_hugepage_file_that_cannot_be_made_is_explained(void **state)
{
	(void)state;
	put_pages(NODE0, 2048, 64, 64);
	put("/proc/mounts", "hugetlbfs /dev/hugepages hugetlbfs rw,relatime 0 0\n");
	explained(START
		  "EAL: get_seg_fd(): open '/dev/hugepages/rtemap_0' failed: Permission denied\n"
		  "EAL: Couldn't get fd on hugepage file\nEAL: error allocating rte services array\n" FATAL(
			  "rte_service_init() failed"),
		  ENOMEM, -EACCES);
	says("this user may not make files in /dev/hugepages");
	says("--in-memory");
	says("--huge-dir=");
}

static void memory_that_cannot_be_allocated_is_counted_first(void **state)
{
	(void)state;
	put_pages(NODE0, 2048, 64, 8);
	explained("EAL: Cannot allocate memory\n", ENOMEM, -ENOMEM);
	says("8 of 64 are free");
	explained("", -ENOMEM, -ENOMEM);
	says("8 of 64 are free");
	need.no_huge = true;
	explained(START LINKED SOCKET IOVA_VA
		  "EAL: Cannot allocate memseg list: Invalid argument\n" FATAL("Cannot init memory"),
		  ENOMEM, -ENOMEM);
	says("Cannot allocate memseg list: Invalid argument");
	says("ulimit -v");
}

static void enough_pages_and_no_memory_names_other_limits(void **state)
{
	(void)state;
	put_pages(NODE0, 2048, 64, 64);
	explained(START FATAL("Cannot init memory"), ENOMEM, -ENOMEM);
	says("The hugepages are there");
	says("cgroup");
}

static void a_second_primary_process_is_named_by_its_file(void **state)
{
	(void)state;
	/* with rte_errno 0, "Success" */
	explained(START LINKED
		  "EAL: Cannot create lock on '/var/run/dpdk/rte/config'. Is another primary "
		  "process running?\n" FATAL("Cannot init config"),
		  0, -EBUSY);
	says("fuser /var/run/dpdk/rte/config");
	says("--file-prefix=NAME");
}

static void a_runtime_directory_that_cannot_be_made_is_named(void **state)
{
	(void)state;
	need.privileged = false;
	explained(START
		  "EAL: Error creating '/nonexistent/dpdk': No such file or directory\n"
		  "EAL: Cannot create runtime directory\n" FATAL("Invalid 'command line' arguments."),
		  22, -EACCES);
	says("/nonexistent/dpdk for its files cannot be made: No such file");
	says("XDG_RUNTIME_DIR");
	need.privileged = true;
	explained(START "EAL: Error creating '//dpdk': Permission denied\n", 22, -EACCES);
	says("RUNTIME_DIRECTORY");
}

static void files_of_another_user_are_named(void **state)
{
	(void)state;
	explained(START LINKED "EAL: Cannot open '/tmp/dpdk/rte/config' for rte_mem_config\n" FATAL(
			  "Cannot init config"),
		  0, -EACCES);
	says("/tmp/dpdk/rte/config cannot be written");
}

static void arguments_that_are_wrong_are_named(void **state)
{
	static const struct {
		const char *said, *step, *hint;
	} cases[] = {
		{ START "./say: unrecognized option '--frobnicate'\n", "bad argument --frobnicate",
		  "unrecognized option" },
		{ START "./my-prog: option '--lcores' requires an argument\n",
		  "bad argument --lcores", "" },
		{ START "EAL: invalid parameters for --iova-mode\n", "bad argument --iova-mode", "" },
		{ START
		  "EAL: lcore 999 >= RTE_MAX_LCORE (128)\nEAL: To use high physical core ids, please use "
		  "--lcores to map them to lcore ids below RTE_MAX_LCORE, e.g. --lcores 0@999\n"
		  "EAL: invalid core list syntax\n",
		  "bad argument -l", "lcore 999" },
		{ START "EAL: lcore 2 unavailable\nEAL: invalid core list, please check specified cores are "
			"part of 0-1\n",
		  "bad argument -l", "part of 0-1" },
		{ START "EAL: Option --legacy-mem is not compatible with --in-memory\n",
		  "bad argument --legacy-mem", "--in-memory" },
		{ START "EAL: Options -m and --socket-mem cannot be specified at the same time\n",
		  "bad argument -m", "--socket-mem" },
		{ START "EAL: Options allow (-a) and block (-b) can't be used at the same time\n",
		  "bad argument -a", "(-b)" },
		{ START "EAL: Invalid char, '%', in --file-prefix option\n",
		  "bad argument --file-prefix", "'%'" },
		{ START "EAL: Main lcore is not enabled for DPDK\n", "bad argument --main-lcore",
		  "Main lcore" },
		{ START "EAL: Option --socket-limit is only supported in non-legacy memory mode\n",
		  "bad argument --socket-limit", "" },
		{ START FATAL("Invalid 'command line' arguments."), "bad argument", "" },
	};

	(void)state;
	need.args = "--frobnicate -l 999";
	for (size_t i = 0; i < KBP_ARRAY_SIZE(cases); i++) {
		char said[512];

		/* as it comes when standard output is taken too */
		snprintf(said, sizeof(said),
			 "%s\nUsage: ./say [options]\n\nEAL common options:\n  -c "
			 "COREMASK   Hexadecimal bitmask of cores to run on\n",
			 cases[i].said);
		explained(said, 22, -EINVAL);
		says(cases[i].step);
		says(cases[i].hint);
		says("--frobnicate -l 999");
	}
}

static void a_second_start_after_a_failed_one_is_recognised(void **state)
{
	(void)state;
	explained(START "EAL: Option -l is ignored, because (-l) is set!\n" FATAL(
			  "Invalid 'command line' arguments."),
		  22, -EALREADY);
	says("new process");
	explained(FATAL("already called initialization."), EALREADY, -EALREADY);
}

static void a_virtual_device_without_its_library_is_explained(void **state)
{
	(void)state;
	put_dir(PMDS);
	need.pmd_dir = at(PMDS);
	explained(START LINKED "EAL: failed to parse device \"net_af_packet0\"\n"
			       "EAL: Unable to parse device 'net_af_packet0,iface=ifb0'\n",
		  ENODEV, -ENOENT);
	says("holds no network driver");
	says("librte-net-af-packet23");
}

static void a_device_name_that_cannot_be_read_is_quoted(void **state)
{
	(void)state;
	explained(START LINKED "EAL: failed to parse device \"bogus\"\n", ENODEV, -ENODEV);
	says("\"bogus\" is neither");
	explained(START LINKED "EAL: failed to parse device \"0000:00:03.0\"\n", ENODEV, -ENODEV);
	says("librte_bus_pci.so");
}

static void a_library_that_cannot_be_loaded_is_named(void **state)
{
	(void)state;
	need.pmd_dir = "/usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0";
	explained(START LINKED
		  "EAL: librte_common_dpaax.so.23: cannot open shared object file: No such file or directory\n" FATAL(
			  "Cannot init plugins"),
		  22, -ELIBACC);
	says("librte_common_dpaax.so.23");
	says(need.pmd_dir);
	explained(START "EAL: Error, directory path /tmp is world-writable and insecure\n" FATAL(
			  "Cannot init plugins"),
		  22, -EPERM);
	says("chmod o-w");
}

static void an_iommu_group_that_is_not_viable_names_its_mates(void **state)
{
	(void)state;
	explained("EAL: " ADDR
		  " VFIO group is not viable! Not all devices in IOMMU group bound to VFIO or "
		  "unbound\nEAL: Requested device " ADDR " cannot be used\n",
		  22, -EBUSY);
	says("iommu_group/devices");
	put_nic(ADDR, "0x8086\n", "0x10fb\n", "vfio-pci");
	put_nic(ADDR_B, "0x8086\n", "0x10fb\n", "ixgbe");
	put_group(7, "DMA\n", ADDR, ADDR_B);
	d = find(ADDR);
	need.pci = &d;
	explained("EAL: " ADDR
		  " VFIO group is not viable! Not all devices in IOMMU group bound to VFIO or "
		  "unbound\n",
		  22, -EBUSY);
	says(ADDR_B);
}

static void a_vfio_group_that_is_closed_or_taken_is_named(void **state)
{
	(void)state;
	explained("EAL: Cannot open /dev/vfio/12: Permission denied\n", 13, -EACCES);
	says("chown USER /dev/vfio/12\"");
	explained("EAL: Cannot open /dev/vfio/12: Device or resource busy\n", 16, -EBUSY);
	says("fuser /dev/vfio/12\"");
}

/* EAL opens it whenever the module is loaded, whoever runs it, and goes on without. */
static void a_vfio_container_nobody_needs_is_not_the_cause(void **state)
{
	(void)state;
	d = intel();
	need.pci = &d;
	explained(NO_CONTAINER "EAL: something else\n", 5, -EIO);
	says("something else");
	snprintf(d.driver, sizeof(d.driver), "vfio-pci");
	explained(NO_CONTAINER "EAL: something else\n", 5, -EACCES);
	says("chown USER /dev/vfio/vfio\"");
}

static void vfio_without_a_working_iommu_is_explained(void **state)
{
	(void)state;
	explained("EAL: " ADDR " failed to select IOMMU type\n", 22, -EOPNOTSUPP);
	says("modprobe vfio_iommu_type1");
	says("intel_iommu=on");
}

static void a_limit_on_locked_memory_is_explained(void **state)
{
	static const char *const said[] = {
		"EAL: Cannot set up DMA remapping, error 12 (Cannot allocate memory)\n"
		"EAL: " ADDR " DMA remapping failed, error 12 (Cannot allocate memory)\n",
		"EAL: Cannot map vaddr for IOMMU, error 12 (Cannot allocate memory)\n",
	};

	(void)state;
	for (size_t i = 0; i < KBP_ARRAY_SIZE(said); i++) {
		explained(said[i], 12, -ENOMEM);
		says("ulimit -l");
		says("65536 KiB");
		says("LimitMEMLOCK");
	}
	explained("EAL: Cannot set up DMA remapping, error 14 (Bad address)\n", 14, -EIO);
	says("--iova-mode=va");
}

static void addresses_of_the_wrong_kind_are_explained(void **state)
{
	(void)state;
	need.no_huge = true;
	need.privileged = false;
	explained("EAL:   Expecting 'PA' IOVA mode but current mode is 'VA', not initializing\n"
		  "EAL: Requested device " ADDR " cannot be used\n",
		  22, -EOPNOTSUPP);
	says("Leave out --no-huge");
	says("Run as root");
	explained(FATAL("Cannot use IOVA as 'PA' since physical addresses are not available"), 22,
		  -EOPNOTSUPP);
	explained("EAL: Unsupported IOVA mode\n", 22, -EOPNOTSUPP);
	explained("EAL:   Expecting 'VA' IOVA mode but current mode is 'PA', not initializing\n",
		  22, -EOPNOTSUPP);
	says("--iova-mode=va");
	explained("EAL: alloc_pages_on_heap(): couldn't allocate memory due to IOVA exceeding limits of "
		  "current DMA mask\n",
		  12, -EOPNOTSUPP);
	says("--iova-mode=pa");
}

static void a_requested_device_that_cannot_be_used_is_looked_at(void **state)
{
	(void)state;
	put_nic(ADDR, "0x1af4\n", "0x1041\n", "virtio-pci");
	d = find(ADDR);
	need.pci = &d;
	explained("EAL: Requested device " ADDR " cannot be used\n", 2, -EBUSY);
	says("kernel driver virtio-pci holds it");
	snprintf(d.driver, sizeof(d.driver), "uio_pci_generic");
	explained("EAL: Probe PCI driver: net_ixgbe (8086:10fb) device: " ADDR " (socket -1)\n"
		  "eth_ixgbe_dev_init(): Hardware Initialization Failure: -8\n"
		  "EAL: Requested device " ADDR " cannot be used\n",
		  2, -EIO);
	says("Hardware Initialization Failure: -8");
}

static void a_cpu_out_of_reach_is_explained(void **state)
{
	(void)state;
	explained(START FATAL("Cannot set affinity"), 22, -EINVAL);
	says("Cpus_allowed_list");
	explained("ERROR: This system does not support \"AVX512F\".\n" FATAL("unsupported cpu type."),
		  95, -ENOTSUP);
	says("built for a processor");
}

static void an_unknown_failure_is_quoted(void **state)
{
	(void)state;
	explained(START LINKED "EAL: the moon is in the wrong phase\n" FATAL("Cannot init alarm"),
		  14, -EFAULT);
	says("\"Cannot init alarm\"");
	says("\"the moon is in the wrong phase\"");
	says(strerror(EFAULT));
	explained(NULL, 0, -EIO);
	says("gave no reason");
	explained(START, -5, -EIO);
	explained("\n\r\n\nEAL: \nno newline at the end", 0, -EIO);
}

static void the_longest_lines_leave_the_hint_whole(void **state)
{
	static const char *const begins[] = {
		"EAL: ",
		"EAL: Cannot create lock on '/",
		"EAL: Error creating '",
		"EAL: Cannot open '/",
		"EAL: invalid parameters for --",
		"EAL: failed to parse device \"",
		"vdev_probe(): ",
		"EAL: Cannot open /dev/vfio/",
		"EAL: Cannot init plugins ",
		"EAL: Unsupported IOVA mode ",
	};
	char said[2048], args[600], dir[500];

	(void)state;
	memset(args, 'a', sizeof(args));
	args[sizeof(args) - 1] = '\0';
	memset(dir, 'd', sizeof(dir));
	dir[sizeof(dir) - 1] = '\0';
	need.args = args;
	need.vdev = args;
	need.pmd_dir = dir;
	for (size_t i = 0; i < KBP_ARRAY_SIZE(begins); i++)
		for (size_t n = 0; n < 700; n += 7) {
			int len = snprintf(said, sizeof(said), "%s", begins[i]);
			int rc;

			memset(said + len, 'x', n);
			snprintf(said + len + n, sizeof(said) - (size_t)len - n,
				 "' for rte_mem_config\": why\n");
			rc = kbp_dpdk_explain(root, said, 5, &need, &err);
			failed(rc, err.code);
			rc = kbp_dpdk_explain_no_port(root, said, &need, &err);
			failed(rc, err.code);
		}
}

static void nobody_has_to_want_the_error(void **state)
{
	(void)state;
	assert_int_equal(kbp_dpdk_pages_check(root, 1, -1, NULL), -ENOMEM);
	assert_int_equal(kbp_dpdk_pci_find(root, "eth9", &d, NULL), -ENODEV);
	assert_int_equal(kbp_dpdk_pmd_check(root, "net_ring0", NULL), -ENOENT);
	assert_int_equal(kbp_dpdk_explain(root, "EAL: x\n", 5, &need, NULL), -EIO);
	d = intel();
	need.pci = &d;
	need.pmd_dir = root;
	assert_int_equal(kbp_dpdk_explain_no_port(root, "", &need, NULL), -ENOENT);
}

/* ---------------------------------------------------------------- no port */

/* As Intel's and VMware's PMDs do it: count 0, and not a word. */
static void a_missing_port_is_first_of_all_not_bound(void **state)
{
	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", "ixgbe");
	put_dir(PMDS);
	d = find(ADDR);
	need.pci = &d;
	need.pmd_dir = at(PMDS);
	need.args = "-a 0000:04:00.0";
	no_port(START LINKED SOCKET IOVA_PA, -EBUSY);
	says("kernel driver ixgbe holds it");
}

static void a_missing_port_is_then_a_missing_library(void **state)
{
	(void)state;
	d = intel();
	put_info(PMDS "/librte_net_i40e.so", "x");
	need.pci = &d;
	need.pmd_dir = at(PMDS);
	need.args = "-a 0000:04:00.0";
	no_port("", -ENOENT);
	says("librte-net-ixgbe23");
}

static void a_missing_port_is_then_shut_out_by_the_args(void **state)
{
	static const struct {
		const char *args;
		bool out;
	} cases[] = {
		{ "-a 0000:04:00.0", true },
		{ "-l 2 --allow=04:00.0 -n 4", true },
		{ "--no-pci", true },
		{ " -l 2   --no-pci", true },
		{ "-b 03:00.0", true },
		{ "--block=0000:03:00.0", true },
		{ "-a", true },
		{ "-a0000:04:00.0", true },
		{ "", false },
		{ "-a 03:00.0", false },
		{ "-a 0000:03:00.0,x=1", false },
		{ "-a 04:00.0 -a 03:00.0", false },
		{ "-b 04:00.0", false },
		{ "--no-pcix", false },
		{ "-apci:0000:03:00.0", false },
		{ "--allow 0000:03:00.0", false },
	};

	(void)state;
	d = intel();
	put_info(PMDS "/librte_net_ixgbe.so", INTEL_10G);
	need.pci = &d;
	need.pmd_dir = at(PMDS);
	for (size_t i = 0; i < KBP_ARRAY_SIZE(cases); i++) {
		need.args = cases[i].args;
		no_port("", cases[i].out ? -EINVAL : -ENODEV);
		if (cases[i].out)
			says("among the args");
	}
}

static void a_missing_port_is_at_last_an_unknown_device(void **state)
{
	(void)state;
	d = intel();
	d.vendor = 0x1234;
	put_info(PMDS "/librte_net_ixgbe.so", INTEL_10G);
	need.pci = &d;
	need.pmd_dir = at(PMDS);
	no_port("", -ENODEV);
	says("knows this device");
	need.args = "--no-pci";
	no_port("", -EINVAL);
	says("--no-pci");
}

/* EAL starts with success and no port. */
static void a_virtual_device_that_failed_is_quoted(void **state)
{
	(void)state;
	need.vdev = "net_af_packet0,iface=nosuch";
	no_port(START IOVA_VA
		"rte_pmd_init_internals(): net_af_packet0: ioctl failed (SIOCGIFINDEX):No such "
		"device\nvdev_probe(): failed to initialize net_af_packet0 device\n"
		"EAL: Bus (vdev) probe failed.\n",
		-ENODEV);
	says("ioctl failed (SIOCGIFINDEX):No such device");
	says("iface=nosuch");
	no_port(START IOVA_VA "open_packet_iface(): Could not open AF_PACKET socket\n"
			      "vdev_probe(): failed to initialize net_af_packet0 device\n"
			      "EAL: Bus (vdev) probe failed.\n",
		-ENODEV);
	says("CAP_NET_RAW");
	no_port(START IOVA_VA "vdev_probe(): failed to initialize net_af_packet0 device\n"
			      "EAL: Bus (vdev) probe failed.\n",
		-ENODEV);
	says("does the interface exist");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, need_begin, host_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(missing_hugepages_are_not_a_permission),
		TEST(hugepages_without_a_mount_are_explained),
		TEST(a_hugepage_directory_that_cannot_be_read_is_quoted),
		TEST(a_hugepage_file_that_cannot_be_made_is_explained),
		TEST(memory_that_cannot_be_allocated_is_counted_first),
		TEST(enough_pages_and_no_memory_names_other_limits),
		TEST(a_second_primary_process_is_named_by_its_file),
		TEST(a_runtime_directory_that_cannot_be_made_is_named),
		TEST(files_of_another_user_are_named),
		TEST(arguments_that_are_wrong_are_named),
		TEST(a_second_start_after_a_failed_one_is_recognised),
		TEST(a_virtual_device_without_its_library_is_explained),
		TEST(a_device_name_that_cannot_be_read_is_quoted),
		TEST(a_library_that_cannot_be_loaded_is_named),
		TEST(an_iommu_group_that_is_not_viable_names_its_mates),
		TEST(a_vfio_group_that_is_closed_or_taken_is_named),
		TEST(a_vfio_container_nobody_needs_is_not_the_cause),
		TEST(vfio_without_a_working_iommu_is_explained),
		TEST(a_limit_on_locked_memory_is_explained),
		TEST(addresses_of_the_wrong_kind_are_explained),
		TEST(a_requested_device_that_cannot_be_used_is_looked_at),
		TEST(a_cpu_out_of_reach_is_explained),
		TEST(an_unknown_failure_is_quoted),
		TEST(the_longest_lines_leave_the_hint_whole),
		TEST(nobody_has_to_want_the_error),
		TEST(a_missing_port_is_first_of_all_not_bound),
		TEST(a_missing_port_is_then_a_missing_library),
		TEST(a_missing_port_is_then_shut_out_by_the_args),
		TEST(a_missing_port_is_at_last_an_unknown_device),
		TEST(a_virtual_device_that_failed_is_quoted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* test_dpdk_env.c - hugepages and PCI devices of hosts made of files, and what is said of them. */
#include "host.h"

/* ---------------------------------------------------------------- hugepages */

static void pages_are_listed_by_size_and_node(void **state)
{
	struct kbp_dpdk_pages p[8];

	(void)state;
	put_pages(NODE1, 2048, 64, 3);
	put_pages(NODE0, 1048576, 2, 1);
	put_pages(NODE0, 2048, 32, 30);
	assert_int_equal(kbp_dpdk_pages_read(root, p, 8), 3);
	assert_true(p[0].page_bytes == 2048ull * 1024 && p[0].node == 0 && p[0].total == 32 &&
		    p[0].free == 30);
	assert_true(p[1].page_bytes == 2048ull * 1024 && p[1].node == 1 && p[1].free == 3);
	assert_true(p[2].page_bytes == 1ull << 30 && p[2].node == 0 && p[2].total == 2);
	assert_int_equal(kbp_dpdk_pages_read(root, p, 1), 1);
}

static void without_nodes_the_host_is_asked_and_reserved_pages_are_not_free(void **state)
{
	struct kbp_dpdk_pages p[8];

	(void)state;
	put_pages(HOST, 2048, 64, 40);
	put(HOST "/hugepages-2048kB/resv_hugepages", "15\n");
	put(HOST "/hugepages-tooDkB/nr_hugepages", "1\n");
	assert_int_equal(kbp_dpdk_pages_read(root, p, 8), 1);
	assert_true(p[0].node == -1 && p[0].total == 64 && p[0].free == 25);
}

static void one_size_with_enough_pages_is_enough(void **state)
{
	(void)state;
	put_pages(NODE0, 2048, 64, 1);
	put_pages(NODE0, 1048576, 1, 1);
	assert_int_equal(kbp_dpdk_pages_check(root, 64 << 20, -1, &err), 0);
	assert_int_equal(kbp_dpdk_pages_check(root, 64 << 20, 0, &err), 0);
	failed(kbp_dpdk_pages_check(root, (1ull << 30) + 1, 0, &err), -ENOMEM);
}

static void a_pool_may_span_the_pages_of_one_size(void **state)
{
	(void)state;
	put_pages(NODE0, 2048, 32, 32);
	assert_int_equal(kbp_dpdk_pages_check(root, 64 << 20, 0, &err), 0);
	failed(kbp_dpdk_pages_check(root, (64 << 20) + 1, 0, &err), -ENOMEM);
	says("33 hugepages of 2048 kB");
}

static void too_few_pages_name_node_numbers_and_commands(void **state)
{
	(void)state;
	put_pages(NODE0, 2048, 100, 100);
	put_pages(NODE1, 2048, 10, 2);
	failed(kbp_dpdk_pages_check(root, 64 << 20, 1, &err), -ENOMEM);
	says("64 MiB");
	says("32 hugepages of 2048 kB are needed on node 1, 2 of 10 are free");
	/* the number is that of all pages: 10, of which 8 are taken, and 30 more */
	says("echo 40 > /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages\"");
	says("vm.nr_hugepages=140 in /etc/sysctl.d");
	says("hugepages=140 on the kernel command line");
	says("--no-huge");
}

static void on_any_node_pages_of_all_nodes_count(void **state)
{
	(void)state;
	put_pages(NODE0, 2048, 20, 20);
	put_pages(NODE1, 2048, 12, 12);
	assert_int_equal(kbp_dpdk_pages_check(root, 64 << 20, -1, &err), 0);
	failed(kbp_dpdk_pages_check(root, 66 << 20, -1, &err), -ENOMEM);
	does_not_say("on node");
	says("echo 21 > /sys/devices/system/node/node0/");
}

static void pages_others_have_reserved_do_not_count(void **state)
{
	(void)state;
	put_pages(NODE0, 2048, 32, 32);
	put_pages(HOST, 2048, 32, 32);
	put(HOST "/hugepages-2048kB/resv_hugepages", "1\n");
	failed(kbp_dpdk_pages_check(root, 64 << 20, -1, &err), -ENOMEM);
	says("31 of 32 are free");
}

static void pages_made_on_demand_count_when_no_page_is_free(void **state)
{
	(void)state;
	put_pages(NODE0, 2048, 0, 0);
	put_pages(HOST, 2048, 0, 0);
	put(HOST "/hugepages-2048kB/nr_overcommit_hugepages", "40\n");
	put(HOST "/hugepages-2048kB/surplus_hugepages", "8\n");
	assert_int_equal(kbp_dpdk_pages_check(root, 64 << 20, -1, &err), 0);
	failed(kbp_dpdk_pages_check(root, 66 << 20, -1, &err), -ENOMEM);
	/* one reserved page would make EAL forget of those on demand */
	says("echo 33 >");
}

static void the_default_page_size_is_the_one_to_reserve(void **state)
{
	(void)state;
	put_pages(NODE0, 2048, 0, 0);
	put_pages(NODE0, 1048576, 0, 0);
	put("/proc/meminfo", "MemTotal: 1 kB\nHugepagesize:    1048576 kB\n");
	failed(kbp_dpdk_pages_check(root, 64 << 20, 0, &err), -ENOMEM);
	says("1 hugepage of 1048576 kB is needed");
	says("hugepages-1048576kB/nr_hugepages");
}

static void a_node_the_host_lacks_is_named(void **state)
{
	(void)state;
	put_pages(NODE0, 2048, 64, 64);
	failed(kbp_dpdk_pages_check(root, 1, 3, &err), -EINVAL);
	says("NUMA node 3");
}

static void a_kernel_without_hugepages_is_named(void **state)
{
	(void)state;
	failed(kbp_dpdk_pages_check(root, 1, -1, &err), -ENOMEM);
	says("CONFIG_HUGETLBFS");
	says("--no-huge");
}

/* ---------------------------------------------------------------- finding a device */

static void a_device_is_found_by_address_short_address_and_interface(void **state)
{
	const char *names[] = { ADDR, "03:00.0", "eth1" };

	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", "ixgbe");
	put_interface("eth1", ADDR, true);
	for (int i = 0; i < 3; i++) {
		struct kbp_dpdk_pci d = find(names[i]);

		assert_string_equal(d.addr, ADDR);
		assert_string_equal(d.driver, "ixgbe");
		assert_string_equal(d.ifname, "eth1");
		assert_true(d.vendor == 0x8086 && d.device == 0x10fb && d.subvendor == 0x8086 &&
			    d.subdevice == 3 && d.class_code == 0x020000);
		assert_true(d.node == -1 && d.group == -1 && d.interfaces == 1);
		assert_true(d.up && !d.routed && !d.default_route && !d.iommu && !d.bifurcated);
	}
}

static void an_address_is_read_in_any_case(void **state)
{
	struct kbp_dpdk_pci d;

	(void)state;
	put_nic("0000:0a:1f.7", "0x8086\n", "0x10fb\n", NULL);
	put_pci_file("0000:0a:1f.7", "numa_node", "1\n");
	d = find("0A:1F.7");
	assert_string_equal(d.addr, "0000:0a:1f.7");
	assert_int_equal(d.node, 1);
	assert_string_equal(d.driver, "");
}

static void a_virtio_interface_leads_to_the_pci_device_below(void **state)
{
	struct kbp_dpdk_pci d;

	(void)state;
	put_nic(ADDR, "0x1af4\n", "0x1041\n", "virtio-pci");
	put_link("/sys/devices/pci0000:00/" ADDR "/virtio2/subsystem", "/sys/bus/virtio");
	put_interface("eth0", ADDR "/virtio2", true);
	d = find("eth0");
	assert_string_equal(d.addr, ADDR);
	assert_string_equal(d.driver, "virtio-pci");
	d = find(ADDR);
	assert_string_equal(d.ifname, "eth0");
}

static void a_function_may_have_several_interfaces(void **state)
{
	struct kbp_dpdk_pci d;

	(void)state;
	put_nic(ADDR, "0x15b3\n", "0x1003\n", "mlx4_core");
	put_interface("enp3s0", ADDR, false);
	put_interface("enp3s0d1", ADDR, true);
	d = find("enp3s0d1");
	assert_string_equal(d.ifname, "enp3s0d1");
	assert_true(d.interfaces == 2 && d.up);
	assert_string_equal(find(ADDR).ifname, "enp3s0");
}

static void an_interface_without_a_pci_device_is_for_a_virtual_one(void **state)
{
	struct kbp_dpdk_pci d;

	(void)state;
	put("/sys/class/net/veth0/flags", "0x1003\n");
	failed(kbp_dpdk_pci_find(root, "veth0", &d, &err), -ENXIO);
	says("veth0");
	says("net_af_packet");
}

/* A USB NIC has a PCI controller further up, which is not its own. */
static void an_interface_on_another_bus_does_not_lead_to_its_controller(void **state)
{
	struct kbp_dpdk_pci d;

	(void)state;
	put_nic(ADDR, "0x8086\n", "0x1e31\n", "xhci_hcd");
	put_link("/sys/devices/pci0000:00/" ADDR "/usb1/subsystem", "/sys/bus/usb");
	put_interface("usb0", ADDR "/usb1", true);
	failed(kbp_dpdk_pci_find(root, "usb0", &d, &err), -ENXIO);
}

static void names_of_nothing_are_refused(void **state)
{
	static const char *const names[] = {
		"",
		"eth9",
		"0000:ff:00.0",
		"ff:00.0",
		"../../etc",
		".",
		"..",
		"a-name-that-is-longer-than-an-interface-and-than-any-error-may-hold-in-its-step-or-hint",
		"0000:03:00",
		"0000:03:20.0",
		"03:00.8",
		"03:00.0x",
		" 3:00.0",
		"0x3:00.0",
		"-3:00.0",
	};
	struct kbp_dpdk_pci d;

	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", NULL);
	put_dir("/sys/class/net");
	for (size_t i = 0; i < KBP_ARRAY_SIZE(names); i++) {
		memset(&err, 0, sizeof(err));
		failed(kbp_dpdk_pci_find(root, names[i], &d, &err), -ENODEV);
		says("lspci -D");
	}
}

/* ---------------------------------------------------------------- may EAL have it? */

static void a_nic_of_the_kernel_without_iommu_goes_to_uio(void **state)
{
	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", "ixgbe");
	put_interface("eth1", ADDR, true);
	put("/usr/bin/dpdk-devbind.py", "");
	failed(usable("eth1", true), -EBUSY);
	says("give PCI device " ADDR);
	says("kernel driver ixgbe holds it: interface eth1 is up");
	says("/sys/class/iommu is empty");
	says("-22");
	says("\"modprobe uio_pci_generic; ip link set eth1 down; "
	     "dpdk-devbind.py --bind=uio_pci_generic " ADDR "\"");
	says("intel_iommu=on or amd_iommu=on");
}

static void a_nic_of_the_kernel_behind_an_iommu_goes_to_vfio(void **state)
{
	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", "ixgbe");
	put_interface("eth1", ADDR, false);
	put_group(7, "DMA-FQ\n", ADDR, NULL);
	put("/usr/bin/dpdk-devbind.py", "");
	failed(usable(ADDR, true), -EBUSY);
	says("interface eth1 is down");
	/* the module is not loaded: there is no such driver */
	says("\"modprobe vfio-pci; dpdk-devbind.py --bind=vfio-pci " ADDR "\"");
	says("\"cd /sys/bus/pci/devices/" ADDR "; echo vfio-pci >driver_override; echo " ADDR
	     " | tee driver/unbind /sys/bus/pci/drivers_probe\"");
	does_not_say("ip link");
	does_not_say("uio");
}

static void a_module_that_is_loaded_is_not_loaded_again(void **state)
{
	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", "ixgbe");
	put_group(7, "DMA\n", ADDR, NULL);
	put_dir("/sys/bus/pci/drivers/vfio-pci");
	failed(usable(ADDR, true), -EBUSY);
	does_not_say("modprobe");
	says("see other network namespaces");
}

static void without_the_script_the_command_by_hand_comes_first(void **state)
{
	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", "ixgbe");
	put_interface("eth1", ADDR, true);
	failed(usable(ADDR, true), -EBUSY);
	says("\"modprobe uio_pci_generic; cd /sys/bus/pci/devices/" ADDR
	     "; echo uio_pci_generic >driver_override; echo " ADDR
	     " | tee driver/unbind /sys/bus/pci/drivers_probe\"");
}

static void an_unbound_nic_is_bound_without_unbinding(void **state)
{
	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", NULL);
	put_group(7, "DMA\n", ADDR, NULL);
	failed(usable(ADDR, true), -ENODEV);
	says("no kernel driver holds it");
	says("--bind=vfio-pci " ADDR);
	does_not_say("driver/unbind");
}

static void vfio_that_was_tried_without_an_iommu_is_recognised(void **state)
{
	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", NULL);
	put_pci_file(ADDR, "driver_override", "vfio-pci\n");
	failed(usable(ADDR, true), -ENODEV);
	says("vfio-pci was tried: without an IOMMU it fails with -22");
	says("uio_pci_generic");
	says("CONFIG_VFIO_NOIOMMU");
}

static void vfio_of_a_kernel_with_noiommu_mode_is_mentioned(void **state)
{
	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", NULL);
	put_pci_file(ADDR, "driver_override", "(null)\n");
	put("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "N\n");
	failed(usable(ADDR, true), -ENODEV);
	says("enable_unsafe_noiommu_mode");
	does_not_say("CONFIG_VFIO_NOIOMMU");
}

static void the_device_of_the_default_route_is_never_taken(void **state)
{
	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", "ixgbe");
	put_interface("eth1", ADDR, true);
	put_group(7, "DMA\n", ADDR, NULL);
	put_default_route("eth1");
	failed(usable("eth1", true), -EBUSY);
	says("default route goes through it (interface eth1)");
	does_not_say("bind");
	does_not_say("driver_override");
	says("net_af_packet");
}

static void a_default_route_of_ipv6_counts(void **state)
{
	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", "ixgbe");
	put_interface("eth1", ADDR, true);
	put("/proc/net/ipv6_route",
	    "fe800000000000000000000000000000 40 00000000000000000000000000000000 00 "
	    "00000000000000000000000000000000 00000100 00000002 00000000 00000001     eth1\n");
	assert_false(find("eth1").routed);
	put("/proc/net/ipv6_route",
	    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
	    "fd000000000000000000000000000001 00000400 00000002 00000000 00000003     eth1\n"
	    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
	    "00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n");
	assert_true(find("eth1").default_route);
	assert_int_equal(usable("eth1", true), -EBUSY);
	does_not_say("bind");
}

static void a_default_route_of_a_bridge_above_counts(void **state)
{
	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", "ixgbe");
	put_interface("eth1", ADDR, true);
	put("/sys/devices/virtual/net/br0/flags", "0x1003\n");
	put_link("/sys/class/net/br0", "/sys/devices/virtual/net/br0");
	put_link("/sys/devices/pci0000:00/" ADDR "/net/eth1/upper_br0",
		 "/sys/devices/virtual/net/br0");
	put_default_route("br0");
	assert_true(find("eth1").default_route);
}

static void another_route_is_mentioned_and_does_not_stop(void **state)
{
	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", "ixgbe");
	put_interface("eth1", ADDR, true);
	put("/proc/net/route",
	    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
	    "eth1\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
	    "eth2\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n");
	failed(usable("eth1", true), -EBUSY);
	says("is up and has routes");
	says("driver_override");
	says("intel_iommu=on");
}

static void a_device_that_is_no_nic_is_never_taken(void **state)
{
	(void)state;
	put_nic(ADDR, "0x144d\n", "0xa808\n", "nvme");
	put_pci_file(ADDR, "class", "0x010802\n");
	failed(usable(ADDR, true), -ENODEV);
	says("not a network device (class 0x010802, kernel driver nvme)");
	does_not_say("bind");
}

static void a_group_that_goes_as_a_whole_is_named(void **state)
{
	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", "ixgbe");
	put_nic(ADDR_B, "0x8086\n", "0x10fb\n", "ixgbe");
	put_group(7, "DMA\n", ADDR, ADDR_B);
	failed(usable(ADDR, true), -EBUSY);
	says("IOMMU group 7 goes as a whole, with " ADDR_B);
	says("dpdk-devbind.py --bind=vfio-pci " ADDR " " ADDR_B "\"");
}

static void a_mate_with_the_default_route_stays(void **state)
{
	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", "ixgbe");
	put_nic(ADDR_B, "0x8086\n", "0x10fb\n", "ixgbe");
	put_interface("eth0", ADDR_B, true);
	put_default_route("eth0");
	put_group(7, "DMA\n", ADDR, ADDR_B);
	failed(usable(ADDR, true), -EBUSY);
	says("Not all of those can be spared");
	does_not_say("--bind");
	does_not_say("driver_override");
}

static void vfio_with_all_it_needs_is_usable(void **state)
{
	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", "vfio-pci");
	put_group(7, "DMA\n", ADDR, NULL);
	put_vfio_files(7);
	assert_int_equal(usable(ADDR, true), 0);
	assert_int_equal(usable("03:00.0", false), 0);
}

static void a_group_with_a_kernel_driver_in_it_is_not_viable(void **state)
{
	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", "vfio-pci");
	put_nic(ADDR_B, "0x8086\n", "0x10fb\n", "ixgbe");
	put_group(7, "DMA\n", ADDR, ADDR_B);
	put_vfio_files(7);
	failed(usable(ADDR, true), -EBUSY);
	says("group 7 is not viable: kernel drivers hold " ADDR_B);
	says("dpdk-devbind.py --bind=vfio-pci " ADDR_B "\"");
}

static void a_bridge_in_the_group_does_no_harm(void **state)
{
	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", "vfio-pci");
	put_nic(ADDR_B, "0x8086\n", "0x1901\n", "pcieport");
	put_pci_file(ADDR_B, "class", "0x060400\n");
	put_group(7, "DMA\n", ADDR, ADDR_B);
	put_vfio_files(7);
	assert_int_equal(usable(ADDR, true), 0);
}

static void vfio_without_an_iommu_group_is_refused(void **state)
{
	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", "vfio-pci");
	failed(usable(ADDR, true), -EOPNOTSUPP);
	says("in no IOMMU group");
	says("intel_iommu=on");
}

static void vfio_in_noiommu_mode_is_for_root(void **state)
{
	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", "vfio-pci");
	put_group(0, "unknown\n", ADDR, NULL);
	put("/sys/kernel/iommu_groups/0/name", "vfio-noiommu\n");
	put("/dev/vfio/vfio", "");
	put("/dev/vfio/noiommu-0", "");
	assert_int_equal(usable(ADDR, true), 0);
	failed(usable(ADDR, false), -EPERM);
	says("/dev/vfio/noiommu-0");
	says("CAP_SYS_RAWIO");
}

static void a_group_file_of_another_user_is_named(void **state)
{
	const uid_t self = geteuid();
	int rc;

	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", "vfio-pci");
	put_group(7, "DMA\n", ADDR, NULL);
	put_vfio_files(7);
	/* root may open what nobody may, so it becomes nobody */
	chmod(at("/dev/vfio/vfio"), 0666);
	chmod(at("/dev/vfio/7"), self ? 0 : 0600);
	if (!self)
		assert_int_equal(seteuid(65534), 0);
	rc = usable(ADDR, false);
	assert_int_equal(seteuid(self), 0);
	failed(rc, -EACCES);
	says("may not open /dev/vfio/7");
	says("chown USER /dev/vfio/7");
	says("udev");
	says("ulimit -l");
}

static void a_group_file_that_is_not_there_is_named(void **state)
{
	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", "vfio-pci");
	put_group(7, "DMA\n", ADDR, NULL);
	failed(usable(ADDR, true), -ENODEV);
	says("there is no /dev/vfio/7 here");
	says("container");
}

static void uio_is_for_root(void **state)
{
	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", "uio_pci_generic");
	assert_int_equal(usable(ADDR, true), 0);
	failed(usable(ADDR, false), -EPERM);
	says("only root may see");
	says("vfio-pci");
}

static void igb_uio_is_as_good(void **state)
{
	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", "igb_uio");
	assert_int_equal(usable(ADDR, true), 0);
}

static void uio_behind_an_iommu_that_translates_is_refused(void **state)
{
	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", "uio_pci_generic");
	put_group(7, "DMA-FQ\n", ADDR, NULL);
	failed(usable(ADDR, true), -EOPNOTSUPP);
	says("physical addresses");
	says("vfio-pci");
	put("/sys/kernel/iommu_groups/7/type", "identity\n");
	assert_int_equal(usable(ADDR, true), 0);
}

static void a_bifurcated_device_stays_with_its_kernel_driver(void **state)
{
	(void)state;
	put_nic(ADDR, "0x15b3\n", "0x1017\n", "mlx5_core");
	put_interface("eth1", ADDR, true);
	put_default_route("eth1");
	put_dir("/sys/devices/pci0000:00/" ADDR "/infiniband/mlx5_0");
	assert_true(find(ADDR).bifurcated);
	assert_int_equal(usable(ADDR, false), 0);
}

static void a_bifurcated_device_needs_its_rdma_driver(void **state)
{
	(void)state;
	put_nic(ADDR, "0x15b3\n", "0x1017\n", "mlx5_core");
	failed(usable(ADDR, true), -ENODEV);
	says("modprobe -a mlx5_ib ib_uverbs");
	does_not_say("bind");
	put_nic(ADDR_B, "0x1414\n", "0x00ba\n", "mana");
	failed(usable(ADDR_B, true), -ENODEV);
	says("modprobe -a mana_ib ib_uverbs");
}

static void a_bifurcated_device_on_vfio_goes_back(void **state)
{
	(void)state;
	put_nic(ADDR, "0x15b3\n", "0x1003\n", "vfio-pci");
	put_group(7, "DMA\n", ADDR, NULL);
	put_vfio_files(7);
	failed(usable(ADDR, true), -EBUSY);
	says("beside its kernel driver mlx4_core, and it is bound to vfio-pci");
	says("--bind=mlx4_core " ADDR);
}

/* Clouds have these too, and they are not of the kind. */
static void gve_is_not_bifurcated(void **state)
{
	(void)state;
	put_nic(ADDR, "0x1ae0\n", "0x0042\n", "gvnic");
	assert_false(find(ADDR).bifurcated);
	failed(usable(ADDR, true), -EBUSY);
}

static void the_longest_names_leave_the_hint_whole(void **state)
{
	(void)state;
	put_nic(ADDR, "0x8086\n", "0x10fb\n", "a_driver_whose_name_has_31_chars");
	put_interface("fifteencharname", ADDR, true);
	failed(usable(ADDR, true), -EBUSY);
	put_nic(ADDR_B, "0x8086\n", "0x10fb\n", "driver_whose_name_has_31_charss");
	put_interface("fifteencharnamf", ADDR_B, true);
	put_group(12345678, "DMA\n", ADDR, ADDR_B);
	failed(usable(ADDR_B, true), -EBUSY);
	says("fifteencharnamf");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, host_begin, host_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pages_are_listed_by_size_and_node),
		TEST(without_nodes_the_host_is_asked_and_reserved_pages_are_not_free),
		TEST(one_size_with_enough_pages_is_enough),
		TEST(a_pool_may_span_the_pages_of_one_size),
		TEST(too_few_pages_name_node_numbers_and_commands),
		TEST(on_any_node_pages_of_all_nodes_count),
		TEST(pages_others_have_reserved_do_not_count),
		TEST(pages_made_on_demand_count_when_no_page_is_free),
		TEST(the_default_page_size_is_the_one_to_reserve),
		TEST(a_node_the_host_lacks_is_named),
		TEST(a_kernel_without_hugepages_is_named),
		TEST(a_device_is_found_by_address_short_address_and_interface),
		TEST(an_address_is_read_in_any_case),
		TEST(a_virtio_interface_leads_to_the_pci_device_below),
		TEST(a_function_may_have_several_interfaces),
		TEST(an_interface_without_a_pci_device_is_for_a_virtual_one),
		TEST(an_interface_on_another_bus_does_not_lead_to_its_controller),
		TEST(names_of_nothing_are_refused),
		TEST(a_nic_of_the_kernel_without_iommu_goes_to_uio),
		TEST(a_nic_of_the_kernel_behind_an_iommu_goes_to_vfio),
		TEST(a_module_that_is_loaded_is_not_loaded_again),
		TEST(without_the_script_the_command_by_hand_comes_first),
		TEST(an_unbound_nic_is_bound_without_unbinding),
		TEST(vfio_that_was_tried_without_an_iommu_is_recognised),
		TEST(vfio_of_a_kernel_with_noiommu_mode_is_mentioned),
		TEST(the_device_of_the_default_route_is_never_taken),
		TEST(a_default_route_of_ipv6_counts),
		TEST(a_default_route_of_a_bridge_above_counts),
		TEST(another_route_is_mentioned_and_does_not_stop),
		TEST(a_device_that_is_no_nic_is_never_taken),
		TEST(a_group_that_goes_as_a_whole_is_named),
		TEST(a_mate_with_the_default_route_stays),
		TEST(vfio_with_all_it_needs_is_usable),
		TEST(a_group_with_a_kernel_driver_in_it_is_not_viable),
		TEST(a_bridge_in_the_group_does_no_harm),
		TEST(vfio_without_an_iommu_group_is_refused),
		TEST(vfio_in_noiommu_mode_is_for_root),
		TEST(a_group_file_of_another_user_is_named),
		TEST(a_group_file_that_is_not_there_is_named),
		TEST(uio_is_for_root),
		TEST(igb_uio_is_as_good),
		TEST(uio_behind_an_iommu_that_translates_is_refused),
		TEST(a_bifurcated_device_stays_with_its_kernel_driver),
		TEST(a_bifurcated_device_needs_its_rdma_driver),
		TEST(a_bifurcated_device_on_vfio_goes_back),
		TEST(gve_is_not_bifurcated),
		TEST(the_longest_names_leave_the_hint_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

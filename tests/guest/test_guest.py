#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Real drivers: a small VM (QEMU without KVM, Debian's kernel) with two e1000e and two virtio NICs, wired in pairs.

The guest's first process is ./init: it runs our programs and prints one marker a behaviour on the serial console,
"GUEST NAME: PASS|FAIL TEXT". The markers decide, not the exit status of QEMU.

usage: test_guest.py FOLDER PROGRAM [MODULE COUNT]
       FOLDER keeps the kernel and the console's text; PROGRAM is guest_dpdk, MODULE libkbypass-dpdk.so, COUNT
       guest_count
"""
import glob
import gzip
import lzma
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SKIP = 77
BOOT_SECONDS = 100  # all of the guest's life; takes 10 to 40
FETCH_SECONDS = 60
MODULES = ["e1000e", "virtio_pci", "virtio_net", "uio_pci_generic"]
PMDS = ["bus_pci", "bus_vdev", "mempool_ring", "net_e1000", "net_virtio"]
DPDK_MARKERS = re.compile("DPDK|diagnos|binding")
NO_DPDK = "the dpdk module was not built: is libdpdk-dev missing? The rest passed"
# marker -> what its text must have, in lower case; the rest of a marker's meaning is ./init's
MARKERS = {
    "drivers": [r"e1000e e1000e virtio-pci virtio-pci"],
    "native XDP on virtio_net": [r"copy, bound"],
    "native XDP refused on e1000e": [r"does not support", r"generic, driver e1000e refused native"],
    "packets through native XDP": [r"copy, proven"],
    # no NIC here stamps. virtio_net has no such setting and says so; e1000e takes it, and every stamp is zero
    "stamps of native XDP": [r"stamping none, none, none", r"40 of 40 frames stamped", r"source driver, proven"],
    "stamps of a NIC that has none": [r"stamping off, all, off", r"source (none|kernel)"],
    # who holds the device, and what gives it to us
    "unbound e1000e is diagnosed": [r"00:03\.0", r"e1000e", r"uio_pci_generic|vfio-pci", r"driver_override|devbind"],
    "unbound virtio is diagnosed": [r"00:05\.0", r"virtio", r"uio_pci_generic|vfio-pci", r"driver_override|devbind"],
    # the same devices as DPDK alone sees them: a success, and no port
    "count 0 before binding": [r"count 0 count 0$"],
    "bound as the diagnosis tells": [],
    "missing hugepages are diagnosed": [r"\bhugepages\b", r"nr_hugepages"],
    "a count after binding": [r"count 1 count 1$"],
    "packets through DPDK on e1000e": [],
    "packets through DPDK on virtio": [],
    "end": [],
}


class Skip(Exception):
    """Why this cannot run here."""


def run(*command, cwd=None, timeout=None):
    """What a command says; Skip when it fails."""
    try:
        done = subprocess.run(command, cwd=cwd, timeout=timeout, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, env={**os.environ, "LC_ALL": "C"})
    except subprocess.TimeoutExpired as e:
        raise Skip(f"{' '.join(command)}: no end after {timeout} s") from e
    except OSError as e:
        raise Skip(f"{command[0]}: {e.strerror}") from e
    if done.returncode:
        raise Skip(f"{' '.join(command)}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
    return done.stdout


# ---------------------------------------------------------------- kernel


def load_module(path):
    with {".xz": lzma.open, ".gz": gzip.open}.get(os.path.splitext(path)[1], open)(path, "rb") as f:
        return f.read()


def module_order(folder):
    """The modules of MODULES and what they need, in order of loading: [(name, path)]; None when one is missing.

    What a module needs is read from the module: modules.dep is only there where a kernel was installed.
    """
    paths = {}
    for path in glob.glob(os.path.join(folder, "kernel", "**", "*.ko*"), recursive=True):
        if path.endswith((".ko", ".ko.xz", ".ko.gz")):
            paths[os.path.basename(path).split(".ko")[0].replace("-", "_")] = path
    order = []

    def add(name):
        if name in [n for n, _ in order]:
            return True
        if name not in paths:
            return False
        needs = re.search(rb"\0depends=([^\0]*)\0", load_module(paths[name]))[1].decode()
        good = all(add(n.replace("-", "_")) for n in needs.split(",") if n)
        order.append((name, paths[name]))
        return good

    return order if all(add(name) for name in MODULES) else None


def kernels_of(root):
    """Kernel images under `root` that have the modules: [(image, modules)], the newest first."""
    found = []
    for image in glob.glob(os.path.join(root, "boot", "vmlinuz-*")):
        version = os.path.basename(image)[len("vmlinuz-"):]
        order = module_order(os.path.join(root, "lib", "modules", version))
        if order:
            found.append(([int(n) for n in re.findall(r"\d+", version)], image, order))
    return [(image, order) for _, image, order in sorted(found, reverse=True)]


def fetch_kernel(root):
    """Debian's kernel package, unpacked under `root` and not installed: no test gives a machine another kernel."""
    depends = re.search(r"Depends: (linux-image-\S+)", run("apt-cache", "depends", "linux-image-amd64"))
    if not depends:
        raise Skip("apt knows no linux-image-amd64: apt-get update")
    with tempfile.TemporaryDirectory(dir=os.path.dirname(root)) as folder:
        run("apt-get", "download", depends[1], cwd=folder, timeout=FETCH_SECONDS)
        run("dpkg", "-x", *glob.glob(os.path.join(folder, "*.deb")), os.path.join(folder, "all"))
        # of 400 MB keep 10
        for image, order in kernels_of(os.path.join(folder, "all")):
            for path in [image] + [p for _, p in order]:
                kept = os.path.join(folder, "kept", os.path.relpath(path, os.path.join(folder, "all")))
                os.makedirs(os.path.dirname(kept), exist_ok=True)
                shutil.copy(path, kept)
            shutil.rmtree(root, ignore_errors=True)
            os.rename(os.path.join(folder, "kept"), root)
            return
    raise Skip(f"{depends[1]} lacks one of the modules {', '.join(MODULES)}")


def find_kernel(root):
    for place in ["/", root]:
        for found in kernels_of(place):
            return found
    try:
        fetch_kernel(root)
    except Skip as e:
        raise Skip(f"no kernel in /boot has modules {', '.join(MODULES)}, and none was fetched: {e}") from e
    return kernels_of(root)[0]


# ---------------------------------------------------------------- initramfs


class Archive:
    """A cpio archive in the form the kernel unpacks ("newc", Documentation/driver-api/early-userspace/
    buffer-format.rst), not compressed: QEMU hands it over faster than the guest could unpack it."""

    def __init__(self, path):
        self.f = open(path, "wb")
        self.names = set()

    def put(self, name, mode, data=b""):
        name = name.strip("/")
        if name in self.names or not name:
            return
        self.put(os.path.dirname(name), 0o040755)
        self.names.add(name)
        self.write(name, mode, data)

    def write(self, name, mode, data=b""):
        fields = [len(self.names), mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        head = b"070701" + b"".join(b"%08X" % n for n in fields) + name.encode() + b"\0"
        self.f.write(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))

    def file(self, name, data):
        self.put(name, 0o100755, data)

    def link(self, name, to):
        self.put(name, 0o120777, to.encode())

    def copy(self, path):
        """A file stands in the guest where it stands here, so that libraries find each other; links stay links:
        two copies of one DPDK driver would register twice."""
        path = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        if os.path.islink(path):
            self.link(path, os.readlink(path))
            self.copy(os.path.join(os.path.dirname(path), os.readlink(path)))
        else:
            with open(path, "rb") as f:
                self.file(path, f.read())

    def close(self):
        self.write("TRAILER!!!", 0)
        self.f.close()


def libraries(path):
    """None where it needs none: of that ldd makes a failure."""
    said = subprocess.run(["ldd", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return re.findall(r"(/\S+) \(0x", said.stdout)


def make_initramfs(path, order, program, module, count):
    a = Archive(path)
    for folder in ["dev", "proc", "sys", "tmp", "run", "usr/bin"]:
        a.put(folder, 0o040755)
    for name in ["bin", "lib", "lib64"]:
        a.link(name, "usr/" + name)
    a.link("var/run", "/run")
    for name, source in [("usr/bin/busybox", shutil.which("busybox")), ("init", os.path.join(HERE, "init"))]:
        with open(source, "rb") as f:
            a.file(name, f.read())
    for name, source in order:
        a.file(f"modules/{name}.ko", load_module(source))
    files = [program] + ([module, count] if module else [])
    for name in PMDS if module else []:
        pmd = glob.glob(f"/usr/lib/*/dpdk/pmds-*/librte_{name}.so.*")
        if not pmd:
            raise Skip(f"DPDK's driver {name} is not installed")
        files += pmd
    for file in files:
        a.copy(file)
    for file in files + [shutil.which("busybox")]:
        for library in libraries(file):
            a.copy(library)
            if os.path.basename(library) == "libc.so.6":  # which loads this one when a thread is cancelled
                a.copy(os.path.join(os.path.dirname(library), "libgcc_s.so.1"))
    words = {"GUEST": program, "DPDK": module or "", "COUNT": count or "",
             "MODULES": " ".join(name for name, _ in order)}
    a.file("words", "".join(f"{k}='{v}'\n" for k, v in words.items()).encode())
    a.close()


# ---------------------------------------------------------------- the machine


def boot(qemu, image, initramfs, log):
    """The console's lines, each with the second it came in."""
    nics = []
    for i, (device, hub) in enumerate([("e1000e", 1), ("e1000e", 1), ("virtio-net-pci", 2), ("virtio-net-pci", 2)]):
        nics += ["-netdev", f"hubport,id=n{i},hubid={hub}",
                 "-device", f"{device},netdev=n{i},mac=52:54:00:00:00:0{i},bus=pcie.0,addr={i + 3},romfile="]
    start, lines = time.monotonic(), []
    with subprocess.Popen([qemu, "-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", "max", "-smp", "2", "-m",
                           "1024", "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel",
                           image, "-initrd", initramfs, "-append", "console=ttyS0 loglevel=1 panic=-1 mitigations=off",
                           *nics], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace") as vm, open(log, "w", encoding="utf-8") as out:
        watchdog = threading.Timer(BOOT_SECONDS, vm.kill)
        watchdog.start()
        try:
            for line in vm.stdout:
                lines.append((time.monotonic() - start, line.rstrip()))
                out.write(f"{lines[-1][0]:6.1f} {lines[-1][1]}\n")
        finally:
            watchdog.cancel()
            vm.kill()
    return lines


def judge(lines, module):
    """How many markers did not pass, and a line for each."""
    seen, last, failed, verdict = {}, 0, 0, []
    for at, line in lines:
        m = re.fullmatch(r"GUEST (.+?): (PASS|FAIL) ?(.*)", line)
        if m:
            seen[m[1]] = (m[2], m[3], at - last)
            last = at
    for name, wanted in MARKERS.items():
        outcome, text, seconds = seen.get(name, ("FAIL", "no marker", 0))
        if not module and DPDK_MARKERS.search(name):
            outcome, text = "SKIP", ""
        lacks = [w for w in wanted if outcome == "PASS" and not re.search(w, text.lower())]
        if lacks:
            outcome, text = "FAIL", f"{text}: nothing like {' and '.join(lacks)} in this"
        failed += outcome == "FAIL"
        verdict.append(f"{outcome} {name} ({seconds:.1f} s) {text}")
    return failed, verdict


def main():
    folder, program, module, count = (os.path.realpath(a) if a else None for a in (sys.argv[1:] + [None] * 2)[:4])
    os.makedirs(folder, exist_ok=True)
    initramfs, log = os.path.join(folder, "initramfs"), os.path.join(folder, "console")
    begin = time.monotonic()
    try:
        if platform.machine() != "x86_64":
            raise Skip("the guest is an x86_64 one")
        qemu = shutil.which("qemu-system-x86_64")
        if not qemu:
            raise Skip("no qemu-system-x86_64: apt-get install --no-install-recommends qemu-system-x86")
        if not shutil.which("busybox"):
            raise Skip("no busybox: apt-get install busybox-static")
        image, order = find_kernel(os.path.join(folder, "kernel"))
        found = time.monotonic()
        make_initramfs(initramfs, order, program, module, count)
    except Skip as e:
        print("SKIP:", e)
        return SKIP
    made = time.monotonic()
    lines = boot(qemu, image, initramfs, log)
    done = time.monotonic()
    failed, verdict = judge(lines, module)
    if failed:
        print(*[f"{at:6.1f} {line}" for at, line in lines], sep="\n")
    print(*verdict, sep="\n")
    print(f"{os.path.basename(image)}: found in {found - begin:.1f} s, initramfs of "
          f"{os.path.getsize(initramfs) >> 20} MB made in {made - found:.1f} s, guest ran {done - made:.1f} s")
    if failed:
        return 1
    if not module:
        print("SKIP:", NO_DPDK)
        return SKIP
    return 0


if __name__ == "__main__":
    sys.exit(main())

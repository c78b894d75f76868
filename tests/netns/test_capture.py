#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""kbypass capture and kbypass rts25 as programs: tshark reads what was sent, in order, without a word.

usage: test_capture.py KBYPASS
"""
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

KBYPASS = sys.argv[1]
SKIP = 77
PREFIX = f"ca{os.getpid() % 10000}"
GROUP, PORT, N = "239.7.7.7", 5000, 300
GROUP_HEX = bytes(reversed([int(b) for b in GROUP.split(".")])).hex().upper()
# whose times are written; of af_xdp it is the driver's to say
SOURCES = {"socket": ["kernel"], "af_xdp": ["application", "kernel", "driver"], "ef_vi_sim": ["driver"]}
SENDER = f"""
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sys.argv[1]))
s.bind((sys.argv[1], 4000))
for i in range(int(sys.argv[2])):
    s.sendto(b"%08d" % i + bytes((i + k) % 256 for k in range(i % 90)), ("{GROUP}", {PORT}))
    time.sleep(float(sys.argv[3]))
"""

failed = 0
lab = {}


def complain(text):
    global failed
    failed += 1
    print("FAILED:", text)


def payload(i):
    return b"%08d" % i + bytes((i + k) % 256 for k in range(i % 90))


def tshark(path, *args):
    """Its output's lines; anything on stderr but its word to root is a failure."""
    done = subprocess.run(["tshark", "-n", "-r", path, *args], capture_output=True, text=True, timeout=60)
    said = [line for line in done.stderr.splitlines() if not line.startswith("Running as user")]
    if done.returncode or said:
        complain(f"tshark of {path}: status {done.returncode}, {said}")
    return done.stdout.splitlines()


def start(backend, path, *args):
    """A capture that has joined its group."""
    rx = lab["rx"]
    capture = subprocess.Popen([KBYPASS, "capture", rx["interface"], "--netns", rx["netns"], "--backend", backend,
                                "--flow", f"{GROUP}:{PORT}", "--out", path, "--json", *args],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(1000):
        joined = subprocess.run(["ip", "netns", "exec", rx["netns"], "cat", "/proc/net/igmp"], stdout=subprocess.PIPE,
                                text=True).stdout
        if GROUP_HEX in joined or capture.poll() is not None:
            break
        time.sleep(0.01)
    return capture


def sender(n, gap=0.0005):
    tx = lab["tx"]
    return subprocess.Popen(["ip", "netns", "exec", tx["netns"], sys.executable, "-c", SENDER, tx["ipv4"], str(n),
                             str(gap)])


def end(capture, expect):
    out, err = capture.communicate(timeout=60)
    if capture.returncode != expect:
        complain(f"status {capture.returncode}, not {expect}: {err}{out}")
    return json.loads(out) if out else {}


def what_was_sent_is_in_the_file(backend, directory):
    path = os.path.join(directory, f"{backend}.pcapng")
    began = time.time()
    capture = start(backend, path, "--count", str(N), "--seconds", "30")
    sender(N).wait()
    account = end(capture, 0)
    if account.get("received") != N or account.get("written") != N or not any(account["sources"][s] for s in SOURCES[backend]):
        complain(f"{backend}: {account}")
    lines = tshark(path, "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-T", "fields", "-e",
                   "frame.time_epoch", "-e", "udp.payload", "-e", "frame.comment", "-e", "ip.checksum.status", "-e",
                   "udp.checksum.status", "-e", "ip.dst", "-e", "udp.dstport", "-e", "frame.interface_name")
    if len(lines) != N:
        return complain(f"{backend}: tshark shows {len(lines)} packets")
    times = []
    for i, line in enumerate(lines):
        at, data, comment, ip_sum, udp_sum, dst, port, name = line.split("\t")
        times.append(at)
        if bytes.fromhex(data) != payload(i):
            return complain(f"{backend}: packet {i} is not what was sent: {data}")
        if (ip_sum, udp_sum, dst, port, name) != ("1", "1", GROUP, str(PORT), lab["rx"]["interface"]):
            return complain(f"{backend}: packet {i}: {line}")
        words = dict(word.split("=") for word in comment.split(" "))
        if words["sync"] not in ("in", "not", "unknown") or words["source"] not in (*SOURCES[backend], "application"):
            return complain(f"{backend}: packet {i}: {comment}")
        if words["sync"] == "in" and words["settled"] != "yes":
            return complain(f"{backend}: packet {i} reads as in sync, which nobody confirmed: {comment}")
    if times != sorted(times) or len(set(times)) < 2:
        complain(f"{backend}: times do not advance")
    if backend != "ef_vi_sim" and not began < float(times[0]) <= float(times[-1]) < time.time():
        complain(f"{backend}: times are not those of the test: {times[0]} {times[-1]}")
    return None


def a_signal_ends_it_with_its_account(directory):
    path = os.path.join(directory, "signal.pcapng")
    capture = start("socket", path)
    sender(20).wait()
    time.sleep(0.2)
    capture.send_signal(signal.SIGINT)
    account = end(capture, 0)
    if account.get("ended") != "signal" or account.get("written") != 20:
        complain(f"after SIGINT: {account}")
    if len(tshark(path)) != 20:
        complain("after SIGINT the file lacks packets")


def a_killed_capture_leaves_a_readable_file(directory):
    path = os.path.join(directory, "killed.pcapng")
    capture = start("socket", path)
    feed = sender(100000, 0.0001)
    for _ in range(600):  # until some of it is on the disk
        if os.path.getsize(path) > 20000:
            break
        time.sleep(0.05)
    capture.kill()
    capture.communicate()
    feed.kill()
    feed.wait()
    lines = tshark(path, "-T", "fields", "-e", "udp.payload")
    if len(lines) < 50 or any(bytes.fromhex(line) != payload(i) for i, line in enumerate(lines)):
        complain(f"kill -9 left {len(lines)} packets, or not those that were sent")


def files_rotate(directory):
    path = os.path.join(directory, "rot.pcapng")
    capture = start("af_xdp", path, "--rotate-size", "0.02", "--count", str(N), "--seconds", "30")
    sender(N).wait()
    account = end(capture, 0)
    files = sorted(glob.glob(os.path.join(directory, "rot_*.pcapng")))
    if len(files) < 3 or len(files) != account.get("files"):
        complain(f"{len(files)} files of {account}")
    packets = [line for name in files for line in tshark(name, "-T", "fields", "-e", "udp.payload")]
    if [bytes.fromhex(p) for p in packets] != [payload(i) for i in range(N)]:
        complain("the files together are not what was sent")
    done = subprocess.run([KBYPASS, "rts25", "--json", *reversed(files)], capture_output=True, text=True)
    report = json.loads(done.stdout)
    if report["claims"] != N or report["backwards"] > N / 2 or report["breaks"]:
        complain(f"rts25 over all files: {report}")


def a_full_disk_is_told_and_the_file_is_whole(directory):
    disk = os.path.join(directory, "disk")
    os.mkdir(disk)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], stderr=subprocess.DEVNULL).returncode:
        return print("SKIP: a full disk: no tmpfs can be mounted here")
    try:
        path = os.path.join(disk, "full.pcapng")
        capture = start("socket", path, "--seconds", "30")
        feed = sender(100000, 0.0001)
        out, err = capture.communicate(timeout=60)
        feed.kill()
        feed.wait()
        account = json.loads(out)
        if capture.returncode != 2 or "No space left on device" not in err or not account["capture_unwritten"]:
            complain(f"a full disk: status {capture.returncode}, {err} {account}")
        if account["received"] != account["written"] + account["capture_overrun"] + account["capture_unwritten"]:
            complain(f"a full disk: the account does not close: {account}")
        if len(tshark(path)) != account["written"]:
            complain("a full disk: the file has not what the account says")
    finally:
        subprocess.run(["umount", disk])
    return None


def rts25_counts_foreign_captures_as_unknown(directory):
    ours, foreign = os.path.join(directory, "socket.pcapng"), os.path.join(directory, "foreign.pcap")
    subprocess.run(["tshark", "-n", "-r", ours, "-F", "nsecpcap", "-w", foreign], stderr=subprocess.DEVNULL)
    done = subprocess.run([KBYPASS, "rts25", "--json", foreign], capture_output=True, text=True)
    report = json.loads(done.stdout)
    if done.returncode != 1 or report["unknown_ns"] != report["total_ns"] or report["files"][0]["without_claim"] != N:
        complain(f"a foreign capture: status {done.returncode}, {report}")
    if any(c["verdict"] == "compliant" for c in report["classes"]):
        complain("a foreign capture is called compliant")


def ptp_start(directory):
    """A master and a slave without the right to set a clock: the slave's servo locks and steers nothing. Both read
    this machine's clock. None where they cannot run."""
    if not shutil.which("ptp4l") or not shutil.which("setpriv"):
        return None
    daemons = []
    for side, more in (("tx", "free_running 1\npriority1 10\nclockClass 6\n"), ("rx", "slaveOnly 1\n")):
        config = os.path.join(directory, f"{side}.cfg")
        with open(config, "w", encoding="utf-8") as f:
            f.write("[global]\nlogAnnounceInterval -2\nlogSyncInterval -3\nlogMinDelayReqInterval -3\n"
                    "time_stamping software\nnetwork_transport L2\npi_proportional_const 0.7\npi_integral_const 0.3\n"
                    f"use_syslog 0\nuds_address {directory}/{side}.sock\n{more}")
        daemons.append(subprocess.Popen(["ip", "netns", "exec", lab[side]["netns"], "setpriv",
                                         "--bounding-set=-sys_time", "ptp4l", "-f", config, "-i",
                                         lab[side]["interface"]], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL))
    return daemons


def a_followed_clock_is_written_and_reported(directory, daemons):
    if not daemons:
        return print("SKIP: a followed clock: ptp4l and setpriv are not installed")
    # a limit that noise on a shared machine does not reach; the master does not state its own error
    clock = ["--ptp4l", f"{directory}/rx.sock", "--limit", "100000000", "--reference", "100"]
    end_by = time.time() + 30
    while subprocess.run([KBYPASS, "rts25", "--live", "0.3", "--class", "voice", *clock],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        if time.time() > end_by:
            return complain("ptp4l's slave did not come to follow its master, or rts25 --live did not see it")
    path = os.path.join(directory, "ptp.pcapng")
    capture = start("socket", path, "--count", "100", "--seconds", "30", *clock)
    sender(100, 0.005).wait()
    account = end(capture, 0)
    if account.get("sync", {}).get("in") != 100:
        complain(f"a followed clock: {account}")
    for line in tshark(path, "-T", "fields", "-e", "frame.comment"):
        words = dict(word.split("=") for word in line.split(" "))
        if words["sync"] != "in" or not int(words["bound_ns"]) >= 100 or "." not in words["verified_ns"]:
            return complain(f"a followed clock: {line}")
    done = subprocess.run([KBYPASS, "rts25", "--class", "voice", "--json", path], capture_output=True, text=True)
    if done.returncode or json.loads(done.stdout)["classes"][0]["verdict"] != "compliant":
        complain(f"a followed clock is not reported as compliant: {done.stdout}{done.stderr}")
    return None


def mistakes_are_told(directory):
    there = os.path.join(directory, "socket.pcapng")
    rx = lab["rx"]
    good = [rx["interface"], "--netns", rx["netns"], "--flow", f"{GROUP}:{PORT}"]
    for text, args in (("name an interface", []),
                       ("say what to capture", ["lo"]),
                       ("--force", [*good, "--out", there]),
                       ("there is no such interface", ["nosuch", "--flow", f"{GROUP}:{PORT}", "--out", there + "x"]),
                       ("column 1", ["lo", "--flow", "here", "--out", there + "x"]),
                       ("ip netns list", ["lo", "--netns", "nosuch", "--flow", f"{GROUP}:{PORT}"]),
                       ("No such file or directory", [*good, "--out", "/nonexistent/x.pcapng"]),
                       ("--rotate-size", [*good, "--keep", "2"]),
                       ("there is none", [*good, "--backend", "magic", "--out", there + "x"])):
        done = subprocess.run([KBYPASS, "capture", *args], capture_output=True, text=True, timeout=60)
        if done.returncode != 2 or text not in done.stderr or done.stdout:
            complain(f"capture {' '.join(args)}: status {done.returncode}, not {text!r}: {done.stderr}{done.stdout}")
    if os.path.exists(there + "x"):
        complain("a capture that could not begin left a file")


def a_nic_clock_that_cannot_be_opened_stops_no_capture(directory):
    """Over a /dev of its own, with a device that has no driver."""
    own = os.path.join(directory, "dev")
    os.mkdir(own)
    rx = lab["rx"]
    done = subprocess.run(["unshare", "-m", "sh", "-c",
                           f"mount -t tmpfs none {own} && mkdir {own}/upper {own}/work && mount -t overlay overlay -o "
                           f"lowerdir=/dev,upperdir={own}/upper,workdir={own}/work /dev && mknod /dev/ptp15 c 511 255 "
                           "|| exit 77\nexec \"$@\"", "sh", KBYPASS, "capture", rx["interface"], "--netns", rx["netns"],
                           "--flow", f"{GROUP}:{PORT}", "--out", os.path.join(directory, "ptp15.pcapng"), "--json",
                           "--seconds", "0.3"], capture_output=True, text=True, timeout=60)
    if done.returncode == 77:
        return print("SKIP: a NIC clock that cannot be opened: no overlay can be mounted here")
    if done.returncode:
        return complain(f"a NIC clock that cannot be opened: status {done.returncode}: {done.stderr}")
    clocks = [c for c in json.loads(done.stdout)["clocks"] if c["name"] == "ptp15"]
    if not clocks or clocks[0]["sync"] == "in" or "cannot be read" not in clocks[0]["text"]:
        complain(f"a NIC clock that cannot be opened is not told of: {done.stdout}")
    return None


def a_capture_of_sockets_can_be_replayed_as_frames(directory):
    tx = lab["tx"]
    done = subprocess.run([KBYPASS, "replay", os.path.join(directory, "socket.pcapng"), tx["interface"], "--netns",
                           tx["netns"], "--backend", "af_xdp", "--json"], capture_output=True, text=True, timeout=60)
    report = json.loads(done.stdout) if done.stdout else {}
    if done.returncode == 2 or report.get("sent") != N:
        complain(f"replay of a socket's capture: status {done.returncode}: {done.stderr}{done.stdout}")


def a_capture_that_cannot_begin_leaves_the_old_file(directory):
    path = os.path.join(directory, "old.pcapng")
    with open(path, "w", encoding="utf-8") as f:
        f.write("an older capture")
    rx = lab["rx"]
    good = [rx["interface"], "--netns", rx["netns"], "--out", path, "--force"]
    # the first fails while the port opens, the others when the recorder is there already: a flow given twice, a CPU
    # that no machine here has
    for args in (["--flow", f"{GROUP}:{PORT}", "--backend", "magic"],
                 ["--flow", f"{GROUP}:{PORT},{GROUP}:{PORT}"],
                 ["--flow", f"{GROUP}:{PORT}", "--cpu", "1023"]):
        done = subprocess.run([KBYPASS, "capture", *good, *args, "--seconds", "1"], capture_output=True, text=True,
                              timeout=60)
        with open(path, encoding="utf-8", errors="replace") as f:
            kept = f.read() == "an older capture"
        if done.returncode != 2 or not kept:
            complain(f"{args}: status {done.returncode}, the old file is {'there' if kept else 'gone'}: {done.stderr}")


def main():
    if os.geteuid() != 0:
        print("SKIP: making a lab needs root")
        return SKIP
    if not shutil.which("tshark"):
        print("SKIP: tshark is not installed")
        return SKIP
    up = subprocess.run([KBYPASS, "lab", "up", "--prefix", PREFIX, "--json"], stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE, text=True)
    if up.returncode:
        print("SKIP: no lab here:", up.stderr.strip())
        return SKIP
    daemons = None
    try:
        lab.update({h["side"]: h for h in json.loads(up.stdout)["hosts"]})
        with tempfile.TemporaryDirectory() as directory:
            daemons = ptp_start(directory)
            for backend in SOURCES:
                what_was_sent_is_in_the_file(backend, directory)
            for test in (a_signal_ends_it_with_its_account, a_killed_capture_leaves_a_readable_file, files_rotate,
                         a_full_disk_is_told_and_the_file_is_whole, rts25_counts_foreign_captures_as_unknown,
                         mistakes_are_told, a_capture_that_cannot_begin_leaves_the_old_file,
                         a_nic_clock_that_cannot_be_opened_stops_no_capture,
                         a_capture_of_sockets_can_be_replayed_as_frames):
                test(directory)
            a_followed_clock_is_written_and_reported(directory, daemons)
    finally:
        for daemon in daemons or []:
            daemon.kill()
            daemon.wait()
        subprocess.run([KBYPASS, "lab", "down", "--prefix", PREFIX], stdout=subprocess.DEVNULL)
    print("failed" if failed else "ok")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

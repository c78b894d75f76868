#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""kbypass replay as a program: exit statuses, the text, the schema of its JSON, and what it leaves behind.

usage: test_replay_cli.py KBYPASS
"""
import gzip
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time

KBYPASS = sys.argv[1]
SKIP = 77
PREFIX = f"kr{os.getpid() % 100000}"
NETNS, IFACE = f"{PREFIX}-tx", f"{PREFIX}tx"

COUNT = int
MAYBE = (int, type(None))  # null: too few samples to tell
SPREAD = {"samples": COUNT, "min": MAYBE, "p50": MAYBE, "p90": MAYBE, "p99": MAYBE, "p999": MAYBE, "max": MAYBE}
SCHEMA = {
    "schema": str,
    "capture": {"file": str, "records": COUNT, "frames": COUNT, "mended": COUNT, "trailers": COUNT, "readdressed": COUNT,
                "tagged": COUNT, "skipped_not_ip": COUNT, "skipped_not_udp": COUNT, "skipped_fragment": COUNT,
                "skipped_truncated": COUNT, "skipped_malformed": COUNT, "out_of_order": COUNT, "damaged_record": COUNT,
                "damaged_byte": COUNT, "damage": str},
    "timing": {"kind": str, "speed": float, "rate_pps": COUNT, "loops": COUNT, "seconds": float},
    "sender": {"backend": str, "named": bool, "interface": str, "driver": str, "mode": str, "proof": str,
               "emulated": bool, "virtual": bool, "sends": str, "fifo": bool},
    "scheduled": COUNT, "sent": COUNT, "refused": COUNT, "unsent": COUNT, "sent_bytes": COUNT, "digest": str,
    "late": {"after_ns": COUNT, "frames": COUNT, "max_ns": COUNT},
    "hand_over": {"timed": COUNT, "late_ns": SPREAD, "gap_error_ns": SPREAD},
    "stamps": {"source": str, "epoch": str, "proof": str, "resolution_ps": COUNT, "unstamped": COUNT,
               "impossible": COUNT, "error_ns": MAYBE, "clock_stepped": bool, "why_not": str, "late_ns": SPREAD,
               "gap_error_ns": SPREAD},
    "findings": [{"code": str, "note": bool, "text": str}],
}

failed = 0


def complain(text):
    global failed
    failed += 1
    print("FAILED:", text)


def check(value, shape, at):
    if isinstance(shape, dict):
        for name, inner in shape.items():
            if name not in value:
                complain(f"{at}.{name} is missing")
            else:
                check(value[name], inner, f"{at}.{name}")
    elif isinstance(shape, list):
        for i, v in enumerate(value):
            check(v, shape[0], f"{at}[{i}]")
    elif isinstance(shape, tuple):
        if type(value) not in shape:
            complain(f"{at} is {value!r}")
    elif type(value) is not shape:  # bool is an int to isinstance
        complain(f"{at} is {value!r}, not of type {shape.__name__}")


def datagram(payload, group=b"\xef\x01\x02\x03"):
    udp = struct.pack("!HHHH", 4000, 5000, 8 + len(payload), 0) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 4, 17, 0, b"\x0a\x4d\0\x01", group)
    return b"\x01\0\x5e\x01\x02\x03\x02\0\0\0\0\x01\x08\0" + ip + udp


def pcap(frames, gap_us=100):
    out = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)
    for i, f in enumerate(frames):
        out += struct.pack("<IIII", 1 + i * gap_us // 1000000, i * gap_us % 1000000, len(f), len(f)) + f
    return out


def write(directory, name, data):
    path = os.path.join(directory, name)
    with open(path, "wb") as f:
        f.write(data)
    return path


def replay(*args, **more):
    return subprocess.run([KBYPASS, "replay", *args], capture_output=True, text=True, timeout=60, **more)


def here(path, *args):
    return replay(path, IFACE, "--netns", NETNS, *args)


def document(done, status=0):
    if done.returncode != status:
        complain(f"status {done.returncode}, not {status}: {done.stderr}{done.stdout}")
        return None
    doc = json.loads(done.stdout)
    check(doc, SCHEMA, "replay")
    if doc["scheduled"] != doc["sent"] + doc["refused"] + doc["unsent"]:
        complain(f"the account does not add up: {doc}")
    return doc


def codes(doc):
    return {f["code"]: f for f in doc["findings"]}


def json_is_what_the_schema_says_on_both_backends(good):
    for backend, sends in (("socket", "payloads"), ("af_xdp", "frames")):
        doc = document(here(good, "--backend", backend, "--loop", "3", "--json"))
        if doc and (doc["schema"] != "kbypass.replay/1" or doc["sent"] != 150 or doc["sender"]["sends"] != sends
                    or doc["hand_over"]["late_ns"]["samples"] != 150 or doc["error"] is not None
                    or not doc["sender"]["virtual"] or doc["stamps"]["source"] == "nic"):
            complain(f"{backend}: {doc}")


def text_names_the_backend_and_both_clocks(good):
    done = here(good)
    for text in ("af_xdp on", "virtual device", "whole frames", "scheduled 50 = sent 50 + refused 0 + unsent 0", "digest",
                 "hand-over, TSC", "P99"):
        if text not in done.stdout:
            complain(f"the text does not say {text!r}: {done.stdout}{done.stderr}")


def timing_is_as_asked(good):
    for args, at_least, frames in ((("--speed", "0.1"), 0.04, 50), (("--rate", "1000"), 0.045, 50),
                                   (("--rate", "1000", "--seconds", "0.02"), 0.01, 20)):
        before = time.monotonic()
        doc = document(here(good, "--backend", "socket", "--json", *args))
        if doc and (doc["sent"] != frames or time.monotonic() - before < at_least):
            complain(f"{args}: {doc['sent']} frames in {time.monotonic() - before} s")


def damaged_captures_are_reported_and_what_precedes_is_replayed(directory, data):
    doc = document(here(write(directory, "cut.pcap", data[:-30]), "--backend", "socket", "--json"))
    if doc and (doc["sent"] != 49 or not codes(doc).get("capture_damaged", {}).get("note")
                or doc["capture"]["damaged_record"] != 50):
        complain(f"cut short: {doc}")
    packed = gzip.compress(data)
    doc = document(here(write(directory, "good.gz", packed), "--backend", "socket", "--json"))
    if doc and doc["sent"] != 50:
        complain(f"gzip: {doc}")
    done = here(write(directory, "cut.gz", packed[:len(packed) // 2]), "--backend", "socket", "--json")
    if done.returncode not in (0, 2) or "damaged" not in done.stdout + done.stderr:
        complain(f"gzip, cut: {done.returncode} {done.stdout}{done.stderr}")


def late_limit_is_a_finding(good):
    doc = document(here(good, "--backend", "socket", "--rate", "1000000000", "--late-limit", "1", "--json"), 1)
    if doc and codes(doc).get("late", {}).get("note") is not False:
        complain(f"late: {doc['findings']}")


def a_signal_ends_it_with_the_account(good):
    before = link()["stats64"]["tx"]["packets"]
    run = subprocess.Popen([KBYPASS, "replay", good, IFACE, "--netns", NETNS, "--rate", "500", "--loop", "1000000000",
                            "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_until_sending(run, before)
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=20)
    finally:
        run.kill()
    doc = document(subprocess.CompletedProcess([], run.returncode, out, err), 1)
    if doc and (not doc["sent"] or not doc["unsent"] or codes(doc)["unsent"]["note"] is not False):
        complain(f"stopped: {doc}")


def link():
    done = subprocess.run(["ip", "-n", NETNS, "-s", "-j", "link", "show", IFACE], capture_output=True, text=True)
    return json.loads(done.stdout)[0]


def wait_until_sending(run, before):
    for _ in range(500):
        if link()["stats64"]["tx"]["packets"] > before + 30:
            return
        time.sleep(0.02)
    complain(f"nothing is sent: {run.poll()}")


def kill_leaves_nothing_and_the_next_run_starts_at_once(good):
    before = link()["stats64"]["tx"]["packets"]
    run = subprocess.Popen([KBYPASS, "replay", good, IFACE, "--netns", NETNS, "--backend", "af_xdp", "--rate", "500",
                            "--loop", "1000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until_sending(run, before)
    run.kill()
    run.wait()
    document(here(good, "--backend", "af_xdp", "--json"))
    for _ in range(100):  # the kernel detaches when the last descriptor is gone
        if "xdp" not in link():
            return
        time.sleep(0.02)
    complain(f"an XDP program stays: {link()}")


def an_interface_that_goes_down_is_an_error_after_the_account(good):
    before = link()["stats64"]["tx"]["packets"]
    run = subprocess.Popen([KBYPASS, "replay", good, IFACE, "--netns", NETNS, "--rate", "500", "--loop", "100000",
                            "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_until_sending(run, before)
        subprocess.run(["ip", "-n", NETNS, "link", "set", IFACE, "down"], check=True)
        out, err = run.communicate(timeout=30)
    finally:
        run.kill()
        subprocess.run(["ip", "-n", NETNS, "link", "set", IFACE, "up"], check=True)
    doc = document(subprocess.CompletedProcess([], run.returncode, out, err), 2)
    if doc and (not doc["unsent"] or doc["error"]["code"] != -100 or "went down" not in err):
        complain(f"down: {doc} {err}")


def expect_error(text, *args):
    done = replay(*args)
    said = [line for line in done.stderr.strip().splitlines() if line.startswith("kbypass")]
    if done.returncode != 2 or text not in done.stderr or len(said) != 1 or done.stdout:
        complain(f"replay {' '.join(args)}: status {done.returncode}, not one error with {text!r}: {done.stderr}")


def bad_input_gives_one_error_and_status_2(directory, good):
    on = (IFACE, "--netns", NETNS)
    expect_error("name a capture")
    expect_error("name the interface", good)
    expect_error("/no/such.pcap", "/no/such.pcap", *on)
    expect_error("no pcap or pcapng", write(directory, "noise", b"\xd4\xc3\xb2\xa1 this is no capture"), *on)
    expect_error("empty", write(directory, "empty", b""), *on)
    expect_error("no packets", write(directory, "none", pcap([])), *on)
    expect_error("malformed", write(directory, "arp", pcap([b"\xff" * 12 + b"\x08\x06" + bytes(46)])), *on)
    expect_error("name a capture file", directory, *on)
    expect_error("nosuch0", good, "nosuch0", "--netns", NETNS)
    expect_error("nosuchns", good, IFACE, "--netns", "nosuchns")
    expect_error("ip netns list", good, IFACE, "--netns", "../x")
    expect_error("nosuch", good, *on, "--backend", "nosuch")
    expect_error("--speed", good, *on, "--speed", "0")
    expect_error("--speed", good, *on, "--speed", "-1")
    expect_error("--speed", good, *on, "--speed", "nan")
    expect_error("--rate", good, *on, "--rate", "0")
    expect_error("--rate", good, *on, "--rate", "-5")
    expect_error("--loop", good, *on, "--loop", "0")
    expect_error("--loop", good, *on, "--loop", "99999999999")
    expect_error("years", good, *on, "--loop", "1000000000", "--speed", "0.000001")
    expect_error("contradict", good, *on, "--speed", "2", "--rate", "5")
    expect_error("contradict", good, *on, "--as-recorded", "--rate", "5")
    expect_error("contradict", good, *on, "--stamping", "--no-stamps")
    expect_error("MAC", good, *on, "--to-mac", "1:2:3")
    expect_error("address", good, *on, "--to-ip", "10.0.0")
    expect_error("zerocopy", good, *on, "--mode", "fast")
    expect_error("CPU", good, *on, "--backend", "socket", "--cpu", "999")
    expect_error("powers of two", good, *on, "--backend", "socket", "--ring", "100")
    big = write(directory, "big", pcap([datagram(bytes(1600))]))
    expect_error("MTU is 1500", big, *on, "--backend", "socket")
    expect_error("MTU", big, *on, "--backend", "af_xdp")


def main():
    if os.geteuid() != 0:
        print("SKIP: a lab needs root")
        return SKIP
    made = subprocess.run([KBYPASS, "lab", "up", "--prefix", PREFIX], capture_output=True, text=True)
    if made.returncode:
        print("SKIP: no lab:", made.stderr)
        return SKIP
    data = pcap([datagram(bytes([i]) * (20 + i)) for i in range(50)])
    try:
        with tempfile.TemporaryDirectory() as directory:
            good = write(directory, "good.pcap", data)
            json_is_what_the_schema_says_on_both_backends(good)
            text_names_the_backend_and_both_clocks(good)
            timing_is_as_asked(good)
            damaged_captures_are_reported_and_what_precedes_is_replayed(directory, data)
            late_limit_is_a_finding(good)
            a_signal_ends_it_with_the_account(good)
            kill_leaves_nothing_and_the_next_run_starts_at_once(good)
            an_interface_that_goes_down_is_an_error_after_the_account(good)
            bad_input_gives_one_error_and_status_2(directory, good)
    finally:
        subprocess.run([KBYPASS, "lab", "down", "--prefix", PREFIX], capture_output=True)
    return 1 if failed else 0


sys.exit(main())

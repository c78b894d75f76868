#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""kbypass bench --profile on a lab: every operation of every backend that is here.

usage: test_profile_lab.py KBYPASS [dpdk]
"""
import json
import os
import subprocess
import sys

KBYPASS = sys.argv[1]
DPDK = "dpdk" in sys.argv[2:]
SKIP = 77
ARRAY = ["poll_empty", "poll_one", "rx_full", "release", "tx_full"]
INLINE = ["poll_empty", "poll_one", "rx_full", "tx_full", "timestamp"]
failed = 0


def complain(text):
    global failed
    failed += 1
    print("FAILED:", text)


def profile(*args):
    return subprocess.run([KBYPASS, "bench", "--profile", "--samples", "1000", *args], capture_output=True, text=True,
                          timeout=200)


def namespaces():
    return set(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else set()


def every_operation_is_there_with_figures_that_fit():
    backends = ["socket", "af_xdp"] + (["dpdk:af_packet"] if DPDK else [])
    before = namespaces()
    done = profile("--backend", ",".join(backends), "--json")
    if done.returncode == 2:
        return complain(f"profile: {done.stderr}")
    doc = json.loads(done.stdout)
    for name in backends:
        rows = {(r["op"], r["form"]): r for r in doc["profile"] if r["backend"] == name}
        expected = {(op, "array") for op in ARRAY}
        if not name.startswith("dpdk"):
            expected |= {(op, "inline") for op in INLINE}
        if set(rows) != expected:
            complain(f"{name}: {sorted(expected ^ set(rows))} missing or too many: {done.stdout[-2000:]}")
        for key, r in rows.items():
            ns = r["ns"]
            if not r["virtual"] or r["emulated"]:
                complain(f"{name} {key}: a veth pair is a virtual device")
            if not 0 < ns["min"] <= ns["p50"] <= ns["p99"] or abs(ns["p99"] - ns["p50"] - ns["gap"]) > 1e-6 * ns["p99"]:
                complain(f"{name} {key}: {ns}")
            if r["samples"] != 1000 or r["batch"] < 1:
                complain(f"{name} {key}: {r['samples']} samples, {r['batch']} in a batch")
        if "veth" not in doc["setup"][f"wire_{name}"]:
            complain(f"wire: {doc['setup'][f'wire_{name}']}")
    by = {(r["backend"], r["op"]): r["published"] for r in doc["profile"]}
    if by["af_xdp", "rx_full"]["high_ns"] != 150 or "copy" not in by["af_xdp", "rx_full"]["device"]:
        complain(f"af_xdp is in copy mode here: {by['af_xdp', 'rx_full']}")
    if by["socket", "rx_full"] is not None or (DPDK and by["dpdk:af_packet", "release"]["device"] != "i40e"):
        complain("published figures are not where they belong")
    if "sendmmsg" not in next(r["note"] for r in doc["profile"] if r["backend"] == "socket" and r["op"] == "tx_full"):
        complain("the system call inside of an operation is not named")
    if namespaces() != before:
        complain(f"left behind: {namespaces() - before}")
    return None


def the_table_says_what_the_figures_are():
    done = profile("--backend", "af_xdp,ef_vi_sim")
    for words in ("virtual device: the software's own work", "emulated (software NIC)", "a veth pair", "80-150", "15-22",
                  "sendto is in it"):
        if words not in done.stdout:
            complain(f"{words!r} is not in {done.stdout}{done.stderr}")


def who_may_not_make_a_lab_is_told_so():
    done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", KBYPASS, "bench",
                           "--profile", "--samples", "1000", "--backend", "ef_vi_sim,socket"], capture_output=True,
                          text=True, timeout=200)
    if done.returncode not in (0, 1) or "rx_full" not in done.stdout or "socket: not profiled" not in done.stdout:
        complain(f"not root: {done.returncode} {done.stdout}{done.stderr}")


if os.geteuid() != 0:
    print("needs root: it makes network namespaces")
    sys.exit(SKIP)
every_operation_is_there_with_figures_that_fit()
the_table_says_what_the_figures_are()
who_may_not_make_a_lab_is_told_so()
print("FAILED" if failed else "ok")
sys.exit(1 if failed else 0)

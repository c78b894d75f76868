#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""kbypass bench --profile as a program: the JSON, the table, and one error for each wrong call. No figure is judged.

usage: test_profile_cli.py KBYPASS
"""
import json
import os
import subprocess
import sys
import tempfile

KBYPASS = sys.argv[1]
OPERATIONS = ["poll_empty", "poll_one", "rx_full", "release", "tx_full", "timestamp"]
PUBLISHED = {"poll_empty": (2, 3), "poll_one": (8, 12), "rx_full": (15, 22), "tx_full": (18, 28)}

failed = 0


def complain(text):
    global failed
    failed += 1
    print("FAILED:", text)


def profile(*args):
    return subprocess.run([KBYPASS, "bench", "--profile", *args], capture_output=True, text=True, timeout=110)


def expect_error(text, *args):
    done = profile(*args)
    said = [line for line in done.stderr.strip().splitlines() if line.startswith("kbypass")]
    if done.returncode != 2 or text not in done.stderr or len(said) != 1 or done.stdout:
        complain(f"--profile {' '.join(args)}: status {done.returncode}, not one error with {text!r}: "
                 f"{done.stdout}{done.stderr}")


def check_row(row):
    at = f"{row['op']}, {row['form']}"
    if row["backend"] != "ef_vi_sim" or row["emulated"] is not True:
        complain(f"{at}: {row['backend']}, emulated {row['emulated']}")
    if row["form"] not in ("inline", "array") or row["batch"] < 1 or row["samples"] < 1000 or row["timer_ns"] <= 0:
        complain(f"{at}: {row}")
    for unit in ("ns", "cycles"):
        cost = row[unit]
        if not 0 < cost["min"] <= cost["p50"] <= cost["p99"]:
            complain(f"{at}: {unit} {cost}")
        if abs(cost["p99"] - cost["p50"] - cost["gap"]) > 1e-6 * cost["p99"]:
            complain(f"{at}: the gap of {unit} is not P99 - P50: {cost}")
    published = row["published"]
    if row["op"] not in PUBLISHED:
        if published is not None:
            complain(f"{at}: nothing was published, but here is {published}")
    elif (published["low_ns"], published["high_ns"]) != PUBLISHED[row["op"]] or published["device"] != "SFN8522":
        complain(f"{at}: published {published}")


def json_has_every_operation(directory):
    done = profile("--backend", "ef_vi_sim", "--json", "--out", directory)
    if done.returncode:
        return complain(f"status {done.returncode}: {done.stderr}{done.stdout}")
    results = json.loads(done.stdout)
    with open(os.path.join(directory, "results.json"), encoding="utf-8") as f:
        if json.load(f) != results:
            complain("--json and results.json differ")
    if results["schema"] != "kbypass.bench/1" or results["setup"]["kind"] != "profile" or results["runs"]:
        complain(f"schema {results['schema']}, kind {results['setup'].get('kind')}, runs {results['runs']}")
    if not results["fingerprint"]["tsc_quantum_ns"] > 0 or not results["setup"]["timer_p50_ns"] > 0:
        complain("the clock's quantum or the timer's cost is missing")
    seen = list(dict.fromkeys(row["op"] for row in results["profile"]))
    if seen != OPERATIONS:
        complain(f"operations are {seen}")
    for row in results["profile"]:
        check_row(row)
    return None


def table_says_what_is_emulated_and_what_was_not_profiled():
    done = profile("--backend", "ef_vi_sim,socket+1")
    for text in OPERATIONS + ["emulated (software NIC): these figures say nothing about a NIC", "quantum", "timer:",
                              "published, SFN8522", "socket+1: not profiled", "takes the frame inside the call"]:
        if text not in done.stdout:
            complain(f"the table does not say {text!r}: {done.stdout}{done.stderr}")
    if done.returncode:
        complain(f"status {done.returncode} of a profile without findings")


def interfaces_that_cannot_be_profiled_are_a_finding():
    done = profile("--rx", "nosuch0", "--tx", "nosuch1")
    if done.returncode != 1 or "FINDING: ef_vi: not profiled" not in done.stdout or "poll_one" not in done.stdout:
        complain(f"no such interfaces: status {done.returncode}: {done.stdout}{done.stderr}")


def wrong_calls_get_one_error_and_status_2():
    for option in (["--lab"], ["--rate", "5"], ["--feed", "itch"], ["--pcap", "x.pcap"], ["--seconds", "1"],
                   ["--rounds", "2"], ["--rx-netns", "x"], ["--mode", "copy"], ["--handler-delay", "5"],
                   ["--timing", "recorded"], ["--cpu-tx", "0"], ["--poisson"], ["--strict"], ["--size", "100"]):
        expect_error(f"--profile and {option[0]}", *option)
    expect_error("takes no value", "--profile=itch")
    expect_error("word too many", "itch")
    expect_error("variants", "--backend", "socket+1")
    expect_error("socket+1 not profiled", "--backend", "socket+1,af_xdp+1")
    expect_error('backend "nosuch"', "--backend", "nosuch")
    expect_error("ef_vi", "--backend", "ef_vi")
    expect_error("both ends", "--rx", "lo")
    expect_error("wires in memory", "--backend", "ef_vi_sim", "--rx", "lo", "--tx", "lo")
    expect_error("nic=nosuch", "--backend", "ef_vi_sim", "--ef-vi", "nic=nosuch")
    expect_error("power of two", "--ring", "1000")
    expect_error("CPU 9999", "--cpu-rx", "9999")
    expect_error("/etc", "--backend", "ef_vi_sim", "--out", "/etc")


def main():
    with tempfile.TemporaryDirectory() as directory:
        json_has_every_operation(directory)
    table_says_what_is_emulated_and_what_was_not_profiled()
    interfaces_that_cannot_be_profiled_are_a_finding()
    wrong_calls_get_one_error_and_status_2()
    return 1 if failed else 0


sys.exit(main())

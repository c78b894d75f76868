#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""kbypass bench as a program: exit statuses, the table, and the schema of its JSON.

usage: test_bench_cli.py KBYPASS
"""
import json
import os
import signal
import subprocess
import sys
import tempfile

KBYPASS = sys.argv[1]
SKIP = 77
SHORT = ["--rate", "2000", "--seconds", "0.6", "--rounds", "1"]

# name -> type; a list means "each member so"; a dict inside means an object with these members at least
COUNT = int
MAYBE = (int, type(None))  # null: too few samples to tell
QUANTILES = {"kind": str, "samples": COUNT, "saturated": COUNT, "min": MAYBE, "p50": MAYBE, "p90": MAYBE,
             "p99": MAYBE, "p999": MAYBE, "max": MAYBE, "gap": MAYBE}
RUN = {
    "backend": str, "achieved": {"mode": str, "requested": str, "proof": str, "note": str}, "emulated": bool,
    "virtual": bool, "queues": COUNT, "rcvbuf_bytes": COUNT, "scheduled": COUNT, "sent": COUNT, "send_errors": COUNT,
    "late": COUNT, "delivered": COUNT, "foreign": COUNT, "out_of_order": COUNT, "ambiguous": COUNT,
    "unattributed": COUNT, "over_attributed": COUNT, "drops": dict, "causes": dict, "digest": str,
    "digest_expected": str, "samples_file": str,
    "latency_ns": QUANTILES, "lateness_ns": QUANTILES, "rx_ring": COUNT, "clipped": COUNT,
    "rounds": [{"position": COUNT, "sent": COUNT, "delivered": COUNT, "late": COUNT, "ambiguous": COUNT,
                "first_sample": COUNT, "samples": COUNT, "warmup": COUNT}],
}
SCHEMA = {
    "schema": str,
    "fingerprint": {"kbypass": str, "kernel": str, "cmdline": str, "cpu_model": str, "tsc_hz": int, "driver": str},
    "setup": {"lab": bool, "source": str, "timing": str, "rate_pps": int, "rounds": int, "frames": int,
              "cpu_rx": int, "cpu_tx": int, "fifo_rx": bool, "handler_delay_ns": int,
              "memory_locked_rx": bool, "memory_locked_tx": bool},
    "runs": [RUN],
    "findings": [{"code": str, "backend": str, "note": bool, "text": str}],
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


def bench(*args, **more):
    return subprocess.run([KBYPASS, "bench", *args], capture_output=True, text=True, timeout=110, **more)


def expect_error(text, *args, **more):
    done = bench(*args, **more)
    lines = done.stderr.strip().splitlines()
    said = [line for line in lines if line.startswith("kbypass")]
    if done.returncode != 2 or text not in done.stderr or len(said) != 1 or done.stdout:
        complain(f"bench {' '.join(args)}: status {done.returncode}, not one error with {text!r}: {done.stderr}")


def json_is_what_the_schema_says(directory):
    done = bench(*SHORT, "--json", "--out", directory)
    if done.returncode:
        return complain(f"status {done.returncode}: {done.stderr}{done.stdout}")
    printed = json.loads(done.stdout)
    with open(os.path.join(directory, "results.json"), encoding="utf-8") as f:
        kept = json.load(f)
    if printed != kept:
        complain("--json and results.json differ")
    check(kept, SCHEMA, "results")
    if kept["schema"] != "kbypass.bench/1":
        complain(f"schema is {kept['schema']}")
    for run in kept["runs"]:
        known = run["delivered"] + sum(run["drops"].values()) + run["unattributed"] - run["over_attributed"]
        if run["sent"] != known:
            complain(f"{run['backend']}: the account does not add up")
        size = os.path.getsize(os.path.join(directory, run["samples_file"]))
        if size != 4 * sum(r["samples"] for r in run["rounds"]):
            complain(f"{run['samples_file']} has {size} bytes")
    return None


STAMPED = {
    "rx_path": {"source": str, "epoch": str, "proof": str, "resolution_ps": COUNT, "error_ns": COUNT, "unstamped": COUNT,
                "voided": COUNT, "impossible": COUNT, "clipped": COUNT, "latency_ns": QUANTILES, "samples_file": str},
    "wire_to_stamp": {"source": str, "clipped": COUNT, "latency_ns": QUANTILES, "samples_file": str},
}


def stamps_part_the_latency_and_say_whose_they_are():
    done = bench(*SHORT, "--backend", "socket", "--stamps", "--json")
    if done.returncode:
        return complain(f"--stamps: status {done.returncode}: {done.stderr}{done.stdout}")
    doc = json.loads(done.stdout)
    check(doc["runs"][0], STAMPED, "runs[0]")
    if doc["setup"]["stamps"] is not True or doc["runs"][0]["rx_path"]["source"] != "kernel":
        complain(f"--stamps: {doc}")
    return None


def a_full_disk_does_not_cost_the_table(directory):
    os.mkdir(os.path.join(directory, "results.json.tmp"))
    done = bench(*SHORT, "--out", directory)
    if done.returncode != 2 or "gap" not in done.stdout or "write" not in done.stderr:
        complain(f"results that cannot be written: status {done.returncode}: {done.stdout}{done.stderr}")


def a_bench_works_where_its_parent_ignores_children():
    done = bench(*SHORT, preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    if done.returncode not in (0, 1):
        complain(f"SIGCHLD ignored by the parent: status {done.returncode}: {done.stderr}")


def table_has_both_backends_and_says_that_the_device_is_virtual():
    done = bench(*SHORT)
    for text in ("socket", "af_xdp", "P99.9", "gap", "unattrib.", "virtual devices", "quantum", "times the spinning"):
        if text not in done.stdout:
            complain(f"the table does not say {text!r}: {done.stdout}{done.stderr}")


def bad_input_gives_one_error_and_status_2():
    with tempfile.NamedTemporaryFile(suffix=".pcap") as corrupt:
        corrupt.write(b"\xd4\xc3\xb2\xa1 this is no capture at all")
        corrupt.flush()
        expect_error(corrupt.name, "--pcap", corrupt.name)
    expect_error("--rate", "--rate", "0")
    expect_error("--rate", "--rate", "many")
    expect_error("--seconds", "--seconds", "0")
    expect_error("nosuch", "--backend", "nosuch")
    expect_error("nosuch0", "--rx", "lo", "--tx", "nosuch0")
    expect_error("both ends", "--rx", "lo")
    expect_error("--lab", "--lab", "--rx", "lo", "--tx", "lo")
    expect_error("/no/such.pcap", "--pcap", "/no/such.pcap")
    expect_error("did you mean", "--mode", "zero-copy")
    expect_error("recorded", "--timing", "yesterday")
    expect_error("factor", "--timing", "scaled:0")
    expect_error("contradict", "--timing", "recorded", "--poisson")
    expect_error("CPU 999", "--cpu-rx", "999")
    expect_error("two different CPUs", "--cpu-rx", "0", "--cpu-tx", "0")
    expect_error("generator", "--pcap", "x.pcap", "--size", "100")
    expect_error("/etc", "--out", "/etc")
    expect_error("word too many", "lab")
    expect_error("CAP_", *SHORT, user=65534, group=65534, extra_groups=[])


def main():
    if os.geteuid() != 0:
        print("skipped: a lab needs root")
        return SKIP
    if len(os.sched_getaffinity(0)) < 2:
        print("skipped: a bench needs two CPUs")
        return SKIP
    with tempfile.TemporaryDirectory() as directory:
        json_is_what_the_schema_says(directory)
    with tempfile.TemporaryDirectory() as directory:
        a_full_disk_does_not_cost_the_table(directory)
    a_bench_works_where_its_parent_ignores_children()
    stamps_part_the_latency_and_say_whose_they_are()
    table_has_both_backends_and_says_that_the_device_is_virtual()
    bad_input_gives_one_error_and_status_2()
    return 1 if failed else 0


sys.exit(main())

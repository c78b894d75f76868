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


LOOP = ["--rtt", "--seconds", "0.6", "--rounds", "2", "--backend", "socket,af_xdp"]


def a_closed_loop_has_round_trips_and_their_sending_part():
    done = bench(*LOOP, "--rates", "200,1000", "--json")
    if done.returncode not in (0, 1):
        return complain(f"--rtt: status {done.returncode}: {done.stderr}{done.stdout}")
    doc = json.loads(done.stdout)
    check(doc, SCHEMA, "results of --rtt")
    if [(r["backend"], r["rate_pps"]) for r in doc["runs"]] != [
            ("socket", 200), ("af_xdp", 200), ("socket", 1000), ("af_xdp", 1000)]:
        complain(f"--rtt: runs {doc['runs']}")
    for run in doc["runs"]:
        check(run, {"tx_ns": QUANTILES, "tx_file": str}, "a run of --rtt")
        if run["latency_ns"]["kind"] != "rtt" or run["tx_ns"]["kind"] != "tx" or run["digest"]:
            complain(f"--rtt: {run}")
        if run["sent"] != run["delivered"] + sum(run["drops"].values()):
            complain(f"--rtt: the account does not add up: {run}")
    if doc["setup"]["rates"] != "200,1000" or doc["setup"]["kind"] != "rtt" or doc["setup"]["memory_bytes"] < 1:
        complain(f"--rtt: setup {doc['setup']}")
    return None


def the_table_of_a_closed_loop_has_a_row_for_sending_and_halves_nothing():
    done = bench(*LOOP, "--rate", "500")
    for text in ("round trip", "at most 500 a second", "  tx ", "published", "ef_vi 590 ns", "initiator"):
        if text not in done.stdout:
            complain(f"the table of --rtt does not say {text!r}: {done.stdout}{done.stderr}")
    for text in ("digest", "one way", "the sender was late"):
        if text in done.stdout:
            complain(f"the table of --rtt says {text!r}: {done.stdout}")


def a_sweep_has_a_block_for_each_rate():
    done = bench("--rates", "100,2000", "--seconds", "0.6", "--rounds", "1", "--backend", "socket")
    for text in ("at 100,2000 a second", "at 100 a second: virtual", "at 2000 a second: virtual"):
        if text not in done.stdout:
            complain(f"the table of a sweep does not say {text!r}: {done.stdout}{done.stderr}")


def bursts_are_described():
    done = bench("--timing", "bursts:250", "--seconds", "0.6", "--rounds", "1", "--backend", "socket")
    for text in ("bursts timing", "250 us or more apart", "within 10 us"):
        if text not in done.stdout:
            complain(f"the table of bursts does not say {text!r}: {done.stdout}{done.stderr}")


def what_does_not_fit_into_memory_is_refused_before_anything_is_started():
    # 128 runs of 16 thousand million samples: more than any machine has
    done = bench("--backend", ",".join(f"socket+{i}" for i in range(16)), "--rounds", "1000", "--seconds", "86400",
                 "--rates", ",".join(str(190000 + i) for i in range(8)))
    if done.returncode != 2 or "available" not in done.stderr or "making the lab" in done.stderr:
        complain(f"too much to keep: status {done.returncode}: {done.stdout}{done.stderr}")


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
    expect_error("bursts:250", "--timing", "bursts:0")
    expect_error("bursts:250", "--timing", "burstsxyz")
    expect_error("--rate and --timing bursts", "--timing", "bursts", "--rate", "100")
    expect_error("--rates and --timing bursts", "--timing", "bursts", "--rates", "100")
    expect_error("--rate and --rates", "--rates", "100,200", "--rate", "100")
    expect_error("--rates 100,,200", "--rates", "100,,200")
    expect_error("--rates 0", "--rates", "0")
    expect_error("--rates 1.5", "--rates", "1.5")
    expect_error("twice", "--rates", "100,100")
    expect_error("at most 8", "--rates", "1,2,3,4,5,6,7,8,9")
    for option, *value in (["--pcap", "x.pcap"], ["--feed", "itch"], ["--flows", "2"], ["--seed", "2"],
                           ["--timing", "recorded"], ["--poisson"], ["--burst", "8"], ["--handler-delay", "100"],
                           ["--stamps"], ["--explain"]):
        expect_error(f"--rtt and {option}:", "--rtt", option, *value)
    expect_error("60 to 1514", "--rtt", "--size", "9000")
    expect_error("--profile and --rtt", "--rtt", "--profile")
    expect_error("--profile and --rates", "--rates", "100", "--profile")
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
    a_closed_loop_has_round_trips_and_their_sending_part()
    the_table_of_a_closed_loop_has_a_row_for_sending_and_halves_nothing()
    a_sweep_has_a_block_for_each_rate()
    bursts_are_described()
    what_does_not_fit_into_memory_is_refused_before_anything_is_started()
    bad_input_gives_one_error_and_status_2()
    return 1 if failed else 0


sys.exit(main())

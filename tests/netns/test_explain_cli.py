#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""kbypass bench --explain: a thread that takes the receiver's CPU is found and named.

usage: test_explain_cli.py KBYPASS
"""
import json
import os
import stat
import subprocess
import sys
import tempfile

KBYPASS = sys.argv[1]
SKIP = 77
HOG = "kbp-hog"
TRIES = 3
failed = 0


def complain(text):
    global failed
    failed += 1
    print("FAILED:", text)


def bench(*args):
    return subprocess.run([KBYPASS, "bench", *args], capture_output=True, text=True, timeout=200)


def causes_of(doc, run):
    found = next(r for r in doc["runs"] if r["backend"] == run)
    return found["explain"]


def with_a_hog(directory, cpu, backend):
    script = os.path.join(directory, HOG)
    with open(script, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\nwhile :; do :; done\n")
    os.chmod(script, os.stat(script).st_mode | stat.S_IXUSR)
    with subprocess.Popen(["taskset", "-c", str(cpu), script]) as hog:
        try:
            out = os.path.join(directory, "out")
            return bench("--backend", backend, "--rate", "5000", "--seconds", "3", "--rounds", "5", "--explain", "--cpu-rx",
                         str(cpu), "--out", out, "--json")
        finally:
            hog.kill()


def a_hog_on_the_receivers_cpu_is_named(cpu):
    for backend in ("af_xdp", "socket"):
        top = None
        for _ in range(TRIES):
            with tempfile.TemporaryDirectory() as directory:
                done = with_a_hog(directory, cpu, backend)
                if done.returncode == 2:
                    return complain(f"bench: {done.stderr}")
                doc = json.loads(done.stdout)
                report = subprocess.run([KBYPASS, "report", os.path.join(directory, "out")], capture_output=True, text=True,
                                        timeout=60)
                with open(os.path.join(directory, "out", "report.html"), encoding="utf-8") as f:
                    page = f.read()
            explain = causes_of(doc, f"{backend}~traced")
            # others may use the sender's CPU meanwhile: what is looked at is the receiver's
            here = [c for c in explain["causes"] if c["kind"] not in ("sender", "gap")]
            top = here[0] if here else None
            if top and (top["kind"], top["name"]) == ("switch", HOG):
                break
        if not top or (top["kind"], top["name"]) != ("switch", HOG):
            complain(f"{backend}: {HOG} is not the first cause on its CPU: {explain['causes'][:4]}")
        if abs(sum(c["share"] for c in explain["causes"]) - 1) > 1e-6:
            complain(f"{backend}: shares add up to {sum(c['share'] for c in explain['causes'])}")
        if explain["lost"] or not explain["events"] or not explain["tail"] or not explain["outliers"]:
            complain(f"{backend}: {explain['lost']} lost of {explain['events']}, {explain['tail']} of the tail")
        if report.returncode or HOG not in page:
            complain(f"{backend}: the report does not say {HOG}: {report.stderr}")
        plain = next(r for r in doc["runs"] if r["backend"] == backend)
        traced = next(r for r in doc["runs"] if r["backend"] == f"{backend}~traced")
        if "explain" in plain or not traced["traced"] or traced["variant_of"] != backend:
            complain(f"{backend}: which run is the traced one is not said")
        if not any(v["a"] == f"{backend}~traced" and v["b"] == backend for v in doc["verdicts"]):
            complain(f"{backend}: no verdict on what tracing adds")
        if not top["gap_without_ns"] <= traced["latency_ns"]["gap"]:
            complain(f"{backend}: the gap grows without its first cause")
    return None


def a_threshold_is_heeded_and_nothing_stays_attached():
    done = bench("--backend", "socket", "--rate", "2000", "--seconds", "1.5", "--rounds", "5", "--explain", "--explain-over",
                 "1", "--json")
    explain = causes_of(json.loads(done.stdout), "socket~traced")
    if explain["threshold_ns"] != 1 or explain["tail"] < 1000:
        complain(f"over 1 ns: {explain['threshold_ns']}, {explain['tail']}")
    for words in (["--explain", "--profile"], ["--explain-over", "5", "--profile"]):
        done = bench(*words)
        if done.returncode != 2 or "--profile" not in done.stderr:
            complain(f"{words}: {done.returncode} {done.stderr}")


if os.geteuid() != 0:
    print("needs root: it traces a CPU by BPF, and makes network namespaces")
    sys.exit(SKIP)
cpus = sorted(os.sched_getaffinity(0))
if len(cpus) < 2:
    print("needs two CPUs")
    sys.exit(SKIP)
a_hog_on_the_receivers_cpu_is_named(cpus[-1])
a_threshold_is_heeded_and_nothing_stays_attached()
print("FAILED" if failed else "ok")
sys.exit(1 if failed else 0)

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""kbypass compare as a program: its exit statuses, the table, the JSON, and one error for each thing that is wrong.
And the table of kinds of facts stands in doc/RESULTS.md as it does in the code.

usage: test_compare_cli.py KBYPASS SOURCE_ROOT
"""
import json
import os
import random
import re
import struct
import subprocess
import sys
import tempfile

KBYPASS, TOP = sys.argv[1:3]
ROUNDS, SAMPLES, WARMUP = 6, 1000, 50

failed = 0


def complain(text):
    global failed
    failed += 1
    print("FAILED:", text)


def compare(*args):
    return subprocess.run([KBYPASS, "compare", *args], capture_output=True, text=True, timeout=110)


def write(directory, name, median, fingerprint=(), setup=()):
    """A result of one run, as a bench would have written it."""
    path = os.path.join(directory, name)
    os.makedirs(os.path.join(path, "samples"))
    draw = random.Random(name)
    samples = [round(median + 100 * draw.random()) for _ in range(ROUNDS * SAMPLES)]
    with open(os.path.join(path, "samples", "socket.u32"), "wb") as f:
        f.write(struct.pack(f"<{len(samples)}I", *samples))
    kept = sorted(s for i, s in enumerate(samples) if i % SAMPLES >= WARMUP)
    n = ROUNDS * SAMPLES
    quantile = {f"p{str(q).replace('.', '')}": kept[-int(-len(kept) * q // 100) - 1] for q in (50, 90, 99)}
    run = {
        "backend": "socket", "achieved": {"mode": "kernel", "requested": "auto", "proof": "proven", "note": ""},
        "emulated": False, "virtual": True, "queues": 1, "rcvbuf_bytes": 8, "scheduled": n, "sent": n,
        "send_errors": 0, "late": 0, "delivered": n, "foreign": 0, "out_of_order": 0, "ambiguous": 0,
        "unattributed": 0, "over_attributed": 0, "drops": {}, "causes": {}, "digest": "a", "digest_expected": "a",
        "latency_ns": {"kind": "one_way", "samples": len(kept), "saturated": 0, "min": kept[0], **quantile,
                       "p999": None, "max": kept[-1], "gap": quantile["p99"] - quantile["p50"]},
        "samples_file": "samples/socket.u32",
        "rounds": [{"position": 0, "sent": SAMPLES, "delivered": SAMPLES, "late": 0, "ambiguous": 0,
                    "first_sample": i * SAMPLES, "samples": SAMPLES, "warmup": WARMUP} for i in range(ROUNDS)],
    }
    results = {
        "schema": "kbypass.bench/1",
        "fingerprint": {"kbypass": "0.1.0", "commit": name, "kernel": "Linux 6.1", "governor": "performance",
                        "tsc_hz": draw.randrange(10**9, 2 * 10**9), "tsc_quantum_ns": 1, **dict(fingerprint)},
        "setup": {"rate_pps": 50000, "actual_pps": 50000, "source": "generator", **dict(setup)},
        "runs": [run], "findings": [],
    }
    with open(os.path.join(path, "results.json"), "w", encoding="utf-8") as f:
        json.dump(results, f)
    return path


def expect(status, texts, *args):
    done = compare(*args)
    said = done.stdout + done.stderr
    for text in texts:
        if text not in said:
            complain(f"compare {' '.join(args)}: no {text!r} in {said!r}")
    if done.returncode != status:
        complain(f"compare {' '.join(args)}: status {done.returncode}, not {status}: {said}")
    if status == 2 and len([line for line in done.stderr.splitlines() if line.startswith("kbypass")]) != 1:
        complain(f"compare {' '.join(args)}: not one error: {done.stderr!r}")
    return done


def document(done):
    try:
        return json.loads(done.stdout)
    except ValueError as e:
        complain(f"no JSON: {e}: {done.stdout!r}")
        return {}


def status_is_0_without_and_1_with_a_resolved_difference(d):
    a, same, slower = write(d, "a", 5000), write(d, "same", 5000), write(d, "slower", 7000)
    expect(0, ["unresolved", "commit a", "commit same"], a, same)
    done = expect(1, ["A is lower"], a, slower)
    if not re.search(r"^socket +one_way +p50 +5\.0\d +7\.0\d +-2\.0", done.stdout, re.M):
        complain(f"the quantiles do not stand side by side: {done.stdout}")
    expect(1, ["B is lower"], os.path.join(slower, "results.json"), a)


def other_hosts_are_refused_and_named(d):
    a = write(d, "ha", 5000)
    b = write(d, "hb", 7000, fingerprint=[("kernel", "Linux 6.2"), ("governor", "unknown: no driver")])
    expect(2, ['kernel: "Linux 6.1" and "Linux 6.2"', "known on one side only", "--force"], a, b)
    done = expect(0, ["A: Linux 6.1", "hosts or setups differ"], a, b, "--force")
    if "is lower" in done.stdout.split("verdict")[-1]:
        complain(f"forced, and something is resolved: {done.stdout}")


def another_setup_is_refused(d):
    expect(2, ['rate_pps: "50000" and "10"'], write(d, "sa", 5000), write(d, "sb", 5000, setup=[("rate_pps", 10)]))


def json_has_the_schema(d):
    a, b = write(d, "ja", 5000), write(d, "jb", 7000)
    doc = document(expect(1, [], a, b, "--json"))
    if doc.get("schema") != "kbypass.compare/1" or doc["comparable"] is not True or doc["forced"] is not False:
        complain(f"the head of the document: {doc}")
    kinds = {f["name"]: f["kind"] for f in doc["differences"]}
    if kinds != {"commit": "subject", "tsc_hz": "incidental"}:
        complain(f"differences: {kinds}")
    if [r["backend"] for r in doc["runs"]] != ["socket"] or len(doc["verdicts"]) != 3:
        complain(f"runs, verdicts: {doc['runs']}, {doc['verdicts']}")
    p50 = doc["verdicts"][0]
    if not p50["resolved"] or not -2200 < p50["diff_ns"] < -1800:
        complain(f"the verdict: {p50}")


def json_of_a_refusal_has_the_differences(d):
    a, b = write(d, "ra", 5000), write(d, "rb", 5000, fingerprint=[("kernel", "Linux 6.2")])
    doc = document(expect(2, [], a, b, "--json"))
    if doc.get("schema") != "kbypass.compare/1" or doc["comparable"] or "verdicts" in doc:
        complain(f"a refusal: {doc}")
    if doc["differences"][0] != {"name": "kernel", "part": "fingerprint", "kind": "identity", "a": "Linux 6.1",
                                 "b": "Linux 6.2", "unknown": False, "refuses": True}:
        complain(f"its difference: {doc['differences']}")


def what_is_wrong_is_named(d):
    a, b = write(d, "wa", 5000), write(d, "wb", 5000)
    expect(2, ["name two results"])
    expect(2, ["name two results"], a)
    expect(2, ["one word too many"], a, b, a)
    expect(2, ["did you mean --force"], a, b, "--forc")
    expect(2, ["No such file"], a, os.path.join(d, "nowhere"))
    with open(os.path.join(b, "samples", "socket.u32"), "ab") as f:
        f.truncate(402)
    expect(2, ["wb/samples/socket.u32", "sample 100"], a, b)
    os.unlink(os.path.join(b, "samples", "socket.u32"))
    expect(2, ["wb/samples/socket.u32", "No such file"], a, b)
    with open(os.path.join(b, "results.json"), "w", encoding="utf-8") as f:
        f.write("{")
    expect(2, ["wb/results.json", "line 1"], a, b)


def the_document_lists_the_kinds_of_facts(_):
    with open(os.path.join(TOP, "tools", "measure", "fact_kinds.c"), encoding="utf-8") as f:
        code = re.findall(r'\{ "([^"]+)", (\w+), \w+, \w+,\s*"([^"]+)" \}', f.read())
    names = {"ID": "identity", "SUBJECT": "subject", "INCIDENTAL": "incidental"}
    wanted = [(name, names[kind], why) for name, kind, why in code]
    with open(os.path.join(TOP, "doc", "RESULTS.md"), encoding="utf-8") as f:
        rows = re.findall(r"^\| (`[^|]*`) \| (identity|subject|incidental) \| (.*) \|$", f.read(), re.M)
    found = [(name, kind, why) for listed, kind, why in rows for name in re.findall(r"`([^`]+)`", listed)]
    if len(code) < 20 or found != wanted:
        complain(f"doc/RESULTS.md and fact_kinds.c differ: {[w for w in wanted if w not in found]} and "
                 f"{[f for f in found if f not in wanted]}")


def main():
    for test in (status_is_0_without_and_1_with_a_resolved_difference, other_hosts_are_refused_and_named,
                 another_setup_is_refused, json_has_the_schema, json_of_a_refusal_has_the_differences,
                 what_is_wrong_is_named, the_document_lists_the_kinds_of_facts):
        with tempfile.TemporaryDirectory() as d:
            test(d)
    return 1 if failed else 0


sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""kbypass export: quantiles equal those of an independent program on the CSV, to the last digit; the other formats hold the
same samples; one error for each wrong call.

usage: test_export.py FIXTURE KBYPASS
"""
import json
import math
import os
import re
import subprocess
import sys
import tempfile

import exported

FIXTURE, KBYPASS = sys.argv[1:3]
failed = 0


def complain(text):
    global failed
    failed += 1
    print("FAILED:", text)


def export(directory, *args, status=0):
    done = subprocess.run([KBYPASS, "export", directory, *args], capture_output=True, text=True, timeout=60)
    if done.returncode != status:
        complain(f"export {' '.join(args)}: status {done.returncode}, not {status}: {done.stderr}")
    return done


def expect_error(text, directory, *args):
    done = export(directory, *args, status=2)
    said = [line for line in done.stderr.strip().splitlines() if line.startswith("kbypass")]
    if text not in done.stderr or len(said) != 1 or done.stdout:
        complain(f"export {' '.join(args)}: not one error with {text!r}: {done.stdout[:200]}{done.stderr}")


def quantiles_are_those_of_another_program(directory):
    found, compared = exported.differences(KBYPASS, directory)
    for text in found:
        complain(text)
    if compared < 30:
        complain(f"{compared} figures were compared")


def csv_has_every_sample_of_every_round(directory):
    rows = exported.rows_of(KBYPASS, directory, "--backend", "socket")
    with open(os.path.join(directory, "results.json"), encoding="utf-8") as f:
        rounds = next(r for r in json.load(f)["runs"] if r["backend"] == "socket")["rounds"]
    for number, of in enumerate(rounds, 1):
        mine = [r for r in rows if r["round"] == str(number)]
        if [int(r["index"]) for r in mine] != list(range(of["samples"])):
            complain(f"round {number}: the indices are not 0 to {of['samples'] - 1}")
        if [r["warmup"] for r in mine] != ["1"] * of["warmup"] + ["0"] * (of["samples"] - of["warmup"]):
            complain(f"round {number}: the warm-up is not its first {of['warmup']} samples")
    if len(rows) != sum(r["samples"] for r in rounds):
        complain(f"{len(rows)} rows")


def json_has_the_samples_of_the_csv(directory):
    document = json.loads(export(directory, "--format", "json").stdout)
    rows = exported.rows_of(KBYPASS, directory)
    if document["schema"] != "kbypass.samples/1" or document["metric"] != "one_way" or document["unit"] != "ns":
        complain(f"json: {dict(document, runs=None)}")
    flat = [(run["backend"], str(n), str(i), "1" if i < r["warmup"] else "0", str(ns))
            for run in document["runs"] for n, r in enumerate(run["rounds"], 1) for i, ns in enumerate(r["ns"])]
    if flat != [tuple(row.values()) for row in rows]:
        complain("json and csv hold different samples")


def hdr_lines_are_the_samples_percentiles(directory):
    """As the plotters read it: lines of four figures, and a footer they skip."""
    lines = export(directory, "--format", "hdr", "--backend", "af_xdp").stdout.splitlines()
    rows = exported.rows_of(KBYPASS, directory, "--backend", "af_xdp")
    ordered = sorted(int(r["ns"]) for r in rows if r["warmup"] == "0")
    n = len(ordered)
    if not re.fullmatch(r" +Value +Percentile TotalCount 1/\(1-Percentile\)", lines[0]) or lines[1]:
        complain(f"hdr: begins with {lines[:2]}")
    figures = [[float(v) for v in line.split()] for line in lines[2:] if not line.startswith("#")]
    for f in figures[:-1]:
        value, q, count, inverse = f
        rank = max(math.ceil(round(q * n, 6)), 1)
        if value != ordered[rank - 1] or count != sum(1 for v in ordered if v <= value):
            complain(f"hdr: {f}: the sample of that rank is {ordered[rank - 1]}")
        if abs(inverse - 1 / (1 - q)) > 0.01 * inverse:
            complain(f"hdr: {f}: 1/(1-q) is {1 / (1 - q)}")
    if figures[-1] != [ordered[-1], 1.0, n] or len(figures) < 50:
        complain(f"hdr: {len(figures)} lines, ends with {figures[-1]}")
    mean = sum(ordered) / n
    deviation = math.sqrt(sum((v - mean) ** 2 for v in ordered) / n)
    foot = [re.findall(r"= +([\d.]+)", line) for line in lines if line.startswith("#[")]
    if (len(foot) != 3 or abs(float(foot[0][0]) - mean) > 0.001 or abs(float(foot[0][1]) - deviation) > 0.001 or
            float(foot[1][0]) != ordered[-1] or int(foot[1][1]) != n):
        complain(f"hdr: the footer is {foot}; mean {mean}, deviation {deviation}")


def a_file_is_whole_or_not_there(directory, top):
    path = os.path.join(top, "samples.csv")
    export(directory, "--backend", "socket", "--out", path)
    with open(path, encoding="utf-8") as f:
        if f.read() != export(directory, "--backend", "socket", "--out", "-").stdout:
            complain("a file and standard output differ")
    os.truncate(os.path.join(directory, "samples/socket.u32"), 1000)
    expect_error("shorter than the rounds", directory, "--backend", "socket", "--out", os.path.join(top, "none.csv"))
    if [f for f in os.listdir(top) if f.startswith("none")]:
        complain("a failed export leaves a file behind")
    if os.path.exists("/dev/full"):
        expect_error("No space left on device", directory, "--backend", "af_xdp", "--out", "/dev/full")


def errors_name_the_thing(directory, top):
    expect_error("of what?", "--format", "csv")
    expect_error("did you mean json?", directory, "--format", "jsn")
    expect_error("there are: socket, af_xdp", directory, "--backend", "sock")
    expect_error("name one with --backend", directory, "--format", "hdr")
    expect_error("bench with --stamps", directory, "--metric", "rx_path")
    expect_error("there is one_way, rtt, tx, rx_path and wire_to_stamp", directory, "--metric", "latency")
    expect_error("no such run", directory, "--metric", "rtt")
    expect_error("no such run", directory, "--rate", "5")
    expect_error("nowhere", os.path.join(top, "nowhere"))


def main():
    with tempfile.TemporaryDirectory() as top:
        directory = os.path.join(top, "results")
        subprocess.run([FIXTURE, directory], check=True, timeout=60)
        quantiles_are_those_of_another_program(directory)
        csv_has_every_sample_of_every_round(directory)
        json_has_the_samples_of_the_csv(directory)
        hdr_lines_are_the_samples_percentiles(directory)
        errors_name_the_thing(directory, top)
        a_file_is_whole_or_not_there(directory, top)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

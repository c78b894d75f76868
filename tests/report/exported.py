# SPDX-License-Identifier: BSD-2-Clause
"""Quantiles reckoned again, by another program: from the exported CSV, by nearest rank."""
import csv
import io
import json
import os
import subprocess

PARTS = [("latency_ns", None), ("rx_path", "rx_path"), ("wire_to_stamp", "wire_to_stamp"), ("tx_ns", "tx")]


def nearest_rank(ordered, numerator, denominator):
    rank = -(-len(ordered) * numerator // denominator)  # ceil(q * n), in whole numbers
    return ordered[max(rank, 1) - 1]


def rows_of(kbypass, directory, *args):
    done = subprocess.run([kbypass, "export", directory, "--format", "csv", *args], capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return list(csv.DictReader(io.StringIO(done.stdout)))


def differences(kbypass, directory):
    """Where results.json and the exported samples tell different quantiles; and how many figures were compared."""
    with open(os.path.join(directory, "results.json"), encoding="utf-8") as f:
        results = json.load(f)
    found, compared = [], 0
    for member, metric in PARTS:
        for run in results["runs"]:
            part = run.get(member)
            if not part:
                continue
            said = part["latency_ns"] if "latency_ns" in part else part
            args = ["--backend", run["backend"]] + (["--metric", metric] if metric else [])
            rows = rows_of(kbypass, directory, *args)
            ordered = sorted(int(r["ns"]) for r in rows if r["warmup"] == "0")
            mine = {"samples": len(ordered)}
            if ordered:
                mine.update(min=ordered[0], max=ordered[-1], p50=nearest_rank(ordered, 1, 2), p90=nearest_rank(ordered, 9, 10),
                            p99=nearest_rank(ordered, 99, 100), p999=nearest_rank(ordered, 999, 1000))
                mine["gap"] = mine["p99"] - mine["p50"]
            for name, value in mine.items():
                if said[name] is None:  # too few samples to tell
                    continue
                compared += 1
                if said[name] != value:
                    found.append(f"{run['backend']} {member}.{name}: results.json says {said[name]}, the export {value}")
    return found, compared

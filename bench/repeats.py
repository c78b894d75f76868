#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The same comparison again and again: do its intervals agree with each other?

usage: bench/repeats.py [--kbypass PROGRAM] [--repeats N] [BENCH-OPTION]...

Runs `kbypass bench --json` N times (20) with the options given (socket against af_xdp when none are), and counts for each pair and
metric how many intervals of the difference overlap with the first one's. Exit status 1 when it is fewer than 9 in 10. Measures:
nothing else should run meanwhile.
"""
import argparse
import json
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEFAULT = ["--backend", "socket,af_xdp", "--seconds", "6", "--rounds", "15", "--over", "42"]


def verdicts(kbypass, options):
    done = subprocess.run([kbypass, "bench", "--json", *options], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == 2:
        sys.exit(2)
    return {(v["a"], v["b"], v["kind"], v["rate_pps"], v["metric"]): v for v in json.loads(done.stdout).get("verdicts", [])
            if v["diff_ns"] is not None}


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--kbypass", default=os.path.join(TOP, "build", "cli", "kbypass"))
    parser.add_argument("--repeats", type=int, default=20)
    args, options = parser.parse_known_args()
    first, overlaps, seen, resolved = None, {}, {}, {}
    for i in range(args.repeats):
        got = verdicts(args.kbypass, options or DEFAULT)
        first = first or got
        for key, v in got.items():
            if key not in first:
                continue
            lo, hi = first[key]["ci95"]
            seen[key] = seen.get(key, 0) + 1
            overlaps[key] = overlaps.get(key, 0) + (v["ci95"][0] <= hi and lo <= v["ci95"][1])
            resolved[key] = resolved.get(key, 0) + v["resolved"]
        print(f"{i + 1}/{args.repeats}: " + "; ".join(
            f"{k[4]} {v['diff_ns']:.0f} [{v['ci95'][0]:.0f}, {v['ci95'][1]:.0f}]" for k, v in got.items()), flush=True)
    good = bool(first)
    for key, n in seen.items():
        print(f"{key[0]} - {key[1]}, {key[2]}, {key[4]}: {overlaps[key]} of {n} overlap with the first, {resolved[key]} resolved")
        good = good and n == args.repeats and overlaps[key] >= 0.9 * n
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

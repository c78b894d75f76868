#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A real bench, then its page and its export: quantiles of every run and part equal those of an independent program on the
exported CSV, to the last digit.

usage: test_report_cli.py KBYPASS TESTS_REPORT_DIR
"""
import os
import subprocess
import sys
import tempfile

KBYPASS = sys.argv[1]
sys.path.insert(0, sys.argv[2])
import exported  # noqa: E402

SKIP = 77


def main():
    if os.geteuid() != 0:
        print("skip: making a lab needs root")
        return SKIP
    failed = []
    with tempfile.TemporaryDirectory() as top:
        directory = os.path.join(top, "results")
        done = subprocess.run([KBYPASS, "bench", "--lab", "--backend", "socket,ef_vi_sim", "--rate", "20000", "--seconds",
                               "0.6", "--rounds", "2", "--stamps", "--out", directory], capture_output=True, text=True,
                              timeout=120)
        if done.returncode not in (0, 1):
            print(f"FAILED: bench: {done.stderr}")
            return 1
        found, compared = exported.differences(KBYPASS, directory)
        failed += found
        if compared < 16:
            failed.append(f"{compared} figures were compared")
        done = subprocess.run([KBYPASS, "report", directory], capture_output=True, text=True, timeout=60)
        page = os.path.join(directory, "report.html")
        if done.returncode or done.stdout != page + "\n":
            failed.append(f"report: status {done.returncode}: {done.stdout}{done.stderr}")
        else:
            with open(page, encoding="utf-8") as f:
                text = f.read()
            failed += [f"the page has no {part}" for part in ("socket", "wire_to_stamp", 'id="series-1"', 'id="gap"')
                       if part not in text]
            if "not of one bench" in text:
                failed.append("the page says that samples and table are not of one bench")
        again = subprocess.run([KBYPASS, "bench", "--lab", "--backend", "socket", "--rate", "2000", "--seconds", "0.3",
                                "--rounds", "1", "--out", directory], capture_output=True, text=True, timeout=120)
        if again.returncode not in (0, 1):
            failed.append(f"a bench into a directory with a page: {again.stderr}")
        if os.path.exists(page):
            failed.append("the page of an earlier bench stands beside the results of another")
    for text in failed:
        print("FAILED:", text)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Instructions that kbypass adds to hand-written loops, counted by callgrind.

usage: bench/overhead.py [--check] [--json] EXECUTABLE...

Each EXECUTABLE is bench/overhead as one compiler made it. Instructions per frame are (I(2N) - I(N)) / N, so
that whatever happens once cancels out. "+frame" is what a further frame of a burst adds to the raw loop, from
bursts of 8 and 32; "+burst" is the most that a whole burst of 1, 8 or 32 frames adds. With --check the exit
status is 1 when a promise does not hold.
Exit status 77: valgrind is not here.
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

BURSTS = [1, 8, 32]
FORMS = ["raw", "inline", "run-time", "array"]
# form -> added at most per frame, per burst
PROMISES = {"inline": (0.0, 8.0), "run-time": (0.0, 10.0)}
# backend, direction -> added at most per frame by the array form at a burst of 8. Sending in array form writes
# each frame down in kbp_tx_reserve and reads it again in kbp_tx_submit: it has a figure and no promise.
ARRAY_AT_8 = {("af_xdp", "rx"): 10.0}


def count(executable):
    """The compiler, and {(backend, direction, form): {burst: instructions per frame}}."""
    compiler = "?"
    with tempfile.TemporaryDirectory(prefix="kbp-overhead-") as folder:
        done = subprocess.run(["valgrind", "--tool=callgrind", "--instr-atstart=no",
                               f"--callgrind-out-file={folder}/out", executable],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            sys.exit(f"{executable} failed with {done.returncode}:\n{done.stdout}")
        total = {}
        for name in glob.glob(folder + "/out*"):
            with open(name, encoding="utf-8") as f:
                text = f.read()
            trigger = re.search(r"^desc: Trigger: Client Request: (\S+)$", text, re.M)
            cost = re.search(r"^(?:summary|totals): (\d+)$", text, re.M)
            if trigger and cost:
                compiler, backend, direction, form, burst, frames = trigger[1].split("/")
                total.setdefault((backend, direction, form), {}).setdefault(int(burst), {})[int(frames)] = int(cost[1])
    costs = {}
    for key, bursts in total.items():
        for burst, runs in bursts.items():
            n, twice = sorted(runs)[-2:]
            costs.setdefault(key, {})[burst] = (runs[twice] - runs[n]) / (twice - n)
    for (backend, direction, _), cost in costs.items():
        driver = costs.get((backend, direction, "none"))
        if driver and cost is not driver:
            for burst in cost:
                cost[burst] -= driver[burst]
    return compiler, costs


def slope(cost):
    """What a further frame of a burst costs."""
    return (32 * cost[32] - 8 * cost[8]) / 24


def rows(compiler, costs):
    for backend, direction in sorted({k[:2] for k in costs}):
        raw = costs[backend, direction, "raw"]
        for form in FORMS:
            cost = costs.get((backend, direction, form))
            if not cost:
                continue
            frame = slope(cost) - slope(raw)
            burst = max((cost[b] - raw[b]) * b for b in BURSTS)
            row = {"compiler": compiler, "backend": backend, "direction": direction, "form": form,
                   "per_frame": {str(b): round(cost[b], 2) for b in BURSTS},
                   "added_per_frame": round(frame, 1) + 0.0, "added_per_burst": round(burst, 1) + 0.0,
                   "added_per_frame_at_8": round(cost[8] - raw[8], 1) + 0.0}
            row["broken"] = broken(row)
            yield row


def broken(row):
    why = []
    frame, burst = PROMISES.get(row["form"], (None, None))
    if frame is not None and row["added_per_frame"] > frame:
        why.append(f"{row['added_per_frame']} per frame, promised {frame:g}")
    if burst is not None and row["added_per_burst"] > burst:
        why.append(f"{row['added_per_burst']} per burst, promised {burst:g}")
    at_8 = ARRAY_AT_8.get((row["backend"], row["direction"])) if row["form"] == "array" else None
    if at_8 is not None and row["added_per_frame_at_8"] > at_8:
        why.append(f"{row['added_per_frame_at_8']} per frame at a burst of 8, promised {at_8:g}")
    return "; ".join(why)


def print_table(table):
    print("instructions per frame, and what each form adds to the raw loop\n")
    print(f"{'compiler':<10}{'backend':<9}{'dir':<5}{'form':<10}{'burst 1':>9}{'8':>8}{'32':>8}"
          f"{'+frame':>9}{'+burst':>9}{'+frame@8':>10}")
    last = None
    for r in table:
        here = (r["compiler"], r["backend"], r["direction"])
        if last and here != last:
            print()
        last = here
        per = r["per_frame"]
        added = "" if r["form"] == "raw" else (f"{r['added_per_frame']:>+9.1f}{r['added_per_burst']:>+9.1f}"
                                               f"{r['added_per_frame_at_8']:>+10.1f}")
        print(f"{r['compiler']:<10}{r['backend']:<9}{r['direction']:<5}{r['form']:<10}{per['1']:>9.1f}{per['8']:>8.1f}"
              f"{per['32']:>8.1f}{added}{'  <-- ' + r['broken'] if r['broken'] else ''}")
    print("\n'inline': kbp_rx_each/kbp_tx_each, backend a constant; 'run-time': backend read from the queue;\n"
          "'array': kbp_rx_peek/release, kbp_tx_reserve/submit.\n"
          "'+frame': a further frame of a burst; '+burst': at most, a whole burst of 1, 8 or 32 frames.")


def main():
    args = sys.argv[1:]
    executables = [a for a in args if not a.startswith("-")]
    if not executables and args == ["--check"]:
        print("SKIP: not built: no valgrind/callgrind.h (make deps), or a build with sanitizers")
        return 77
    if not executables or set(a for a in args if a.startswith("-")) - {"--check", "--json"}:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    if not shutil.which("valgrind"):
        print("SKIP: valgrind is not installed (make deps)")
        return 77
    table = []
    for executable in executables:
        table += rows(*count(os.path.abspath(executable)))
    if "--json" in args:
        print(json.dumps({"schema": "kbypass.overhead/1", "rows": table}, indent=1))
    else:
        print_table(table)
    failed = [r for r in table if r["broken"]]
    return 1 if failed and "--check" in args else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Instructions that kbypass adds to hand-written loops, counted by callgrind.

usage: bench/overhead.py [--check] [--json] EXECUTABLE...

Each EXECUTABLE is bench/overhead or overhead_record as one compiler made it. Instructions per frame are (I(2N) - I(N)) / N, so
that whatever happens once cancels out. "+frame" is what a further frame of a burst adds to the raw loop, from
bursts of 8 and 32; "+burst" is the most that a whole burst of 1, 8 or 32 frames adds. Where there is more than
one raw loop, each figure is held against the one that is better there. Direction "poll" is a poll that finds
nothing: instructions per poll. With --check the exit status is 1 when a promise does not hold.
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
RAW = ["raw", "raw-bulk"]
FORMS = RAW + ["inline", "run-time", "array"]
# form -> added at most per frame, per burst
PROMISES = {"inline": (0.0, 8.0), "run-time": (0.0, 10.0)}
# Sending by dpdk: among three loops in one function the choice costs more (README.md).
DPDK_TX = {"inline": (0.0, 8.0), "run-time": (0.0, 16.0)}
# Sending by ef_vi. Inline: backend and way of sending are constants. The way at run time is three loops in one
# function, too few registers (README.md). (compiler, form) -> added at most per further frame, to a burst of one
EF_VI_TX = {("gcc", "inline"): (0.5, 8.0), ("clang", "inline"): (1.5, 8.0),
            ("gcc", "run-time"): (0.5, 20.0), ("clang", "run-time"): (1.5, 20.0)}
# Stamps with the state of their clock, over a loop that reads the vendor's stamp and its two flags; on af_xdp the word
# in front of the packet, and whether it is 0. DPDK knows of no state that a loop by hand could ask for: a figure and no
# promise.
STAMPED = {("ef_vi-ts", "inline"): 3.0, ("af_xdp-ts", "inline"): 3.0}
# Keeping a sample, over the handler that keeps none (overhead_record.c): per frame, at any burst. With the frame's
# stamp beside it, which has to be asked for: a figure and no promise.
RECORD = 15.0
# backend, form -> added at most to a poll that finds nothing
EMPTY_POLL = {("ef_vi", "inline"): 2.0, ("ef_vi", "run-time"): 12.0,
              ("ef_vi-ref", "inline"): 2.0, ("ef_vi-ref", "run-time"): 12.0,
              ("dpdk", "inline"): 10.0, ("dpdk", "run-time"): 12.0}
# backend, direction -> added at most per frame by the array form at a burst of 8. Sending in array form writes
# each frame down in kbp_tx_reserve and reads it again in kbp_tx_submit: it has a figure and no promise.
ARRAY_AT_8 = {("af_xdp", "rx"): 10.0, ("ef_vi", "rx"): 20.0, ("ef_vi-ref", "rx"): 52.0, ("dpdk", "rx"): 15.0}


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
        raws = [costs[backend, direction, raw] for raw in RAW if (backend, direction, raw) in costs]
        best = {b: min(cost[b] for cost in raws) for b in raws[0]}
        for form in FORMS:
            cost = costs.get((backend, direction, form))
            if not cost:
                continue
            row = {"compiler": compiler, "backend": backend, "direction": direction, "form": form,
                   "per_frame": {str(b): round(c, 2) for b, c in sorted(cost.items())}}
            if direction == "poll":
                row["added_per_poll"] = added(cost[1] - best[1])
            else:
                row["added_per_frame"] = added(slope(cost) - min(slope(raw) for raw in raws))
                row["added_per_burst"] = added(max((cost[b] - best[b]) * b for b in BURSTS))
                row["added_per_frame_at_8"] = added(cost[8] - best[8])
                row["added_at_1"] = added(cost[1] - best[1])
            row["broken"] = broken(row)
            yield row


def added(instructions):
    return round(instructions, 1) + 0.0


def promised(row):
    """(key of the row, at most, in words) for each promise."""
    form, here = row["form"], (row["backend"], row["direction"])
    if row["direction"] == "poll":
        yield "added_per_poll", EMPTY_POLL.get((row["backend"], form)), "per poll"
    elif row["backend"] == "record-stamps":
        return
    elif row["backend"] == "record":
        yield "added_per_frame", RECORD, "per frame"
        yield "added_at_1", RECORD, "for a burst of one"
    elif row["backend"].endswith("-ts"):
        yield "added_per_frame", STAMPED.get((row["backend"], form)), "per frame"
    elif row["backend"].startswith("ef_vi") and row["direction"] == "tx":
        frame, first = EF_VI_TX.get((row["compiler"], form), (None, None))
        yield "added_per_frame", frame, "per frame"
        yield "added_at_1", first, "for a burst of one"
    else:
        frame, burst = (DPDK_TX if here == ("dpdk", "tx") else PROMISES).get(form, (None, None))
        yield "added_per_frame", frame, "per frame"
        yield "added_per_burst", burst, "per burst"
    if form == "array":
        yield "added_per_frame_at_8", ARRAY_AT_8.get(here), "per frame at a burst of 8"


def broken(row):
    return "; ".join(f"{row[key]} {words}, promised {most:g}" for key, most, words in promised(row)
                     if most is not None and row[key] > most)


def print_table(table):
    print("instructions per frame (poll: per poll that finds nothing), and what each form adds to the raw loop\n")
    print(f"{'compiler':<10}{'backend':<14}{'dir':<6}{'form':<10}{'burst 1':>9}{'8':>8}{'32':>8}"
          f"{'+frame':>9}{'+burst':>9}{'+frame@8':>10}")
    last = None
    for r in table:
        here = (r["compiler"], r["backend"], r["direction"])
        if last and here != last:
            print()
        last = here
        costs = "".join(f"{c:>{9 if b == '1' else 8}.1f}" for b, c in r["per_frame"].items())
        more = ""
        if r["form"] in RAW:
            pass
        elif r["direction"] == "poll":
            more = f"{'':>25}{r['added_per_poll']:>+9.1f}"
        else:
            more = f"{r['added_per_frame']:>+9.1f}{r['added_per_burst']:>+9.1f}{r['added_per_frame_at_8']:>+10.1f}"
        print(f"{r['compiler']:<10}{r['backend']:<14}{r['direction']:<6}{r['form']:<10}{costs}{more}"
              f"{'  <-- ' + r['broken'] if r['broken'] else ''}")
    print("\n'inline': kbp_rx_each/kbp_tx_each, backend a constant; 'run-time': backend read from the queue;\n"
          "'array': kbp_rx_peek/release, kbp_tx_reserve/submit.\n"
          "'+frame': a further frame of a burst; '+burst': at most, a whole burst of 1, 8 or 32 frames; poll: a poll.\n"
          "ef_vi: the card and the vendor's library are a stand-in in memory, the same for every form and part of every\n"
          "figure; only what a form adds says anything about a real one.\n"
          "dpdk: a real port, of DPDK's driver for rings; 'raw' frees packet by packet, 'raw-bulk' a burst at once.\n"
          "What a form adds, it adds to the better of both.\n"
          "record: a handler of `kbypass bench` that keeps each sample, over one that does not.")


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

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""kbypass clock as a program: exit statuses, the table, and the schema of its JSON.

usage: test_clock_cli.py KBYPASS
"""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile

KBYPASS = sys.argv[1]
WITNESS = {"name": str, "witness": str, "clock": str, "phc": (int, type(None)), "interface": str, "sync": str,
           "cause": str, "offset_ns": (int, type(None)), "bound_ns": (int, type(None)),
           "age_ns": (int, type(None)), "state": str, "reference": str, "text": str}
SLAVE = """instance: ptp1
clock-name: system
state: ptp-slave
alarms: none
control-flags: selected, clock-ctrl
offset-from-master: 12.000
one-way-delay: 500.000
in-sync: 1
grandmaster-clock-class: 6
grandmaster-clock-accuracy: 33 (<100ns)
timescale: tai
"""
failed = 0


def check(what, good):
    global failed
    if not good:
        failed += 1
        print("FAILED:", what)


def clock(*args):
    done = subprocess.run([KBYPASS, "clock", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=60)
    return done.returncode, done.stdout, done.stderr


def typed(w, at):
    for name, kind in WITNESS.items():
        check(f"{at}.{name} is a {kind}", name in w and isinstance(w[name], kind))


def main():
    with tempfile.TemporaryDirectory() as d:
        gone = os.path.join(d, "ptp4l")
        base = ["--ptp4l", gone, "--sfptpd", d]
        status, out, _ = clock(*base)
        check("a daemon that is not there is a finding", status == 1 and "daemon_gone" in out and gone in out)

        status, out, _ = clock(*base, "--json")
        doc = json.loads(out)
        check("exit 1 with --json too", status == 1)
        check("schema", doc["schema"] == "kbypass.clock/1" and doc["limit_ns"] == 1000)
        check("two witnesses, worst first", len(doc["witnesses"]) >= 2 and doc["witnesses"][0]["sync"] == "not")
        for i, w in enumerate(doc["witnesses"]):
            typed(w, f"witnesses[{i}]")

        # a socket that nobody reads: asked, and no more than that
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.bind(gone)
        status, out, _ = clock(*base, "--json")
        check("a deaf daemon is not in sync", status == 1 and all(w["sync"] != "in" for w in json.loads(out)["witnesses"]
                                                                  if w["witness"] == "ptp4l"))
        s.close()
        os.unlink(gone)

        with open(os.path.join(d, "state-ptp1"), "w") as f:
            f.write(SLAVE)
        follow = subprocess.Popen([KBYPASS, "clock", *base, "--follow", "--json", "--limit", "1000000"],
                                  stdout=subprocess.PIPE, text=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(gone)  # it changes
            event = json.loads(follow.stdout.readline())
            check("how it stands comes first", event["schema"] == "kbypass.clock/1" and event["witnesses"])
            event = json.loads(follow.stdout.readline())
            check("an event", event["schema"] == "kbypass.clock/1" and event["now"]["name"] == gone and
                  (event["before"], event["cause_before"]) != (event["now"]["sync"], event["now"]["cause"]))
            typed(event["now"], "now")
        follow.send_signal(signal.SIGINT)
        check("ends by SIGINT with how it stands", follow.wait(timeout=20) == 1)

        status, out, _ = clock("--sfptpd", d, "--ptp4l", gone, "--json", "--limit", "1000000")
        doc = json.loads(out)
        check("sfptpd's clock beats the kernel's word", doc["system"]["sync"] == "in" and
              doc["system"]["bound_ns"] >= 612)
        check("and the daemon that is not there stays a finding", status == 1)

    for args in (["--limit", "0"], ["--limit", "x"], ["--ptp4l", ","], ["extra"], ["--seconds", "-1"]):
        status, out, err = clock(*args)
        check(f"{args} is misuse", status == 2 and err and not out)
    status, out, _ = clock("--help")
    check("help", status == 0 and "--follow" in out)
    print("clock CLI:", f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

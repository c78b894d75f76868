#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""examples/rx prints the same on every backend: only the word that names it changes.

usage: test_example_rx.py KBYPASS RX
"""
import json
import os
import re
import subprocess
import sys
import time

KBYPASS, RX, *MORE = sys.argv[1:]
SKIP = 77
PREFIX = f"ex{os.getpid() % 10000}"
GROUP, PORT, N = "239.7.7.7", 5000, 20
GROUP_HEX = bytes(reversed([int(b) for b in GROUP.split(".")])).hex().upper()
BACKENDS = ["socket", "af_xdp", "ef_vi_sim", *MORE]
SENDER = f"""
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sys.argv[1]))
s.bind((sys.argv[1], 4000))
for i in range(2000):
    s.sendto(b"x" * (10 + i % {N}), ("{GROUP}", {PORT}))
    time.sleep(0.005)
"""


def output_of(backend, lab):
    rx, tx = lab["rx"], lab["tx"]
    receiver = subprocess.Popen(["ip", "netns", "exec", rx["netns"], RX, "-n", str(N), backend, rx["interface"],
                                 f"{GROUP}:{PORT}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    joined = ""
    for _ in range(500):  # the kernel's own membership, on every backend: without it no switch sends the group
        joined = subprocess.run(["ip", "netns", "exec", rx["netns"], "cat", "/proc/net/igmp"], stdout=subprocess.PIPE,
                                text=True).stdout
        if GROUP_HEX in joined or receiver.poll() is not None:
            break
        time.sleep(0.01)
    # sends until the receiver has what it wants
    sender = subprocess.Popen(["ip", "netns", "exec", tx["netns"], sys.executable, "-c", SENDER, tx["ipv4"]])
    try:
        text, _ = receiver.communicate(timeout=60)
    finally:
        sender.kill()
        sender.wait()
        receiver.kill()
    if GROUP_HEX not in joined:
        text += f"no membership of {GROUP}\n"
    return receiver.returncode, text


def main():
    if os.geteuid() != 0:
        print("SKIP: making a lab needs root")
        return SKIP
    up = subprocess.run([KBYPASS, "lab", "up", "--prefix", PREFIX, "--json"], stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE, text=True)
    if up.returncode:
        print("SKIP: no lab here:", up.stderr.strip())
        return SKIP
    failed = 0
    try:
        hosts = {h["side"]: h for h in json.loads(up.stdout)["hosts"]}
        for backend in BACKENDS:
            status, text = output_of(backend, hosts)
            want = re.compile(r"%s port 4000 > %s port %d: (\d+) bytes" % (re.escape(hosts["tx"]["ipv4"]),
                                                                          re.escape(GROUP), PORT))
            lens = [int(m[1]) for m in map(want.fullmatch, text.splitlines()) if m]
            good = status == 0 and len(lens) == N == len(text.splitlines())
            good = good and all((b - a) % N == 1 for a, b in zip(lens, lens[1:]))
            print(f"{backend}: {'ok' if good else 'FAILED'}")
            if not good:
                failed += 1
                print(text)
    finally:
        subprocess.run([KBYPASS, "lab", "down", "--prefix", PREFIX], stdout=subprocess.DEVNULL)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

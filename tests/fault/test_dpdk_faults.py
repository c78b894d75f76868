#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a host lacks for DPDK is said by the program, on stderr and in its document alike, with the way out, and nothing
is left behind. argv: the program.
"""
import glob
import json
import os
import subprocess
import sys

KBYPASS = sys.argv[1]
SKIP = 77
failed = []


def free_hugepages():
    found = glob.glob("/sys/kernel/mm/hugepages/*/free_hugepages")
    return sum(int(open(f, encoding="ascii").read()) for f in found)


def left_behind():
    """Namespaces, what DPDK keeps, and what this program keeps of its own."""
    names = subprocess.run(["ip", "netns", "list"], stdout=subprocess.PIPE, text=True, check=False).stdout
    files = [f for d in ("/var/run/dpdk", "/dev/hugepages", "/dev/shm", "/run/kbypass")
             for f in glob.glob(d + "/**", recursive=True)]
    return names, sorted(files)


def refused(what, words, says, before=()):
    was = left_behind()
    done = subprocess.run([*before, KBYPASS, "bench", *words, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60, check=False)
    wrong = [] if done.returncode == 2 else [f"exit status {done.returncode}"]
    wrong += [f"stderr does not say {text!r}" for text in says if text not in done.stderr]
    try:
        doc = json.loads(done.stdout)
        told = f"{doc['error']['step']}: {doc['error']['hint']}"
        wrong += ["the document is of another schema"] if doc["schema"] != "kbypass.error/1" else []
        wrong += ["the document says something else"] if told not in done.stderr else []
    except (ValueError, KeyError) as e:
        wrong.append(f"no document: {e!r}")
    if left_behind() != was:
        wrong.append(f"left behind: {was} before, {left_behind()} after")
    print(f"{what}: {'; '.join(wrong) if wrong else 'ok'}")
    if wrong:
        print(done.stdout + done.stderr)
        failed.append(what)


def main():
    if os.geteuid() != 0:
        print("SKIP: making a lab needs root")
        return SKIP
    if free_hugepages():
        print("free hugepages here: their absence is not tried")
    else:
        refused("no hugepages", ["--lab", "--strict", "--backend", "dpdk:af_packet"],
                ["2048 kB are needed", "0 of 0 are free", "nr_hugepages", "node"])
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    refused("an ordinary user", ["--rx", "lo", "--tx", "lo", "--backend", "dpdk:af_packet"], ["CAP_NET_RAW", "root"], user)
    refused("a driver that is not there", ["--rx", "lo", "--tx", "lo", "--backend", "dpdk:nix"],
            ["net_nix", "apt"])
    refused("another backend with a driver", ["--lab", "--backend", "socket:nix"], ["only dpdk takes a driver"])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

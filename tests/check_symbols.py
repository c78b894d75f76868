#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A shared library exports what its headers declare, and nothing else.

usage: check_symbols.py LIBRARY.so [--private HEADER] HEADER...

Every KBP_API declaration of the HEADERs must be exported. Every exported symbol must be one of them, or be
marked KBP_PRIVATE in the --private header and have the version KBYPASS_PRIVATE. Two versions of one name,
and names from other libraries linked in, are errors too.
"""
import re
import subprocess
import sys

import check_contracts

PRIVATE_VERSION = "KBYPASS_PRIVATE"


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def exported(library):
    """name -> version of every defined dynamic symbol."""
    out = subprocess.run(["nm", "-D", "--defined-only", "--with-symbol-versions", library], check=True,
                         stdout=subprocess.PIPE, universal_newlines=True).stdout
    symbols = {}
    for line in out.splitlines():
        kind, symbol = line.split()[-2:]
        name, _, version = symbol.partition("@")
        if kind != "A":  # the version nodes themselves
            symbols[name] = version.lstrip("@")
    return symbols


def main(args):
    private = set()
    if "--private" in args:
        at = args.index("--private")
        private = set(re.findall(r"^KBP_PRIVATE\b[^;]*?\b(kbp_\w+)\s*\(", read(args[at + 1]), flags=re.M))
        del args[at:at + 2]
    if len(args) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    library, headers = args[0], args[1:]
    public = {d.name for h in headers for d in check_contracts.declarations(h, read(h)) if d.api}
    have = exported(library)
    problems = ["%s: declared in a header, not exported" % n for n in sorted((public | private) - set(have))]
    for name, version in sorted(have.items()):
        if name in private and name in public:
            problems.append("%s: both public and private" % name)
        elif name in private and version != PRIVATE_VERSION:
            problems.append("%s: private, but exported as %s" % (name, version))
        elif name in public and version == PRIVATE_VERSION:
            problems.append("%s: public, but exported as %s" % (name, version))
        elif name not in private and name not in public:
            problems.append("%s: exported, but no header declares it" % name)
    for problem in problems:
        print("%s: %s" % (library, problem))
    print("%s: %d public, %d private, %d complaints" % (library, len(public), len(private), len(problems)))
    return 1 if problems or not public else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Each public header is installed and compiles alone, all of them together in any order, in C11 and in C++17.

usage: check_headers.py INCLUDE_DIR [SOFTNIC_INCLUDE_DIR]

With the software NIC's headers too: theirs, and the inline half of ef_vi over them. Where pkg-config knows libdpdk,
the inline half of dpdk.

Compilers that are not installed are named and left out; without any, exit 77.
"""
import itertools
import os
import re
import shutil
import subprocess
import sys

COMPILERS = (
    ("gcc", "c", "-std=c11"),
    ("gcc", "c", "-std=gnu11"),
    ("clang", "c", "-std=c11"),
    ("g++", "c++", "-std=c++17"),
    ("clang++", "c++", "-std=c++17"),
)
FLAGS = ["-O2", "-Wall", "-Wextra", "-Werror", "-c", "-o", os.devnull]
# Headers that include what only the users of that backend have.
NEEDS = {"kbypass/hot/dpdk.h": "rte_ethdev.h", "kbypass/hot/ef_vi.h": "etherfabric/ef_vi.h"}


def dpdk_flags():
    """As a program has them that links libdpdk; its own headers are not ours to keep warnings out of."""
    if not shutil.which("pkg-config"):
        return []
    said = subprocess.run(["pkg-config", "--cflags", "libdpdk"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          universal_newlines=True)
    return re.sub(r"(^| )-I", r"\1-isystem", said.stdout).split() if said.returncode == 0 else []


# The inline calls in use, so that what is always_inline is really compiled.
USE = """
static unsigned on_frame(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	(void)rx;
	*(uint64_t *)arg += f.len + kbp_frame_ts(rx, &f).ns;
	return KBP_DONE;
}

static uint32_t fill(struct kbp_tx tx, struct kbp_frame f, void *arg)
{
	(void)tx;
	*(uint8_t *)f.data = *(uint8_t *)arg;
	return 1;
}

unsigned use(struct kbp_queue *q, struct kbp_txflow *t, void *arg);
unsigned use(struct kbp_queue *q, struct kbp_txflow *t, void *arg)
{
	struct kbp_frame f[4];
	unsigned n = 0;

	n += kbp_rx_each(kbp_rx_of(q), 8, on_frame, arg);
	n += kbp_rx_each(kbp_rx_as(q, KBP_AF_XDP), 8, on_frame, arg);
	n += kbp_rx_each(kbp_rx_as(q, KBP_SOCKET), 8, on_frame, arg);
	n += kbp_tx_each(kbp_tx_of(t), 8, fill, arg);
	n += kbp_tx_each(kbp_tx_as(t, KBP_AF_XDP), 8, fill, arg);
	kbp_rx_return(kbp_rx_of(q), (uint64_t)(uintptr_t)arg);
	kbp_rx_release(q, f, kbp_rx_peek(q, f, 4));
	kbp_tx_cancel(q, f, kbp_tx_submit(q, f, kbp_tx_reserve(t, f, 4)));
	return n;
}
"""


def use_of_options(header, text):
    """Every options struct with its initializer."""
    lines = ["#include <%s>" % header, "unsigned long use(void);", "unsigned long use(void)", "{",
             "\tunsigned long n = 0;"]
    names = re.findall(r"^#define (KBP_(\w+)_OPTS_INIT) ", text, flags=re.M)
    lines += ["\t{ struct kbp_%s_opts o = %s; n += o.size; }" % (n.lower(), macro) for macro, n in names]
    return "\n".join(lines + ["\treturn n;", "}", ""]) if names else None


def compile_text(compiler, text, *include, flags=()):
    name, lang, std = compiler
    run = subprocess.run([name, "-x", lang, std, *["-I" + i for i in include], *flags] + FLAGS + ["-"], input=text,
                         universal_newlines=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return run.stdout if run.returncode else ""


# The same calls with the half of ef_vi that is compiled in.
USE_SIM = "#define KBP_HOT_EF_VI_SIM\n#include <kbypass/hot.h>\n" + USE.replace("KBP_AF_XDP", "KBP_EF_VI_SIM")


USE_DPDK = "#define KBP_HOT_DPDK\n#include <kbypass/hot.h>\n" + USE.replace("KBP_AF_XDP", "KBP_DPDK")


def softnic_texts(folder):
    found = sorted(os.path.relpath(os.path.join(d, f), folder)
                   for d, _, files in os.walk(folder) for f in files if f.endswith(".h"))
    return [("softnic: " + h, f"#include <{h}>\n#include <{h}>\n") for h in found] + [("use of ef_vi_sim", USE_SIM)]


def has(compiler, header):
    return not compile_text(compiler, "#include <%s>\n" % header, os.curdir)


def main(args):
    if len(args) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 2
    include = args[0]
    headers = sorted(os.path.relpath(os.path.join(d, f), include)
                     for d, _, files in os.walk(include) for f in files if f.endswith(".h"))
    compilers = [c for c in COMPILERS if shutil.which(c[0])]
    for absent in sorted({c[0] for c in COMPILERS} - {c[0] for c in compilers}):
        print("no %s here: not tried" % absent)
    if not compilers or not headers:
        print("no compiler or no headers")
        return 77
    bad = done = 0
    dpdk = dpdk_flags()
    if not dpdk:
        print("no libdpdk here: its half is not tried")
    with open(os.path.join(include, "meson.build"), encoding="utf-8") as f:
        installed = f.read()
    for h in headers:
        if "'%s'" % h not in installed:
            print("%s is not installed: include/meson.build does not name it" % h)
            bad += 1
    for compiler in compilers:
        own = [h for h in headers if h not in NEEDS or has(compiler, NEEDS[h])]
        common = [h for h in headers if h not in NEEDS]
        texts = [(h, [h, h]) for h in own]
        texts += [("all headers", common), ("all headers, backwards", common[::-1])]
        texts = [(what, "".join("#include <%s>\n" % h for h in use)) for what, use in texts]
        for h in common:
            with open(os.path.join(include, h), encoding="utf-8") as f:
                options = use_of_options(h, f.read())
            if options:
                texts.append((h + ", options", options))
        texts.append(("use of the inline calls", "#include <kbypass/hot.h>\n" + USE))
        if args[1:] and compiler[2] != "-std=c11":  # as the vendor's, softnic's headers need GNU C or C++
            texts += softnic_texts(args[1])
        texts = [(what, text, ()) for what, text in texts]
        if dpdk and compiler[2] != "-std=c11":  # DPDK's headers need GNU C or C++
            texts += [("kbypass/hot/dpdk.h", "#include <kbypass/hot/dpdk.h>\n" * 2, dpdk),
                      ("use of dpdk", USE_DPDK, dpdk)]
        for what, text, flags in texts:
            said = compile_text(compiler, text, include, *args[1:], flags=flags)
            done += 1
            if said:
                bad += 1
                first = list(itertools.islice((l for l in said.splitlines() if "error" in l), 5))
                print("%s %s: %s:\n  %s" % (compiler[0], compiler[2], what, "\n  ".join(first)))
    print("%d headers, %d compilations, %d failed" % (len(headers), done, bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The ef_vi backend compiles, without change, against the vendor's headers of each version named.

usage: tests/check_ef_vi_headers.py INCLUDE_DIR...

Each INCLUDE_DIR holds etherfabric/. Compiled with gcc and clang: lib/backend/ef_vi*.c, the inline half in C and
in C++, and the transcript tests of the ef_vi API. Nothing is linked: the headers are enough.
"""
import glob
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WARN = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
PROBES = {
    "PD_CAPS": "ef_pd_capabilities_get(0, 0, 0, EF_VI_CAP_PIO, 0)",
    "RX_REF": "(int)EF_VI_CAP_RX_REF",
    "EXPRESS": "(int)EF_PD_EXPRESS",
    "LLCT": "(int)EF_PD_LLCT",
}
# the tests of the ef_vi API as such; what is softnic's own is not the vendor's
TRANSCRIPTS = ["nic", "test_rx", "test_tx", "test_ref", "test_stamps", "test_filters", "test_wait"]
USER = """
#include <kbypass/hot.h>
static unsigned on_frame(struct kbp_rx rx, struct kbp_frame f, void *arg)
{
	struct kbp_stamp s = kbp_frame_ts(rx, &f);
	uint64_t *sum = (uint64_t *)arg;

	*sum += s.ns + f.len;
	if (f.len > 100)
		kbp_rx_return(rx, f.token);
	return f.len & 1 ? KBP_KEEP : KBP_DONE;
}
static uint32_t fill(struct kbp_tx tx, struct kbp_frame f, void *arg)
{
	(void)tx; (void)arg;
	((char *)f.data)[0] = 1;
	return 1;
}
unsigned run(struct kbp_queue *q, struct kbp_txflow *t, uint64_t *sum);
unsigned run(struct kbp_queue *q, struct kbp_txflow *t, uint64_t *sum)
{
	return kbp_rx_each(kbp_rx_as(q, KBP_EF_VI), 32, on_frame, sum) +
	       kbp_rx_each(kbp_rx_of(q), 32, on_frame, sum) + kbp_tx_each(kbp_tx_as(t, KBP_EF_VI), 8, fill, sum);
}
"""


def compiles(command, source=None):
    done = subprocess.run(command, input=source, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode == 0, done.stdout


def probe(folder):
    """What this version has: enumerators cannot be asked for by the preprocessor."""
    have = []
    for name, code in PROBES.items():
        text = ("#include <etherfabric/capabilities.h>\n#include <etherfabric/pd.h>\n"
                "int f(void); int f(void) { return %s; }\n" % code)
        if compiles(["gcc", "-x", "c", "-fsyntax-only", "-Werror", "-isystem", folder, "-"], text)[0]:
            have.append("-DKBP_EFVI_HAVE_" + name)
    return have


def check(folder):
    if not os.path.exists(os.path.join(folder, "etherfabric", "ef_vi.h")):
        print(f"{folder}: there is no etherfabric/ef_vi.h in it")
        return 1
    have = probe(folder)
    common = ["-D_GNU_SOURCE", "-O2", *WARN, "-DKBP_HOT_EF_VI", '-DKBP_VERSION="0"', *have, "-I" + TOP + "/include",
              "-I" + TOP + "/lib", "-I" + TOP, "-isystem", folder, "-c", "-o", "/dev/null"]
    backend = sorted(glob.glob(TOP + "/lib/backend/ef_vi*.c"))
    # cmocka's macros convert; deprecated calls are what old versions have
    transcripts = [f"{TOP}/tests/softnic/{name}.c" for name in TRANSCRIPTS]
    jobs = []
    for cc, cxx in ("gcc", "g++"), ("clang", "clang++"):
        jobs += [([cc, "-std=gnu11", *common, f], None) for f in backend]
        jobs += [([cc, "-std=gnu11", *common, "-Wno-conversion", f], None)
                 for f in transcripts]
        jobs.append(([cc, "-std=gnu11", *common, "-x", "c", "-"], USER))
        # in C++ a function of a struct's name is its shadow
        jobs.append(([cxx, "-std=gnu++17", *common, "-Wno-shadow", "-x", "c++", "-"], USER))
    failed = 0
    for command, source in jobs:
        ok, text = compiles(command, source)
        if not ok:
            failed += 1
            print(" ".join(command) + "\n" + text)
    print(f"{folder}: {len(jobs) - failed} of {len(jobs)} compile ({' '.join(have) or 'nothing beyond 8.1'})")
    return failed


def main(folders):
    if not folders:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    return 1 if sum(check(f) for f in folders) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Every public function carries its contract.

usage: check_contracts.py HEADER...      check these; print FILE:LINE: what is missing
       check_contracts.py --self-test    prove that the check can fail

A contract is a comment directly above the declaration. It begins "/* NAME - " and has the lines
Returns:, Owns:, Blocks: and Threads:, and Errors: when the function takes a struct kbp_error.

Public are: everything marked KBP_API (or softnic's SOFTNIC_API), in any header; inline functions (static inline, KBP_INLINE),
except those named kbp_generic_*, which are the fallbacks behind a public call, and those in hot/, where
only the backends' loops behind the calls of hot.h live. Anything else that is declared in a public
header and is neither inline nor KBP_API, nor the C library's by an __asm__ label, is an error: no program
could link it.
"""
import os
import re
import sys

FIELDS = ("Returns", "Owns", "Blocks", "Threads")
BEHIND_A_PUBLIC_CALL = re.compile(r"kbp_generic_\w+$")
NOT_A_NAME = {"__attribute__", "__asm__", "KBP_STATIC_ASSERT", "_Static_assert", "static_assert", "KBP_PRINTF"}


class Declaration:
    """A function, or an object marked KBP_API, at the top level of a header."""

    def __init__(self, path, line, name, text, comment):
        self.path, self.line, self.name, self.text, self.comment = path, line, name, text, comment
        self.api = re.search(r"\b(KBP|SOFTNIC)_API\b", text) is not None
        self.inline = re.search(r"\b(inline|KBP_INLINE)\b", text) is not None
        in_hot = os.path.basename(os.path.dirname(path)) == "hot"
        self.public = self.api or (self.inline and not in_hot and not BEHIND_A_PUBLIC_CALL.match(name))


def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def declarations(path, text):
    """Declarations of functions and KBP_API objects at the top level, in order."""
    comments = {}  # position after the comment and white space -> its text

    def take_comment(match):
        end = match.end()
        while end < len(text) and text[end].isspace():
            end += 1
        comments[end] = match.group(0)
        return blank(match)

    # line numbers and positions stay: everything taken out leaves blanks
    code = re.sub(r"/\*.*?\*/", take_comment, text, flags=re.S)
    code = re.sub(r"//[^\n]*", blank, code)
    code = re.sub(r"^[ \t]*#(\\\n|[^\n])*", blank, code, flags=re.M)
    code = re.sub(r'extern\s*"C"\s*\{', blank, code)
    code = re.sub(r'"(\\.|[^"\\\n])*"', blank, code)

    depth, start = 0, 0
    for at, char in enumerate(code):
        if char == "{":
            if depth == 0:
                yield from declaration(path, text, code, start, at, comments)
            depth += 1
        elif char == "}":
            depth = max(depth - 1, 0)  # the extern "C" blocks' ends have no beginning any more
            if depth == 0:
                start = at + 1
        elif char == ";" and depth == 0:
            yield from declaration(path, text, code, start, at, comments)
            start = at + 1


def declaration(path, text, code, start, end, comments):
    chunk = code[start:end]
    first = start + len(chunk) - len(chunk.lstrip())
    if re.match(r"\s*(typedef|struct|union|enum)\b[^()]*$", chunk) or "typedef" in chunk.split()[:1]:
        return
    names = [n for n in re.findall(r"\b([A-Za-z_]\w*)\s*\(", chunk)]
    if names and names[0] in ("KBP_STATIC_ASSERT", "_Static_assert", "static_assert"):
        return
    names = [n for n in names if n not in NOT_A_NAME]
    if not names and re.search(r"\b(KBP|SOFTNIC)_API\b", chunk):
        names = re.findall(r"\b([A-Za-z_]\w*)\s*(?:\[[^]]*\]\s*)*$", chunk)
    if names:
        line = text.count("\n", 0, first) + 1
        yield Declaration(path, line, names[0], chunk, comments.get(first))


def complaints(decl):
    if not decl.api and not decl.inline and "__asm__" not in decl.text:
        yield "neither KBP_API nor inline: no program could link it"
        return
    if not decl.public:
        return
    if decl.comment is None:
        yield "no contract directly above it"
        return
    if not re.match(r"/\* %s - \S" % re.escape(decl.name), decl.comment):
        yield 'its contract must begin "/* %s - "' % decl.name
    fields = FIELDS
    if re.search(r"\bstruct\s+kbp_error\s*\*", decl.text):
        fields += ("Errors",)
    for field in fields:
        if not re.search(r"^ \* %s:[ \t]+\S" % field, decl.comment, flags=re.M):
            yield "its contract lacks %s:" % field


def check(path, text):
    found = list(declarations(path, text))
    problems = ["%s:%d: %s: %s" % (d.path, d.line, d.name, why) for d in found for why in complaints(d)]
    return found, problems


GOOD = """
/* kbp_x - does x.
 *
 * Returns:  0, or -errno.
 * Errors:   -EINVAL.
 * Owns:     nothing.
 * Blocks:   never.
 * Threads:  any. */
%s int kbp_x(int a,
\t  struct kbp_error *err)%s
"""


def self_test():
    good = GOOD % ("KBP_API", ";")
    cases = [
        # header, text, what must be said (None: nothing)
        ("kbypass.h", good, None),
        ("kbypass.h", GOOD % ("static inline", " { return a ? 1 : 0; }"), None),
        ("hot.h", GOOD % ("KBP_INLINE", " { if (a) { return 1; } return 0; }"), None),
        ("kbypass.h", 'extern "C" {\n' + good + "}\n", None),
        ("kbypass.h", "struct a { int (*fn)(int); };\ntypedef int (*fn)(int);\nenum { A = (1), };\n"
         'KBP_STATIC_ASSERT(sizeof(int) == 4, "x");\n#define F(x) \\\n\tg(x);\n', None),
        ("hot.h", "static inline int kbp_generic_x(int a) { return a; }", None),
        ("hot/udp.h", "KBP_INLINE int kbp_udp_x(int a) { return a; }", None),
        ("hot/udp.h", "KBP_API int kbp_udp_x(int a);", "no contract"),
        ("kbypass.h", "KBP_API int kbp_y(void);", "no contract"),
        ("kbypass.h", "KBP_API extern const int kbp_y[3];", "no contract"),
        ("kbypass.h", "static inline int kbp_y(void) { return 0; }", "no contract"),
        ("kbypass.h", "KBP_INLINE int kbp_y(void) { return 0; }", "no contract"),
        ("kbypass.h", "int kbp_y(void);", "neither KBP_API nor inline"),
        ("hot/socket.h", 'int kbp_y(void) __asm__("y");', None),
        ("kbypass.h", good.replace("kbp_x - ", "kbp_z - "), "must begin"),
        ("kbypass.h", good.replace("any. */\n", "any. */\n\nstruct between;\n"), "no contract"),
        ("kbypass.h", good.replace("any. */", "any. */\n/* another comment */"), "must begin"),
        ("kbypass.h", good + "KBP_API int kbp_y(void);", "kbp_y: no contract"),
        ("kbypass.h", good.replace(" * Owns:     nothing.\n", " * Owns:\n"), "lacks Owns:"),
    ]
    for field in FIELDS + ("Errors",):
        cases.append(("kbypass.h", re.sub(r" \* %s:.*?\n" % field, " * gone\n", good)
                      if field != "Threads" else good.replace(" * Threads:  any. */", " */"),
                      "lacks %s:" % field))
    cases.append(("kbypass.h", re.sub(r" \* Errors:.*?\n", "", good).replace("struct kbp_error *err", "int b"), None))
    wrong = 0
    for path, text, want in cases:
        problems = check("/include/" + path, text)[1]
        ok = not problems if want is None else any(want in p for p in problems)
        if not ok:
            wrong += 1
            print("self-test: wanted %r, got %r, for:\n%s" % (want, problems, text))
    line = check("h.h", "\n\n/* a\n */\nKBP_API int kbp_y(void);")[1][0]
    if not line.startswith("h.h:5: "):
        wrong += 1
        print("self-test: wrong place: " + line)
    print("self-test: %d cases, %d wrong" % (len(cases) + 1, wrong))
    return 1 if wrong else 0


def main(args):
    if args == ["--self-test"]:
        return self_test()
    if not args:
        print(__doc__, file=sys.stderr)
        return 2
    public, bad = 0, 0
    for path in args:
        with open(path, encoding="utf-8") as f:
            found, problems = check(path, f.read())
        public += sum(d.public for d in found)
        bad += len(problems)
        for problem in problems:
            print(problem)
    print("%d headers, %d public functions, %d complaints" % (len(args), public, bad))
    return 1 if bad or not public else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The page of `kbypass report` as a file: it holds all it needs and nothing else, whatever stands in the results.

usage: test_page.py FIXTURE KBYPASS
"""
import base64
import hashlib
import html.parser
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

FIXTURE, KBYPASS = sys.argv[1:3]
ELEMENTS = set("""html head meta title style body header section nav h1 h2 p a ul li div table thead tbody tr th td small span
    abbr strong br figure figcaption svg desc path rect text g output script dl dt dd""".split())
ATTRIBUTES = set("""lang charset http-equiv content name class id href scope title tabindex role aria-label aria-hidden viewbox
    d x y width height transform data-run""".split())

failed = 0


def complain(text):
    global failed
    failed += 1
    print("FAILED:", text)


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.elements, self.attributes, self.ids, self.links = set(), set(), [], []
        self.policy, self.inside, self.texts = "", None, {"style": [], "script": []}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.elements.add(tag)
        self.attributes |= set(attrs)
        if "id" in attrs:
            self.ids.append(attrs["id"])
        if "href" in attrs:
            self.links.append(attrs["href"])
        if attrs.get("http-equiv") == "Content-Security-Policy":
            self.policy = attrs["content"]
        self.inside = tag if tag in self.texts else None

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside:
            self.texts[self.inside].append(data)


def run(*args, status=0):
    done = subprocess.run([KBYPASS, *args], capture_output=True, text=True, timeout=60)
    if done.returncode != status:
        complain(f"{' '.join(args)}: status {done.returncode}, not {status}: {done.stderr}")
    return done


def expect_error(text, *args):
    done = run(*args, status=2)
    said = [line for line in done.stderr.strip().splitlines() if line.startswith("kbypass")]
    if text not in done.stderr or len(said) != 1 or done.stdout:
        complain(f"{' '.join(args)}: not one error with {text!r}: {done.stdout}{done.stderr}")


def the_policy_allows_just_what_is_there(page, at):
    for kind, texts in page.texts.items():
        if len(texts) != 1:
            complain(f"{at}: {len(texts)} {kind} elements")
        for text in texts:
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            if f"{kind}-src 'sha256-{digest}'" not in page.policy:
                complain(f"{at}: the {kind}'s hash in report_style.c has to be sha256-{digest}")
    if not page.policy.startswith("default-src 'none'; ") or "unsafe" in page.policy:
        complain(f"{at}: the policy is {page.policy}")


def nothing_comes_from_outside(page, text, at):
    if page.elements - ELEMENTS:
        complain(f"{at}: elements {page.elements - ELEMENTS}")
    if page.attributes - ATTRIBUTES:
        complain(f"{at}: attributes {page.attributes - ATTRIBUTES}")
    for link in page.links:
        if not link.startswith("#") or link[1:] not in page.ids:
            complain(f"{at}: {link} leads nowhere within the page")
    if len(set(page.ids)) != len(page.ids):
        complain(f"{at}: an id occurs twice")
    for word in ("@import", "url(", "://"):
        if word in text:
            complain(f"{at}: there is {word!r} in it")


def plots_are_well_formed(text, at):
    plots = re.findall(r"<svg.*?</svg>", text, re.S)
    if len(plots) < 10:
        complain(f"{at}: {len(plots)} plots")
    for plot in plots:
        try:
            root = xml.etree.ElementTree.fromstring(plot)
        except xml.etree.ElementTree.ParseError as e:
            complain(f"{at}: a plot is no XML: {e}: {plot[:200]}")
            continue
        for element in root.iter("path"):
            if not re.fullmatch(r"[MLHVhvmazMLAZ0-9 .\-]*", element.get("d")):
                complain(f"{at}: a path is {element.get('d')[:80]}")
    if re.search(r"\b(nan|inf)\b", re.sub(r">[^<]*<", "><", text)):
        complain(f"{at}: a number is none")


def page_holds_all_it_needs(path, at):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    page = Page(text)
    the_policy_allows_just_what_is_there(page, at)
    nothing_comes_from_outside(page, text, at)
    plots_are_well_formed(text, at)
    if len(text) > 1 << 20:
        complain(f"{at}: {len(text)} bytes")
    return text


def same_results_give_the_same_page(plain):
    first = run("report", plain).stdout.strip()
    with open(first, "rb") as f:
        page = f.read()
    other = os.path.join(plain, "other.html")
    if run("report", plain, "--out", other).stdout.strip() != other:
        complain("the path of --out is not printed")
    with open(other, "rb") as f:
        if f.read() != page:
            complain("two pages of the same results differ")
    os.unlink(other)


def page_without_samples_says_so(plain, top):
    bare = os.path.join(top, "bare")
    shutil.copytree(plain, bare)
    shutil.rmtree(os.path.join(bare, "samples"))
    text = page_holds_all_it_needs(run("report", bare).stdout.strip(), "without samples")
    if "No curve of socket" not in text or "95 % interval" not in text:
        complain("without samples: the page does not say so, or does not show the rest")


def samples_of_another_bench_are_told(plain, top):
    mixed = os.path.join(top, "mixed")
    shutil.copytree(plain, mixed)
    shutil.copy(os.path.join(mixed, "samples/socket.u32"), os.path.join(mixed, "samples/af_xdp.u32"))
    with open(run("report", mixed).stdout.strip(), encoding="utf-8") as f:
        if "the curves and the table are not of one bench" not in f.read():
            complain("samples of another bench are taken for those of the table")


def ranking_needs_a_verdict(plain, top):
    """The same figures without verdicts: nothing is called lower."""
    with open(os.path.join(plain, "results.json"), encoding="utf-8") as f:
        results = json.load(f)
    with open(run("report", plain).stdout.strip(), encoding="utf-8") as f:
        if "lower than that of" not in f.read():
            complain("a resolved verdict is not in the summary")
    results.pop("verdicts")
    bare = os.path.join(top, "unranked")
    shutil.copytree(plain, bare)
    with open(os.path.join(bare, "results.json"), "w", encoding="utf-8") as f:
        json.dump(results, f)
    with open(run("report", bare).stdout.strip(), encoding="utf-8") as f:
        text = f.read()
    if "lower" in text or "not resolved" not in text:
        complain("without verdicts something is called lower, or not called unresolved")


def a_sweep_is_drawn_over_the_rate(plain, top):
    """Each backend at two rates: a line for each, and the rates in tables of their own."""
    with open(os.path.join(plain, "results.json"), encoding="utf-8") as f:
        results = json.load(f)
    slow = [dict(run, rate_pps=1000) for run in results["runs"][:2]]
    fast = [dict(run, rate_pps=50000) for run in results["runs"][:2]]
    results.update(runs=slow + fast, verdicts=[dict(v, rate_pps=50000) for v in results["verdicts"][:2]])
    swept = os.path.join(top, "swept")
    shutil.copytree(plain, swept)
    with open(os.path.join(swept, "results.json"), "w", encoding="utf-8") as f:
        json.dump(results, f)
    text = page_holds_all_it_needs(run("report", swept).stdout.strip(), "sweep")
    plot = re.search(r'<figure id="sweep-1">.*?</figure>', text, re.S)
    if not plot or plot.group(0).count('<path class="line') != 2 or plot.group(0).count("frames/s: gap") != 4:
        complain("the sweep is not two lines with two marks each")
    for words in ("at 1,000 frames/s: <strong>not resolved", "at 50,000 frames/s: the gap", 'id="table-2"'):
        if words not in text:
            complain(f"the page of a sweep does not have {words!r}")


def errors_name_the_thing(plain, top):
    expect_error("of what?", "report")
    expect_error("nowhere", "report", os.path.join(top, "nowhere"))
    expect_error("no directory", "report", os.path.join(plain, "results.json"))
    expect_error("No such file or directory", "report", plain, "--out", os.path.join(top, "no/page.html"))
    expect_error("unknown option --ot", "report", plain, "--ot", "x")
    empty = os.path.join(top, "damaged")
    os.mkdir(empty)
    with open(os.path.join(empty, "results.json"), "w", encoding="utf-8") as f:
        f.write('{"schema": "kbypass.bench/1", "runs": ')
    expect_error("line 1", "report", empty)
    if os.path.exists(os.path.join(empty, "report.html")):
        complain("there is a page of damaged results")


def main():
    with tempfile.TemporaryDirectory() as top:
        plain, hostile = os.path.join(top, "plain"), os.path.join(top, "hostile")
        subprocess.run([FIXTURE, plain], check=True, timeout=60)
        subprocess.run([FIXTURE, hostile, "hostile"], check=True, timeout=60)
        for name in (plain, hostile):
            page_holds_all_it_needs(os.path.join(name, "page.html"), name)
            os.unlink(os.path.join(name, "page.html"))
            page_holds_all_it_needs(run("report", name).stdout.strip(), name + ", read back")
        same_results_give_the_same_page(plain)
        page_without_samples_says_so(plain, top)
        samples_of_another_bench_are_told(plain, top)
        ranking_needs_a_verdict(plain, top)
        a_sweep_is_drawn_over_the_rate(plain, top)
        errors_name_the_thing(plain, top)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

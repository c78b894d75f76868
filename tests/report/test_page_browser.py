#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The page of `kbypass report` in a browser: it complains about nothing, everything is there with and without scripts, in
light and dark, on a wide screen and on a phone, and text from results stays text.

usage: test_page_browser.py FIXTURE KBYPASS [DIR]      DIR: keep the pictures there
"""
import os
import subprocess
import sys
import tempfile

import browser

FIXTURE, KBYPASS = sys.argv[1:3]
KEEP = sys.argv[3] if len(sys.argv) > 3 else None
SKIP = 77
IDS = ["summary", "table", "verdicts", "gap", "percentiles", "histogram", "series", "causes", "profile", "noise", "findings",
       "setup", "fingerprint", "glossary", "table-2", "series-1", "causes-4", "kinds"]

failed = 0


def complain(text):
    global failed
    failed += 1
    print("FAILED:", text)


def elements_are_present(web, ids, at):
    missing = [i for i in ids if not web.evaluate(f"!!document.getElementById('{i}') && "
                                                  f"document.getElementById('{i}').getBoundingClientRect().height > 0")]
    if missing:
        complain(f"{at}: nothing to be seen of {missing}")
    plots = web.evaluate("[...document.querySelectorAll('figure svg')].filter(s => s.getAttribute('role') === 'img' && "
                         "s.getAttribute('aria-label') && s.querySelector('desc')).length")
    if not plots or plots != web.evaluate("document.querySelectorAll('figure svg').length"):
        complain(f"{at}: plots without text: {plots}")


def nothing_sticks_out(web, width, at):
    wide = web.evaluate("document.documentElement.scrollWidth")
    if wide > width:
        complain(f"{at}: the page is {wide} pixels wide in a window of {width}")


def background_is(web, dark, at):
    red = int(web.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]"))
    if (red < 80) != dark:
        complain(f"{at}: the background's red is {red}")


def text_stands_out(web, at):
    """4.5 to 1 against the background, as WCAG reckons it."""
    low = web.evaluate("""(() => {
        const lum = c => { const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3).map(v => { v /= 255;
            return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
        const ground = lum(getComputedStyle(document.body).backgroundColor), low = [];
        for (const e of document.querySelectorAll('p,td,th,li,h1,h2,small,a,dt,dd,figcaption,.chip,svg text')) {
            const s = getComputedStyle(e), l = lum(e.closest('svg') ? s.fill : s.color);
            const ratio = (Math.max(l, ground) + 0.05) / (Math.min(l, ground) + 0.05);
            if (ratio < 4.5) low.push(e.tagName + '.' + (e.getAttribute('class') || '') + ' ' + ratio.toFixed(1));
        }
        return [...new Set(low)].join(', '); })()""")
    if low:
        complain(f"{at}: hard to read: {low}")


def picture_is_no_blank(web, at):
    shot = web.picture(height=1600)
    if KEEP:
        with open(os.path.join(KEEP, at.replace(" ", "_").replace(",", "") + ".png"), "wb") as f:
            f.write(web.picture())
    count = browser.colours(shot)
    most = max(count.values())
    if len(count) < 50 or most > 0.985 * sum(count.values()):
        complain(f"{at}: {len(count)} colours, {most} of {sum(count.values())} pixels alike")


def page_is_fine(web, path, name, ids):
    for width in (1280, 400):
        for dark in (False, True):
            for scripts in (True, False):
                at = f"{name}, {width}, {'dark' if dark else 'light'}, {'scripts' if scripts else 'no scripts'}"
                web.look(path, width, dark, scripts)
                elements_are_present(web, ids, at)
                nothing_sticks_out(web, width, at)
                background_is(web, dark, at)
                if scripts:
                    text_stands_out(web, at)
                    picture_is_no_blank(web, at)
                for message in web.console():
                    complain(f"{at}: {message['message']}")


def clicking_a_name_hides_its_run(web, path):
    web.look(path, 1280, False)
    shown = """[...document.querySelectorAll('figure svg [data-run="r0"]')].filter(e => e.style.display !== 'none').length"""
    before = web.evaluate(shown)
    web.run("""document.querySelector('.legend [data-run="r0"]').click()""")
    if not before or web.evaluate(shown):
        complain(f"after the click {web.evaluate(shown)} of {before} parts of the run are shown")
    web.run("""document.querySelector('.legend [data-run="r0"]').click()""")
    if web.evaluate(shown) != before:
        complain("a second click does not bring the run back")


def the_mark_at_the_pointer_is_told(web, path):
    web.look(path, 1280, False)
    told = web.run("""const fig = document.getElementById('gap'), b = fig.querySelector('.mark').getBoundingClientRect();
        fig.querySelector('svg').dispatchEvent(new PointerEvent('pointermove', {clientX: b.x + 3, clientY: b.y + 3}));
        return fig.querySelector('.at').textContent;""")
    if not told.startswith("socket: gap ") or "95 % interval" not in told or " ns)" not in told:
        complain(f"at a mark the pointer tells {told!r}")


def hostile_text_stays_text(web, path):
    web.look(path, 1280, False)
    if web.evaluate("document.querySelectorAll('script').length") != 1:
        complain("there is more than one script")
    if web.evaluate("document.querySelectorAll('img,iframe,object,embed,link,base,form,b').length"):
        complain("text became an element")
    if "<script>alert(1)</script>" not in web.evaluate("document.body.textContent"):
        complain("the hostile text is not shown as text: is the fixture hostile at all?")


def the_policy_forbids_what_is_not_of_the_page(web, path):
    """The policy is in force: a script that is put in does not run, and the browser says why."""
    with open(path, encoding="utf-8") as f:
        page = f.read()
    with tempfile.NamedTemporaryFile("w", suffix=".html", encoding="utf-8") as f:
        f.write(page.replace("<header>", "<header><script>document.title = 'ran'</script>"))
        f.flush()
        os.chmod(f.name, 0o644)
        web.look(f.name, 1280, False)
        if web.evaluate("document.title") == "ran" or not any("Content Security" in m["message"] for m in web.console()):
            complain("a script ran that is not of the page")


def main():
    why = browser.missing()
    if why:
        print("skip:", why)
        return SKIP
    with tempfile.TemporaryDirectory() as top, browser.Browser() as web:
        plain, hostile = os.path.join(top, "plain"), os.path.join(top, "hostile")
        subprocess.run([FIXTURE, plain], check=True, timeout=60)
        subprocess.run([FIXTURE, hostile, "hostile"], check=True, timeout=60)
        subprocess.run([KBYPASS, "report", plain], check=True, timeout=60, stdout=subprocess.DEVNULL)
        page_is_fine(web, os.path.join(plain, "page.html"), "page", IDS)
        page_is_fine(web, os.path.join(hostile, "page.html"), "hostile", IDS)
        web.look(os.path.join(plain, "report.html"), 1280, False)
        elements_are_present(web, IDS, "report.html")
        clicking_a_name_hides_its_run(web, os.path.join(plain, "page.html"))
        the_mark_at_the_pointer_is_told(web, os.path.join(plain, "page.html"))
        hostile_text_stays_text(web, os.path.join(hostile, "page.html"))
        the_policy_forbids_what_is_not_of_the_page(web, os.path.join(plain, "page.html"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

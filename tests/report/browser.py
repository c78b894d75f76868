# SPDX-License-Identifier: BSD-2-Clause
"""A headless Chromium, driven over HTTP as W3C WebDriver has it; and just enough PNG to see whether there is a picture."""
import base64
import json
import os
import shutil
import struct
import subprocess
import tempfile
import urllib.request
import zlib


def missing():
    """Why there is no browser, or None."""
    for program in ("chromium", "chromedriver"):
        if not shutil.which(program):
            return f"{program} is not installed"
    return None


class Browser:
    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="kbp-browser-")
        environment = dict(os.environ, HOME=self.profile)
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                       text=True, env=environment)
        self.url, self.session = None, None
        for line in self.driver.stdout:
            if "started successfully on port " in line:
                self.url = f"http://127.0.0.1:{line.rsplit(' ', 1)[1].strip().rstrip('.')}"
                break

    def __enter__(self):
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                            f"--user-data-dir={self.profile}/data"]}
        answer = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.session = answer["sessionId"]
        return self

    def __exit__(self, *_):
        try:
            if self.session:
                self.call("DELETE", f"/session/{self.session}")
        finally:
            self.driver.terminate()
            self.driver.wait(20)
            shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)["value"]

    def post(self, path, body):
        return self.call("POST", f"/session/{self.session}{path}", body)

    def devtools(self, command, **parameters):
        return self.post("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def look(self, path, width, dark, scripts=True):
        """Opens a file in a window so wide, with the reader's wishes."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.devtools("Emulation.setEmulatedMedia",
                      features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.devtools("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.console()
        self.post("/url", {"url": "file://" + os.path.abspath(path)})

    def run(self, script):
        return self.post("/execute/sync", {"script": script, "args": []})

    def evaluate(self, expression):
        """Also where the page's own scripts are off."""
        answer = self.devtools("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def console(self):
        """What the browser complained about since the last look."""
        return [m for m in self.post("/se/log", {"type": "browser"}) if m["level"] in ("SEVERE", "WARNING")]

    def picture(self, height=None):
        """The whole page, or so much of it from the top, as PNG."""
        size = self.devtools("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"], "scale": 1}
        shot = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(shot["data"])


def png_rows(data):
    """Width, and the rows of pixels as bytes, three or four for each."""
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        chunk = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", chunk[:10])
        elif kind == b"IDAT":
            packed += chunk
        at += 12 + length
    assert depth == 8 and colour in (2, 6), "not the PNG a browser writes"
    size = 3 if colour == 2 else 4
    raw, stride, rows, above = zlib.decompress(packed), width * size, [], None
    above = bytearray(stride)
    for y in range(height):
        kind, line = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
        for i in range(stride):
            left = line[i - size] if i >= size else 0
            corner = above[i - size] if i >= size else 0
            if kind == 1:
                line[i] = (line[i] + left) & 255
            elif kind == 2:
                line[i] = (line[i] + above[i]) & 255
            elif kind == 3:
                line[i] = (line[i] + (left + above[i]) // 2) & 255
            elif kind == 4:
                p = left + above[i] - corner
                near = min((abs(p - left), 0, left), (abs(p - above[i]), 1, above[i]), (abs(p - corner), 2, corner))
                line[i] = (line[i] + near[2]) & 255
        rows.append(bytes(line))
        above = line
    return width, size, rows


def colours(data):
    """How often each colour occurs."""
    width, size, rows = png_rows(data)
    count = {}
    for row in rows:
        for i in range(0, width * size, size):
            colour = row[i:i + 3]
            count[colour] = count.get(colour, 0) + 1
    return count

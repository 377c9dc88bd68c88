"""A headless Chromium for pages that scripts make, driven as W3C's WebDriver says; what is not needed is left out."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flows.server import _free_port

FLAGS = (
    "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
    "disable-component-update", "disable-sync", "hide-scrollbars", "force-color-profile=srgb",
)  # fmt: skip
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def missing() -> str:
    """What lacks for a browser here; empty where nothing does."""
    lacking = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"no {' and no '.join(lacking)} here: apt-get install chromium chromium-driver" if lacking else ""


class Browser:
    """A page at a time."""

    def __init__(self, port: int, folder: Path, width: int, height: int) -> None:
        self.base = f"http://127.0.0.1:{port}"
        flags = [*(f"--{flag}" for flag in FLAGS), f"--user-data-dir={folder}", f"--window-size={width},{height}"]
        wanted = {"browserName": "chrome", "goog:chromeOptions": {"binary": shutil.which("chromium"), "args": flags}}
        self.base += f"/session/{self.call('POST', '/session', capabilities={'alwaysMatch': wanted})['sessionId']}"

    def call(self, method: str, path: str, **body: Any) -> Any:
        """One command to the driver; what it says."""
        data = json.dumps(body).encode() if method == "POST" else None
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]

    def open(self, url: str) -> None:
        """Go to a page."""
        self.call("POST", "/url", url=url)

    def size(self, width: int, height: int) -> None:
        """Make the window so large."""
        self.call("POST", "/window/rect", width=width, height=height)

    def find(self, xpath: str, seconds: float = 60) -> list[str]:
        """The elements that an XPath names, as soon as there are any that can be seen."""
        until = time.monotonic() + seconds
        while True:
            found = [one[ELEMENT] for one in self.call("POST", "/elements", using="xpath", value=xpath)]
            shown = [one for one in found if self.call("GET", f"/element/{one}/displayed")]
            if shown:
                return shown
            assert time.monotonic() < until, f"no {xpath} on the page:\n{self.text()}"
            time.sleep(0.3)

    def click(self, xpath: str) -> None:
        """Click the first of them."""
        self.call("POST", f"/element/{self.find(xpath)[0]}/click")

    def type(self, xpath: str, text: str) -> None:
        """Write into the first of them."""
        self.call("POST", f"/element/{self.find(xpath)[0]}/value", text=text)

    def press(self, key: str) -> None:
        """Press a key and let it go."""
        strokes = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        self.call("POST", "/actions", actions=[{"type": "key", "id": "keyboard", "actions": strokes}])

    def pause(self, seconds: float) -> None:
        """Let the page draw what tells nobody that it is done."""
        time.sleep(seconds)

    def run(self, script: str) -> Any:
        """What a script returns."""
        return self.call("POST", "/execute/sync", script=script, args=[])

    def text(self) -> str:
        """All that can be read on the page."""
        return str(self.run("return document.body.innerText"))

    def shoot(self, path: Path) -> None:
        """What can be seen, as a PNG of few colours."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.call("GET", "/screenshot")))


@contextmanager
def browsing(folder: Path, width: int = 1300, height: int = 1000) -> Iterator[Browser]:
    """A browser for the time of the block, with its files in a folder."""
    port = _free_port()
    driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        browser = Browser(port, folder, width, height)
        try:
            yield browser
        finally:
            browser.call("DELETE", "")
    finally:
        driver.terminate()
        driver.wait(30)

"""A browser, driven as the WebDriver standard says: https://www.w3.org/TR/webdriver2/ .

The little that these tests need of it: go to a page, run a script in it, choose a file in a form.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

PROGRAMS = Path(__file__).resolve().parents[2] / ".tools" / "system" / "bin"
"""Where ``make system-tools`` puts the browser and its driver."""
PATIENCE = 60.0
"""Seconds that anything in the browser may take before a test fails."""
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
]
"""Alone with the pages of the test: nothing of the machine is used, nobody else is asked."""
_STARTED = re.compile(r"was started successfully on port (\d+)")
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Failed(Exception):
    """What the driver, or the script, answered instead of a value."""


class Browser:
    """A Chromium with a new profile in ``folder``."""

    def __init__(self, folder: Path) -> None:
        driver = PROGRAMS / "chromedriver"
        assert driver.exists(), f"{driver} is missing: make system-tools"
        self._log = folder / "chromedriver.log"
        with self._log.open("wb") as log:
            self._driver = subprocess.Popen([str(driver), "--port=0"], stdout=log, stderr=log)
        try:
            self._port = self._announced()
            profile = folder / "profile"
            options = {"binary": str(PROGRAMS / "chromium"), "args": [*FLAGS, f"--user-data-dir={profile}"]}
            wanted = {"browserName": "chrome", "goog:chromeOptions": options}
            made = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
            self._session = f"/session/{made['sessionId']}"
            milliseconds = int(PATIENCE * 1000)
            self._post("/timeouts", {"script": milliseconds, "pageLoad": milliseconds})
        except BaseException:
            self._driver.kill()
            self._driver.wait()
            raise

    def _announced(self) -> int:
        end = time.monotonic() + PATIENCE
        while not (found := _STARTED.search(self._log.read_text(errors="replace"))):
            assert self._driver.poll() is None, self._log.read_text(errors="replace")
            assert time.monotonic() < end, "the driver names no port"
            time.sleep(0.01)
        return int(found[1])

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE + 10)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            value = json.loads(reply.read())["value"]
        finally:
            connection.close()
        if reply.status != 200:
            raise Failed(f"{value['error']}: {value['message']}")
        return value

    def _post(self, path: str, body: object) -> Any:
        return self._ask("POST", self._session + path, body)

    def go(self, url: str) -> None:
        """Load a page."""
        self._post("/url", {"url": url})

    @property
    def url(self) -> str:
        """Of the page that is shown."""
        return str(self._ask("GET", self._session + "/url"))

    def run(self, script: str, *arguments: object) -> Any:
        """What the body of an asynchronous function returns, called with ``arguments`` in the page."""
        whole = f"return (async function() {{ {script} }}).apply(null, arguments)"
        return self._post("/execute/sync", {"script": whole, "args": arguments})

    def choose_file(self, selector: str, path: Path) -> None:
        """Choose a file in an ``<input type=file>``."""
        found = self._post("/element", {"using": "css selector", "value": selector})
        self._post(f"/element/{found[_ELEMENT]}/value", {"text": str(path)})

    def click_until(self, selector: str, url: str) -> None:
        """Click, and wait for a page whose URL begins so."""
        found = self._post("/element", {"using": "css selector", "value": selector})
        self._post(f"/element/{found[_ELEMENT]}/click", {})
        end = time.monotonic() + PATIENCE
        while not self.url.startswith(url):
            assert time.monotonic() < end, f"{self.url} is shown, not {url}"
            time.sleep(0.01)

    def close(self) -> None:
        """End the browser, then its driver."""
        try:
            self._ask("DELETE", self._session)
        finally:
            self._driver.terminate()
            self._driver.wait(PATIENCE)

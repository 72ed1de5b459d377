"""A person's browser: Chromium without a window, steered by WebDriver (W3C) through Chromium's own chromedriver."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from tests.needs import program

STEP = 20.0             # seconds for one thing that a person does
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"         # what WebDriver calls a reference, section 11
WIDTH, HEIGHT = 1400, 900
OPTIONS = (
    "--headless=new", f"--window-size={WIDTH},{HEIGHT}", "--lang=en", "--disable-gpu", "--disable-dev-shm-usage",
    "--no-sandbox",     # which root cannot have; it sees our own pages only
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


class BrowserError(Exception):
    """What was asked for failed on the other side; `kind` is WebDriver's name for it, section 6.6."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


class Browser:
    """One window; it is killed `patience` seconds after its start, whatever it does.

    Elements are named by CSS selectors.  Raises `AssertionError` when something does not come to be in time.
    """

    def __init__(self, folder: Path, patience: float) -> None:
        chromium, driver = program("chromium"), program("chromedriver", "chromium-driver")
        self._log = folder / "chromedriver.log"
        # It makes a socket there, whose path is not to be longer than 107 octets (unix(7)): trial's folders are.
        self._home = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        home = self._home.name
        environment = {**os.environ, "HOME": home, "TMPDIR": home, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [driver, "--port=0"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, env=environment,
                start_new_session=True,
            )
        self._end = threading.Timer(patience, self._kill)
        self._end.daemon = True
        self._end.start()
        self._session = ""
        try:
            self._wire = http.client.HTTPConnection("127.0.0.1", self._port(), timeout=STEP)
            self._session = "/session/" + self._ask("POST", "/session", {"capabilities": {"alwaysMatch": {
                "browserName": "chrome",
                "goog:chromeOptions": {
                    "binary": chromium, "args": [*OPTIONS, f"--user-data-dir={home}/profile"],
                },
            }}})["sessionId"]
        except BaseException:
            self.stop()
            raise

    def _port(self) -> int:
        until = time.monotonic() + STEP
        while True:
            said = self._log.read_text(errors="replace")
            found = re.search(r"started successfully on port (\d+)", said)
            if found:
                return int(found[1])
            if self._process.poll() is not None or time.monotonic() > until:
                raise AssertionError(said[-3000:])
            time.sleep(0.02)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        self._wire.request(
            method, self._session + path, None if body is None else json.dumps(body),
            {"Content-Type": "application/json"},
        )
        value = json.loads(self._wire.getresponse().read())["value"]
        if isinstance(value, dict) and "error" in value:
            raise BrowserError(value["error"], value.get("message", ""))
        return value

    def go(self, url: str) -> None:
        """Show a page, until it is there."""
        self._ask("POST", "/url", {"url": url})

    def run(self, script: str, *words: Any) -> Any:
        """What the body of a function returns for these `arguments`, run in the page."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(words)})

    def until(self, script: str, *words: Any) -> Any:
        """What it returns once that is something."""
        return self._patiently(f"{script} {words}", lambda: self.run(script, *words))

    def click(self, selector: str) -> None:
        """Click on it as soon as a person could: it is there, to be seen, and nothing is before it."""
        self._patiently(selector, lambda: self._ask("POST", f"/element/{self._find(selector)}/click", {}) is None)

    def type(self, selector: str, text: str) -> None:
        """Type over what is in a field; a line feed is the Enter key."""
        def now() -> bool:
            element = self._find(selector)
            self._ask("POST", f"/element/{element}/clear", {})
            self._ask("POST", f"/element/{element}/value", {"text": text.replace("\n", "\ue007")})
            return True

        self._patiently(selector, now)

    def see(self, selector: str) -> str:
        """The text of an element that is to be seen."""
        return str(self._patiently(selector, lambda: self._text(selector)))

    def _text(self, selector: str) -> Any:
        element = self._find(selector)
        return self._ask("GET", f"/element/{element}/displayed") and self._ask("GET", f"/element/{element}/text")

    def _find(self, selector: str) -> str:
        return str(self._ask("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT])

    def into(self, selector: str | None) -> None:
        """Look at what is in a frame; None is the page itself."""
        def now() -> bool:
            frame = None if selector is None else {ELEMENT: self._find(selector)}
            self._ask("POST", "/frame", {"id": frame})
            return True

        self._patiently(selector or "the page", now)

    def picture(self, path: Path) -> None:
        """What is shown now, as a PNG."""
        path.write_bytes(base64.b64decode(self._ask("GET", "/screenshot")))

    def _patiently(self, what: str, question: Any) -> Any:
        """What it answers once that is something, however often the page is not that far."""
        until, last = time.monotonic() + STEP, ""
        while True:
            try:
                answer = question()
            except BrowserError as error:
                answer, last = None, str(error)
            if answer:
                return answer
            if time.monotonic() > until:
                raise AssertionError(f"it did not come to this: {what}; {last}")
            time.sleep(0.05)

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def stop(self) -> None:
        """End it and what it has started."""
        self._end.cancel()
        if self._session:
            with contextlib.suppress(OSError, http.client.HTTPException, BrowserError):
                self._ask("DELETE", "")
            self._wire.close()
        self._kill()
        self._process.wait()
        self._home.cleanup()

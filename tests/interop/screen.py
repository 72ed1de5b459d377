"""A screen without a person in front of it, for programs that insist on one."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from pathlib import Path

from tests.needs import program

WIDTH, HEIGHT = 1400, 900
PATIENCE = 20.0         # seconds, for it to come and to go, and for a picture


class Screen:
    """An X server; `display` is its number, as DISPLAY has it.  It chooses a free one itself.

    Raises `AssertionError` when it does not come up.
    """

    def __init__(self, folder: Path) -> None:
        server, self._camera = program("Xvfb", "xvfb"), program("import", "imagemagick")
        reads, writes = os.pipe()
        os.set_blocking(reads, False)
        try:
            with (folder / "screen.log").open("wb") as log:
                self._process = subprocess.Popen(
                    [server, "-displayfd", str(writes), "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-nolisten", "tcp"],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, pass_fds=(writes,),
                )
            said, until = b"", time.monotonic() + PATIENCE
            while not said.endswith(b"\n"):
                if self._process.poll() is not None or time.monotonic() > until:
                    self.stop()
                    raise AssertionError((folder / "screen.log").read_text(errors="replace")[-3000:])
                time.sleep(0.02)
                with contextlib.suppress(BlockingIOError):
                    said += os.read(reads, 100)
        finally:
            os.close(reads)
            os.close(writes)
        self.display = f":{int(said)}"

    def picture(self, path: Path) -> None:
        """What it shows now, as a PNG."""
        subprocess.run(
            [self._camera, "-window", "root", str(path)], env={**os.environ, "DISPLAY": self.display},
            timeout=PATIENCE, check=True, capture_output=True,
        )

    def stop(self) -> None:
        """End it; asked politely, it takes its number back."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

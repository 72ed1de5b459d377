"""A server of mailboxes while it is measured: folders of its own, and all of its processes counted."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import measure
from benchmarks.larder import Larder
from benchmarks.mailboxes import USERS, Mailboxes

LONGEST = 300.0             # seconds that a server may work of its own
LOOK = 3.0                  # seconds in which it has to be idle
IDLE = 0.02                 # seconds of CPU in a second
PAGE_CACHE = Path("/proc/sys/vm/drop_caches")


class Stage:
    """One server in folders of its own, measured; ended by `close`."""

    def __init__(self, kind: type[Mailboxes], where: str, larder: Larder) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="mb-", dir=where)).absolute()
        self._folder.chmod(0o755)
        self.peer = kind(self._folder / "server", USERS, larder)
        self.peer.folder.mkdir(exist_ok=True)
        self._group = measure.Group.make()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if self._group is None:
            yield
        else:
            with self._group.entered():
                yield

    @property
    def meter(self) -> measure.Meter:
        return self._group or measure.Tree(self.peer.pid)

    def start(self) -> None:
        with self._counted():
            self.peer.start()

    def start_cold(self, drop: bool) -> None:
        """End it and start it again, with nothing left that it knew."""
        self.peer.stop()
        self.peer.forget()
        if drop:
            os.sync()
            PAGE_CACHE.write_text("1")
        with self._counted():
            self.peer.run()

    def settle(self) -> None:
        """Until it does nothing any more of its own, or for so long."""
        until = time.monotonic() + LONGEST
        while time.monotonic() < until:
            before = self.meter.cpu()
            time.sleep(LOOK)
            if self.meter.cpu() - before < IDLE * LOOK:
                return

    def close(self) -> None:
        self.peer.stop()
        if self._group is not None:
            self._group.close()
        shutil.rmtree(self._folder, ignore_errors=True)

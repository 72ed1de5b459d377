"""Programs that a test needs and a machine may lack: without one the test is skipped, but under CI=1 it fails."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

from twisted.trial.unittest import SkipTest

WHERE = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


def program(name: str, package: str | None = None) -> str:
    """The path of a program; `package` is Debian's, when it is not called the same."""
    found = shutil.which(name, path=WHERE)
    if found is None:
        missing(f"there is no {name} (apt install {package or name})")
    return found


def missing(why: str) -> NoReturn:
    """Skip the test that calls this; under CI=1, let it fail."""
    if os.environ.get("CI") == "1":
        raise AssertionError(why)
    raise SkipTest(why)

"""Where the peers come from: Debian's packages, PyPI and npm, unpacked into a folder of their own.

Nothing is installed into the system and no daemon is started by getting it: a package of Debian is downloaded with what
it needs that is not here, and unpacked beside the system (see `cell`); what comes from PyPI gets a virtual environment,
what comes from npm a prefix.  What was had once is kept in the folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

LONGEST = 600.0             # seconds for one package
VERSIONS = "versions"       # the file that tells them


class Unavailable(Exception):
    """A peer cannot be had on this machine; the sentence says why."""


class Larder:
    """`folder` may be thrown away at any time; every account of this machine can read what is in it."""

    def __init__(self, folder: Path | None = None) -> None:
        if folder is None:
            folder = Path(tempfile.gettempdir()) / f"mailserver-benchmarks-{os.geteuid()}"
        self.folder = folder.absolute()
        self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        # Programs are run from here, perhaps as root: nobody else may have put them there.
        if self.folder.stat().st_uid != os.geteuid() or self.folder.stat().st_mode & 0o022:
            raise Unavailable(f"{self.folder} is not ours alone: name another --cache")

    def debian(self, *packages: str) -> Path:
        """The root below which the files of these packages lie, and of those that they need and that are not here."""
        return self._once(f"debian-{packages[0]}", lambda folder: _debian(folder, packages))

    def debian_version(self, root: Path, package: str) -> str:
        """Of a package that `debian` has unpacked to `root`; without an epoch, and without Debian's own part."""
        versions = dict(line.split() for line in (root / VERSIONS).read_text().strip().split("\n"))
        return upstream(versions[package])

    def python(self, *requirements: str) -> Path:
        """The interpreter of a virtual environment with these distributions of PyPI."""
        return self._once(f"python-{requirements[0]}", lambda folder: _python(folder, requirements)) / "bin/python"

    def npm(self, *packages: str) -> Path:
        """The folder ``node_modules`` with these packages of npm."""
        return self._once(f"npm-{packages[0]}", lambda folder: _npm(folder, packages)) / "node_modules"

    def _once(self, name: str, make: Callable[[Path], None]) -> Path:
        folder = self.folder / name
        done = folder / ".complete"
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            print(f"getting {name} into {folder}", flush=True)
            make(folder)
            done.touch()
        return folder


def upstream(version: str) -> str:
    """What the authors of a package call a version that Debian calls `version`."""
    return version.partition(":")[2 if ":" in version else 0].rpartition("-")[0].partition("+")[0]


def _debian(folder: Path, packages: Sequence[str]) -> None:
    archives = folder / "archives"
    (archives / "partial").mkdir(parents=True)
    # Only downloads: a conflict with what is installed does not matter.  `--reinstall`: also what is here already.
    words = [
        "install", "--download-only", "--reinstall", "--no-install-recommends", "-qq", "-y",
        "-o", f"Dir::Cache::archives={archives}", "-o", "Debug::NoLocking=1", *packages,
    ]
    try:
        _run("apt-get", *words)
    except Unavailable:
        _run("apt-get", "update", "-qq")
        _run("apt-get", *words)
    versions = []
    for archive in sorted(archives.glob("*.deb")):
        _run("dpkg-deb", "-x", str(archive), str(folder))
        versions.append(_run("dpkg-deb", "-W", "--showformat=${Package} ${Version}", str(archive)))
    (folder / VERSIONS).write_text("\n".join(versions) + "\n")
    if (folder / "lib").is_dir():               # /lib is /usr/lib since Debian 12
        shutil.copytree(folder / "lib", folder / "usr/lib", symlinks=True, dirs_exist_ok=True)
    shutil.rmtree(archives)


def _python(folder: Path, requirements: Sequence[str]) -> None:
    _run(sys.executable, "-m", "venv", str(folder))
    _run(str(folder / "bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", *requirements)


def _npm(folder: Path, packages: Sequence[str]) -> None:
    _run("npm", "install", "--prefix", str(folder), "--omit=dev", "--no-audit", "--no-fund", *packages)


def _run(*command: str) -> str:
    if shutil.which(command[0]) is None:
        raise Unavailable(f"{command[0]} is missing")
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=LONGEST,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{' '.join(command[:2])} took longer than {LONGEST:.0f} s") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).split("\n")[-1]
        raise Unavailable(f"{' '.join(command[:2])}: {said}")
    return done.stdout

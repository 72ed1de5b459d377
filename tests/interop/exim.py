"""Debian's Exim as a sender, unpacked beside the system: its package cannot be installed beside Postfix's.

It wants a user whose name is compiled in, which a mount namespace with an /etc/passwd of its own gives it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.needs import missing, program

PACKAGES = ("exim4-daemon-light", "exim4-base")
ID = 61999                  # of the user, who only exists in there

CONFIGURATION = """\
exim_path = {exim}
primary_hostname = exim.example.net
spool_directory = {folder}/spool
log_file_path = {folder}/logs/%slog
local_interfaces = 127.0.0.1
host_lookup =
tls_advertise_hosts =
keep_environment =
smtputf8_advertise_hosts =
begin routers
all:
  driver = manualroute
  transport = out
  route_list = * {host}
  self = send
begin transports
out:
  driver = smtp
  port = {port}
  hosts_try_dane =
  hosts_try_chunking = *
begin retry
* * F,1h,1m
"""
SCRIPT = 'mount --bind "$1" /etc/passwd && mount --bind "$2" /etc/group && shift 2 && exec "$@"'


def unpacked() -> Path:
    """The program; downloaded once, to a folder that may be thrown away."""
    for each in ("apt-get", "dpkg-deb", "unshare"):
        program(each)
    if os.geteuid() != 0:
        missing("only root can make a mount namespace for Exim")
    root = Path(tempfile.gettempdir()) / f"mailserver-tests-exim-{os.geteuid()}"
    exim = root / "usr/sbin/exim4"
    if not exim.exists():
        _unpack(root)
    if exim.stat().st_uid != os.geteuid():
        missing(f"{exim} was put there by somebody else")
    return exim


def _unpack(root: Path) -> None:
    """Everything in a folder of its own, which then takes the name: tests may run twice at once."""
    folder = Path(tempfile.mkdtemp(prefix="mailserver-tests-exim-"))
    folder.chmod(0o755)
    got = _run("apt-get", "download", "-q", *PACKAGES, cwd=folder)
    if got.returncode:
        _run("apt-get", "update", "-qq", cwd=folder)
        got = _run("apt-get", "download", "-q", *PACKAGES, cwd=folder)
    for archive in sorted(folder.glob("*.deb")):
        _run("dpkg-deb", "-x", str(archive), str(folder), cwd=folder)
        archive.unlink()
    try:
        folder.rename(root)
    except OSError:                 # the other one was quicker
        shutil.rmtree(folder)
    if got.returncode:
        shutil.rmtree(root)
        missing(f"exim4-daemon-light cannot be downloaded: {got.stderr.strip()}")


class Exim:
    """One configuration, which sends everything to one host."""

    def __init__(self, host: str, port: int) -> None:
        self.exim = unpacked()
        self.folder = folder = Path(tempfile.mkdtemp(prefix="exim-"))
        folder.chmod(0o755)         # its processes go in there
        for each in ("spool", "logs"):
            (folder / each).mkdir()
            os.chown(folder / each, ID, ID)
        self.configuration = folder / "exim.conf"
        self.configuration.write_text(CONFIGURATION.format(exim=self.exim, folder=folder, host=host, port=port))
        user = f"Debian-exim:x:{ID}:{ID}::/:/bin/false\n"
        (folder / "passwd").write_text(Path("/etc/passwd").read_text() + user)
        (folder / "group").write_text(Path("/etc/group").read_text() + f"Debian-exim:x:{ID}:\n")

    def send(self, content: bytes, sender: str, *recipients: str) -> None:
        """Send one message and wait until it was tried; blocks."""
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", SCRIPT, "sh", str(self.folder / "passwd"), str(self.folder / "group"),
             str(self.exim), "-C", str(self.configuration), "-odi", "-oi", "-f", sender, *recipients],
            input=content, capture_output=True, timeout=60, check=False,
        )
        if done.returncode:
            raise AssertionError(f"{(done.stdout + done.stderr).decode(errors='replace')}{self.log()}")

    def stop(self) -> None:
        """Nothing of it runs between two messages; take its files away."""
        shutil.rmtree(self.folder)

    def log(self) -> str:
        """What it has written about that."""
        return "".join(path.read_text() for path in sorted((self.folder / "logs").iterdir()))


def _run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, cwd=cwd)

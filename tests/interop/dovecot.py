"""Debian's Dovecot on a Maildir that is somebody else's, too: its ``imap`` alone, spoken to by its standard input.

No daemon runs and no port is taken.  Neither it nor we may be root, so root's tests run both as nobody.
"""

from __future__ import annotations

import imaplib
import os
import pwd
import shlex
from pathlib import Path

from tests.needs import missing, program

IMAP = Path("/usr/lib/dovecot/imap")
CONFIGURATION = """\
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
protocols = imap
mail_location = maildir:{maildir}
first_valid_uid = 1
ssl = no
default_internal_user = {user}
default_login_user = {user}
namespace inbox {{
  inbox = yes
  separator = /
}}
"""


def as_nobody() -> tuple[str, ...]:
    """What stands before a command that root must not run."""
    if os.geteuid():
        return ()
    return (program("setpriv", "util-linux"), "--reuid=nobody", "--regid=nogroup", "--clear-groups")


def give_away(folder: Path) -> None:
    """To nobody, when we are root."""
    if os.geteuid():
        return
    nobody = pwd.getpwnam("nobody")
    for each in (folder, *folder.rglob("*")):
        os.chown(each, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)


class Dovecot:
    """Serves one Maildir."""

    def __init__(self, folder: Path, maildir: Path) -> None:
        if not IMAP.exists():
            missing("there is no Dovecot (apt install dovecot-imapd)")
        user = "nobody" if not os.geteuid() else pwd.getpwuid(os.geteuid()).pw_name
        self.log = folder / "dovecot.log"
        (folder / "run").mkdir(parents=True)
        file = folder / "dovecot.conf"
        file.write_text(CONFIGURATION.format(folder=folder, maildir=maildir, user=user))
        self._command = shlex.join([
            "env", "-i", "PATH=/usr/bin:/bin", f"HOME={folder}", f"USER={user}",
            *as_nobody(), str(IMAP), "-c", str(file),
        ]) + f" 2>>{shlex.quote(str(self.log))}"
        give_away(folder)

    def session(self) -> imaplib.IMAP4:
        """One that has logged in."""
        return imaplib.IMAP4_stream(self._command)

    def complaints(self) -> list[str]:
        """What it logged, but for ends of sessions."""
        if not self.log.exists():
            return []
        return [line for line in self.log.read_text().split("\n") if line and "Info: Disconnected" not in line]

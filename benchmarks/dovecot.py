"""Debian's Dovecot as a server of LMTP, which delivers to Maildir."""

from __future__ import annotations

import pwd
from pathlib import Path

from benchmarks.cell import Cell
from benchmarks.larder import Larder
from benchmarks.peer import DOMAIN, Program, make_maildirs

PACKAGES = ("dovecot-lmtpd", "dovecot-core")
USERS = ("dovecot", "dovenull")
OWNER = "nobody"            # of the mailboxes

CONFIGURATION = """\
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
protocols = lmtp
hostname = mx.{domain}
postmaster_address = postmaster@{domain}
mail_location = maildir:{folder}/mailboxes/%n
first_valid_uid = 1
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = passwd-file
  args = {folder}/users
}}
service lmtp {{
  process_limit = 200
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
service auth {{
  client_limit = 1000
}}
"""


class Dovecot(Program):
    """Its master and a process for each LMTP session."""

    name = "Dovecot LMTP"
    settings = "LMTP, no queue of its own; lmtp process_limit 200"
    lmtp = True
    slow = 2
    most_idle = 150                         # a process for each

    @classmethod
    def version(cls, larder: Larder) -> str:
        return larder.debian_version(larder.debian(*PACKAGES), PACKAGES[1])

    def prepare(self) -> list[str]:
        cell = Cell(self.folder / "cell", self.larder.debian(*PACKAGES), USERS)
        cell.make()
        certificate, key = self.certificate()
        return cell.command(*configured(self.folder, self.port, self.mailboxes, self.names, certificate, key))


def configured(folder: Path, port: int, mailboxes: Path, names: list[str], certificate: Path, key: Path) -> list[str]:
    """Write the configuration; returns the command, which must be run where it is installed."""
    owner = pwd.getpwnam(OWNER)
    make_maildirs(mailboxes, names, owner.pw_uid)
    (folder / "run").mkdir()
    (folder / "users").write_text("".join(
        f"{name}@{DOMAIN}:{{plain}}none:{owner.pw_uid}:{owner.pw_gid}::{mailboxes / name}::\n" for name in names
    ))
    file = folder / "dovecot.conf"
    file.write_text(CONFIGURATION.format(folder=folder, domain=DOMAIN, port=port, certificate=certificate, key=key))
    return ["/usr/sbin/dovecot", "-F", "-c", str(file)]

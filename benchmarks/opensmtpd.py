"""Debian's OpenSMTPD, which queues with fsync and delivers to Maildir by its ``mail.maildir``."""

from __future__ import annotations

import pwd

from benchmarks.cell import Cell
from benchmarks.larder import Larder
from benchmarks.peer import DOMAIN, Program, make_maildirs

PACKAGE = "opensmtpd"
OWNER = "nobody"            # of the mailboxes

CONFIGURATION = """\
pki ours cert "{certificate}"
pki ours key "{key}"
table users file:{folder}/users
smtp max-message-size 64M
smtp limit max-mails 100000
listen on 127.0.0.1 port {port} tls pki ours hostname mx.{domain}
action keep maildir "{folder}/mailboxes/%{{user.username}}" userbase <users>
match from any for domain {domain} action keep
"""


class OpenSmtpd(Program):
    """Its processes for the network, the queue, look-ups and keys, and one more for each delivery."""

    name = "OpenSMTPD"
    settings = (
        "max-mails 100000; at most 5 reconnecting sessions, since its backlog is 5; no TLS, since the process that has "
        "its keys does not understand Debian's OpenSSL 3 (\"missing private key\")"
    )
    has_tls = False
    slow = 2
    most_new = 5
    configuration = CONFIGURATION

    def more(self) -> dict[str, object]:
        """Fields of the configuration beside the usual ones."""
        return {}

    @classmethod
    def version(cls, larder: Larder) -> str:
        return larder.debian_version(larder.debian(PACKAGE), PACKAGE)

    def prepare(self) -> list[str]:
        queue, chroot = self.folder / "queue", self.folder / "chroot"
        cell = Cell(
            self.folder / "cell", self.larder.debian(PACKAGE), ["opensmtpd", "opensmtpq"],
            {"/var/spool/smtpd": queue, "/var/lib/opensmtpd/empty": chroot},
        )
        cell.make()
        queue.chmod(0o711)
        chroot.chmod(0o755)
        owner = pwd.getpwnam(OWNER)
        make_maildirs(self.mailboxes, self.names, owner.pw_uid)
        (self.folder / "users").write_text("".join(
            f"{name} {owner.pw_uid}:{owner.pw_gid}:{self.mailboxes / name}\n" for name in self.names
        ))
        certificate, key = self.certificate()
        file = self.folder / "smtpd.conf"
        file.write_text(self.configuration.format(
            folder=self.folder, port=self.port, domain=DOMAIN, certificate=certificate, key=key,
            **self.more(),
        ))
        file.chmod(0o600)
        return cell.command("/usr/sbin/smtpd", "-F", "-f", str(file))

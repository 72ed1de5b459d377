"""Debian's Exim, which delivers to Maildir at once, with the fsync that it does by default."""

from __future__ import annotations

import os
import pwd

from benchmarks.cell import Cell
from benchmarks.larder import Larder
from benchmarks.peer import DOMAIN, LARGEST, Program, make_maildirs

PACKAGE = "exim4-daemon-light"
USER = "Debian-exim"
OWNER = "nobody"            # of the mailboxes

CONFIGURATION = """\
primary_hostname = mx.{domain}
spool_directory = {folder}/spool
log_file_path = {folder}/logs/%slog
pid_file_path =
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
# Nobody is asked for names.
host_lookup =
rfc1413_hosts =
# As many sessions as the load has, and as many messages.
smtp_accept_max = 200
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 0
smtp_connect_backlog = 200
message_size_limit = {largest}
tls_advertise_hosts = *
tls_certificate = {certificate}
tls_privatekey = {key}
acl_smtp_rcpt = recipient
never_users = root

begin acl
recipient:
  accept domains = {domain}
         verify = recipient
  deny

begin routers
users:
  driver = accept
  domains = {domain}
  local_parts = {names}
  transport = mailbox

begin transports
mailbox:
  driver = appendfile
  directory = {folder}/mailboxes/$local_part_data
  maildir_format
  user = {owner}
  group = {group}
"""


class Exim(Program):
    """The daemon, which starts two processes for a message: one receives it, one delivers it."""

    name = "Exim"
    settings = "smtp_accept_max 200, no queueing by number of messages, backlog 200"
    slow = 10
    configuration = CONFIGURATION
    most_idle = 150                         # a process for each, up to smtp_accept_max

    @classmethod
    def version(cls, larder: Larder) -> str:
        return larder.debian_version(larder.debian(PACKAGE), PACKAGE)

    def more(self) -> dict[str, object]:
        """Fields of the configuration beside the usual ones."""
        return {}

    def prepare(self) -> list[str]:
        cell = Cell(self.folder / "cell", self.larder.debian(PACKAGE), [USER])
        cell.make()
        owner = pwd.getpwnam(OWNER)
        make_maildirs(self.mailboxes, self.names, owner.pw_uid)
        for name in ("spool", "logs"):
            (self.folder / name).mkdir()
            os.chown(self.folder / name, cell.ids[USER], cell.ids[USER])
        certificate, key = self.certificate(cell.ids[USER])
        file = cell.folder / "etc/exim4/exim4.conf"         # the one path that keeps its privileges
        file.parent.mkdir()
        file.write_text(self.configuration.format(
            domain=DOMAIN, folder=self.folder, port=self.port, largest=LARGEST, certificate=certificate, key=key,
            names=" : ".join(self.names), owner=OWNER, group=owner.pw_gid, **self.more(),
        ))
        return cell.command("/usr/sbin/exim4", "-bdf")

"""Debian's chasquid, which delivers through its ``mda-lmtp`` to Dovecot's LMTP, and so to Maildir."""

from __future__ import annotations

from benchmarks.cell import Cell
from benchmarks.dovecot import PACKAGES, USERS, configured
from benchmarks.larder import Larder
from benchmarks.peer import DOMAIN, Program, free_port

PACKAGE = "chasquid"

CONFIGURATION = """\
hostname: "mx.{domain}"
max_data_size_mb: 64
smtp_address: "127.0.0.1:{port}"
data_dir: "{folder}/data"
mail_log_path: "<stderr>"
mail_delivery_agent_bin: "/usr/bin/mda-lmtp"
mail_delivery_agent_args: "-addr_network"
mail_delivery_agent_args: "tcp"
mail_delivery_agent_args: "-addr"
mail_delivery_agent_args: "127.0.0.1:{lmtp}"
mail_delivery_agent_args: "-f"
mail_delivery_agent_args: "%from%"
mail_delivery_agent_args: "-d"
mail_delivery_agent_args: "%to%"
"""

# Dovecot is a child of this process, so that what it costs is counted.
SCRIPT = """
dovecot=$1 configuration=$2
"$dovecot" -F -c "$configuration" &
exec /usr/bin/chasquid -config_dir "$3"
"""


class Chasquid(Program):
    """chasquid, a process for each delivery, and Dovecot."""

    name = "chasquid"
    settings = "delivers by mda-lmtp and Dovecot's LMTP; at most 10 sessions, since its queue ends at 200 messages"
    slow = 5
    most_new = 10
    most_kept = 10

    @classmethod
    def version(cls, larder: Larder) -> str:
        return larder.debian_version(larder.debian(PACKAGE, *PACKAGES), PACKAGE)

    def prepare(self) -> list[str]:
        cell = Cell(self.folder / "cell", self.larder.debian(PACKAGE, *PACKAGES), USERS)
        cell.make()
        certificate, key = self.certificate()
        below, lmtp = self.folder / "dovecot", free_port()
        below.mkdir()
        dovecot = configured(below, lmtp, self.mailboxes, self.names, certificate, key)
        (below / "mailboxes").symlink_to(self.mailboxes)
        config = self.folder / "config"
        domain = config / "domains" / DOMAIN
        domain.mkdir(parents=True)
        (domain / "users").write_text("".join(
            f'users: {{ key: "{name}" value: {{ plain: {{ password: "none" }} }} }}\n' for name in self.names
        ))
        certificates = config / "certs" / f"mx.{DOMAIN}"
        certificates.mkdir(parents=True)
        (certificates / "fullchain.pem").write_bytes(certificate.read_bytes())
        (certificates / "privkey.pem").write_bytes(key.read_bytes())
        (config / "chasquid.conf").write_text(CONFIGURATION.format(
            domain=DOMAIN, port=self.port, folder=self.folder, lmtp=lmtp,
        ))
        return cell.command("sh", "-euc", SCRIPT, "chasquid", dovecot[0], dovecot[-1], str(config))

"""Debian's Postfix, which delivers to Maildir with the fsync that it does by default.

It has a configuration and a queue in a folder of its own: what stands in /etc/postfix is neither read nor touched.
It listens on loopback only and asks no name server.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path

from benchmarks.larder import Larder, Unavailable
from benchmarks.peer import DOMAIN, LARGEST, PATIENCE, Peer, in_maildirs, wait_for_port

PROGRAMS = Path("/usr/sbin")
DAEMONS = Path("/usr/lib/postfix/sbin")
OWNER = "nobody"            # of the mailboxes

MAIN = """\
compatibility_level = 3.6
command_directory = {programs}
daemon_directory = {daemons}
shlib_directory = /usr/lib/postfix
queue_directory = {folder}/queue
data_directory = {folder}/data
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.{domain}
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = loopback-only
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
biff = no
# Nobody is asked for names.
disable_dns_lookups = yes
smtpd_peername_lookup = no
# Mailboxes
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {folder}/mailboxes
virtual_mailbox_maps = texthash:{folder}/etc/users
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
virtual_mailbox_limit = 0
mailbox_size_limit = 0
message_size_limit = {largest}
smtpd_tls_security_level = may
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
"""

# As Debian's, without chroot, and with what the mail of this benchmark meets.
MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n  -  n  60    1  pickup
cleanup   unix  n  -  n  -     0  cleanup
qmgr      unix  n  -  n  300   1  qmgr
tlsmgr    unix  -  -  n  1000? 1  tlsmgr
rewrite   unix  -  -  n  -     -  trivial-rewrite
bounce    unix  -  -  n  -     0  bounce
defer     unix  -  -  n  -     0  bounce
trace     unix  -  -  n  -     0  bounce
verify    unix  -  -  n  -     1  verify
flush     unix  n  -  n  1000? 0  flush
proxymap  unix  -  -  n  -     -  proxymap
proxywrite unix -  -  n  -     1  proxymap
smtp      unix  -  -  n  -     -  smtp
relay     unix  -  -  n  -     -  smtp
showq     unix  n  -  n  -     -  showq
error     unix  -  -  n  -     -  error
retry     unix  -  -  n  -     -  error
discard   unix  -  -  n  -     -  discard
local     unix  -  n  n  -     -  local
virtual   unix  -  n  n  -     -  virtual
lmtp      unix  -  -  n  -     -  lmtp
anvil     unix  -  -  n  -     1  anvil
scache    unix  -  -  n  -     1  scache
postlog   unix-dgram n - n -   1  postlogd
"""


class Postfix(Peer):
    """Its master process and all that it starts."""

    name = "Postfix"

    settings = "virtual mailboxes in Maildir, no DNS, larger size limits"
    most_idle = 90                  # a process for each, of 100
    more = ""                       # lines of main.cf

    @classmethod
    def version(cls, larder: Larder) -> str:
        if not (PROGRAMS / "postfix").exists() or not DAEMONS.exists():
            raise Unavailable("Postfix is missing: apt install postfix (its daemon need not run)")
        if os.geteuid() != 0:
            raise Unavailable("Postfix is started by root only")
        return subprocess.run(
            [PROGRAMS / "postconf", "-h", "-d", "mail_version"], check=True, capture_output=True, text=True,
        ).stdout.strip()

    def start(self) -> None:
        etc, owner = self.folder / "etc", pwd.getpwnam(OWNER)
        for name in ("etc", "queue", "data", "mailboxes"):
            (self.folder / name).mkdir(parents=True)
        for parent in (self.folder, *self.folder.parents):
            if not parent.stat().st_mode & 0o001:
                raise SystemExit(f"Postfix's processes may not enter {parent}: name another --folder")
        shutil.chown(self.folder / "data", "postfix")
        os.chown(self.folder / "mailboxes", owner.pw_uid, owner.pw_gid)
        certificate, key = self.certificate()
        (etc / "main.cf").write_text(MAIN.format(
            folder=self.folder, domain=DOMAIN, programs=PROGRAMS, daemons=DAEMONS, uid=owner.pw_uid, gid=owner.pw_gid,
            largest=LARGEST, certificate=certificate, key=key,
        ) + self.more)
        (etc / "master.cf").write_text(MASTER.format(port=self.port))
        (etc / "users").write_text("".join(f"{each} {each.partition('@')[0]}/\n" for each in self.addresses))
        for name in ("postfix-files", "dynamicmaps.cf"):
            if (Path("/etc/postfix") / name).exists():
                shutil.copy(Path("/etc/postfix") / name, etc)
        self._postfix("start")
        wait_for_port(self.port)

    def stop(self) -> None:
        master = self._master()
        if master is None:
            return
        self._postfix("stop")
        until = time.monotonic() + PATIENCE
        while Path(f"/proc/{master}").exists() and time.monotonic() < until:
            time.sleep(0.05)

    @property
    def pid(self) -> int:
        master = self._master()
        assert master is not None
        return master

    def delivered(self) -> int:
        return in_maildirs(self.folder / "mailboxes")

    def _master(self) -> int | None:
        try:
            return int((self.folder / "queue/pid/master.pid").read_text())
        except FileNotFoundError:
            return None

    def _postfix(self, word: str) -> None:
        done = subprocess.run(
            [PROGRAMS / "postfix", "-c", self.folder / "etc", word], capture_output=True, text=True, check=False,
            env={**os.environ, "PATH": f"{PROGRAMS}:{os.environ.get('PATH', '/usr/bin:/bin')}"},
        )
        if done.returncode:
            raise SystemExit(f"postfix {word} failed: {done.stderr}")

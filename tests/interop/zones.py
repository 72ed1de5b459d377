"""Real name servers on loopback: Debian's knotd with zones of the test, and unbound before it, which validates."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode

from tests.needs import program

PATIENCE = 20.0             # seconds until both answer
GOOD, EXPIRED, FOREIGN = "good", "expired", "foreign"       # signatures: right, too old, of another's key
BEGINNING = "$ORIGIN {name}.\n$TTL 60\n@ SOA ns.{name}. root.{name}. 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"

KNOT = """\
server:
    rundir: {folder}
    listen: 127.0.0.1@{port}
    user: {user}
database:
    storage: {folder}/knot
log:
  - target: {folder}/knot.log
    any: info
policy:
  - id: one
    algorithm: ecdsap256sha256
    single-type-signing: on
    rrsig-lifetime: {lifetime}
    rrsig-refresh: {refresh}
template:
  - id: default
    storage: {folder}
    zonefile-load: whole
    zonefile-sync: -1
    dnssec-policy: one
zone:
"""
UNBOUND = """\
server:
    directory: "{folder}"
    chroot: ""
    username: ""
    pidfile: "{folder}/unbound.pid"
    logfile: "{folder}/unbound.log"
    use-syslog: no
    interface: 127.0.0.1@{port}
    do-not-query-localhost: no
    access-control: 127.0.0.0/8 allow
    module-config: "validator iterator"
    num-threads: 1
    ede: yes
    val-bogus-ttl: 0
    cache-min-ttl: 0
    cache-max-ttl: 0
    infra-host-ttl: 1
remote-control:
    control-enable: no
"""


class Zones:
    """Name -> zone text, whose SOA, NS and $TTL are put before it; `signed` says how, name -> GOOD, EXPIRED or FOREIGN.

    Runs from `start` to `stop`, which block; `resolver` is the address of who resolves and validates.
    """

    def __init__(self, texts: Mapping[str, str], signed: Mapping[str, str] | None = None) -> None:
        self._knotd, self._unbound = program("knotd", "knot"), program("unbound")
        self._keymgr, self._kzonesign = program("keymgr", "knot"), program("kzonesign", "knot-dnssecutils")
        self.folder = Path(tempfile.mkdtemp(prefix="zones-"))
        self._texts = dict(texts)
        self._signed = dict(signed or {})
        self._running: list[subprocess.Popen[bytes]] = []
        self._authority = self._port = _free_port()
        while self._port == self._authority:
            self._port = _free_port()

    @property
    def resolver(self) -> str:
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        (self.folder / "knot").mkdir()
        for name, text in self._texts.items():
            (self.folder / f"{name}.zone").write_text(BEGINNING.format(name=name) + text)
        anchors = [self._sign(name, how) for name, how in self._signed.items()]
        (self.folder / "anchors").write_text("".join(anchors))
        self._run(self._knotd, "-c", str(self._configure(self._signed)))
        unbound = UNBOUND.format(folder=self.folder, port=self._port) + "".join(
            f'stub-zone:\n    name: "{name}"\n    stub-addr: 127.0.0.1@{self._authority}\n' for name in self._texts
        )
        if anchors:
            unbound += f'server:\n    trust-anchor-file: "{self.folder}/anchors"\n'
        (self.folder / "unbound.conf").write_text(unbound)
        self._run(self._unbound, "-d", "-p", "-c", str(self.folder / "unbound.conf"))
        for name in self._texts:
            self._await(name)

    def stop(self) -> None:
        for each in self._running:
            each.terminate()
        for each in self._running:
            each.wait(PATIENCE)
        shutil.rmtree(self.folder)

    def _configure(self, signed: Mapping[str, str], lifetime: str = "14d", refresh: str = "7d") -> Path:
        """The configuration of knotd, which signs those that are GOOD or FOREIGN by itself."""
        text = KNOT.format(
            folder=self.folder, port=self._authority, user="root", lifetime=lifetime, refresh=refresh
        )
        for name in self._texts:
            signs = signed.get(name) in (GOOD, FOREIGN)
            text += f"  - domain: {name}\n    file: {name}.zone\n    dnssec-signing: {'on' if signs else 'off'}\n"
        path = self.folder / f"knot-{len(signed)}.conf"
        path.write_text(text)
        return path

    def _sign(self, name: str, how: str) -> str:
        """Make a key, and old signatures where they are wanted; the trust anchor."""
        config = self._configure({name: GOOD}, "2d", "1d")
        month_ago = str(int(time.time()) - 30 * 86400)
        since = [f"{each}={month_ago}" for each in ("created", "publish", "ready", "active")]
        self._do(self._keymgr, "-c", str(config), name, "generate", "algorithm=13", "ksk=yes", "zsk=yes", *since)
        if how == EXPIRED:
            self._do(self._kzonesign, "-c", str(config), "-o", str(self.folder), "-t", month_ago, name)
        anchors = self._do(self._keymgr, "-c", str(config), name, "ds").splitlines()
        (anchor,) = [line for line in anchors if line.split()[4] == "2"]         # SHA-256
        if how == FOREIGN:
            words = anchor.split()
            anchor = " ".join([*words[:5], words[5][::-1]])
        return anchor.replace(" DS ", " IN DS ") + "\n"

    def _do(self, *words: str) -> str:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=PATIENCE)
        if done.returncode:
            raise AssertionError(f"{words}: {done.stdout}{done.stderr}")
        return done.stdout

    def _run(self, *words: str) -> None:
        with (self.folder / "said").open("ab") as said:
            self._running.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said))

    def _await(self, name: str) -> None:
        """Until the resolver answers about a zone, in whatever way it will."""
        good = self._signed.get(name) in (None, GOOD)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            question = dns.message.make_query(name, "SOA")
            question.flags |= dns.flags.AD
            try:
                reply = dns.query.udp(question, "127.0.0.1", 1.0, self._port)
            except (dns.exception.DNSException, OSError):
                time.sleep(0.05)
                continue
            validated = bool(reply.flags & dns.flags.AD)
            if not good or (reply.rcode() == dns.rcode.NOERROR and validated == (name in self._signed)):
                return
            time.sleep(0.05)
        said = "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))
        raise AssertionError(f"no right answer about {name}: {said}{(self.folder / 'said').read_text()}")


def _free_port() -> int:
    """A port that nobody has, for UDP and TCP."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as held, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            port: int = held.getsockname()[1]
            try:
                datagrams.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port

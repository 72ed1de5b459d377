"""The servers of the benchmark of receiving, set up to send everything on to one other server, which counts it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from benchmarks.exim import CONFIGURATION as EXIM
from benchmarks.exim import Exim
from benchmarks.haraka import Haraka
from benchmarks.larder import Larder
from benchmarks.opensmtpd import CONFIGURATION as OPENSMTPD
from benchmarks.opensmtpd import OpenSmtpd
from benchmarks.ours import Ours
from benchmarks.peer import Peer
from benchmarks.postfix import Postfix
from benchmarks.sink import Sink

ELSEWHERE = "example.com"       # whose mail is sent on


class Relay(Peer):
    """Starts the sink that its mail goes to with itself; what the sink costs is not its cost."""

    fsync: ClassVar[bool] = True        # before it answers for a message

    def __init__(self, folder: Path, users: int, larder: Larder) -> None:
        super().__init__(folder, users, larder)
        self.addresses = [f"user@{ELSEWHERE}"]
        self.sink = Sink(folder.with_name("sink"), 0, larder)

    def delivered(self) -> int:
        return self.sink.delivered()


class OursRelay(Relay, Ours):
    """``[outbound.route]`` to the sink."""

    settings = "as mailserver init makes it; SQLite with fsync; loopback may relay, one route"

    def prepare(self) -> None:
        self.addresses, addresses = [], self.addresses          # nobody lives here
        super().prepare()
        self.addresses = addresses

    def configuration(self, text: str) -> str:
        there = text.index("networks = []")
        text = text[:there] + 'networks = ["127.0.0.0/8"]' + text[text.index("\n", there):]
        return f'{text}\n[outbound.route]\n"{ELSEWHERE}" = "tcp:127.0.0.1:{self.sink.port}"\n'


class PostfixRelay(Relay, Postfix):
    """``relayhost`` is the sink."""

    settings = "no DNS, relayhost"

    @property
    def more(self) -> str:  # type: ignore[override]
        return f"relayhost = [127.0.0.1]:{self.sink.port}\nvirtual_mailbox_domains =\n"


class EximRelay(Relay, Exim):
    """A route of its own for everything."""

    settings = Exim.settings + "; manualroute to the sink"
    configuration = (
        EXIM.partition("begin acl")[0]
        + """\
begin acl
recipient:
  accept hosts = 127.0.0.1
  deny

begin routers
onwards:
  driver = manualroute
  route_list = * 127.0.0.1::{sink}
  self = send
  transport = onwards

begin transports
onwards:
  driver = smtp
  allow_localhost
  hosts_try_fastopen =
"""
    )

    def more(self) -> dict[str, object]:
        return {"sink": self.sink.port}


class OpenSmtpdRelay(Relay, OpenSmtpd):
    """An action ``relay`` to the sink."""

    settings = OpenSmtpd.settings.partition("; no TLS")[0] + "; its pauses between deliveries as they are"
    slow = 20
    configuration = (
        OPENSMTPD.partition("action keep")[0].replace("table users file:{folder}/users\n", "")
        + """\
action onwards relay host smtp://127.0.0.1:{sink}
match from any for any action onwards
"""
    )

    def more(self) -> dict[str, object]:
        return {"sink": self.sink.port}


class HarakaRelay(Relay, Haraka):
    """Its plugin relay, and its own queue."""

    settings = "plugin relay; one worker; its queue calls no fsync"
    fsync = False

    def more(self) -> dict[str, str]:
        return {
            "plugins": "relay\n",
            "relay.ini": "[relay]\nacl=true\nforce_routing=true\ndest_domains=true\n",
            "relay_acl_allow": "127.0.0.1/32\n",
            "relay_dest_domains.ini":
                f'[domains]\nany = {{"action":"continue","nexthop":"127.0.0.1:{self.sink.port}"}}\n',
            "outbound.ini": "concurrency_max=100\n",
        }


RELAYS: tuple[type[Relay], ...] = (OursRelay, PostfixRelay, EximRelay, OpenSmtpdRelay, HarakaRelay)

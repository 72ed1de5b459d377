"""The place of one process among the others that serve the same configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailserver.config import Config, Listen
from mailserver.net.tls import KeyPair, Keys, server_tls


@dataclass(frozen=True, slots=True)
class Opened:
    """A socket that listens, handed to a worker by its descriptor."""

    descriptor: int
    family: int                     # socket.AF_INET …


@dataclass(frozen=True, slots=True)
class Station:
    """What a worker has from its master, which holds the ports, the data's lock and the newest tables."""

    number: int                     # 0 … workers - 1; a worker that died leaves its number to the next
    instance: str                   # the owner of its leases; never the same twice
    process: int                    # tells the ids that it makes from those of others
    sockets: tuple[Opened, ...]     # for each of the configuration's listeners of mail
    keys: tuple[Keys, ...]          # read while that was allowed

    @property
    def delivers(self) -> bool:
        """One of them works the spool off, so that the limits of connections to others hold, and tidies up."""
        return self.number == 0


def of_mail(listen: Sequence[Listen]) -> Sequence[Listen]:
    """The listeners that sessions talk on; the others are for the web, and the master's where there is one."""
    return [each for each in listen if each.service != "http"]


def read_keys(config: Config) -> tuple[Keys, ...]:
    """The certificates and keys of a configuration, the default first; raises `StartRefused`."""
    if config.tls is None:
        return ()
    return tuple(
        KeyPair(each.certificate, each.key, each.names).read() for each in (config.tls, *config.tls_names)
    )


def context_of(keys: Sequence[Keys]) -> object | None:
    """The context factory for all listeners; None without keys.  Raises `StartRefused`."""
    return server_tls(keys[0], keys[1:]) if keys else None

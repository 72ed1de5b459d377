"""What changes when a server reads its configuration again, and what only a restart can change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mailserver.config import Config, Listen, Use, load
from mailserver.net.tls import Keys
from mailserver.rooms import Rooms
from mailserver.station import read_keys

FIXED = ("hostname", "data", "database", "workers", "listen", "tls", "mailbox")


@dataclass(frozen=True)
class Renewal:
    """A new configuration with all that was built for it: nothing of it can be refused any more."""

    config: Config
    keys: Sequence[Keys]
    tls: Any
    rooms: Rooms
    needs_restart: Sequence[str]


def read_anew(config: Config) -> tuple[Config, Sequence[Keys]]:
    """The file as it is now; raises `mailserver.config.ConfigErrors` or `StartRefused`."""
    anew = load(config.path)
    return anew, read_keys(anew)


def renewed(old: Config, new: Config) -> tuple[Config, list[str]]:
    """As much of the new configuration as a running server can take, and the names of what it cannot."""
    later = [name for name in FIXED if _of(old, name) != _of(new, name)]
    kept = {name: getattr(old, name) for name in later}
    if "tls" in later:
        kept["tls_names"] = old.tls_names
    return replace(new, **kept), later


def _of(config: Config, name: str) -> Any:
    """What counts of a part, wherever in the file it stands."""
    if name == "tls":
        return config.tls is not None       # the files may change, and what is in them; not whether there are any
    value = getattr(config, name)
    return [_bare(each) for each in value] if isinstance(value, tuple) else value


def _bare(part: Listen | Use) -> tuple[Any, ...]:
    if isinstance(part, Listen):
        return part.service, part.endpoint, part.tls         # who is a proxy may change
    return part.name, dict(part.table)

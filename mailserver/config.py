"""The configuration: a TOML file in, values out, or all its mistakes at once."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from mailserver.address import Address, parse_domain
from mailserver.errors import BadAddress, MailserverError
from mailserver.tomlplaces import Place, places

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

SERVICES = ("smtp", "submission", "lmtp", "pop3")
TLS_WAYS = ("none", "starttls", "implicit")
ON_ERROR = ("defer", "skip")
DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong, and where."""

    place: Place
    sentence: str
    suggestion: str = ""

    def __str__(self) -> str:
        hint = f'; did you mean "{self.suggestion}"?' if self.suggestion else ""
        return f"{self.place}: {self.sentence}{hint}"


class ConfigErrors(MailserverError):
    """All mistakes of a configuration, a line each."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = sorted(mistakes, key=lambda each: (each.place.line, each.place.column))
        super().__init__("\n".join(map(str, self.mistakes)))


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """A certificate and its key, in PEM files; `names` are whom it is for (SNI), none for everybody."""

    certificate: Path
    key: Path
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listen:
    """One listener."""

    service: str                    # smtp, submission, lmtp, pop3
    endpoint: str                   # a Twisted endpoint string
    tls: str                        # none, starttls, implicit
    place: Place


@dataclass(frozen=True, slots=True)
class Outbound:
    """How mail leaves; times in seconds."""

    smarthost: str | None = None
    smarthost_login: str | None = None
    smarthost_password: str | None = field(default=None, repr=False)
    route: Mapping[str, str] = field(default_factory=dict)
    resolvers: tuple[str, ...] = ()         # "127.0.0.1:5353"; none: those of /etc/resolv.conf
    retry_first: float = 300.0
    retry_longest: float = 4 * 3600.0
    life: float = 5 * DAY
    connections: int = 50
    connections_per_host: int = 5
    allow_loopback: bool = False            # whether MX may lead to loopback; routes always may
    enabled: bool = True                    # False: nothing leaves the machine but by a route


@dataclass(frozen=True, slots=True)
class Limits:
    """What a peer may do; times in seconds, sizes in octets."""

    size: int = 64 * 1024 * 1024
    recipients: int = 1000
    errors: int = 20
    connections: int = 5000
    connections_per_address: int = 50
    idle: float = 300.0
    longest: float = 4 * 3600.0
    reserve: int = 64 * 1024 * 1024         # of the disk, below which mail is not now


@dataclass(frozen=True, slots=True)
class Use:
    """A plugin that is wanted: its table, without the keys that every plugin's table may have."""

    name: str
    table: Mapping[str, Any]
    place: Place
    on_error: str = "defer"
    budget: float = 10.0
    keys: Mapping[str, Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Config:
    """A whole server."""

    path: Path
    hostname: str
    data: Path
    database: str | None = field(repr=False)
    tls: KeyFiles | None
    tls_names: tuple[KeyFiles, ...]
    listen: tuple[Listen, ...]
    networks: tuple[Network, ...]           # that may relay without a login
    outbound: Outbound
    limits: Limits
    trace_days: float
    trace_refusals: int
    clear_passwords: bool                   # POP3 logins without TLS from anywhere, not only loopback
    filters: tuple[Use, ...]
    forward: tuple[Use, ...]
    auth: tuple[Use, ...]
    mailbox: tuple[Use, ...]
    folders: tuple[Path, ...]


def find(given: str | None) -> Path:
    """The file to read: as given, else $MAILSERVER_CONFIG, ./mailserver.toml, /etc/mailserver/mailserver.toml."""
    if given:
        return Path(given)
    from_environment = os.environ.get("MAILSERVER_CONFIG")
    if from_environment:
        return Path(from_environment)
    here = Path("mailserver.toml")
    return here if here.exists() else Path("/etc/mailserver/mailserver.toml")


def load(path: Path) -> Config:
    """Read a configuration; raises `ConfigErrors` with everything that is wrong with it."""
    nowhere = Place(str(path), 1, 1)
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigErrors([Mistake(nowhere, f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        raise ConfigErrors([Mistake(nowhere, f"is not UTF-8 (octet {error.start + 1})")]) from None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigErrors([_syntax(error, path)]) from None
    return _Reader(path, table, places(text, str(path))).config()


def _syntax(error: tomllib.TOMLDecodeError, path: Path) -> Mistake:
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", str(error))
    if found is None:
        return Mistake(Place(str(path), 1, 1), str(error))
    last = path.read_text("utf-8").count("\n") + 1
    place = Place(str(path), int(found[2] or last), int(found[3] or 1))
    return Mistake(place, f"{found[1][0].lower()}{found[1][1:]}")


_ABSENT: Any = object()


class _Table:
    """A table being read: each key is taken once, and what is left over is not known."""

    def __init__(self, reader: _Reader, path: tuple[str | int, ...], value: Any) -> None:
        self.reader = reader
        self.path = path
        self.known: set[str] = set()
        if not isinstance(value, dict):
            reader.wrong(path, f'"{path[-1]}" needs to be a table')
            value = {}
        self.value: dict[str, Any] = value

    def take(self, key: str, default: Any, read: Callable[[Any], Any]) -> Any:
        """The value of a key as `read` makes it (raising `ValueError` with what is wrong); else the default."""
        self.known.add(key)
        if key not in self.value:
            if default is _ABSENT:
                self.reader.wrong(self.path, f'the key "{key}" is missing')
                return None
            return default
        try:
            return read(self.value[key])
        except ValueError as error:
            self.reader.wrong((*self.path, key), f'"{key}" {error}')
            return None if default is _ABSENT else default

    def table(self, key: str) -> _Table:
        self.known.add(key)
        return _Table(self.reader, (*self.path, key), self.value.get(key, {}))

    def tables(self, key: str) -> list[_Table]:
        self.known.add(key)
        value = self.value.get(key, [])
        if not isinstance(value, list):
            self.reader.wrong((*self.path, key), f'"{key}" needs to be written [[{key}]]')
            return []
        return [_Table(self.reader, (*self.path, key, number), each) for number, each in enumerate(value)]

    def end(self) -> None:
        """Whatever was not asked for is a mistake."""
        for key in self.value:
            if key not in self.known:
                near = difflib.get_close_matches(key, self.known, 1)
                self.reader.wrong((*self.path, key), f'unknown key "{key}"', near[0] if near else "")

    @property
    def place(self) -> Place:
        return self.reader.place(self.path)


class _Reader:
    def __init__(self, path: Path, table: dict[str, Any], found: dict[tuple[str | int, ...], Place]) -> None:
        self.file = path
        self.folder = path.absolute().parent
        self.root = _Table(self, (), table)
        self.found = found
        self.mistakes: list[Mistake] = []

    def place(self, path: tuple[str | int, ...]) -> Place:
        while path and path not in self.found:
            path = path[:-1]
        return self.found.get(path, Place(str(self.file), 1, 1))

    def wrong(self, path: tuple[str | int, ...], sentence: str, suggestion: str = "") -> None:
        self.mistakes.append(Mistake(self.place(path), sentence, suggestion))

    # -- kinds of values

    def _path(self, value: Any) -> Path:
        return self.folder / Path(_text(value)).expanduser()

    def _existing(self, value: Any) -> Path:
        path = self._path(value)
        if not path.is_file():
            raise ValueError(f"names no file: {path}")
        return path

    def _secret(self, value: Any) -> str:
        """A text, or ``{ file = "…" }`` for its first line."""
        if not isinstance(value, dict):
            return _text(value)
        if set(value) != {"file"}:
            raise ValueError('needs to be a text or { file = "…" }')
        path = self._path(value["file"])
        try:
            return path.read_text("utf-8").rstrip("\r\n")
        except OSError as error:
            raise ValueError(f"cannot be read from {path}: {error.strerror}") from None

    # -- the whole

    def config(self) -> Config:
        root = self.root
        hostname = root.take("hostname", _ABSENT, _domain)
        data = root.take("data", _ABSENT, self._path)
        database = root.take("database", None, self._database)
        root.take("workers", 1, _one)
        tls, names = self._tls()
        listen = self._listen(tls is not None)
        relay = root.table("relay")
        networks = relay.take("networks", (), _list_of(_network))
        relay.end()
        outbound = self._outbound()
        limits = self._limits()
        trace = root.table("trace")
        trace_days = trace.take("days", 30.0, _positive)
        trace_refusals = trace.take("refusals", 10_000, _count)
        trace.end()
        clear_passwords = root.take("clear_passwords", False, _yes_or_no)
        filters = self._uses("filter", "headers", "loops")
        forward = self._uses("forward", "aliases", "accounts", "subaddress", "catchall")
        auth = self._uses("auth", "passwords")
        mailbox = self._uses("mailbox", "sql")
        plugins = root.table("plugins")
        folders = plugins.take("folders", (), _list_of(self._path))
        plugins.end()
        root.end()
        if self.mistakes:
            raise ConfigErrors(self.mistakes)
        return Config(
            self.file, hostname, data, database, tls, names, listen, networks, outbound, limits, trace_days,
            trace_refusals, clear_passwords, filters, forward, auth, mailbox, folders,
        )

    def _database(self, value: Any) -> str:
        url = self._secret(value)
        if not url.startswith(("postgresql://", "postgresql+psycopg://")):
            raise ValueError("needs to begin with postgresql://; without it the database is SQLite in data")
        return url

    def _tls(self) -> tuple[KeyFiles | None, tuple[KeyFiles, ...]]:
        if "tls" not in self.root.value:
            self.root.known.add("tls")
            return None, ()
        table = self.root.table("tls")
        default = KeyFiles(
            table.take("certificate", _ABSENT, self._existing), table.take("key", _ABSENT, self._existing)
        )
        others = []
        for each in table.tables("names"):
            others.append(
                KeyFiles(
                    each.take("certificate", _ABSENT, self._existing),
                    each.take("key", _ABSENT, self._existing),
                    each.take("names", _ABSENT, _list_of(_domain)) or (),
                )
            )
            each.end()
        table.end()
        return default, tuple(others)

    def _listen(self, has_tls: bool) -> tuple[Listen, ...]:
        listeners: dict[str, Listen] = {}
        for table in self.root.tables("listen"):
            service = table.take("service", _ABSENT, _one_of(SERVICES))
            endpoint = table.take("endpoint", _ABSENT, _endpoint)
            tls = table.take("tls", "none" if service == "lmtp" or not has_tls else "starttls", _one_of(TLS_WAYS))
            table.end()
            if tls != "none" and not has_tls:
                self.wrong((*table.path, "tls"), f'"{tls}" needs a certificate and a key in [tls]')
            if endpoint in listeners:
                self.wrong((*table.path, "endpoint"), f"{endpoint} is listened on twice")
            elif endpoint is not None:
                listeners[endpoint] = Listen(service, endpoint, tls, table.place)
        return tuple(listeners.values())

    def _outbound(self) -> Outbound:
        table, default = self.root.table("outbound"), Outbound()
        route = {}
        routes = table.table("route")
        for domain in routes.value:
            host = routes.take(domain, _ABSENT, _host)
            try:
                route[parse_domain(domain)] = host
            except BadAddress as error:
                self.wrong((*routes.path, domain), f'"{domain}" is no domain: {error}')
        outbound = Outbound(
            smarthost=table.take("smarthost", None, _host),
            smarthost_login=table.take("smarthost_login", None, _text),
            smarthost_password=table.take("smarthost_password", None, self._secret),
            route=route,
            resolvers=table.take("resolvers", (), _list_of(_text)),
            retry_first=table.take("retry_first", default.retry_first, _duration),
            retry_longest=table.take("retry_longest", default.retry_longest, _duration),
            life=table.take("life", default.life, _duration),
            connections=table.take("connections", default.connections, _count),
            connections_per_host=table.take("connections_per_host", default.connections_per_host, _count),
            allow_loopback=table.take("allow_loopback", False, _yes_or_no),
            enabled=table.take("enabled", True, _yes_or_no),
        )
        table.end()
        return outbound

    def _limits(self) -> Limits:
        table, default = self.root.table("limits"), Limits()
        limits = Limits(
            size=table.take("size", default.size, _size),
            recipients=table.take("recipients", default.recipients, _count),
            errors=table.take("errors", default.errors, _count),
            connections=table.take("connections", default.connections, _count),
            connections_per_address=table.take(
                "connections_per_address", default.connections_per_address, _count
            ),
            idle=table.take("idle", default.idle, _duration),
            longest=table.take("longest", default.longest, _duration),
            reserve=table.take("reserve", default.reserve, _size),
        )
        table.end()
        return limits

    def _uses(self, kind: str, *defaults: str) -> tuple[Use, ...]:
        if kind not in self.root.value:
            self.root.known.add(kind)
            return tuple(Use(name, {}, self.place(())) for name in defaults)
        uses = []
        for table in self.root.tables(kind):
            name = table.take("use", _ABSENT, _text)
            on_error = table.take("on_error", "defer", _one_of(ON_ERROR))
            budget = table.take("budget", 10.0, _duration)
            rest = {key: value for key, value in table.value.items() if key not in table.known}
            keys = {key: self.place((*table.path, key)) for key in rest}
            if name is not None:
                uses.append(Use(name, rest, table.place, on_error, budget, keys))
        return tuple(uses)


# -- values


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("needs to be a text")
    return value


def _yes_or_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("needs to be true or false")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("needs to be a whole number above zero")
    return value


def _positive(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ValueError("needs to be a number above zero")
    return float(value)


def _one(value: Any) -> int:
    if _count(value) != 1:
        raise ValueError("can only be 1 in this version: one process serves everything")
    return 1


_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": DAY}
_SIZES = {"": 1, "k": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mib": 1 << 20, "g": 1 << 30, "gib": 1 << 30}


def _duration(value: Any) -> float:
    """Seconds, or a text with a unit: "5 min", "4h", "5d"."""
    if isinstance(value, str):
        found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([a-z]*)", value)
        if found is None or found[2] not in _UNITS:
            raise ValueError('needs to be seconds, or a text like "90s", "5 min", "4h", "5d"')
        value = float(found[1]) * _UNITS[found[2]]
    return _positive(value)


def _size(value: Any) -> int:
    """Octets, or a text with a unit: "64 MiB"."""
    if isinstance(value, str):
        found = re.fullmatch(r"(\d+) ?([A-Za-z]*)", value)
        if found is None or found[2].lower() not in _SIZES:
            raise ValueError('needs to be octets, or a text like "64 MiB"')
        value = int(found[1]) * _SIZES[found[2].lower()]
    return _count(value)


def _domain(value: Any) -> str:
    try:
        return parse_domain(_text(value))
    except BadAddress as error:
        raise ValueError(f"is no host name: {error}") from None


def _network(value: Any) -> Network:
    try:
        return ipaddress.ip_network(_text(value))
    except ValueError as error:
        raise ValueError(f"is no network: {error}") from None


def _one_of(words: Sequence[str]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in words:
            near = difflib.get_close_matches(str(value), words, 1)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            raise ValueError(f"needs to be one of {', '.join(words)}, not {value!r}{hint}")
        return str(value)

    return read


def _list_of(read: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    def read_all(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError("needs to be a list")
        return tuple(read(each) for each in value)

    return read_all


_ENDPOINT = re.compile(r"(?:tcp|tcp6):(?:port=)?(\d{1,5})(?::.*)?|(?:unix|systemd):.+")
_HOST = re.compile(r"(?:tcp|tls):(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.\-]+)(?::(\d{1,5}))?|unix:.+")


def _endpoint(value: Any) -> str:
    """A server endpoint string, ``tcp:25:interface=127.0.0.1``."""
    found = _ENDPOINT.fullmatch(_text(value))
    if found is None or int(found[1] or 0) > 65535:
        raise ValueError(f'needs to be an endpoint string like "tcp:25:interface=127.0.0.1", not {value!r}')
    return str(value)


def _host(value: Any) -> str:
    """Where to connect to, ``tcp:host:port``; tls: is implicit TLS."""
    found = _HOST.fullmatch(_text(value))
    if found is None or int(found[1] or 0) > 65535:
        raise ValueError(f'needs to be like "tcp:relay.example.net:587", not {value!r}')
    return str(value)


def parse_account(text: str) -> Address:
    """An address with a domain, for commands; raises `BadAddress`."""
    address = Address.parse(text)
    if not address.domain:
        raise BadAddress("the domain is missing")
    return address

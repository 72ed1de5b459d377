"""The configuration: a TOML file in, values out, or all its mistakes at once."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mailserver import tomlvalues as values
from mailserver.address import Address, domain_key
from mailserver.errors import BadAddress, MailserverError
from mailserver.imap import referrals
from mailserver.imap.entries import LARGEST_VALUE
from mailserver.imap.error import ImapError
from mailserver.imap.names import INBOX, SEPARATOR, canonical
from mailserver.kept import read_keeping
from mailserver.net.limits import Allowance
from mailserver.outbound import mailbox, read_outbound
from mailserver.pop3.languages import LANGUAGES
from mailserver.settings import Config, Http, Imap, KeyFiles, Limits, Listen, Outbound, Pop3, Smtp, TlsReport, Use
from mailserver.tomlplaces import Place, places
from mailserver.tomltable import REQUIRED, Mistake, Mistakes, TableReader, Wrong

__all__ = [
    "Config", "ConfigErrors", "KeyFiles", "Limits", "Listen", "Mistake", "Outbound", "Place", "Smtp", "Use", "find",
    "load", "parse_account",
]

SERVICES = ("smtp", "submission", "lmtp", "pop3", "imap", "no-mail", "http")
TLS_WAYS = ("none", "starttls", "implicit")
ON_ERROR = ("defer", "skip")
SHARED = ("tcp:", "tcp6:", "unix:", "systemd:")         # endpoints whose sockets several processes may have


class ConfigErrors(MailserverError):
    """All mistakes of a configuration, a line each.

    `partial` is what could be read in spite of them (None where a value is missing or wrong), so that the
    plugins that it names can be looked at too; None when the file is no TOML at all.
    """

    def __init__(self, mistakes: Sequence[Mistake], partial: Config | None = None) -> None:
        self.mistakes = sorted(mistakes, key=lambda each: (each.place.line, each.place.column))
        self.partial = partial
        super().__init__("\n".join(map(str, self.mistakes)))


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
    return _Reader(path, table, Mistakes(str(path), places(text, str(path)))).config()


def _syntax(error: tomllib.TOMLDecodeError, path: Path) -> Mistake:
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", str(error))
    if found is None:
        return Mistake(Place(str(path), 1, 1), str(error))
    last = path.read_text("utf-8").count("\n") + 1
    place = Place(str(path), int(found[2] or last), int(found[3] or 1))
    return Mistake(place, f"{found[1][0].lower()}{found[1][1:]}")


class _Reader:
    """Reads the whole file, table by table."""

    def __init__(self, path: Path, table: dict[str, Any], mistakes: Mistakes) -> None:
        self.file = path
        self.folder = path.absolute().parent
        self.mistakes = mistakes
        self.root = TableReader(mistakes, (), table)

    def config(self) -> Config:
        root = self.root
        hostname = root.take("hostname", REQUIRED, lambda value: domain_key(values.domain(value)))     # as it is said
        data = root.take("data", REQUIRED, self._path)
        database = root.take("database", None, self._database)
        workers = root.take("workers", 1, values.workers)
        clear_passwords = root.take("clear_passwords", False, values.yes_or_no)
        tls, names = self._tls()
        listen = self._listen()
        relay = root.table("relay")
        networks = relay.take_list("networks", values.network)
        relay_domains = tuple(map(domain_key, relay.take_list("domains", values.domain_or_all)))
        relay_recipients = relay.take("recipients", "all", values.one_of(("all", "call", "list")))
        relay_list = relay.take("list", None, self._existing)
        if relay_recipients == "list" and "list" not in relay.value:
            relay.wrong("recipients", '"recipients" is "list", which needs the name of a file in "list"')
        if relay_recipients != "list" and "list" in relay.value:
            relay.wrong("list", '"list" needs recipients = "list" beside it')
        relay.end()
        outbound = read_outbound(root.table("outbound"), self._secret, self._path)
        limits = self._limits()
        smtp = self._smtp()
        pop3 = self._pop3()
        imap = self._imap()
        http = self._http()
        keeping = read_keeping(root.table("keeping"), root.tables("retention"))
        trace = root.table("trace")
        trace_days = trace.take("days", 30.0, values.positive)
        trace_refusals = trace.take("refusals", 10_000, values.count)
        trace.end()
        tls_report = self._tls_report()
        filters = self._uses("filter", "headers", "loops", "feedback")
        forward = self._uses("forward", "bounces", "aliases", "accounts", "shared", "subaddress", "catchall")
        auth = self._uses("auth", "passwords")
        mailboxes = self._uses("mailbox", "sql")
        if tls_report.address:
            place = self.mistakes.place(("tls_report", "address"))
            forward = (Use("tls-reports", {"address": tls_report.address}, place), *forward)
            told = {"address": tls_report.address, "domains": list(relay_domains)}
            filters = (*filters, Use("tls-reports", told, place))
        listeners = self._uses("listener")
        plugins = root.table("plugins")
        folders = plugins.take_list("folders", self._path)
        plugins.end()
        root.end()
        if (workers or 1) > 1:
            self._for_several(listen, mailboxes)
        config = Config(
            self.file, hostname, data, database, tls, names, listen, networks, outbound, limits, smtp, trace_days,
            trace_refusals, clear_passwords, filters, forward, auth, mailboxes, folders, relay_domains, workers,
            {"folders": self.mistakes.place(("plugins", "folders"))}
            | {key: self.mistakes.place((key,)) for key in ("data", "database", "tls")},
            relay_recipients, relay_list, listeners, http, tls_report, pop3, keeping, imap,
        )
        if self.mistakes.found:
            raise ConfigErrors(self.mistakes.found, config)
        return config

    # -- values that lie beside the file

    def _path(self, value: Any) -> Path:
        return self.folder / Path(values.text(value)).expanduser()

    def _existing(self, value: Any) -> Path:
        path = self._path(value)
        if not path.is_file():
            raise Wrong(f"names no file: {path}")
        if not os.access(path, os.R_OK):
            raise Wrong(f"names a file that may not be read: {path}")
        return path

    def _secret(self, value: Any) -> str:
        """A text, or ``{ file = "…" }`` for the text in that file."""
        if not isinstance(value, dict):
            return values.text(value)
        if set(value) != {"file"}:
            raise Wrong('needs to be a text or { file = "…" }')
        path = self._path(value["file"])
        try:
            secret = path.read_bytes().decode("utf-8").rstrip("\r\n")
        except OSError as error:
            raise Wrong(f"cannot be read from {path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise Wrong(f"cannot be read from {path}: it is not UTF-8") from None
        if not secret:
            raise Wrong(f"cannot be read from {path}: it is empty")
        return secret

    def _database(self, value: Any) -> str:
        url = self._secret(value)
        if not url.startswith(("postgresql://", "postgresql+psycopg://")):
            raise Wrong("needs to begin with postgresql://; without it the database is SQLite in data")
        return url

    # -- tables

    def _tls(self) -> tuple[KeyFiles | None, tuple[KeyFiles, ...]]:
        table = self.root.table("tls")
        if "tls" not in self.root.value:
            return None, ()
        default = KeyFiles(
            table.take("certificate", REQUIRED, self._existing), table.take("key", REQUIRED, self._existing)
        )
        others = []
        for each in table.tables("names"):
            others.append(
                KeyFiles(
                    each.take("certificate", REQUIRED, self._existing),
                    each.take("key", REQUIRED, self._existing),
                    each.take_list("names", values.domain),
                )
            )
            if "names" not in each.value:
                each.wrong("names", 'the key "names" is missing')
            each.end()
        table.end()
        return default, tuple(others)

    def _listen(self) -> tuple[Listen, ...]:
        has_tls = "tls" in self.root.value
        listeners: list[Listen] = []
        for table in self.root.tables("listen"):
            service = table.take("service", REQUIRED, values.one_of(SERVICES))
            endpoint = table.take("endpoint", REQUIRED, values.endpoint)
            usual = "none" if service in ("lmtp", "http") or not has_tls else "starttls"
            tls = table.take("tls", usual, values.one_of(TLS_WAYS))
            proxy = table.take_list("proxy", values.network)
            table.end()
            if tls != "none" and not has_tls:
                table.wrong("tls", f'"tls" is "{tls}", which needs a certificate and a key in [tls]')
            if service == "http" and tls == "starttls":
                table.wrong("tls", '"tls" is "starttls", which http does not have: it is "none" or "implicit"')
            if service == "http" and proxy:
                table.wrong("proxy", '"proxy" is not for http')
            if endpoint is None:
                continue
            there = next((each for each in listeners if _collide(each.endpoint, endpoint)), None)
            if there is not None:
                table.wrong("endpoint", f"{endpoint} is taken by the listener in line {there.place.line}")
            else:
                listeners.append(Listen(service, endpoint, tls, table.place, proxy))
        return tuple(listeners)

    def _for_several(self, listen: tuple[Listen, ...], mailbox: tuple[Use, ...]) -> None:
        """What processes cannot share."""
        wrong = [
            (each.place, f"{each.endpoint} cannot be shared by several workers; tcp:, unix: and systemd: can")
            for each in listen if not each.endpoint.startswith(SHARED)
        ]
        wrong += [
            (each.place, "the store memory keeps mail inside of one process, and there are several workers")
            for each in mailbox if each.name == "memory"
        ]
        self.mistakes.found += [Mistake(place, sentence) for place, sentence in wrong]

    def _limits(self) -> Limits:
        table, default = self.root.table("limits"), Limits()
        limits = Limits(
            size=table.take("size", default.size, values.size),
            recipients=table.take("recipients", default.recipients, values.count),
            errors=table.take("errors", default.errors, values.count),
            tarpit_after=table.take("tarpit_after", default.tarpit_after, values.count_or_none),
            tarpit=table.take("tarpit", default.tarpit, values.duration_or_none),
            allowance=self._allowance(table, default.allowance),
            idle=table.take("idle", default.idle, values.duration),
            longest=table.take("longest", default.longest, values.duration),
            reserve=table.take("reserve", default.reserve, values.size),
        )
        table.end()
        return limits

    @staticmethod
    def _allowance(table: TableReader, usual: Allowance) -> Allowance:
        return Allowance(
            connections=table.take("connections", usual.connections, values.count),
            connections_per_address=table.take(
                "connections_per_address", usual.connections_per_address, values.count_or_none
            ),
            connections_per_minute=table.take(
                "connections_per_minute", usual.connections_per_minute, values.count_or_none
            ),
            messages_per_minute=table.take("messages_per_minute", usual.messages_per_minute, values.count_or_none),
            recipients_per_minute=table.take(
                "recipients_per_minute", usual.recipients_per_minute, values.count_or_none
            ),
            failed_logins=table.take("failed_logins", usual.failed_logins, values.count_or_none),
            network=table.take("network", usual.network, values.times),
            loopback=table.take("loopback", usual.loopback, values.yes_or_no),
        )

    def _smtp(self) -> Smtp:
        table, default = self.root.table("smtp"), Smtp()
        smtp = Smtp(
            vrfy=table.take("vrfy", default.vrfy, values.one_of(("nobody", "logins", "everybody"))),
            bare_line_ends=table.take(
                "bare_line_ends", default.bare_line_ends, values.one_of(("refuse", "normalise"))
            ),
            early_talkers=table.take("early_talkers", default.early_talkers, values.one_of(("refuse", "allow"))),
            hide_clients=table.take("hide_clients", default.hide_clients, values.yes_or_no),
            no_soliciting=table.take_list("no_soliciting", values.solicitation),
            longest_hold=table.take("longest_hold", default.longest_hold, values.duration_or_none),
            xclient=table.take_list("xclient", values.network),
            xforward=table.take_list("xforward", values.network),
        )
        table.end()
        return smtp

    def _tls_report(self) -> TlsReport:
        table, default = self.root.table("tls_report"), TlsReport()
        report = TlsReport(
            table.take("address", default.address, mailbox), table.take("life", default.life, values.duration)
        )
        if "tls_report" in self.root.value and "address" not in table.value:
            table.wrong("address", 'the key "address" is missing')
        table.end()
        return report

    def _pop3(self) -> Pop3:
        table, default = self.root.table("pop3"), Pop3()
        pop3 = Pop3(
            expire=table.take("expire", default.expire, values.days_or_never),
            login_delay=table.take("login_delay", default.login_delay, values.duration_or_none),
            language=table.take("language", default.language, values.one_of(tuple(LANGUAGES))),
            utf8_messages=table.take(
                "utf8_messages", default.utf8_messages, values.one_of(("downgrade", "refuse", "send"))
            ),
        )
        table.end()
        return pop3

    def _imap(self) -> Imap:
        table, default = self.root.table("imap"), Imap()
        imap = Imap(
            comment=table.take("comment", default.comment, _comment),
            admin=table.take("admin", default.admin, _uri),
            literals=table.take("literals", default.literals, values.one_of(("any", "small"))),
            referral=table.take("referral", default.referral, _referral),
            hosts=tuple(map(domain_key, table.take_list("hosts", values.domain))),
            message_limit=table.take("message_limit", default.message_limit, values.count_or_none),
            save_limit=table.take("save_limit", default.save_limit, values.count_or_none),
            other_users=table.take("other_users", default.other_users, _level),
            shared=table.take("shared", default.shared, _level),
            shared_seen=table.take("shared_seen", default.shared_seen, values.one_of(("own", "common"))),
            share_with=table.take("share_with", default.share_with, values.one_of(("domain", "anyone"))),
        )
        if imap.message_limit and imap.save_limit:
            table.wrong("save_limit", 'there is a "message_limit", which is for COPY and APPEND too: have one of them')
        if imap.other_users == imap.shared:
            table.wrong("shared", '"shared" and "other_users" need different names')
        table.end()
        return imap

    def _http(self) -> Http:
        table, default = self.root.table("http"), Http()
        metrics = table.take_list("metrics", values.network)
        table.end()
        return Http(metrics if "metrics" in table.value else default.metrics)

    def _uses(self, kind: str, *defaults: str) -> tuple[Use, ...]:
        """The plugins of one kind; without any table of it, the usual ones."""
        tables = self.root.tables(kind)
        if kind not in self.root.value:
            return tuple(Use(name, {}, self.root.place) for name in defaults)
        uses = []
        for table in tables:
            name = table.take("use", REQUIRED, values.text)
            on_error = table.take("on_error", "defer", values.one_of(ON_ERROR))
            budget = table.take("budget", 10.0, values.duration)
            rest = table.rest()
            if name is not None:
                uses.append(Use(name, rest, table.place, on_error, budget, table.rest_places()))
        return tuple(uses)


def _comment(value: Any) -> str:
    comment = values.text(value)
    if len(comment.encode()) > LARGEST_VALUE:
        raise Wrong(f"needs to have {LARGEST_VALUE} octets at most")
    return comment


def _uri(value: Any) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*:[\x21-\x7e]{1,1000}", values.text(value), re.IGNORECASE):
        raise Wrong('needs to be a URI, such as "mailto:postmaster@example.org"')
    return str(value)


def _referral(value: Any) -> str:
    try:
        return referrals.of_anybody(values.text(value))
    except ValueError as error:
        raise Wrong(str(error)) from None


def _collide(one: str, other: str) -> bool:
    """Whether two endpoint strings want the same port."""
    if one == other:
        return True
    mine, yours = values.port_of(one), values.port_of(other)
    if mine is None or yours is None or mine[1] != yours[1] or mine[1] == 0:
        return False
    return mine[0] == yours[0] or "" in (mine[0], yours[0])


def parse_account(text: str) -> Address:
    """An address with a domain, for commands; raises `BadAddress`."""
    address = Address.parse(text)
    if not address.domain:
        raise BadAddress("the domain is missing")
    return address


def _level(value: Any) -> str:
    """One level of a mailbox's name, as every client can show it."""
    name = values.text(value)
    try:
        is_one = canonical(name) == name
    except ImapError:
        is_one = False
    if not is_one or name == INBOX or set(name) & {SEPARATOR, "*", "%"}:
        raise Wrong("needs to be the name of a mailbox, other than INBOX, without / * or %")
    return name

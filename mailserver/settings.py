"""What a configuration says, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from mailserver.address import domain_key
from mailserver.feedback.rules import Rules
from mailserver.keeping import Keeping
from mailserver.net.limits import Allowance
from mailserver.tomlplaces import Place
from mailserver.tomlvalues import DAY, Network


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """A certificate and its key, in PEM files; `names` are whom it is for (SNI), none for everybody."""

    certificate: Path
    key: Path
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listen:
    """One listener."""

    service: str                    # smtp, submission, lmtp, pop3, no-mail
    endpoint: str                   # a Twisted endpoint string
    tls: str                        # none, starttls, implicit
    place: Place
    proxy: tuple[Network, ...] = ()     # whose peers begin with a PROXY header


@dataclass(frozen=True, slots=True)
class Smarthost:
    """A host that sends on for us by recipient domain, sender or login; "@domain" is everybody there."""

    host: str
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    domains: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    logins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """An address of this machine from which mail leaves, and the name that it gives with EHLO."""

    address: str
    hello: str = ""                         # "": the hostname
    senders: tuple[str, ...] = ()           # whose mail leaves here only; "@domain" is all there; none: everybody's
    per_minute: int = 0                     # messages; 0: any number


@dataclass(frozen=True, slots=True)
class Manner:
    """How some destinations are treated, where it is not as usual; 0 is as usual."""

    domains: tuple[str, ...]                # ".example.com" is all below it
    connections: int = 0
    per_minute: int = 0                     # messages


@dataclass(frozen=True, slots=True)
class TlsReports:
    """Whether domains that want it are told how TLS went on the way to them, and by whom (RFC 8460)."""

    send: bool = False                      # a report has to be signed by DKIM (RFC 8460 3), and nothing signs yet
    contact: str = ""                       # "": postmaster at the hostname
    organization: str = ""                  # "": the hostname


@dataclass(frozen=True, slots=True)
class TlsReport:
    """Where the TLS reports of others come to, and how long they are kept, in seconds."""

    address: str = ""                       # "": nowhere
    life: float = 90 * DAY


@dataclass(frozen=True, slots=True)
class OutboundTls:
    """Which TLS others must have.

    Levels are "none" (without), "may" (where it can be had), "encrypt" (with whatever certificate), "verify" (with one
    that is good for the host), "dane" (with what DNSSEC says of it).
    """

    level: str = "may"                      # of whom nothing else is known
    domains: Mapping[str, str] = field(default_factory=dict)        # levels by domain, which others may not lower
    dane: bool = True                       # whether TLSA records are looked for (RFC 7672)
    sts: bool = True                        # whether policies are (RFC 8461)
    ca: Path | None = None                  # authorities in place of the system's
    remember: bool = True                   # whether who always had TLS gets mail in the clear at once
    allow_loopback: bool = False            # whether a policy may lie on loopback or a private address


@dataclass(frozen=True, slots=True)
class Outbound:
    """How mail leaves; times in seconds."""

    smarthost: str | None = None
    smarthost_login: str | None = None
    smarthost_password: str | None = field(default=None, repr=False)
    route: Mapping[str, str] = field(default_factory=dict)
    resolvers: tuple[str, ...] = ()         # "127.0.0.1:5353"; none: those of /etc/resolv.conf
    trust_ad: str = "loopback"              # whose word it is that DNSSEC validated: loopback, always, never
    smarthosts: tuple[Smarthost, ...] = ()
    sources: tuple[Source, ...] = ()
    manners: tuple[Manner, ...] = ()
    retry: tuple[float, ...] = ()           # the waits one by one, the last again and again; none: doubling
    retry_first: float = 300.0
    retry_longest: float = 4 * 3600.0
    delay_warnings: tuple[float, ...] = (4 * 3600.0,)       # ages at which the sender hears that it waits
    life: float = 5 * DAY
    connections: int = 50
    connections_per_host: int = 5
    messages_per_connection: int = 100
    per_minute: int = 0                     # messages to one destination; 0: any number
    sender_per_minute: int = 0              # messages of one sender; 0: any number
    allow_loopback: bool = False            # whether MX may lead to loopback; routes always may
    verp: tuple[str, ...] = ()              # whose mail leaves with keyed reverse-paths; "@domain" is all there
    suppression: Rules = field(default_factory=Rules)
    enabled: bool = True                    # False: nothing leaves the machine but by a route
    tls: OutboundTls = field(default_factory=OutboundTls)
    tls_reports: TlsReports = field(default_factory=TlsReports)

    @property
    def reports_tls(self) -> bool:
        """Whether TLS reports leave."""
        return self.enabled and self.tls_reports.send


@dataclass(frozen=True, slots=True)
class Limits:
    """What a peer may do; times in seconds, sizes in octets."""

    size: int = 64 * 1024 * 1024
    recipients: int = 1000
    errors: int = 20                        # 5xx replies, after which a peer is sent away
    tarpit_after: int = 5                   # of them, after which each comes late
    tarpit: float = 1.0                     # by so many seconds
    allowance: Allowance = field(default_factory=Allowance)     # what a peer may have
    idle: float = 300.0
    longest: float = 4 * 3600.0
    reserve: int = 64 * 1024 * 1024         # of the disk, below which mail is not now


@dataclass(frozen=True, slots=True)
class Smtp:
    """How SMTP is spoken with whom."""

    vrfy: str = "nobody"                    # who may ask for addresses (VRFY, EXPN): nobody, logins, everybody
    bare_line_ends: str = "refuse"          # from who is logged in: refuse, normalise
    early_talkers: str = "refuse"           # who speaks before the greeting: refuse, allow
    hide_clients: bool = True               # the Received field does not tell where a login sits
    no_soliciting: tuple[str, ...] = ()     # keywords that are refused (RFC 3865)
    longest_hold: float = 7 * DAY           # seconds that a submission may wait for its release (RFC 4865); 0: never
    xclient: tuple[Network, ...] = ()       # who may say whom it speaks for
    xforward: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Pop3:
    """How POP3 is spoken."""

    expire: int | None = None               # days for which messages are kept at the least; None: for ever
    login_delay: float = 0.0                # seconds from one login of an account to its next
    language: str = "en"                    # what "LANG *" means
    utf8_messages: str = "downgrade"        # with UTF-8 in the header, who did not say UTF8: downgrade, refuse, send


@dataclass(frozen=True, slots=True)
class Imap:
    """How IMAP is spoken, what it says of this server, and how it shows mailboxes of others."""

    comment: str = ""                       # to all who log in (RFC 5464 6.2.1)
    admin: str = ""                         # a URI of who runs it; "": the postmaster of who asks
    literals: str = "any"                   # which may come without being asked for (RFC 7888): any, small
    referral: str = ""                      # where everybody is sent to, at once (RFC 2221 4.2); "": nobody is
    hosts: tuple[str, ...] = ()             # how URLs may call this server, besides its hostname
    message_limit: int = 0                  # messages that one command may be about (RFC 9738); 0: any number
    save_limit: int = 0                     # the same, of COPY and APPEND alone
    other_users: str = "Other Users"        # the name below which they are, by their owners' addresses,
    shared: str = "Shared"                  # and the one below which public ones of the domain are
    shared_seen: str = "own"                # whose \Seen it is there: own, common
    share_with: str = "domain"              # with how many one may share at once: domain (one's own), anyone


@dataclass(frozen=True, slots=True)
class Http:
    """What the http service shows to whom."""

    metrics: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


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
    smtp: Smtp
    trace_days: float
    trace_refusals: int
    clear_passwords: bool                   # POP3 logins without TLS from anywhere, not only loopback
    filters: tuple[Use, ...]
    forward: tuple[Use, ...]
    auth: tuple[Use, ...]
    mailbox: tuple[Use, ...]
    folders: tuple[Path, ...]
    relay_domains: tuple[str, ...] = ()     # taken from anybody and sent on; "*" is every domain
    workers: int = 1                        # processes that serve
    places: Mapping[str, Place] = field(default_factory=dict, repr=False)      # where tls, data, folders ... stand
    relay_recipients: str = "all"           # which of the relay domains' are taken: all, call (ask the next hop), list
    relay_list: Path | None = None
    listeners: tuple[Use, ...] = ()
    http: Http = field(default_factory=Http)
    tls_report: TlsReport = field(default_factory=TlsReport)
    pop3: Pop3 = field(default_factory=Pop3)
    keeping: Keeping = field(default_factory=Keeping)
    imap: Imap = field(default_factory=Imap)

    @property
    def usual_quota(self) -> tuple[int, int]:
        """What an account may have in the store ``sql`` of which nothing else is said: octets, messages; 0 any."""
        table = next((use.table for use in self.mailbox if use.name == "sql"), {})
        return int(table.get("quota_octets", 0)), int(table.get("quota_messages", 0))

    def relays(self, domain: str) -> bool:
        """Whether mail for a domain that is not ours is taken from anybody, and sent on."""
        return "*" in self.relay_domains or domain_key(domain) in self.relay_domains

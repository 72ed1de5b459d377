"""The commands of SMTP, LMTP and SUBMISSION, as values (RFC 5321 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailserver.address import Address
from mailserver.reply import Reply


@dataclass(frozen=True, slots=True)
class Command:
    """Something that a client said."""


@dataclass(frozen=True, slots=True)
class Hello(Command):
    """EHLO, HELO or LHLO, with the name that the client gives itself."""

    verb: str
    name: str


@dataclass(frozen=True, slots=True)
class Mail(Command):
    """MAIL FROM; None is the null reverse-path.

    What its parameters say, see `mailserver.smtp.parameters`; `uses` are the extensions that they belong to.
    """

    sender: Address | None
    size: int = 0                       # octets; 0: not said
    body: str = "7BIT"
    utf8: bool = False
    ret: str = ""
    envid: str = ""
    require_tls: bool = False
    hold_for: int = 0                   # seconds
    hold_until: float = 0.0             # seconds since the epoch
    priority: int = 0
    by: int = 0                         # seconds; `by_mode` is "" when it was not said
    by_mode: str = ""
    solicit: tuple[str, ...] = ()
    uses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Rcpt(Command):
    """RCPT TO, with what it asks of DSNs (RFC 3461)."""

    recipient: Address
    notify: str = ""
    orcpt: str = ""
    uses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Data(Command):
    """DATA: the content follows."""


@dataclass(frozen=True, slots=True)
class Bdat(Command):
    """BDAT (RFC 3030): so many octets of the content follow; they are given as `Chunk` and `EndOfChunk`."""

    size: int
    last: bool


@dataclass(frozen=True, slots=True)
class Burl(Command):
    """BURL (RFC 4468): the next octets of the content lie where this URL leads to; it is given as an `EndOfChunk`."""

    url: str
    last: bool


@dataclass(frozen=True, slots=True)
class Rset(Command):
    """RSET: forget the transaction."""


@dataclass(frozen=True, slots=True)
class Noop(Command):
    """NOOP."""


@dataclass(frozen=True, slots=True)
class Vrfy(Command):
    """VRFY, with what it asks for, unread."""

    what: str


@dataclass(frozen=True, slots=True)
class Expn(Command):
    """EXPN, with what it asks for, unread."""

    what: str


@dataclass(frozen=True, slots=True)
class Etrn(Command):
    """ETRN (RFC 1985): a domain, ``@`` and a domain for its subdomains too, or ``#`` and a queue."""

    what: str


@dataclass(frozen=True, slots=True)
class XClient(Command):
    """XCLIENT (Postfix): who the client really is; None for what cannot be known."""

    attributes: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class XForward(Command):
    """XFORWARD (Postfix): where the message came from before, for the log and the trace alone."""

    attributes: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Help(Command):
    """HELP."""


@dataclass(frozen=True, slots=True)
class Quit(Command):
    """QUIT."""


@dataclass(frozen=True, slots=True)
class StartTls(Command):
    """STARTTLS (RFC 3207)."""


@dataclass(frozen=True, slots=True)
class Auth(Command):
    """AUTH (RFC 4954): `initial` is the decoded initial response, None when there is none."""

    mechanism: str
    initial: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AuthResponse(Command):
    """A line of an authentication; None: the client gave up with ``*``."""

    response: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Chunk(Command):
    """Octets of the content, without the dots of RFC 5321 4.5.2."""

    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class EndOfChunk(Command):
    """The last octets of a BDAT behind which more will come; `size` counts this BDAT's, `fault` as below."""

    octets: bytes = field(repr=False)
    size: int
    fault: Reply | None = None


@dataclass(frozen=True, slots=True)
class EndOfContent(Command):
    """The last octets of the content.  `fault` is the reply if it must not be taken: too big, or with bare line ends.

    `size` counts all of its octets.
    """

    octets: bytes = field(repr=False)
    size: int
    fault: Reply | None = None

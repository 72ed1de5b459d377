"""Which extensions a peer is offered, by the service that it uses and by what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field

from mailserver.envelope import Client
from mailserver.reply import Reply
from mailserver.sasl import MECHANISMS
from mailserver.smtp.syntax import XCLIENT_ATTRIBUTES, XFORWARD_ATTRIBUTES

# What whoever sends a message on must keep, too.
SENDING = ("DSN", "BINARYMIME", "REQUIRETLS", "MT-PRIORITY", "DELIVERBY")
HOLDING = "FUTURERELEASE"


@dataclass(frozen=True, slots=True)
class Offer:
    """One answer to EHLO: its keywords, in order, with their parameters, and the reply."""

    keywords: Mapping[str, str]
    reply: Reply

    @classmethod
    def of(cls, hostname: str, keywords: Mapping[str, str]) -> Offer:
        lines = [f"{keyword} {parameters}".rstrip() for keyword, parameters in keywords.items()]
        return cls(keywords, Reply(250, "", "\n".join([hostname, *lines])))

    def refuses(self, uses: Set[str]) -> bool:
        """Whether a command uses an extension that is not among them."""
        return not uses <= self.keywords.keys()


@dataclass(frozen=True)
class Offers:
    """Makes the offers of one listener, each once.

    `vrfy` is who may ask for addresses: nobody, logins or
    everybody; `longest_hold` is for how many seconds a message may wait for its release (RFC 4865), 0 for none; `urls`:
    contents may lie in mailboxes here (RFC 4468).
    """

    hostname: str
    service: str
    size: int
    recipients: int
    tls: bool = False
    vrfy: str = "nobody"
    no_soliciting: tuple[str, ...] = ()
    longest_hold: int = 0
    urls: bool = False
    xclient: Callable[[str], bool] = lambda address: False
    xforward: Callable[[str], bool] = lambda address: False
    _made: dict[tuple[bool, ...], Offer] = field(default_factory=dict, repr=False)

    def to(self, client: Client, peer: str) -> Offer:
        """The offer for a client; `peer` is the address of who holds the connection."""
        kind = (
            client.tls is not None, client.login is not None, client.may_relay, self.xclient(peer), self.xforward(peer)
        )
        offer = self._made.get(kind)
        if offer is None:
            offer = self._made[kind] = Offer.of(self.hostname, self._keywords(*kind))
        return offer

    def may_ask(self, client: Client) -> bool:
        """Whether VRFY and EXPN tell this client something (RFC 5321 7.3)."""
        return self.vrfy == "everybody" or (self.vrfy == "logins" and client.may_relay)

    def _keywords(self, tls: bool, login: bool, may_relay: bool, xclient: bool, xforward: bool) -> dict[str, str]:
        lmtp = self.service == "lmtp"
        found = {"PIPELINING": "", "SIZE": str(self.size), "8BITMIME": "", "SMTPUTF8": "", "ENHANCEDSTATUSCODES": ""}
        found["CHUNKING"] = ""
        for keyword in SENDING:
            if tls or keyword != "REQUIRETLS":              # RFC 8689 4.1: inside TLS only
                found[keyword] = ""
        found["LIMITS"] = f"RCPTMAX={self.recipients}"          # RFC 9422
        found["NO-SOLICITING"] = " ".join(self.no_soliciting)   # RFC 3865
        if self.longest_hold and self.service == "submission":
            found[HOLDING] = str(self.longest_hold)
        if self.urls and self.service == "submission" and login:
            found["BURL"] = f"imap imap://{self.hostname}"
        if may_relay and not lmtp:
            found["ETRN"] = ""
        if self.vrfy == "everybody" or (self.vrfy == "logins" and may_relay):
            found |= {"VRFY": "", "EXPN": ""}
        if self.tls and not tls:
            found["STARTTLS"] = ""
        if tls and not login and not lmtp:
            found["AUTH"] = " ".join(MECHANISMS)
        if xclient:
            found["XCLIENT"] = " ".join(XCLIENT_ATTRIBUTES)
        if xforward:
            found["XFORWARD"] = " ".join(XFORWARD_ATTRIBUTES)
        found["HELP"] = ""
        return found

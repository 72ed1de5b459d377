"""URLs that carry their authorization are made, taken back, and read (RFC 4467, RFC 5524)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mailserver.errors import NotFound, TemporaryFailure
from mailserver.imap import fetched, responses
from mailserver.imap.commands.urls import GenUrlAuth, ResetKey, UrlFetch
from mailserver.imap.error import ImapError
from mailserver.imap.strings import NIL, string
from mailserver.imap.urls import BadUrl
from mailserver.mime import section, structure, transfer
from mailserver.mime.bodystructure import bodies
from mailserver.mime.part import Kind
from mailserver.net.limits import peer_key
from mailserver.session.imap.bodies import Interrupted
from mailserver.session.imap.reply import Reply
from mailserver.session.links import INTERNAL, Found, Led, Links

if TYPE_CHECKING:
    from mailserver.session.imap.session import ImapSession

DECODED_AT_ONCE = 64 * 1024     # octets of a part whose size is found out


def links(session: ImapSession) -> Links:
    """Raises `ImapError` where the mailbox store keeps no keys."""
    found = session.policy.links
    if found is None or found.keys is None:
        raise ImapError("no URL can be authorized here", "NO", "CANNOT")
    return found


def mechanisms(session: ImapSession) -> str:
    """The response code that says how URLs are authorized; none to who can be overheard (RFC 4467 8)."""
    is_private = session.client.tls is not None or peer_key(session.client.address) == ""
    has_keys = session.policy.links is not None and session.policy.links.keys is not None
    return f"URLMECH {INTERNAL}" if is_private and has_keys else ""


async def gen_url_auth(session: ImapSession, command: GenUrlAuth) -> Reply:
    """All of them or none; what may not be authorized is BAD (RFC 4467 7)."""
    assert session.account is not None
    made = []
    for url, mechanism in command.urls:
        if mechanism != INTERNAL:
            raise ImapError("there is no such mechanism here")
        try:
            made.append(string(await links(session).authorize(session.account, url)))
        except BadUrl as error:
            raise ImapError(f"that URL cannot be authorized: {error}") from None
    return Reply("they are authorized", [responses.untagged(b"GENURLAUTH", *made)])


async def reset_key(session: ImapSession, command: ResetKey) -> Reply:
    """What was authorized is so no more."""
    assert session.account is not None
    if not set(command.mechanisms) <= {INTERNAL}:
        raise ImapError("there is no such mechanism here")
    await links(session).reset(session.account, command.mailbox)
    if command.mailbox is None:
        return Reply("all keys are removed")
    return Reply("it has a new key", code=mechanisms(session))


async def url_fetch(session: ImapSession, command: UrlFetch) -> Reply:
    """NIL for a URL that leads to nothing, or not for this one; in no case a NO (RFC 4467 7)."""
    return Reply("that is all", stream=_fetched(session, command, links(session)))


async def _fetched(session: ImapSession, command: UrlFetch, links: Links) -> AsyncIterator[bytes]:
    assert session.account is not None
    for url, words in command.urls:
        head = b"* URLFETCH %b " % string(url)
        try:
            led = await links.authorized(url, session.account)
            told = await _items(led, words)
        except BadUrl:
            yield head + NIL + b"\r\n"
            continue
        yield head
        for place, item in enumerate(told):
            yield b" " * bool(place)
            if isinstance(item, bytes):
                yield item
                continue
            name, found = item
            is_binary = found.span.is_binary
            yield (fetched.begun(b"(" + name, found.size, is_binary) if name else _announced(found.size, is_binary))
            async for piece in _exactly(found, may_be_binary=is_binary):
                yield piece
            yield b")" * bool(name)
        yield b"\r\n"


def _announced(size: int, is_binary: bool) -> bytes:
    return fetched.begun(b"", size, is_binary)[1:]


async def _items(led: Led, words: Sequence[str]) -> list[bytes | tuple[bytes, Found]]:
    """What is answered of one: octets that are ready to send, or a name and where its octets lie."""
    if not words:
        return [(b"", await led.located())]
    told: list[bytes | tuple[bytes, Found]] = []
    for word in words:
        if word == "BODYPARTSTRUCTURE":
            structure = await _structure(led, "BINARY" in words)
            if structure is not None:
                told.append(b"(BODYPARTSTRUCTURE %b)" % structure)
        elif word == "BODY":
            told.append((b"BODY", await led.located()))
        else:
            try:
                told.append((b"BINARY", await led.located(is_decoded=True)))
            except ImapError:
                told.append(b"(BINARY NIL)")        # RFC 5524 3.2: its encoding is not known
    if not told:
        raise BadUrl("a header has no structure")
    return told


async def _structure(led: Led, is_decoded: bool) -> bytes | None:
    """BODYSTRUCTURE of a part; None: what the URL leads to is no part.  Raises `BadUrl`.

    With `is_decoded` it is that of the part without its transfer encoding.
    """
    url = led.url
    if url.section.text:
        return None

    def work(uid: int, prefix: bytes, octets: Any) -> bytes | None:
        part = section.find(structure.parse(octets), url.section.part)
        if part is None:
            return None
        decoder = transfer.decoder(part.encoding) if is_decoded and part.kind is Kind.LEAF else None
        if decoder is not None:
            size = lines = 0
            for start in range(part.body, part.end, DECODED_AT_ONCE):
                piece = decoder.feed(bytes(octets[start : min(part.end, start + DECODED_AT_ONCE)]))
                size, lines = size + len(piece), lines + piece.count(b"\n")
            piece = decoder.end()
            size, lines = size + len(piece), lines + piece.count(b"\n")
            part = replace(part, encoding="binary", end=part.body + size, lines=lines)
        return bodies(part)[1]

    try:
        async for made in led.mailbox.scan([(url.uid, url.uid)], work, DECODED_AT_ONCE):
            for _, found in made:
                if found is not None:
                    return bytes(found)
    except NotFound:
        pass
    raise BadUrl("there is no such message, or no such part of it")


async def _exactly(found: Found, may_be_binary: bool) -> AsyncIterator[bytes]:
    """As many octets as were announced; without a literal8 there is no NUL among them (RFC 9051 4.3)."""
    try:
        async for piece in found.octets():
            yield piece if may_be_binary else piece.replace(b"\0", b"\x80")
    except (BadUrl, TemporaryFailure) as error:
        raise Interrupted(str(error)) from error

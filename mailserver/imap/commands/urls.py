"""Commands about URLs that carry their authorization (RFC 4467 7, RFC 5524 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mailserver.imap.error import ImapError
from mailserver.imap.reader import Reader

MOST_URLS = 100             # of one command
WORDS = ("BODYPARTSTRUCTURE", "BINARY", "BODY")


@dataclass(frozen=True, slots=True)
class GenUrlAuth:
    """URLs to be authorized, each with the mechanism, in upper case."""

    urls: tuple[tuple[bytes, str], ...]


@dataclass(frozen=True, slots=True)
class ResetKey:
    """What was authorized is so no more, of one mailbox or of all (None)."""

    mailbox: str | None = None
    mechanisms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UrlFetch:
    """URLs to be read, each with what of `WORDS` is wanted of it; nothing: its octets, in the older answer."""

    urls: tuple[tuple[bytes, tuple[str, ...]], ...]


def _gen_url_auth(reader: Reader) -> GenUrlAuth:
    urls: list[tuple[bytes, str]] = []
    while not urls or reader.follows(b" "):
        _bound(urls)
        reader.space()
        url = reader.astring()
        reader.space()
        urls.append((url, reader.word("a mechanism")))
    return GenUrlAuth(tuple(urls))


def _reset_key(reader: Reader) -> ResetKey:
    if not reader.took(b" "):
        return ResetKey()
    mailbox = reader.mailbox()
    mechanisms: list[str] = []
    while reader.took(b" "):
        _bound(mechanisms)
        mechanisms.append(reader.word("a mechanism"))
    return ResetKey(mailbox, tuple(mechanisms))


def _url_fetch(reader: Reader) -> UrlFetch:
    urls: list[tuple[bytes, tuple[str, ...]]] = []
    while not urls or reader.follows(b" "):
        _bound(urls)
        reader.space()
        if not reader.took(b"("):
            urls.append((reader.astring(), ()))
            continue
        url = reader.astring()
        words: list[str] = []
        while reader.took(b" "):
            word = reader.word("what is wanted of it")
            if word not in WORDS or word in words:
                raise ImapError("of a URL BODYPARTSTRUCTURE, and BINARY or BODY can be had, each once")
            words.append(word)
        if {"BINARY", "BODY"} <= set(words):
            raise ImapError("BINARY and BODY are two ways to say the same")         # RFC 5524 3.1
        reader.expect(b")")
        urls.append((url, tuple(words)))
    return UrlFetch(tuple(urls))


def _bound(items: Sequence[object]) -> None:
    if len(items) >= MOST_URLS:
        raise ImapError("too many at once", "NO", "LIMIT")


PARSERS: Mapping[str, Callable[[Reader], object]] = {
    "GENURLAUTH": _gen_url_auth, "RESETKEY": _reset_key, "URLFETCH": _url_fetch,
}

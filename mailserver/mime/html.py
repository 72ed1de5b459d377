"""What a reader sees of HTML, in one pass: for search and preview, not for show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.entities import html5

_NAME = re.compile(r"/?([a-zA-Z][a-zA-Z0-9]{0,20})")
_ENTITY = re.compile(r"&(?:#([0-9]{1,7});?|#[xX]([0-9a-fA-F]{1,6});?|([a-zA-Z][a-zA-Z0-9]{1,31});?)")
_WINDOWS = {code: bytes((code,)).decode("cp1252", "replace") for code in range(0x80, 0xA0)}

# What stands in these is not read: their content is not text, or not seen.
UNSEEN = frozenset(("script", "style", "head", "title", "template", "noscript", "iframe", "object", "svg", "math"))
# These stand in a line, and a word may go on behind them.
_INLINE = frozenset((
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "font", "i", "ins", "kbd",
    "mark", "o", "q", "ruby", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "var", "wbr",
))


def text(html: str) -> str:
    """Tags, comments and what nobody sees left out; what is not ended is left out to the end."""
    return "".join(_pieces(html))


def _pieces(html: str) -> Iterator[str]:
    at, lower = 0, ""
    endless: set[str] = set()           # what has no end from here on, so that it is not looked for again
    while at < len(html):
        tag = html.find("<", at)
        if tag < 0:
            yield entities(html[at:])
            return
        if tag > at:
            yield entities(html[at:tag])
        if html.startswith("<!--", tag):
            at = _behind(html, "-->", tag + 4)
            continue
        if (found := _NAME.match(html, tag + 1)) is None:
            if html[tag + 1 : tag + 2] in ("!", "?", "/"):
                at = _behind(html, ">", tag)
            else:
                yield "<"
                at = tag + 1
            continue
        at = _behind(html, ">", tag)
        name = found[1].lower()
        if name in UNSEEN and html[tag + 1] != "/" and name not in endless:
            lower = lower or _lower(html)
            end = lower.find("</" + name, at)
            if end >= 0:
                at = _behind(html, ">", end)
            elif name in ("script", "style"):
                return                  # as in a browser; a head that is not ended hides nothing
            else:
                endless.add(name)
        elif name not in _INLINE:
            yield " "


def _lower(html: str) -> str:
    """In lower case, with every offset kept: `str.lower` makes some characters two."""
    return html.translate(_UPPER)


_UPPER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def _behind(html: str, what: str, at: int) -> int:
    end = html.find(what, at)
    return len(html) if end < 0 else end + len(what)


def entities(words: str) -> str:
    """Character references, in text between tags."""
    return _ENTITY.sub(_entity, words) if "&" in words else words


def _entity(found: re.Match[str]) -> str:
    decimal, hexadecimal, name = found.groups()
    if name is not None:
        return html5.get(name + ";") or html5.get(name) or found[0]
    code = int(decimal) if decimal else int(hexadecimal, 16)
    if code in _WINDOWS:
        return _WINDOWS[code]
    if code == 0 or code > 0x10FFFF or 0xD800 <= code < 0xE000:
        return "\ufffd"
    return chr(code)

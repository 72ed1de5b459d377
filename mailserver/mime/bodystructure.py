"""BODY and BODYSTRUCTURE (RFC 9051 7.5.2), ready to be sent."""

from __future__ import annotations

from mailserver.mime.envelope import envelope
from mailserver.mime.parameters import Parameters
from mailserver.mime.part import Kind, Part
from mailserver.mime.strings import nstring, string


def bodies(part: Part) -> tuple[bytes, bytes]:
    """BODY, and BODYSTRUCTURE, which says the same and the extension data.

    They are put together from pieces, so that what stands deep is not copied once more for each level.
    """
    short: list[bytes] = []
    full: list[bytes] = []
    _write(part, short, full)
    return b"".join(short), b"".join(full)


def _write(part: Part, short: list[bytes], full: list[bytes]) -> None:
    if part.kind is Kind.MULTIPART:
        short.append(b"(")
        full.append(b"(")
        for each in part.parts:
            _write(each, short, full)
        said = b" " + _text(part.subtype)
        extension = _parameters(part.parameters)
    else:
        said = b"(%b %b %b %b %b %b %d" % (
            _text(part.type), _text(part.subtype), _parameters(part.parameters), nstring(part.id),
            nstring(part.description), _text(part.encoding or "7bit"), part.size,
        )
        if part.kind is Kind.MESSAGE:
            inner = part.parts[0]
            said += b" %b " % envelope(inner.fields)
            short.append(said)
            full.append(said)
            _write(inner, short, full)
            said = b""
        if part.kind is Kind.MESSAGE or part.type == "text":
            said += b" %d" % part.lines
        extension = nstring(part.md5)
    short.append(said + b")")
    full.append(b"%b %b %b %b %b)" % (said, extension, _disposition(part), _languages(part), nstring(part.location)))


def _text(word: str) -> bytes:
    return string(word.encode("ascii", "replace"))


def _parameters(parameters: Parameters) -> bytes:
    if not parameters:
        return b"NIL"
    return b"(" + b" ".join([string(each) for pair in parameters for each in pair]) + b")"


def _disposition(part: Part) -> bytes:
    if part.disposition is None:
        return b"NIL"
    return b"(%b %b)" % (_text(part.disposition), _parameters(part.disposition_parameters))


def _languages(part: Part) -> bytes:
    if not part.language:
        return b"NIL"
    if len(part.language) == 1:
        return string(part.language[0])
    return b"(" + b" ".join([string(each) for each in part.language]) + b")"

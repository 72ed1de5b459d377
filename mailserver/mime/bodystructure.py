"""BODY and BODYSTRUCTURE (RFC 9051 7.5.2), ready to be sent."""

from __future__ import annotations

from mailserver.mime.envelope import envelope
from mailserver.mime.parameters import Parameters
from mailserver.mime.part import Kind, Part
from mailserver.mime.strings import nstring, string


def bodystructure(part: Part) -> bytes:
    """With the extension data."""
    return b"".join(_pieces(part, True))


def body(part: Part) -> bytes:
    """Without the extension data."""
    return b"".join(_pieces(part, False))


def _pieces(part: Part, extended: bool) -> list[bytes]:
    """In pieces, so that what stands deep is not copied once more for each level."""
    done: list[bytes] = []
    _write(part, extended, done)
    return done


def _write(part: Part, extended: bool, done: list[bytes]) -> None:
    done.append(b"(")
    if part.kind is Kind.MULTIPART:
        for each in part.parts:
            _write(each, extended, done)
        done.append(b" " + _text(part.subtype))
        if extended:
            done.append(b" " + _parameters(part.parameters))
    else:
        done.append(
            b"%b %b %b %b %b %b %d" % (
                _text(part.type), _text(part.subtype), _parameters(part.parameters), nstring(part.id),
                nstring(part.description), _text(part.encoding or "7bit"), part.size,
            )
        )
        if part.kind is Kind.MESSAGE:
            done.append(b" %b " % envelope(part.parts[0].fields))
            _write(part.parts[0], extended, done)
        if part.kind is Kind.MESSAGE or part.type == "text":
            done.append(b" %d" % part.lines)
        if extended:
            done.append(b" " + nstring(part.md5))
    if extended:
        done.append(b" %b %b %b" % (_disposition(part), _languages(part), nstring(part.location)))
    done.append(b")")


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

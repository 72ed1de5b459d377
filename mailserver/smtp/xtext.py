"""xtext (RFC 3461 4): how an ESMTP parameter carries what could not stand in a command line."""

from __future__ import annotations

import re

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_HEX = re.compile(r"\+([0-9A-F]{2})")
_UTF8_HEX = re.compile(r"\\x\{([0-9A-F]{2,6})\}")
_UTF8_XTEXT = re.compile(r"(?:[!-*,-<>-\[\]-~\u0080-\U0010ffff]|\\x\{[0-9A-F]{2,6}\})*")


def decode(text: str) -> str:
    """What xtext stands for; raises `ValueError` for what is none, or stands for more than one printable line."""
    if _XTEXT.fullmatch(text) is None:
        raise ValueError("not xtext")
    octets = _HEX.sub(lambda found: chr(int(found[1], 16)), text).encode("latin-1")
    # Postfix writes addresses beyond ASCII so: the octets of their UTF-8.
    return _one_line(octets.decode("utf-8"))


def encode(text: str) -> str:
    """ASCII text as xtext."""
    return "".join(each if "!" <= each <= "~" and each not in "+=" else f"+{ord(each):02X}" for each in text)


def decode_utf8(text: str) -> str:
    """The same for addresses of type utf-8 (RFC 6533 3), in each of its forms."""
    if _UTF8_XTEXT.fullmatch(text) is None:
        raise ValueError("not utf-8-addr-xtext")
    return _one_line(_UTF8_HEX.sub(lambda found: _character(int(found[1], 16)), text))


def encode_utf8(text: str) -> str:
    """Text as utf-8-addr-xtext, in ASCII."""
    return "".join(each if "!" <= each <= "~" and each not in "\\+=" else f"\\x{{{ord(each):02X}}}" for each in text)


def _character(number: int) -> str:
    if number > 0x10FFFF or 0xD800 <= number < 0xE000:
        raise ValueError("no character has this number")
    return chr(number)


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("control characters stand in it")
    return text

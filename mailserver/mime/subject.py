"""The base subject (RFC 5256 2.1): without "Re:", "Fwd:", "[list]" and "(fwd)"; by it threads are found."""

from __future__ import annotations

import re
from typing import NamedTuple

LONGEST = 1000              # characters of a subject that are looked at

_BLANKS = re.compile(r"\s+")
_BLOBS = re.compile(r"(?:\[[^\[\]]*+\]\s*+)*+")
_REPLY = re.compile(r"(?:re|fwd?)\s*+(?:\[[^\[\]]*+\]\s*+)?:\s*+", re.IGNORECASE)
_BLOB = re.compile(r"\[[^\[\]]*+\]\s*+")


class Base(NamedTuple):
    """What is left of a subject, and whether it was one of a reply or of something that was forwarded."""

    subject: str
    is_reply: bool


def base(subject: str) -> Base:
    """Of a decoded subject.  Only what RFC 5256 names is taken away; words of other languages stay."""
    subject = _BLANKS.sub(" ", subject[:LONGEST]).strip()
    is_reply = False
    while True:
        subject, replied = _without_trailers(subject)
        subject, led = _without_leaders(subject)
        is_reply = is_reply or replied or led
        if not (subject[:5].lower() == "[fwd:" and subject.endswith("]")):
            return Base(subject, is_reply)
        subject, is_reply = subject[5:-1].strip(), True


def _without_trailers(subject: str) -> tuple[str, bool]:
    end = len(subject)
    while True:
        while end and subject[end - 1] == " ":
            end -= 1
        if subject[max(end - 5, 0) : end].lower() != "(fwd)":
            return subject[:end], end < len(subject.rstrip())
        end -= 5


def _without_leaders(subject: str) -> tuple[str, bool]:
    at, is_reply = 0, False
    while True:
        blobs = _BLOBS.match(subject, at)
        behind = at if blobs is None else blobs.end()
        found = _REPLY.match(subject, behind)
        if found is None:
            break
        at, is_reply = found.end(), True
    if behind < len(subject):
        return subject[behind:], is_reply
    # Nothing but blobs: the last of them is the subject.
    while (blob := _BLOB.match(subject, at)) is not None and blob.end() < len(subject):
        at = blob.end()
    return subject[at:], is_reply

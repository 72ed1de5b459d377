"""The mailbox that is read: messages of one size, the same wherever they lie, some in parts and many in threads."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate

SIZE = 4096                 # octets of each message
FIRST = 1_700_000_000       # when the first was received; each other a minute after the one before
LONGEST_THREAD = 8
RARE = "heliotrope"         # a word that stands in the text of one message of a hundred
NAMED = "gazette"           # and one in the subjects of one of six

_TEXT = (
    "about after again believe between build carry certain change close country early enough example family field "
    "follow group happen history house important interest large learn letter light matter member minute morning never "
    "number office order paper people person picture place point possible present question reason report result "
    "school second service several simple small something sound special spring stand state still story street summer "
    "system table thing thought together travel under until voice water weather window winter within without work"
)
_WORDS = _TEXT.split()


@dataclass(frozen=True, slots=True)
class Mail:
    """One message: its octets with CRLF, when it came, and its flags."""

    octets: bytes
    received: int
    flags: tuple[str, ...]

    @property
    def options(self) -> bytes:
        """What APPEND is told of it."""
        date = time.strftime("%d-%b-%Y %H:%M:%S +0000", time.gmtime(self.received))
        return f'({" ".join(self.flags)}) "{date}"'.encode()


def mails(count: int, seed: int = 1) -> Iterator[Mail]:
    """So many, by chance, and the same for the same seed."""
    chance = random.Random(seed)
    for number in range(count):
        yield _mail(number, chance)


def _mail(number: int, chance: random.Random) -> Mail:
    received = FIRST + 60 * number
    thread, place = divmod(number, LONGEST_THREAD)
    ids = [f"<{thread}.{each}@mail.example.org>" for each in range(place + 1)]
    subject = " ".join(random.Random(thread).choices(_WORDS, k=5))
    if thread * LONGEST_THREAD % 50 < LONGEST_THREAD:
        subject += f" {NAMED}"
    sender = chance.randrange(200)
    by = f"from mx.example.net ([192.0.2.{chance.randrange(1, 255)}]) by mx.example.org with ESMTPS"
    head = [
        "Return-Path: <person{0}@example.net>", "Delivered-To: user0@example.org",
        f"Received: {by}\r\n id {chance.getrandbits(60):013X}; {formatdate(received)}",
        "From: {1} {2} <person{0}@example.net>", "To: Somebody Else <user0@example.org>",
        f"Cc: person{chance.randrange(200)}@example.net, person{chance.randrange(200)}@example.com",
        f"Subject: {'Re: ' if place else ''}{subject}", f"Date: {formatdate(received - chance.randrange(600))}",
        f"Message-ID: {ids[-1]}", "MIME-Version: 1.0",
    ]
    names = _WORDS[sender % len(_WORDS)].title(), _WORDS[sender * 7 % len(_WORDS)].title()
    head = [line.format(sender, *names) if "{" in line else line for line in head]
    if place:
        head += [f"In-Reply-To: {ids[-2]}", "References: " + "\r\n ".join(ids[:-1])]
    start, end = _parts(number, chance)
    before = "\r\n".join([*head, start])
    room = SIZE - len(before) - len(end)
    text = _text(room, chance, number % 100 == 7)
    flags = tuple(
        flag for flag, every in (("\\Seen", 3), ("\\Answered", 10), ("\\Flagged", 50)) if number % every == 0
    )
    octets = (before + text + end).encode("ascii")
    assert len(octets) == SIZE
    return Mail(octets, received, flags)


def _parts(number: int, chance: random.Random) -> tuple[str, str]:
    """What stands before and behind the text: every other message has parts, some have an attachment, too."""
    plain = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
    if number % 2:
        return plain, ""
    bound = f"=_{chance.getrandbits(64):016x}"
    html = (
        f"--{bound}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
        f"<p>The same, again.</p>\r\n--{bound}--\r\n"
    )
    start = f'Content-Type: multipart/alternative; boundary="{bound}"\r\n\r\n--{bound}\r\n{plain}'
    if number % 10:
        return start, "\r\n" + html
    outer = f"=_{chance.getrandbits(64):016x}"
    start = f'Content-Type: multipart/mixed; boundary="{outer}"\r\n\r\n--{outer}\r\n{start}'
    attached = (
        f'--{outer}\r\nContent-Type: application/octet-stream; name="data.bin"\r\nContent-Disposition: attachment;'
        f' filename="data.bin"\r\nContent-Transfer-Encoding: base64\r\n\r\n{"QUJD" * 19}\r\n--{outer}--\r\n'
    )
    return start, f"\r\n{html}\r\n{attached}"


def _text(room: int, chance: random.Random, has_rare: bool) -> str:
    """Lines of words, so many octets together."""
    words = chance.choices(_WORDS, k=room // 4)
    if has_rare:
        words[10] = RARE
    lines, line = [], ""
    for word in words:
        if len(line) + len(word) > 70:
            lines.append(line)
            line = ""
        line += f"{word} " if line else f"{word.title()} "
    cut = "\r\n".join(lines)[:room - 2]
    return (cut[:-1] + "x" if cut.endswith("\r") else cut) + "\r\n"

"""Whatever is asked of whatever mailbox: what a search finds is what Python's email package finds, one by one."""

from __future__ import annotations

import email.message
import email.policy
import random
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

from mailserver.imapstore import Appended
from mailserver.interfaces import DELETED, FLAGGED, SEEN
from tests.session.imap.searchhouse import RECEIVED, OnPostgresql, SearchCase, of_octets

WORDS = ("apple", "Banana", "grüße", "日本語", "会議", "ＡＢＣ", "x=y", "ŠKODA", "naïve", "re", "テスト", "B", "é")
NAMES = ("Anna", "Bob Brown", "Zoë", "山田太郎")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Holds = Callable[["Sample"], bool]


class Sample:
    """A message, as it was appended and as Python reads it."""

    def __init__(self, chance: random.Random) -> None:
        message = email.message.EmailMessage(email.policy.SMTP)
        self.sent: datetime | None = None
        message["From"] = f"{chance.choice(NAMES)} <{chance.choice('abc')}@example.org>"
        message["To"] = f"{chance.choice(NAMES)} <{chance.choice('abc')}@example.net>"
        if chance.random() < 0.9:
            message["Subject"] = " ".join(chance.choices(WORDS, k=chance.randint(1, 9)))
        if chance.random() < 0.8:
            zone = timezone(timedelta(hours=chance.randint(-11, 13)))
            self.sent = EPOCH.astimezone(zone) + timedelta(hours=chance.randint(0, 24 * 8))
            message["Date"] = format_datetime(self.sent)
        self._text(message, chance)
        if chance.random() < 0.2:
            name = chance.choice(["Report.pdf", "résumé.pdf", "会議.pdf"])
            message.add_attachment(b"octets", "application", "pdf", filename=name)
        octets = message.as_bytes()
        self.flags = chance.choice([0, SEEN, FLAGGED, SEEN | FLAGGED, DELETED])
        self.keywords = tuple(chance.sample(["one", "two"], chance.randint(0, 2)))
        self.received = RECEIVED + chance.randint(0, 4 * 86400)
        self.size = len(octets)
        self.appended: Appended = of_octets(octets, self.flags, self.keywords, self.received)
        self._message: Any = email.message_from_bytes(octets, policy=email.policy.default)

    @staticmethod
    def _text(message: email.message.EmailMessage, chance: random.Random) -> None:
        lines = [" ".join(chance.choices(WORDS, k=chance.randint(0, 12))) for _ in range(chance.randint(0, 5))]
        body = "\n".join([*lines, ""])
        charset = chance.choice(["utf-8", "utf-8", "iso-2022-jp", "us-ascii", "us-ascii"])
        if charset != "utf-8":
            body = body.encode(charset, "ignore").decode(charset)
        ctes = {"utf-8": ["8bit", "quoted-printable", "base64"], "iso-2022-jp": ["7bit"]}
        message.set_content(body, charset=charset, cte=chance.choice(ctes.get(charset, ["7bit", "base64"])))

    def field(self, name: str) -> str | None:
        value = self._message[name]
        return None if value is None else str(value)

    def header(self) -> list[str]:
        return [f"{name}: {value}" for name, value in self._message.items()]

    def body(self) -> list[str]:
        found = []
        for part in self._message.walk():
            if part.get_content_maintype() == "text":
                found.append(re.sub(r"\r?\n", "\r\n", part.get_content()))
            found.append(part.get_filename() or "")
        return found


def has(text: str, *within: str) -> bool:
    def alike(one: str) -> str:
        apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", one).casefold())
        return "".join(each for each in apart if not "\u0300" <= each <= "\u0344")

    return any(alike(text) in alike(each) for each in within)


def leaf(chance: random.Random, count: int) -> tuple[str, Holds, str]:
    """A key, what it means, and the text that is its argument."""
    text = chance.choice([*WORDS, *NAMES, "a@example", "pdf", "nothing", "日", "subject: "])
    day = datetime(1970, 1, chance.randint(1, 9)).date()
    came = datetime(2023, 11, chance.randint(13, 19)).date()
    size = chance.randint(300, 900)
    first = chance.randint(1, count)
    name = chance.choice(["From", "To", "Subject"])
    return chance.choice([
        ("SEEN", lambda one: one.flags & SEEN != 0, ""),
        ("UNFLAGGED", lambda one: not one.flags & FLAGGED, ""),
        ("KEYWORD two", lambda one: "two" in one.keywords, ""),
        (f"LARGER {size}", lambda one: one.size > size, ""),
        (f"SENTON {day:%d-%b-%Y}", lambda one: one.sent is not None and one.sent.date() == day, ""),
        (f"SENTBEFORE {day:%d-%b-%Y}", lambda one: one.sent is not None and one.sent.date() < day, ""),
        (f"SINCE {came:%d-%b-%Y}", lambda one: datetime.fromtimestamp(one.received, UTC).date() >= came, ""),
        (f"{first}:*", lambda one: one.number >= first, ""),
        (name.upper(), lambda one: one.field(name) is not None and has(text, one.field(name)), text),
        ("HEADER Date", lambda one: one.field("Date") is not None, '""'),
        ("BODY", lambda one: has(text, *one.body()), text),
        ("TEXT", lambda one: has(text, *one.header(), *one.body()), text),
    ])


def program(chance: random.Random, count: int, depth: int = 3) -> tuple[bytes, Holds]:
    """A search program of random keys, and what it means."""
    kind = chance.choice(["leaf", "leaf", "and", "or", "not"]) if depth else "leaf"
    if kind == "leaf":
        key, holds, text = leaf(chance, count)
        octets = text.encode()
        if text in ("", '""'):
            return f"{key} {text}".strip().encode(), holds
        return f"{key} {{{len(octets)}+}}\r\n".encode() + octets, holds
    one, is_one = program(chance, count, depth - 1)
    if kind == "not":
        return b"NOT " + one, lambda sample: not is_one(sample)
    other, is_other = program(chance, count, depth - 1)
    if kind == "or":
        return b"OR " + one + b" " + other, lambda sample: is_one(sample) or is_other(sample)
    return b"(" + one + b" " + other + b")", lambda sample: is_one(sample) and is_other(sample)


class SlowlyTests(SearchCase):
    """On SQLite."""

    rounds = 400

    async def test_programs(self) -> None:
        chance = random.Random(11)
        samples: list[Any] = [Sample(chance) for _ in range(80)]
        for number, each in enumerate(samples, 1):
            each.number = number
        client = await self.filled(*(each.appended for each in samples))
        for _ in range(self.rounds):
            asked, holds = program(chance, len(samples))
            found = await client.found(b"SEARCH CHARSET UTF-8 " + asked)
            self.assertEqual(found, " ".join(str(each.number) for each in samples if holds(each)), asked.decode())


class PostgresqlTests(OnPostgresql, SlowlyTests):
    """On PostgreSQL."""

    rounds = 100

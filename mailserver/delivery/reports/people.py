"""The part of a report that people read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from mailserver.delivery.classify import classify
from mailserver.delivery.reports.action import Action
from mailserver.delivery.reports.sentences import LANGUAGES, Sentences
from mailserver.delivery.result import Result
from mailserver.feedback.kinds import Kind
from mailserver.ident import spell
from mailserver.store.spool import Entry

MOST_TOLD = 100             # recipients with all their words; of more there is a number
LONGEST_WORD = 200          # characters of one word of the remote's, so that lines stay short


def text(
    languages: Sequence[str],
    action: Action,
    ended: Sequence[tuple[Entry, Result]],
    hostname: str,
    following: Mapping[int, float],
) -> str:
    """The same in each of the languages, one below the other; lines end with CRLF."""
    parts = ["\r\n".join(_lines(LANGUAGES[each], action, ended, hostname, following)) for each in languages]
    return ("\r\n\r\n" + "-" * 40 + "\r\n\r\n").join(parts) + "\r\n"


def _lines(
    words: Sentences,
    action: Action,
    ended: Sequence[tuple[Entry, Result]],
    hostname: str,
    following: Mapping[int, float],
) -> Iterator[str]:
    yield from _wrapped(words.server.format(hostname=hostname))
    yield ""
    yield from _wrapped(words.openings[action])
    yield ""
    for entry, result in ended[:MOST_TOLD]:
        yield f"  <{entry.recipient}>"
        if entry.target.key != entry.recipient.key and action is not Action.EXPANDED:
            yield "    " + words.forwarded.format(address=entry.target)
        if action in (Action.FAILED, Action.DELAYED):
            kind = classify(result)
            why, advice = words.reasons[kind]
            if result.reply is None and kind in (Kind.POLICY, Kind.UNKNOWN):
                why, advice = words.ours, ""
            yield from _indented(why)
            if action is Action.FAILED:
                yield from _indented(advice.format(hostname=hostname))
            if result.host and result.reply is not None:
                yield from _indented(f"{words.said.format(host=_short(result.host))} {result.words}")
            else:
                yield from _indented(result.words)
        if action is Action.DELAYED and entry.id in following:
            times = {"following": _when(following[entry.id]), "until": _when(entry.expires)}
            yield from _indented(words.following.format(**times))
        yield ""
    if len(ended) > MOST_TOLD:
        yield "  " + words.others.format(count=len(ended) - MOST_TOLD)
        yield ""
    if words.closings[action]:
        yield from _wrapped(words.closings[action])
    yield from _wrapped(words.attached)
    yield from _wrapped(words.look_up.format(hostname=hostname, id=spell(ended[0][0].content_id)))


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _short(text: str) -> str:
    return text[:LONGEST_WORD]


def _indented(text: str) -> Iterator[str]:
    return (f"    {line}" for line in _wrapped(text))


def _wrapped(text: str, width: int = 72) -> Iterator[str]:
    """Lines of at most so many characters, where words allow it."""
    line = ""
    for word in (each[:LONGEST_WORD] for each in text.split()[:200]):
        if line and len(line) + 1 + len(word) > width:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    if line:
        yield line

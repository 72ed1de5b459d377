"""What a failure is about: a remote's code, enhanced status and words, as one of a few kinds.

Words are believed before numbers: servers say "5.7.1" for nearly everything, and 5.1.1 for a block list as well.
The sentences that are recognised, with the servers that say them, stand in ``tests/delivery/replies.txt``.
"""

from __future__ import annotations

import re

from mailserver.feedback.kinds import Kind
from mailserver.feedback.sentences import AT_LAST, BY_CODE, BY_DETAIL, BY_SUBJECT, BY_WORDS

MOST_READ = 1000        # characters; whoever has more to say has said it by then


def classify_words(code: int, status: str, text: str) -> Kind:
    """`Kind.UNKNOWN` when nothing that was said tells; code 0, or status "", is not known."""
    words = _plain(text)
    detail = status.partition(".")[2]
    for kind, pattern in BY_WORDS:
        if pattern.search(words) and not (kind is Kind.GREYLIST and code >= 500):
            return kind
    found = BY_DETAIL.get(detail) or BY_CODE.get(code)
    if found is None and detail:
        found = BY_SUBJECT.get(detail.partition(".")[0])
    if found is None:
        found = next((kind for severity, kind, some in AT_LAST if code // 100 == severity and _has(words, some)), None)
    return found or Kind.UNKNOWN


def _has(words: str, some: tuple[str, ...]) -> bool:
    return any(each in words for each in some)


_REPEATED = re.compile(r"[245]\d\d[- ]?[245]\.\d{1,3}\.\d{1,3}")


def _plain(text: str) -> str:
    """The beginning in lower case, without addresses: theirs would speak for themselves ("no-spam@")."""
    words = []
    for word in text[:MOST_READ].lower().replace("\u2019", "'").split():
        if "@" in word:
            word = word.rpartition(">")[2] if ">" in word else ""
        elif word[:1].isdigit() and _REPEATED.fullmatch(word):
            continue            # the code of each line of a reply, where it was joined by others
        if word:
            words.append(word)
    return " ".join(words)

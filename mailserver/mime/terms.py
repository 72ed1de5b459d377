"""What an index of texts is made of: words, and pairs of the characters that are written without blanks.

A word is a longest run of letters and digits, a pair any two neighbours in a run of kanji and kana.  So a text that is
looked for and has no mark or blank in it lies within one word or pair of each text that has it, and the words and pairs
that it lies in are those of all texts that have it, and of no other.  Texts are folded (`mailserver.mime.folding`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from operator import add

LONGEST = 64                # characters of a word; a longer one is cut into pieces ...
SURE = 32                   # ... that overlap by so many, so that nothing shorter than that is cut

# Between these and the letters of ASCII all is a mark, a blank, or nothing that is read.
_WIDE = (
    "\u3005-\u3007\u3041-\u3096\u3099\u309a\u309d-\u309f\u30a1-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
_NEITHER = "\0-/:-@\\[-`{-\u00bf\u2000-\u206f\u3000-\u3004\u3008-\u3040\ud800-\udfff"
_RUN = re.compile(f"[{_WIDE}]+|[^{_WIDE}{_NEITHER}]+")
_NARROW = re.compile(f"[^{_WIDE}{_NEITHER}]+")
_ASCII = re.compile("[0-9A-Z]+")
_RUN_OF_WIDE = re.compile(f"[{_WIDE}]+")
_IS_WIDE = re.compile(f"[{_WIDE}]")


def terms(texts: Iterable[str], most: int) -> tuple[set[str], bool]:
    """Those of some texts, and whether these are all; when there are more than `most`, they are not."""
    found: set[str] = set()
    pairs: set[str] = set()
    for text in texts:
        if text.isascii():
            found.update(_ASCII.findall(text))
        else:
            found.update(_NARROW.findall(text))
            for run in _RUN_OF_WIDE.findall(text):
                if len(run) == 1:
                    pairs.add(run)
                else:
                    pairs.update(map(add, run, islice(run, 1, None)))
        if len(found) + len(pairs) > most:
            return found, False
    if max(map(len, found), default=0) > LONGEST:
        for word in [each for each in found if len(each) > LONGEST]:
            found.discard(word)
            found.update(_pieces(word))
    found |= pairs
    return found, len(found) <= most


def _pieces(word: str) -> Iterable[str]:
    start = 0
    while True:
        yield word[start : start + LONGEST]
        if start + LONGEST >= len(word):
            return
        start += LONGEST - SURE


@dataclass(frozen=True, slots=True)
class Sought:
    """A part of a text that is looked for: `text` lies in one term, at its start or its end where that is said."""

    text: str
    at_start: bool = False
    at_end: bool = False


def sought(text: str) -> tuple[list[Sought], bool]:
    """What terms a folded text must lie in, all of them, and whether each text that has those has it.

    None where it is nothing that an index knows: marks alone.
    """
    found: list[Sought] = []
    runs = list(_RUN.finditer(text))
    for run in runs:
        part = run[0]
        starts, ends = run.start() > 0, run.end() < len(text)
        if _IS_WIDE.match(part):
            if len(part) == 1:
                found.append(Sought(part))
            else:
                found += [Sought(part[at : at + 2], True, True) for at in range(len(part) - 1)]
        elif len(part) <= SURE:
            found.append(Sought(part, starts, ends))
        else:
            found.append(Sought(part[:SURE], starts))
    is_sure = len(found) == 1 and len(runs) == 1 and len(runs[0][0]) == len(text) and len(text) <= SURE
    return list(dict.fromkeys(found)), is_sure

"""A TOML table being read: each key is taken once, whatever is wrong is noted with its place, nothing stops at it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailserver.errors import MailserverError
from mailserver.tomlplaces import Path as Keys
from mailserver.tomlplaces import Place

REQUIRED: Any = object()        # as a default: the key must be there


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong, and where."""

    place: Place
    sentence: str
    suggestion: str = ""

    def __str__(self) -> str:
        hint = f'; did you mean "{self.suggestion}"?' if self.suggestion else ""
        return f"{self.place}: {self.sentence}{hint}"


class Wrong(MailserverError, ValueError):
    """What a reader of values raises: the end of a sentence that begins with the key."""

    def __init__(self, sentence: str, suggestion: str = "") -> None:
        super().__init__(sentence)
        self.suggestion = suggestion


class Mistakes:
    """Gathers what is wrong with one file, and knows where each key stands."""

    def __init__(self, file: str, places: Mapping[Keys, Place]) -> None:
        self._start = Place(file, 1, 1)
        self._places = places
        self.found: list[Mistake] = []

    def place(self, keys: Keys) -> Place:
        """Where a key stands, or the nearest table around it that is written."""
        while keys and keys not in self._places:
            keys = keys[:-1]
        return self._places.get(keys, self._start)

    def add(self, keys: Keys, sentence: str, suggestion: str = "") -> None:
        """One more."""
        self.found.append(Mistake(self.place(keys), sentence, suggestion))


class TableReader:
    """One table; `end` complains about the keys that nobody took."""

    def __init__(self, mistakes: Mistakes, keys: Keys, value: Any) -> None:
        self._mistakes = mistakes
        self.keys = keys
        self._known: set[str] = set()
        if not isinstance(value, dict):
            mistakes.add(keys, f'"{named(keys)}" needs to be a table')
            value = {}
        self.value: dict[str, Any] = value

    @property
    def place(self) -> Place:
        """Where the table begins."""
        return self._mistakes.place(self.keys)

    def wrong(self, key: str, sentence: str, suggestion: str = "") -> None:
        """Note something about one of its keys."""
        self._mistakes.add((*self.keys, key), sentence, suggestion)

    def take(self, key: str, default: Any, read: Callable[[Any], Any]) -> Any:
        """The value of a key as `read` makes it (raising `Wrong`); the default when it is missing or wrong.

        Without a default (`REQUIRED`) a key that is missing is a mistake, and None is returned.
        """
        self._known.add(key)
        if key not in self.value:
            if default is REQUIRED:
                self._mistakes.add(self.keys, f'the key "{key}" is missing')
                return None
            return default
        try:
            return read(self.value[key])
        except Wrong as error:
            self.wrong(key, f'"{key}" {error}', error.suggestion)
            return None if default is REQUIRED else default

    def take_list(self, key: str, read: Callable[[Any], Any]) -> tuple[Any, ...]:
        """The items of a list, those left out that are wrong; without the key, none."""
        self._known.add(key)
        value = self.value.get(key, [])
        if not isinstance(value, list):
            self.wrong(key, f'"{key}" needs to be a list')
            return ()
        items = []
        for number, each in enumerate(value):
            try:
                items.append(read(each))
            except Wrong as error:
                self._mistakes.add((*self.keys, key, number), f'"{key}" {error}', error.suggestion)
        return tuple(items)

    def table(self, key: str) -> TableReader:
        """A table inside this one; empty when it is not written."""
        self._known.add(key)
        return TableReader(self._mistakes, (*self.keys, key), self.value.get(key, {}))

    def tables(self, key: str) -> list[TableReader]:
        """The tables that are written ``[[key]]``."""
        self._known.add(key)
        value = self.value.get(key, [])
        if not isinstance(value, list):
            self.wrong(key, f'"{key}" needs to be written [[{".".join([*map(str, self.keys), key])}]]')
            return []
        return [TableReader(self._mistakes, (*self.keys, key, number), each) for number, each in enumerate(value)]

    def rest(self) -> dict[str, Any]:
        """The keys that were not taken, for somebody else to read."""
        left = {key: value for key, value in self.value.items() if key not in self._known}
        self._known.update(left)
        return left

    def rest_places(self) -> dict[str, Place]:
        """Where each key of the table stands."""
        return {key: self._mistakes.place((*self.keys, key)) for key in self.value}

    def end(self) -> None:
        """Whatever was not asked for is a mistake."""
        for key in self.value:
            if key not in self._known:
                self.wrong(key, f'unknown key "{key}"', nearest(key, sorted(self._known)))


def named(keys: Sequence[str | int]) -> str:
    """The last name on the way to a value; numbers are those of list items."""
    return next((str(each) for each in reversed(keys) if isinstance(each, str)), "the file")


def nearest(word: str, words: Sequence[str]) -> str:
    """The word that was probably meant, or nothing."""
    near = difflib.get_close_matches(word, words, 1)
    return near[0] if near else ""

"""A plugin's table in the configuration, made into the value that its ``Options`` class describes."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin

import attrs
import cattrs

from mailserver.errors import MailserverError


class OptionError(MailserverError):
    """A key in a plugin's table that is wrong, missing or not known; `key` is empty for the table as a whole."""

    def __init__(self, key: str, sentence: str, suggestion: str = "") -> None:
        super().__init__(sentence + (f'; did you mean "{suggestion}"?' if suggestion else ""))
        self.key = key
        self.sentence = sentence
        self.suggestion = suggestion


def structure(options: type, table: Mapping[str, Any]) -> Any:
    """Make the frozen attrs class `options` from a table; raises `OptionError` at the first mistake."""
    value, mistakes = structure_all(options, table)
    if mistakes:
        raise mistakes[0]
    return value


def structure_all(options: type, table: Mapping[str, Any]) -> tuple[Any, list[OptionError]]:
    """Make `options` from a table, or find every mistake in the table."""
    if not attrs.has(options):
        return None, [OptionError("", f"{options.__name__} is no attrs class, so it cannot say what its keys are")]
    fields = {field.alias or field.name: field for field in attrs.fields(attrs.resolve_types(options)) if field.init}
    mistakes = []
    values = {}
    for key, value in table.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            mistakes.append(OptionError(key, f'unknown key "{key}"', near[0] if near else ""))
            continue
        try:
            values[key] = _value(fields[key].type, value)
        except OptionError as error:
            mistakes.append(OptionError(key, f'in "{key}": {error.sentence}', error.suggestion))
        except Exception:
            mistakes.append(OptionError(key, f'"{key}" needs {in_words(fields[key].type)}'))
    for name, field in fields.items():
        if field.default is attrs.NOTHING and name not in table:
            mistakes.append(OptionError("", f'the key "{name}" is missing'))
    if mistakes:
        return None, mistakes
    try:
        return options(**values), []
    except Exception as error:
        return None, [_refused(error, fields)]


def _value(wanted: Any, value: Any) -> Any:
    if isinstance(wanted, type) and attrs.has(wanted) and isinstance(value, Mapping):
        return structure(wanted, value)
    inner = get_args(wanted)
    if isinstance(value, list) and inner and get_origin(wanted) in (tuple, list, Sequence):
        if any(attrs.has(each) for each in inner if isinstance(each, type)):
            return get_origin(wanted)(_value(inner[0], each) for each in value)
    elif isinstance(value, str) and get_origin(wanted) in _LISTS:
        raise ValueError("a text is no list of letters")
    return _strict.structure(value, wanted)


def _refused(error: Exception, fields: Mapping[str, Any]) -> OptionError:
    """What a validator said: attrs puts the name of the key in quotes."""
    sentence = str(error.args[0]) if error.args else type(error).__name__
    named = [name for name in re.findall(r"'(\w+)'", sentence) if name in fields]
    return OptionError(named[0] if named else "", sentence)


def in_words(wanted: Any) -> str:
    """What a value of this type is called in a sentence."""
    origin, inner = get_origin(wanted), get_args(wanted)
    if wanted in _WORDS:
        return _WORDS[wanted]
    if origin is Literal:
        return "one of " + ", ".join(f'"{each}"' for each in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(in_words(each) for each in inner if each is not type(None))
    if origin in _LISTS:
        return "a list, of " + in_words(inner[0]).removeprefix("a ") + ("s" if inner[0] in (str, int, float) else "")
    if isinstance(wanted, type) and attrs.has(wanted):
        return "a table"
    if origin is dict or wanted is dict or origin is Mapping:
        return "a table"
    return f"a value of the kind {getattr(wanted, '__name__', wanted)}"


_LISTS = (tuple, list, set, frozenset, Sequence)
_WORDS: dict[Any, str] = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def _exactly(kind: Any) -> Any:
    """No 1 for true, and no "25" for 25."""
    def check(value: Any, _: Any) -> Any:
        if type(value) is kind or (kind is float and type(value) is int):
            return kind(value)
        raise ValueError(value)

    return check


_strict = cattrs.Converter(forbid_extra_keys=True, detailed_validation=False)
for _kind in _WORDS:
    _strict.register_structure_hook(_kind, _exactly(_kind))

"""Finding plugins and building them: one registry over three sources.

Plugins are offered by a pointer that imports nothing until it is asked for.  Offers are found in
``twisted/plugins/*.py`` anywhere on the path (as for every twistd plugin), in ``.py`` files of the folders that the
configuration names, and under the entry-point group ``mailserver.plugins`` of installed packages.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import attrs
import cattrs
from twisted.plugin import IPlugin, getPlugins
from zope.interface import Attribute, Interface, implementer
from zope.interface.exceptions import Invalid
from zope.interface.verify import verifyClass

from mailserver.errors import MailserverError
from mailserver.interfaces import IAuthenticator, IFilter, IForwarder, IMailboxStore, NoOptions

GROUP = "mailserver.plugins"


class IOffer(Interface):
    """A pointer to a plugin."""

    kind: str = Attribute("mailbox, auth, forward or filter.")
    name: str = Attribute("What ``use = `` says in the configuration.")
    description: str = Attribute("What it does, in a sentence.")


@dataclass(frozen=True, slots=True)
class Offer:
    """`target` is "package.module.Class", or the class itself in a file of a plugin folder."""

    name: str
    target: str | type
    description: str

    kind: ClassVar[str]
    interface: ClassVar[Any]


@implementer(IPlugin, IOffer)
class MailboxOffer(Offer):
    """Offers an `mailserver.interfaces.IMailboxStore`."""

    kind = "mailbox"
    interface = IMailboxStore


@implementer(IPlugin, IOffer)
class AuthenticatorOffer(Offer):
    """Offers an `mailserver.interfaces.IAuthenticator`."""

    kind = "auth"
    interface = IAuthenticator


@implementer(IPlugin, IOffer)
class ForwarderOffer(Offer):
    """Offers an `mailserver.interfaces.IForwarder`."""

    kind = "forward"
    interface = IForwarder


@implementer(IPlugin, IOffer)
class FilterOffer(Offer):
    """Offers an `mailserver.interfaces.IFilter`."""

    kind = "filter"
    interface = IFilter


KINDS = ("mailbox", "auth", "forward", "filter")


class PluginError(MailserverError):
    """A plugin that cannot be had; the sentence names its file and line where there is one."""

    def __init__(self, sentence: str, file: str = "", line: int = 0) -> None:
        where = f"{file}:{line}: " if line else f"{file}: " if file else ""
        super().__init__(where + sentence)
        self.sentence = sentence
        self.file = file
        self.line = line


class OptionError(MailserverError):
    """A key in a plugin's table that is wrong, missing or not known; `key` is empty for the table as a whole."""

    def __init__(self, key: str, sentence: str, suggestion: str = "") -> None:
        super().__init__(sentence + (f'; did you mean "{suggestion}"?' if suggestion else ""))
        self.key = key
        self.sentence = sentence
        self.suggestion = suggestion


@dataclass(frozen=True, slots=True)
class Found:
    """An offer and the file that makes it."""

    offer: Offer
    file: str


class Registry:
    """All offers; `errors` says what could not be read."""

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        self._folders = tuple(folders)
        self._found: dict[tuple[str, str], Found] = {}
        self.errors: list[PluginError] = []

    def load(self) -> Registry:
        """Look into the three sources; returns itself."""
        for found in self._sources():
            key = (found.offer.kind, found.offer.name)
            there = self._found.get(key)
            if there is None:
                self._found[key] = found
            elif there.file != found.file:
                self.errors.append(
                    PluginError(f"two {key[0]} plugins are called {key[1]!r}: {there.file} and {found.file}")
                )
        return self

    def offers(self, kind: str | None = None) -> list[Found]:
        """What is offered, by kind and name."""
        return [found for key, found in sorted(self._found.items()) if kind in (None, key[0])]

    def find(self, kind: str, name: str) -> Found:
        """The offer of this name; raises `PluginError` with the nearest other name."""
        found = self._found.get((kind, name))
        if found is None:
            names = [each.offer.name for each in self.offers(kind)]
            near = difflib.get_close_matches(name, names, 1)
            hint = f'; did you mean "{near[0]}"?' if near else f" (there are: {', '.join(names)})"
            raise PluginError(f"there is no {kind} plugin called {name!r}{hint}")
        return found

    def load_class(self, kind: str, name: str) -> type:
        """Import a plugin's class and verify it; raises `PluginError`."""
        found = self.find(kind, name)
        target = found.offer.target
        if isinstance(target, str):
            module, _, attribute = target.rpartition(".")
            try:
                cls = getattr(sys.modules.get(module) or importlib.import_module(module), attribute)
            except Exception as error:
                raise _import_error(error, found.file) from error
        else:
            cls = target
        try:
            verifyClass(found.offer.interface, cls)
        except Invalid as error:
            raise PluginError(f"{cls.__qualname__} is no {kind} plugin: {error}", *_place(cls)) from None
        return cls  # type: ignore[no-any-return]

    def build(self, kind: str, name: str, table: Mapping[str, Any], server: Any) -> Any:
        """Make a plugin from its table in the configuration.

        Raises `PluginError` when it cannot be had, and `OptionError` when its table is wrong.
        """
        cls = self.load_class(kind, name)
        options = structure(getattr(cls, "Options", NoOptions), table)
        try:
            return cls(options, server)
        except MailserverError:
            raise
        except Exception as error:
            raise _import_error(error, self.find(kind, name).file) from error

    # -- the three sources

    def _sources(self) -> Iterator[Found]:
        yield from self._drop_ins()
        for folder in self._folders:
            yield from self._folder(folder)
        yield from self._entry_points()

    def _drop_ins(self) -> Iterator[Found]:
        import twisted.plugins

        read = set()
        for offer in getPlugins(IOffer, twisted.plugins):
            file = _file_of(offer, twisted.plugins)
            read.add(file)
            if isinstance(offer, Offer):
                yield Found(offer, file)
        # twisted.plugin only logs a drop-in that cannot be imported, and trusts a cache that may be stale.
        for folder in twisted.plugins.__path__:
            for path in sorted(Path(folder).glob("*.py")):
                if str(path) not in read and "mailserver" in path.read_text("utf-8", "replace"):
                    yield from self._module(f"twisted.plugins.{path.stem}", path)

    def _folder(self, folder: Path) -> Iterator[Found]:
        if not folder.is_dir():
            self.errors.append(PluginError("this folder of plugins does not exist", str(folder)))
            return
        for path in sorted(folder.glob("*.py")):
            yield from self._module(f"mailserver_plugin_{path.stem}_{abs(hash(str(path))):x}", path)

    def _module(self, name: str, path: Path) -> Iterator[Found]:
        try:
            module = _import_file(name, path)
        except Exception as error:
            self.errors.append(_import_error(error, str(path)))
            return
        for value in list(vars(module).values()):
            if isinstance(value, Offer):
                yield Found(value, str(path))

    def _entry_points(self) -> Iterator[Found]:
        for point in importlib.metadata.entry_points(group=GROUP):
            try:
                offer = point.load()
            except Exception as error:
                self.errors.append(_import_error(error, f"entry point {point.name} = {point.value}"))
                continue
            if isinstance(offer, Offer):
                yield Found(offer, getattr(sys.modules.get(point.module), "__file__", None) or point.module)
            else:
                self.errors.append(PluginError(f"the entry point {point.name} = {point.value} is no offer"))


def structure(options: type, table: Mapping[str, Any]) -> Any:
    """Make a frozen attrs class from a table; raises `OptionError` at the first wrong key."""
    fields = {field.name.lstrip("_"): field for field in attrs.fields(options)}
    for key in table:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            raise OptionError(key, f'unknown key "{key}"', near[0] if near else "")
    for name, field in fields.items():
        if field.default is attrs.NOTHING and name not in table:
            raise OptionError("", f'the key "{name}" is missing')
    values = {}
    hints = {field.name: field.type for field in attrs.fields(attrs.resolve_types(options))}
    for key, value in table.items():
        try:
            values[key] = _strict.structure(value, hints[fields[key].name])
        except Exception as error:
            raise OptionError(key, f'"{key}" {_complaint(error, hints[fields[key].name])}') from None
    try:
        return options(**values)
    except (ValueError, TypeError) as error:
        raise OptionError("", str(error)) from None


_strict = cattrs.Converter(forbid_extra_keys=True, detailed_validation=False)


def _exactly(kind: type) -> Any:
    def check(value: Any, _: Any) -> Any:
        if type(value) is kind or (kind is float and type(value) is int):
            return value
        raise ValueError(f"needs {_WORDS[kind]}")

    return check


_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
for _kind in _WORDS:
    _strict.register_structure_hook(_kind, _exactly(_kind))


def _complaint(error: Exception, wanted: Any) -> str:
    text = str(error)
    return text if text.startswith("needs ") else f"is not what is wanted here ({getattr(wanted, '__name__', wanted)})"


def _import_file(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _import_error(error: Exception, file: str) -> PluginError:
    """What went wrong while importing `file`, with the innermost line that is outside this program."""
    if isinstance(error, SyntaxError) and error.filename:
        return PluginError(f"{type(error).__name__}: {error.msg}", error.filename, error.lineno or 0)
    line = 0
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == file:
            line = frame.lineno or 0
    return PluginError(f"{type(error).__name__}: {error}", file, line)


def _place(cls: type) -> tuple[str, int]:
    try:
        return inspect.getsourcefile(cls) or "", inspect.getsourcelines(cls)[1]
    except (OSError, TypeError):
        return "", 0


def _file_of(offer: Any, package: ModuleType) -> str:
    """The drop-in that holds an offer: getPlugins does not say."""
    for name, module in list(sys.modules.items()):
        if name.startswith(f"{package.__name__}.") and any(value is offer for value in vars(module).values()):
            return getattr(module, "__file__", None) or name
    return package.__name__

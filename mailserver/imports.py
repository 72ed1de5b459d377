"""Importing what strangers wrote, and saying where it went wrong."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from mailserver.errors import MailserverError


class PluginError(MailserverError):
    """A plugin that cannot be had; the text names its file and line where they are known."""

    def __init__(self, sentence: str, file: str = "", line: int = 0) -> None:
        where = f"{file}:{line}: " if line else f"{file}: " if file else ""
        super().__init__(where + sentence)
        self.sentence = sentence
        self.file = file
        self.line = line


def import_file(name: str, path: Path) -> ModuleType:
    """Import the file under this module name, anew; raises `PluginError`."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise failed(error, str(path)) from error
    return module


def import_module(name: str, file: str) -> ModuleType:
    """Import the module which `file` asks for; raises `PluginError`."""
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise failed(error, file, _folder(name)) from error


def import_class(target: str, file: str) -> Any:
    """What ``package.module.Class`` names, asked for by `file`; raises `PluginError`."""
    name, _, attribute = target.rpartition(".")
    if not name:
        raise PluginError(f"{target!r} does not name a class: it needs package.module.Class", file)
    module = import_module(name, file)
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise PluginError(f"there is no {attribute} in {name}", getattr(module, "__file__", None) or file) from None


def failed(error: Exception, file: str, folder: str = "") -> PluginError:
    """What went wrong, with the innermost line of it in `file` or below `folder`."""
    words = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.filename:
        return PluginError(f"{type(error).__name__}: {error.msg}", error.filename, error.lineno or 0)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == file or (folder and frame.filename.startswith(folder)):
            return PluginError(words, frame.filename, frame.lineno or 0)
    return PluginError(words, file)


def place_of(cls: Any) -> tuple[str, int]:
    """The file and line of a class, as far as they are known."""
    try:
        return inspect.getsourcefile(cls) or "", inspect.getsourcelines(cls)[1]
    except (OSError, TypeError):
        return "", 0


def _folder(name: str) -> str:
    """Where the package of a module lies, or the file of a module without one."""
    try:
        spec = importlib.util.find_spec(name.partition(".")[0])
    except (ImportError, ValueError):
        return ""
    if spec is None:
        return ""
    places = list(spec.submodule_search_locations or ())
    return f"{places[0]}/" if places else spec.origin or ""

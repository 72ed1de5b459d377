"""A Sphinx directive for zope interfaces, which autodoc does not know: ``.. interfaces:: package.module``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module

from docutils.nodes import Node
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from zope.interface.interface import InterfaceClass, Method


def described(interface: InterfaceClass, module: str) -> Iterator[str]:
    """An interface as reStructuredText."""
    bases = ", ".join(each.__name__ for each in interface.__bases__ if each.__name__ != "Interface")
    yield f".. py:class:: {interface.__name__}{f'({bases})' if bases else ''}"
    yield f"   :module: {module}"
    yield ""
    yield from _indented(interface.getDoc())
    for name, attribute in interface.namesAndDescriptions():
        if isinstance(attribute, Method):
            yield f"   .. py:method:: {name}{attribute.getSignatureString()}"
        else:
            yield f"   .. py:attribute:: {name}"
        yield "      :no-index:"
        yield ""
        yield from ("   " + line for line in _indented(attribute.getDoc()))


def _indented(doc: str) -> Iterator[str]:
    for line in inspect.cleandoc(doc).split("\n"):
        yield f"   {line}"
    yield ""


class Interfaces(SphinxDirective):
    """All interfaces that a module has, in its order."""

    required_arguments = 1

    def run(self) -> list[Node]:
        module = import_module(self.arguments[0])
        lines = StringList()
        for value in vars(module).values():
            if isinstance(value, InterfaceClass) and value.__module__ == module.__name__:
                for line in described(value, module.__name__):
                    lines.append(line, module.__file__ or "")
        return self.parse_text_to_nodes(lines)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("interfaces", Interfaces)
    return {"parallel_read_safe": True}

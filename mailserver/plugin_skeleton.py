"""The beginning of a plugin of one's own: a package that works, with tests that pass (``mailserver plugin new``).

Its files stand as templates in ``skeletons``: ``package`` holds those of every kind, and each kind has its own two.
"""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

from mailserver.errors import AlreadyExists, MailserverError
from mailserver.plugin import KINDS

TEMPLATES = Path(__file__).with_name("skeletons")

_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_OFFERS = {
    "mailbox": ("MailboxOffer", "Keep each message in a file of its own."),
    "auth": ("AuthenticatorOffer", "Check passwords against a file."),
    "forward": ("ForwarderOffer", "Send mail for departments to who works there."),
    "filter": ("FilterOffer", "Look for words in subjects."),
    "listener": ("ListenerOffer", "Write down what did not reach whom."),
}
_TABLES = {         # what its author puts into the configuration
    "mailbox": """\
[[mailbox]]
use = "{name}"

[[forward]]                 # with those that you have, in their order
use = "accounts"
store = "{name}\"""",
    "auth": """\
[[auth]]
use = "{name}"
file = "people\"""",
    "forward": """\
[[forward]]                 # with those that you have, in their order
use = "{name}"
people."sales@example.org" = ["ann@example.org", "bob@example.org"]""",
    "filter": """\
[[filter]]
use = "{name}"
words = ["lottery"]""",
    "listener": """\
[[listener]]
use = "{name}"
file = "failures.txt\"""",
}


def write(folder: Path, name: str, kind: str) -> list[Path]:
    """Write the package of a plugin into a new folder of its name; returns the files.

    Raises `AlreadyExists`, and `MailserverError` for a name that cannot be one.
    """
    if kind not in KINDS:
        raise MailserverError(f"there is no kind {kind!r} of plugins (there are: {', '.join(KINDS)})")
    if _NAME.fullmatch(name) is None:
        raise MailserverError(f"{name!r} cannot be a name: it needs small letters and digits, and - between words")
    root = folder / name
    if root.exists():
        raise AlreadyExists(f"{root} is there already")
    package = f"mailserver_{name.replace('-', '_')}"
    words = names(name, kind, package)
    module = words["module"]
    written = []
    for template, path in (
        ("package/README.rst", root / "README.rst"),
        ("package/pyproject.toml", root / "pyproject.toml"),
        ("package/setup.cfg", root / "setup.cfg"),
        ("package/init.py", root / package / "__init__.py"),
        ("", root / package / "py.typed"),
        ("package/offers.py", root / package / "offers.py"),
        (f"{kind}/plugin.py", root / package / f"{module}.py"),
        ("", root / "tests" / "__init__.py"),
        (f"{kind}/test.py", root / "tests" / f"test_{module}.py"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(template, words) if template else "", "utf-8")
        written.append(path)
    return written


def names(name: str, kind: str, package: str) -> dict[str, str]:
    """What the templates call things."""
    offer, sentence = _OFFERS[kind]
    made = "".join(part.capitalize() for part in name.split("-"))
    title = f"{made} for mailserver"
    return {
        "name": name,
        "kind": kind,
        "package": package,
        # A digit, a keyword or a module of Python's own does no harm there: it always has the package before it.
        "module": name.replace("-", "_"),
        "Class": made,
        "Offer": offer,
        "sentence": sentence,
        "title": title,
        "underline": "=" * len(title),
        "tables": "\n".join(f"   {line}".rstrip() for line in _TABLES[kind].format(name=name).split("\n")),
    }


def render(template: str, words: dict[str, str]) -> str:
    """A template with these names in it."""
    return Template((TEMPLATES / f"{template}.txt").read_text("utf-8")).substitute(words)

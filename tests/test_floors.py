"""The house keeps its floors: imports point down, or stay in their own room; and importing does nothing."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent

# From the ground up.  What stands in one pair of brackets is a room: a package, or modules that belong together.
# A room sees the floors below it and itself, never another room of its own floor.
FLOORS: tuple[tuple[tuple[str, ...], ...], ...] = (
    ((
        "address", "reply", "envelope", "content", "errors", "ident", "verdict", "destination", "story", "wishes",
        "events", "figures", "keeping",
    ),),
    (
        ("smtp",), ("imap",), ("pop3",), ("sasl",), ("mime",), ("header", "received", "tlsrpt"),
        ("feedback",),
        ("tomlplaces", "tomltable", "tomlvalues"),
    ),
    (("interfaces", "imapstore", "imapmetadata", "accesskeys", "sharing"),),
    (("net",), ("world",), ("logs",), ("notify",), ("collector",)),
    (("store",), ("control",)),
    (
        (
            "pipeline", "routing", "authentication", "hooks", "lent", "listeners",
            "plugin", "contracts", "imports", "options", "plugin_skeleton",
        ),
        ("mailbox",), ("auth",), ("forwarding",), ("filters",),
    ),
    (("acceptance",), ("config", "kept", "outbound", "settings")),
    (("session",), ("delivery",), ("rooms",), ("web",), ("moving",)),
    ((
        "service", "chores", "crossings", "retaining", "orders", "renewal", "residents", "station", "talkers",
        "metering",
    ), ("checking",)),
    (("workers",),),
    (("tap",), ("cli", "__main__"), ("testing",)),
)
WITHOUT_WORLD = 2           # floors on which nobody sees Twisted, a file, a clock or chance
WORLD = {
    "asyncio", "os", "pathlib", "random", "secrets", "select", "shutil", "socket", "sqlalchemy", "ssl", "subprocess",
    "tempfile", "threading", "time", "twisted",
}
LET_IN = {                  # who sees something of it all the same, and why
    ("content", "os"): "a large content is a file, and a piece of it is read on demand",
    ("ident", "os"): "an id tells processes apart",
    ("received", "time"): "writes a given time as a date",
    ("sasl.scram", "secrets"): "salts a verifier when no salt is given",
}
PLACE = {name: (floor, room) for floor, rooms in enumerate(FLOORS) for room in rooms for name in room}


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the package, by its dotted name without `mailserver`."""
    for path in sorted((ROOT / "mailserver").rglob("*.py")):
        parts = path.relative_to(ROOT / "mailserver").with_suffix("").parts
        if parts != ("__init__",):
            yield ".".join(part for part in parts if part != "__init__"), ast.parse(path.read_text(), str(path))


def imported(tree: ast.AST) -> Iterator[str]:
    """The full names of all that a module imports, wherever it does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{each.name}" for each in node.names)


def at_run_time(tree: ast.Module) -> ast.Module:
    """The statements that run when it is imported: no functions, and not what is there for types alone."""
    body: list[ast.stmt] = []
    for node in tree.body:
        types_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if not types_only and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            body.append(node)
    return ast.Module(body, [])


class FloorTests(SynchronousTestCase):
    """Where imports point."""

    def test_everybody_has_a_floor(self) -> None:
        """A new module is put into the table above, where a reader looks for it."""
        names = {name.partition(".")[0] for name, _ in modules()}
        self.assertEqual(sorted(names - set(PLACE)), [])

    def test_arrows_point_down(self) -> None:
        wrong = []
        for name, tree in modules():
            floor, room = PLACE[name.partition(".")[0]]
            for target in imported(tree):
                package, _, rest = target.partition(".")
                below = rest.partition(".")[0]
                if package != "mailserver" or below not in PLACE or below in room:
                    continue
                if PLACE[below][0] >= floor and name != "testing":
                    wrong.append(f"{name} imports {rest}")
        self.assertEqual(wrong, [])

    def test_absolute(self) -> None:
        self.assertEqual([name for name, tree in modules() if any(each[0] == "." for each in imported(tree))], [])

    def test_wires_and_values_do_not_see_the_world(self) -> None:
        wrong = []
        for name, tree in modules():
            if PLACE[name.partition(".")[0]][0] < WITHOUT_WORLD:
                seen = {each.partition(".")[0] for each in imported(at_run_time(tree))} & WORLD
                wrong += [f"{name} imports {each}" for each in sorted(seen) if (name, each) not in LET_IN]
        self.assertEqual(wrong, [])

    def test_no_asyncio(self) -> None:
        wrong = [name for name, tree in modules() if any(each.split(".")[0] == "asyncio" for each in imported(tree))]
        self.assertEqual(wrong, [])

    def test_no_circle(self) -> None:
        """Whoever reads a module can read those that it needs first."""
        trees = dict(modules())
        arrows: dict[str, set[str]] = {}
        for name, tree in trees.items():
            arrows[name] = set()
            for target in imported(at_run_time(tree)):
                mine = target.removeprefix("mailserver.")
                arrows[name] |= {each for each in (mine, mine.rpartition(".")[0]) if each in trees} - {name}
        while leaves := {name for name, to in arrows.items() if not to}:
            arrows = {name: to - leaves for name, to in arrows.items() if name not in leaves}
        self.assertEqual(arrows, {})


LOOK = """
import importlib, json, os, signal, sys, threading
signals = {each: signal.getsignal(each) for each in signal.valid_signals()}
files = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
print(json.dumps({
    "reactor": "twisted.internet.reactor" in sys.modules,
    "threads": threading.active_count(),
    "files": (len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0) - files,
    "signals": signals == {each: signal.getsignal(each) for each in signal.valid_signals()},
}))
"""


class ImportTests(SynchronousTestCase):
    """What importing does: nothing."""

    def test_nothing_happens(self) -> None:
        """No reactor is chosen, no thread runs, no file is open, no word is said."""
        names = [f"mailserver.{name}" for name, _ in modules() if name != "__main__" and ".versions." not in name]
        names = [name for name in names if not name.endswith("migrations.env")]     # Alembic runs it
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", LOOK, json.dumps(names)], capture_output=True, text=True, cwd=ROOT,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        seen = json.loads(done.stdout)
        self.assertEqual(seen, {"reactor": False, "threads": 1, "files": 0, "signals": True})

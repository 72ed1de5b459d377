"""Plugins are found in three places, and whatever is wrong with one is said with its file and its line."""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path
from typing import Any, Literal

import attrs
from twisted.trial.unittest import SynchronousTestCase

import twisted.plugins
from mailserver.interfaces import IFilter, NoOptions
from mailserver.options import OptionError, structure, structure_all
from mailserver.plugin import KINDS, FilterOffer, PluginError, Registry

QUIET = """
    from mailserver.interfaces import IFilter, NoOptions
    from mailserver.envelope import Origin
    from mailserver.plugin import FilterOffer
    from zope.interface import implementer


    @implementer(IFilter)
    class Quiet:
        Options = NoOptions
        origins = frozenset({Origin.ARRIVAL})

        def __init__(self, options, server):
            self.server = server

        def sender(self, client, envelope):
            return None


    quiet = FilterOffer("quiet", Quiet, "Says nothing.")
"""
HEAD = QUIET.partition("    @implementer")[0]


class PluginCase(SynchronousTestCase):
    """`write` puts a plugin into a folder, `registry` reads that folder."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        modules, path = set(sys.modules), list(sys.path)
        self.addCleanup(lambda: [sys.modules.pop(name) for name in set(sys.modules) - modules])
        self.addCleanup(setattr, sys, "path", path)

    def write(self, text: str, name: str = "quiet.py", folder: Path | None = None) -> Path:
        path = (folder or self.folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), "utf-8")
        return path

    def registry(self, *folders: Path) -> Registry:
        return Registry(folders or [self.folder]).load()

    def error(self, registry: Registry) -> str:
        """The only error, without the name of the test's folder."""
        [error] = registry.errors
        return str(error).replace(f"{self.folder}/", "")

    def refused(self, text: str, name: str = "quiet") -> str:
        """Why the plugin in this file cannot be had."""
        self.write(text)
        registry = self.registry()
        self.assertEqual(registry.errors, [])
        with self.assertRaises(PluginError) as caught:
            registry.build("filter", name, {}, None)
        return str(caught.exception).replace(f"{self.folder}/", "")


class BuiltInTests(SynchronousTestCase):
    """What comes with the server."""

    def test_all_are_what_they_say(self) -> None:
        registry = Registry().load()
        self.assertEqual(registry.errors, [])
        for kind in KINDS:
            for found in registry.offers(kind):
                registry.load_class(kind, found.offer.name)

    def test_names(self) -> None:
        offered = {(each.offer.kind, each.offer.name) for each in Registry().load().offers()}
        self.assertLessEqual({
            ("filter", "headers"), ("filter", "loops"), ("filter", "rate"), ("filter", "dnsbl"),
            ("forward", "accounts"), ("forward", "aliases"), ("forward", "catchall"), ("forward", "subaddress"),
            ("forward", "smarthost"), ("auth", "passwords"), ("auth", "cred"),
            ("mailbox", "sql"), ("mailbox", "maildir"), ("mailbox", "memory"),
        }, offered)

    def test_every_offer_has_a_sentence(self) -> None:
        for found in Registry().load().offers():
            self.assertRegex(found.offer.description, r"^[A-Z].*\.$")


class FolderTests(PluginCase):
    """A file dropped into a folder is enough."""

    def test_one_file(self) -> None:
        path = self.write(QUIET)
        registry = self.registry()
        self.assertEqual(registry.find("filter", "quiet").file, str(path))
        server = object()
        plugin = registry.build("filter", "quiet", {}, server)
        self.assertTrue(IFilter.providedBy(plugin))
        self.assertIs(plugin.server, server)

    def test_no_folder(self) -> None:
        self.assertEqual(
            self.error(self.registry(self.folder / "nowhere")), "nowhere: this folder of plugins does not exist"
        )

    def test_syntax_error(self) -> None:
        self.write("x = 1\ndef broken(:\n    pass\n")
        self.assertEqual(self.error(self.registry()), "quiet.py:2: SyntaxError: invalid syntax")

    def test_import_error(self) -> None:
        self.write("import os\n\nimport no_such_module\n")
        self.assertEqual(
            self.error(self.registry()), "quiet.py:3: ModuleNotFoundError: No module named 'no_such_module'"
        )

    def test_error_inside_a_library(self) -> None:
        """The line that is told is the plugin's own."""
        self.write("import json\n\nvalue = json.loads('{')\n")
        self.assertRegex(self.error(self.registry()), "^quiet.py:3: JSONDecodeError: ")

    def test_one_that_is_broken_does_not_hide_the_others(self) -> None:
        self.write(QUIET)
        self.write("1 / 0\n", "broken.py")
        registry = self.registry()
        self.assertEqual(self.error(registry), "broken.py:1: ZeroDivisionError: division by zero")
        registry.build("filter", "quiet", {}, None)

    def test_no_offer(self) -> None:
        """A file without its one line is named when somebody looks for what it should offer."""
        path = self.write(QUIET.partition("    quiet =")[0])
        registry = self.registry()
        with self.assertRaises(PluginError) as caught:
            registry.find("filter", "quiet")
        self.assertIn(f"(no Offer stands in {path})", str(caught.exception))

    def test_passed_over(self) -> None:
        """Tests that lie beside a plugin, and what begins with an underline, are not plugins."""
        for name in ("test_quiet.py", "_old.py", "README.txt"):
            self.write("1 / 0\n", name)
        self.assertEqual(self.registry().errors, [])

    def test_changed_file(self) -> None:
        """The next registry reads it anew."""
        self.write(QUIET)
        self.registry().build("filter", "quiet", {}, None)
        self.write(QUIET.replace('"quiet", Quiet', '"silent", Quiet'))
        self.registry().build("filter", "silent", {}, None)

    def test_two_servers(self) -> None:
        """Files of one name in different folders are different modules."""
        one, other = self.folder / "one", self.folder / "other"
        self.write(QUIET, folder=one)
        self.write(QUIET.replace('"quiet", Quiet', '"silent", Quiet'), folder=other)
        registry = self.registry(one, other, one)
        self.assertEqual(registry.errors, [])
        quiet, silent = (registry.load_class("filter", name) for name in ("quiet", "silent"))
        self.assertNotEqual(quiet.__module__, silent.__module__)


class NameTests(PluginCase):
    """One name, one plugin."""

    def test_missing(self) -> None:
        with self.assertRaises(PluginError) as caught:
            self.registry().find("filter", "headrs")
        self.assertEqual(str(caught.exception), "there is no filter plugin called 'headrs'; did you mean \"headers\"?")

    def test_missing_and_nothing_is_like_it(self) -> None:
        with self.assertRaises(PluginError) as caught:
            self.registry().find("auth", "zzz")
        self.assertIn("(there are: cred, dev, passwords)", str(caught.exception))

    def test_clash(self) -> None:
        """Both files are named."""
        self.write(QUIET, "one.py")
        self.write(QUIET, "two.py")
        self.assertEqual(
            self.error(self.registry()), "two filter plugins are called 'quiet': one in one.py, one in two.py"
        )

    def test_clash_with_a_built_in(self) -> None:
        self.write(QUIET.replace('"quiet"', '"loops"'))
        self.assertRegex(
            self.error(self.registry()),
            r"two filter plugins are called 'loops': one in \S+/mailserver_plugin.py, one in quiet.py",
        )

    def test_clash_in_one_file(self) -> None:
        self.write(QUIET + '    loud = FilterOffer("quiet", "somewhere.Loud", "Says much.")\n')
        self.assertEqual(self.error(self.registry()), "quiet.py: two filter plugins are called 'quiet' here")

    def test_other_kinds_may_have_the_name(self) -> None:
        self.write(QUIET.replace('"quiet"', '"accounts"'))
        self.assertEqual(self.registry().errors, [])


class ContractTests(PluginCase):
    """A class that is not what its offer says is refused, with everything that is wrong with it."""

    def test_not_marked(self) -> None:
        self.assertEqual(
            self.refused(QUIET.replace("    @implementer(IFilter)\n", "")),
            "quiet.py:8: Quiet is no filter plugin: it is not marked with @implementer(IFilter)",
        )

    def test_another_kind(self) -> None:
        self.assertRegex(
            self.refused(HEAD + """
    class Quiet:
        def __init__(self, options, server): pass

    quiet = FilterOffer("quiet", Quiet, "Says nothing.")
"""),
            "not marked with @implementer.IFilter.; it has no origins: .*; it has none of the hooks",
        )

    def test_method_missing(self) -> None:
        self.write("""
            from mailserver.interfaces import IForwarder
            from mailserver.plugin import ForwarderOffer
            from zope.interface import implementer

            @implementer(IForwarder)
            class Nowhere:
                def __init__(self, options, server): pass

            nowhere = ForwarderOffer("nowhere", Nowhere, "Leads nowhere.")
        """)
        with self.assertRaises(PluginError) as caught:
            self.registry().load_class("forward", "nowhere")
        self.assertIn("quiet.py:6: Nowhere is no forward plugin: it has no forward", str(caught.exception))

    def test_method_that_wants_something_else(self) -> None:
        self.write("""
            from mailserver.interfaces import IAuthenticator
            from mailserver.plugin import AuthenticatorOffer
            from zope.interface import implementer

            @implementer(IAuthenticator)
            class Nobody:
                def __init__(self, options, server): pass
                def check(self, name): pass

            nobody = AuthenticatorOffer("nobody", Nobody, "Nobody.")
        """)
        with self.assertRaises(PluginError) as caught:
            self.registry().load_class("auth", "nobody")
        self.assertIn("its check should be check(name, password, client)", str(caught.exception))

    def test_hook_misspelt(self) -> None:
        """It would never be asked, which nobody would notice."""
        self.assertIn(
            "it has none of the hooks connected, hello, sender, recipient, content, but senders (did you mean sender?)",
            self.refused(QUIET.replace("def sender", "def senders")),
        )

    def test_hook_that_wants_something_else(self) -> None:
        self.assertIn(
            "its sender cannot be called with (client, envelope)",
            self.refused(QUIET.replace("(self, client, envelope)", "(self, envelope)")),
        )

    def test_origins(self) -> None:
        self.assertIn(
            "its origins are ['mars'], not a set of Origin",
            self.refused(QUIET.replace("frozenset({Origin.ARRIVAL})", "['mars']")),
        )

    def test_built_otherwise(self) -> None:
        self.assertIn(
            "it cannot be built with (options, server)",
            self.refused(QUIET.replace("(self, options, server)", "(self, server, options, more)")),
        )

    def test_fails_when_built(self) -> None:
        self.assertEqual(
            self.refused(QUIET.replace("self.server = server", "self.server = server.nothing")),
            "quiet.py:14: AttributeError: 'NoneType' object has no attribute 'nothing'",
        )

    def test_target_that_is_nowhere(self) -> None:
        for target, sentence in (
            ("no_such_package.Quiet", "quiet.py: ModuleNotFoundError: No module named 'no_such_package'"),
            ("mailserver.reply.Quiet", "there is no Quiet in mailserver.reply"),
            ("Quiet", "quiet.py: 'Quiet' does not name a class: it needs package.module.Class"),
            ("mailserver.reply.OK", "is no class"),
        ):
            self.assertIn(sentence, self.refused(HEAD + f'    quiet = FilterOffer("quiet", "{target}", "X.")\n'))

    def test_target_that_is_broken(self) -> None:
        """The place is in the package, not in the offer."""
        package = self.folder / "lib" / "a_broken_package"
        self.write("", "__init__.py", package)
        self.write("import os\nfrom a_broken_package.deeper import Quiet\n", "plugin.py", package)
        self.write("\n\nx = 1 / 0\n", "deeper.py", package)
        sys.path.append(str(package.parent))
        self.assertEqual(
            self.refused(HEAD + '    quiet = FilterOffer("quiet", "a_broken_package.plugin.Quiet", "X.")\n'),
            "lib/a_broken_package/deeper.py:3: ZeroDivisionError: division by zero",
        )


class DropInTests(PluginCase):
    """Drop-ins, as every twistd plugin has one."""

    def setUp(self) -> None:
        super().setUp()
        path = list(twisted.plugins.__path__)
        self.addCleanup(twisted.plugins.__path__.__setitem__, slice(None), path)
        self.plugins = self.folder / "twisted" / "plugins"
        self.plugins.mkdir(parents=True)
        twisted.plugins.__path__.append(str(self.plugins))

    def drop_in(self, text: str, name: str = "a_drop_in_for_tests.py") -> Path:
        return self.write(text, name, self.plugins)

    def names(self) -> list[str]:
        registry = Registry().load()
        self.assertEqual(registry.errors, [])
        return [each.offer.name for each in registry.offers("filter")]

    OFFER = 'from mailserver.plugin import FilterOffer\nx = FilterOffer("from-a-drop-in", "a.b.C", "X.")\n'

    def test_found(self) -> None:
        path = self.drop_in(self.OFFER)
        registry = Registry().load()
        self.assertEqual(registry.find("filter", "from-a-drop-in").file, str(path))

    def test_not_importable(self) -> None:
        """twisted.plugin would only log it."""
        self.drop_in("from mailserver.plugin import FilterOffer\nimport no_such_module\n")
        registry = Registry().load()
        self.assertEqual(
            self.error(registry).removeprefix("twisted/plugins/"),
            "a_drop_in_for_tests.py:2: ModuleNotFoundError: No module named 'no_such_module'",
        )
        self.flushLoggedErrors()

    def test_stale_cache(self) -> None:
        """A package that was renewed with files older than the cache: the cache is not believed."""
        path = self.drop_in("import mailserver\n")
        self.assertNotIn("from-a-drop-in", self.names())
        sys.modules.pop("twisted.plugins.a_drop_in_for_tests")
        self.drop_in(self.OFFER)
        os.utime(path, (1, 1))
        self.assertIn("from-a-drop-in", self.names())

    def test_shadowed(self) -> None:
        """The checkout beside an installed copy: Python imports the first, and there is no clash."""
        self.drop_in("1 / 0  # mailserver\n", "mailserver_plugin.py")
        self.names()
        self.flushLoggedErrors()

    def test_others_are_left_alone(self) -> None:
        """A drop-in of somebody else may be as broken as it likes."""
        self.drop_in("import no_such_module\n")
        self.names()
        self.flushLoggedErrors()


class EntryPointTests(PluginCase):
    """Wheels."""

    def install(self, target: str, text: str) -> None:
        self.write(text, "a_module_of_a_wheel.py")
        self.write("Metadata-Version: 2.1\nName: a-wheel\nVersion: 1\n", "a_wheel-1.dist-info/METADATA")
        self.write(f"[mailserver.plugins]\nquiet = {target}\n", "a_wheel-1.dist-info/entry_points.txt")
        sys.path.append(str(self.folder))

    def test_found(self) -> None:
        self.install("a_module_of_a_wheel:quiet", QUIET)
        registry = Registry().load()
        self.assertEqual(registry.errors, [])
        self.assertEqual(registry.find("filter", "quiet").file, str(self.folder / "a_module_of_a_wheel.py"))
        registry.build("filter", "quiet", {}, None)

    def test_broken(self) -> None:
        self.install("a_module_of_a_wheel:quiet", "1 / 0\n")
        self.assertEqual(self.error(Registry().load()), "a_module_of_a_wheel.py:1: ZeroDivisionError: division by zero")

    def test_nothing_there(self) -> None:
        self.install("a_module_of_a_wheel:loud", QUIET)
        self.assertEqual(
            self.error(Registry().load()),
            "entry point quiet = a_module_of_a_wheel:loud: there is no loud in a_module_of_a_wheel",
        )

    def test_no_offer(self) -> None:
        self.install("a_module_of_a_wheel:Quiet", QUIET)
        self.assertIn("this is no offer: <class", self.error(Registry().load()))

    def test_offered_twice(self) -> None:
        """A package may have a drop-in and an entry point: it is one plugin."""
        self.install("a_module_of_a_wheel:quiet", 'from mailserver.plugin import FilterOffer\n'
                     'quiet = FilterOffer("quiet", "a_package.Quiet", "X.")\n')
        self.write('from mailserver.plugin import FilterOffer\nx = FilterOffer("quiet", "a_package.Quiet", "X.")\n')
        self.assertEqual(self.registry().errors, [])


@attrs.frozen
class Inner:
    name: str
    weight: float = 1.0


@attrs.frozen
class Table:
    zones: tuple[str, ...] = ()
    period: float = attrs.field(default=60.0, validator=attrs.validators.gt(0))
    count: int = 1
    dry_run: bool = False
    action: Literal["reject", "defer"] = "reject"
    text: str | None = None
    weights: dict[str, float] = attrs.Factory(dict)
    inner: Inner | None = None
    several: tuple[Inner, ...] = ()
    one: Inner = attrs.Factory(lambda: Inner("x"))


@attrs.frozen
class Needs:
    checker: str
    domain: str


class OptionTests(SynchronousTestCase):
    """A plugin's table."""

    def wrong(self, table: dict[str, Any], options: type = Table) -> list[tuple[str, str]]:
        value, mistakes = structure_all(options, table)
        self.assertIsNone(value)
        return [(each.key, str(each)) for each in mistakes]

    def test_defaults(self) -> None:
        self.assertEqual(structure(Table, {}), Table())
        self.assertEqual(structure(NoOptions, {}), NoOptions())

    def test_values(self) -> None:
        made = structure(Table, {
            "zones": ["a", "b"], "period": 5, "count": 2, "dry_run": True, "action": "defer", "text": "x",
            "weights": {"a": 2}, "several": [{"name": "y"}, {"name": "z", "weight": 3}], "one": {"name": "w"},
        })
        self.assertEqual(made, Table(
            ("a", "b"), 5.0, 2, True, "defer", "x", {"a": 2.0}, None, (Inner("y"), Inner("z", 3.0)), Inner("w")
        ))

    def test_unknown_key(self) -> None:
        self.assertEqual(self.wrong({"zone": []}), [("zone", 'unknown key "zone"; did you mean "zones"?')])

    def test_missing_keys(self) -> None:
        self.assertEqual(
            self.wrong({}, Needs), [("", 'the key "checker" is missing'), ("", 'the key "domain" is missing')]
        )

    def test_wrong_kinds(self) -> None:
        """All at once, each in words."""
        self.assertEqual(self.wrong({
            "zones": "a", "period": "5", "count": 1.5, "dry_run": 1, "action": "bounce", "text": 5,
            "weights": {"a": "b"}, "one": "x", "colour": "red",
        }), [
            ("zones", '"zones" needs a list, of texts'),
            ("period", '"period" needs a number'),
            ("count", '"count" needs a whole number'),
            ("dry_run", '"dry_run" needs true or false'),
            ("action", '"action" needs one of "reject", "defer"'),
            ("text", '"text" needs a text'),
            ("weights", '"weights" needs a table'),
            ("one", '"one" needs a table'),
            ("colour", 'unknown key "colour"'),
        ])

    def test_inside_a_table(self) -> None:
        self.assertEqual(
            self.wrong({"one": {"name": "x", "wieght": 2}}),
            [("one", 'in "one": unknown key "wieght"; did you mean "weight"?')],
        )
        self.assertEqual(self.wrong({"several": [{}]}), [("several", 'in "several": the key "name" is missing')])

    def test_validators(self) -> None:
        """What they say is put to their key."""
        self.assertEqual(self.wrong({"period": 0}), [("period", "'period' must be > 0: 0.0")])

    def test_no_attrs_class(self) -> None:
        self.assertEqual(
            self.wrong({}, dict), [("", "dict is no attrs class, so it cannot say what its keys are")]
        )
        self.assertRaises(OptionError, structure, dict, {})

    def test_offers_are_values(self) -> None:
        self.assertEqual(FilterOffer("a", "b.C", "D."), FilterOffer("a", "b.C", "D."))

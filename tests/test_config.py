"""A configuration file and what is understood of it, or what its author is told."""

from __future__ import annotations

from pathlib import Path

from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from mailserver.checking import mistakes_of
from mailserver.config import Config, ConfigErrors, find, load
from mailserver.tomlplaces import places

BAD = Path(__file__).parent / "bad_configs"

SMALLEST = """\
hostname = "mx.example.org"
data = "data"
"""


class ConfigTestCase(TestCase):
    """Has a folder for files, and reads one."""

    def setUp(self) -> None:
        self.folder = Path(FilePath(self.mktemp()).path)
        self.folder.mkdir(parents=True)

    def write(self, text: str, name: str = "mailserver.toml") -> Path:
        path = self.folder / name
        path.write_text(text, "utf-8")
        return path

    def load(self, text: str) -> Config:
        return load(self.write(text))

    def mistakes(self, text: str) -> list[str]:
        path = self.write(text)
        error = self.assertRaises(ConfigErrors, load, path)
        return [str(each).removeprefix(f"{path}:") for each in error.mistakes]


class BadConfigsTests(TestCase):
    """Each file of tests/bad_configs, and every sentence that its author reads."""

    def test_each(self) -> None:
        files = sorted(BAD.glob("*.toml"))
        self.assertTrue(files)
        for path in files:
            wanted = path.with_suffix(".expected").read_text("utf-8").replace("{folder}", str(BAD))
            told = "".join(f"{each}\n" for each in mistakes_of(path))
            self.assertEqual(told.replace(f"{path}:", ""), wanted, path.name)

    def test_expectations_have_files(self) -> None:
        for path in BAD.glob("*.expected"):
            self.assertTrue(path.with_suffix(".toml").exists(), path.name)


class DefaultsTests(ConfigTestCase):
    """What two lines mean."""

    def test_a_hostname_beyond_ascii(self) -> None:
        """It is said in greetings and Received fields, which know A-labels alone (RFC 5321 2.3.5)."""
        config = self.load('hostname = "mx.Bücher.example"\ndata = "data"\n')
        self.assertEqual(config.hostname, "mx.xn--bcher-kva.example")

    def test_smallest(self) -> None:
        config = self.load(SMALLEST)
        self.assertEqual(config.hostname, "mx.example.org")
        self.assertEqual(config.data, self.folder.absolute() / "data")
        self.assertEqual([each.name for each in config.filters], ["headers", "loops", "feedback"])
        self.assertEqual(
            [each.name for each in config.forward],
            ["bounces", "aliases", "accounts", "shared", "subaddress", "catchall"],
        )
        self.assertEqual([each.name for each in config.auth], ["passwords"])
        self.assertEqual([each.name for each in config.mailbox], ["sql"])
        self.assertEqual(config.listen, ())
        self.assertIsNone(config.tls)
        self.assertIsNone(config.database)

    def test_numbers_of_the_manual(self) -> None:
        """64 MiB, 1,000 recipients, first retry after 5 min, life 5 days, trace 30 days, 50 connections."""
        config = self.load(SMALLEST)
        self.assertEqual(config.limits.size, 64 * 1024 * 1024)
        self.assertEqual(config.limits.recipients, 1000)
        self.assertEqual(config.limits.allowance.connections_per_address, 50)
        self.assertEqual(config.outbound.retry_first, 300)
        self.assertEqual(config.outbound.life, 5 * 86400)
        self.assertEqual(config.trace_days, 30)

    def test_no_filter_at_all(self) -> None:
        """An empty list of tables means none, not the usual ones."""
        self.assertEqual(self.load("filter = []\n" + SMALLEST).filters, ())


class ValuesTests(ConfigTestCase):
    """Everything that may be written."""

    def test_durations_and_sizes(self) -> None:
        config = self.load(SMALLEST + '[limits]\nidle = "90s"\nlongest = 60\nsize = "10 MiB"\n'
                           '[outbound]\nlife = "2d"\nretry_first = "5 min"\nretry_longest = "1.5h"\n')
        self.assertEqual((config.limits.idle, config.limits.longest), (90.0, 60.0))
        self.assertEqual(config.limits.size, 10 * 1024 * 1024)
        self.assertEqual(config.outbound.life, 2 * 86400)
        self.assertEqual((config.outbound.retry_first, config.outbound.retry_longest), (300.0, 5400.0))

    def test_plugin_tables_keep_their_order_and_their_keys(self) -> None:
        config = self.load(SMALLEST + '[[filter]]\nuse = "dnsbl"\nzones = ["zen.example.net"]\nbudget = 3\n'
                           '[[filter]]\non_error = "skip"\nuse = "loops"\n')
        first, second = config.filters
        self.assertEqual((first.name, first.table, first.budget), ("dnsbl", {"zones": ["zen.example.net"]}, 3.0))
        self.assertEqual((first.keys["zones"].line, first.keys["zones"].column), (5, 1))
        self.assertEqual((second.name, second.table, second.on_error), ("loops", {}, "skip"))
        self.assertEqual(second.place.line, 7)

    def test_networks(self) -> None:
        config = self.load(SMALLEST + '[relay]\nnetworks = ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"]\n'
                           'domains = ["Example.NET", "*"]\n')
        self.assertEqual(
            [str(each) for each in config.networks], ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7/32"]
        )
        self.assertEqual(config.relay_domains, ("example.net", "*"))

    def test_the_name_of_a_source(self) -> None:
        """It is said in EHLO, where names are in A-labels (RFC 5891 4.4)."""
        config = self.load(SMALLEST + '[[outbound.source]]\naddress = "192.0.2.1"\nhello = "M\u00fcnchen.example"\n')
        self.assertEqual([each.hello for each in config.outbound.sources], ["xn--mnchen-3ya.example"])

    def test_routes_take_domains_in_any_case(self) -> None:
        config = self.load(SMALLEST + '[outbound.route]\n"Example.NET" = "tcp:127.0.0.1:2526"\n')
        self.assertEqual(config.outbound.route, {"example.net": "tcp:127.0.0.1:2526"})

    def test_secret_by_file(self) -> None:
        self.write("postgresql://mail:hush@db/mail\n", "url")
        config = self.load(SMALLEST + 'database = { file = "url" }\n')
        self.assertEqual(config.database, "postgresql://mail:hush@db/mail")
        self.assertNotIn("hush", repr(config))

    def test_certificate_files_lie_beside_the_file(self) -> None:
        self.write("", "mx.pem")
        self.write("", "mx.key")
        config = self.load(SMALLEST + '[tls]\ncertificate = "mx.pem"\nkey = "mx.key"\n'
                           '[[listen]]\nservice = "smtp"\nendpoint = "tcp:25"\n'
                           '[[listen]]\nservice = "lmtp"\nendpoint = "unix:lmtp.socket"\n')
        assert config.tls is not None
        self.assertEqual(config.tls.certificate, self.folder.absolute() / "mx.pem")
        self.assertEqual([each.tls for each in config.listen], ["starttls", "none"])

    def test_endpoints(self) -> None:
        for number, endpoint in enumerate((
            "tcp:25", "tcp:port=26", "tcp:0", "tcp:27:interface=127.0.0.1:backlog=99", "tcp6:25:interface=\\\\:\\\\:1",
            "unix:/run/lmtp", "systemd:domain=INET:index=0",
        )):
            config = self.load(SMALLEST + f'[[listen]]\nservice = "lmtp"\nendpoint = "{endpoint}"\n')
            self.assertEqual(len(config.listen), 1, number)

    def test_one_port_on_two_interfaces(self) -> None:
        config = self.load(SMALLEST + "".join(
            f'[[listen]]\nservice = "smtp"\nendpoint = "tcp:25:interface=127.0.0.{number}"\n' for number in (1, 2)
        ))
        self.assertEqual(len(config.listen), 2)


class FileTests(ConfigTestCase):
    """The file itself."""

    def test_missing(self) -> None:
        path = self.folder / "none.toml"
        error = self.assertRaises(ConfigErrors, load, path)
        self.assertEqual(str(error), f"{path}:1:1: cannot be read: No such file or directory")

    def test_latin_1(self) -> None:
        path = self.folder / "latin.toml"
        path.write_bytes(b'hostname = "m\xfcller"\n')
        error = self.assertRaises(ConfigErrors, load, path)
        self.assertEqual(str(error), f"{path}:1:1: is not UTF-8 (octet 14)")

    def test_mistakes_stand_in_order(self) -> None:
        lines = [each.partition(":")[0] for each in self.mistakes('data = 1\nhostname = 2\nworkers = 0\nx = 4\n')]
        self.assertEqual(lines, ["1", "2", "3", "4"])

    def test_found_by_the_environment(self) -> None:
        self.patch(__import__("os"), "environ", {"MAILSERVER_CONFIG": "/somewhere/else.toml"})
        self.assertEqual(find(None), Path("/somewhere/else.toml"))
        self.assertEqual(find("given.toml"), Path("given.toml"))


class PlacesTests(TestCase):
    """Where keys stand."""

    def place(self, text: str, *keys: str | int) -> tuple[int, int]:
        found = places(text, "file")[keys]
        return found.line, found.column

    def test_plain(self) -> None:
        self.assertEqual(self.place('a = 1\n  b = "x"\n', "b"), (2, 3))

    def test_arrays_of_tables(self) -> None:
        text = '[[listen]]\na = 1\n\n[[listen]]\na = 2\n[[listen.more]]\nb = 3\n'
        self.assertEqual(self.place(text, "listen", 1), (4, 1))
        self.assertEqual(self.place(text, "listen", 1, "a"), (5, 1))
        self.assertEqual(self.place(text, "listen", 1, "more", 0, "b"), (7, 1))

    def test_hard_strings(self) -> None:
        """What looks like a table or a key inside a string is none."""
        text = 'a = """\n[x]\nb = 1 \\""" "" """\nc = \'\'\'\nd = 1\'\'\'\ne = "# \\" ["  # [f]\ng = 2\n'
        self.assertEqual(self.place(text, "g"), (7, 1))
        self.assertEqual(set(places(text, "file")), {("a",), ("c",), ("e",), ("g",)})

    def test_inline(self) -> None:
        text = 'a = { b = [1, { c = 2 }], "d e" = 3 }\nf.g = 1979-05-27 07:32:00\nh = 1\n'
        self.assertEqual(self.place(text, "a", "b", 1, "c"), (1, 17))
        self.assertEqual(self.place(text, "a", "d e"), (1, 27))
        self.assertEqual(self.place(text, "f", "g"), (2, 1))
        self.assertEqual(self.place(text, "h"), (3, 1))

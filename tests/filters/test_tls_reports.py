"""``tls-reports``, filter and forwarder: what others report is read and kept, and needs no mailbox."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from mailserver.address import Address
from mailserver.content import LARGE, Content
from mailserver.destination import Drop
from mailserver.envelope import Envelope, Origin
from mailserver.errors import TemporaryFailure
from mailserver.filters import tlsreports as filter_module
from mailserver.filters.tlsreports import NO_REPORT, TlsReports
from mailserver.forwarding.tlsreports import TlsReports as TlsReportsForwarder
from mailserver.plugin import OptionError
from mailserver.store import tlsreports
from mailserver.testing import FilterContract, ForwarderContract, PluginCase, a_client, an_envelope
from mailserver.tlsrpt.letter import letter
from mailserver.tlsrpt.report import Report, write
from mailserver.verdict import Reject, Score
from tests.tlsrpt.test_report import REPORT

ADDRESS = "tls@example.com"


def mail(report: Report = REPORT) -> Content:
    """A report about example.com."""
    return Content.of(letter(
        report, gzip.compress(write(report)), "mx.example.org", "example.com", "postmaster@example.org",
        [Address.parse(ADDRESS)], 1_728_090_000.0, "edge",
    ))


class House(PluginCase):
    table = {"address": ADDRESS}

    def setUp(self) -> None:
        super().setUp()
        self.server.add_domain("example.com")

    def kept(self) -> Any:
        with self.server.database.reading() as connection:
            return tlsreports.listing(connection)


class FilterTests(FilterContract, House):
    plugin = TlsReports

    def envelopes(self) -> Iterator[Envelope]:
        yield from super().envelopes()
        yield an_envelope("", [ADDRESS])
        yield an_envelope("", [ADDRESS, "bob@example.org"])

    async def say(self, content: Content, *recipients: str, **table: Any) -> Any:
        return await self.build(**table).content(a_client(), an_envelope("", recipients or (ADDRESS,)), content)

    async def test_kept(self) -> None:
        said = await self.say(mail())
        self.assertEqual(said, Score(0.0, "a TLS report of example.org, kept"))
        first, second = self.kept()
        self.assertEqual((first["organization"], first["domain"], first["failed"]), ("example.org", "example.com", 3))
        self.assertEqual(first["failures"][0]["mx"], "mx.example.com")
        self.assertEqual((second["policy"], second["successful"]), ("no-policy-found", 1))
        self.assertIn("known already", (await self.say(mail())).why)
        self.assertEqual(len(self.kept()), 2)

    async def test_large(self) -> None:
        """One that lies in a file."""
        octets = mail().beginning.replace(b"--edge\r\n", b"--edge\r\n\r\n" + b"x\r\n" * LARGE + b"--edge\r\n", 1)
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(octets)
        await self.say(Content(len(octets), octets[:LARGE], path))
        self.assertEqual(len(self.kept()), 2)

    async def test_for_others(self) -> None:
        """Mail to everybody else is not looked at."""
        self.assertIsNone(await self.say(mail(), "bob@example.com"))
        self.assertEqual(self.kept(), [])

    async def test_case_of_the_address(self) -> None:
        await self.say(mail(), "TLS@Example.COM")
        self.assertEqual(len(self.kept()), 2)

    async def test_no_report(self) -> None:
        """Refused, where it would go nowhere else."""
        said = await self.say(Content.of(b"Subject: hello\r\n\r\nbuy this\r\n"))
        self.assertEqual(said[1], Reject(NO_REPORT))
        self.assertIsInstance(await self.say(Content.of(b"\r\nx\r\n"), ADDRESS, "bob@example.com"), Score)
        self.server.add_account(ADDRESS)
        self.assertIsInstance(await self.say(Content.of(b"\r\nx\r\n")), Score)

    async def test_about_others(self) -> None:
        """Only what is about our own domains is kept."""
        theirs = replace(REPORT.sections[0], policy=replace(REPORT.sections[0].policy, domain="other.example"))
        self.assertEqual((await self.say(mail(replace(REPORT, sections=(theirs,)))))[1], Reject(NO_REPORT))
        await self.say(mail(replace(REPORT, sections=(theirs, REPORT.sections[1]))))
        self.assertEqual([row["domain"] for row in self.kept()], ["example.com"])
        for domains in (["Other.Example"], ["*"]):
            await self.say(mail(replace(REPORT, id=domains[0], sections=(theirs,))), domains=domains)
        self.assertEqual([row["domain"] for row in self.kept()].count("other.example"), 2)

    async def test_not_now(self) -> None:
        """What could not be written down is not taken."""
        def fails(*args: Any) -> None:
            raise TemporaryFailure("no")

        self.patch(filter_module.tlsreports, "keep", fails)
        with self.assertRaises(TemporaryFailure):
            await self.say(mail())

    def test_origins(self) -> None:
        self.assertEqual(set(TlsReports.origins), {Origin.ARRIVAL, Origin.SUBMISSION})

    def test_address(self) -> None:
        for wrong in ("", "nobody", "a b@example.org"):
            self.assertRaises(OptionError, self.build, address=wrong)


class ForwarderTests(ForwarderContract, House):
    plugin = TlsReportsForwarder
    others = ("bob@example.com", "tls@example.net")

    async def test_needs_no_mailbox(self) -> None:
        [said] = await self.build().forward(Address.parse("TLS@example.com"))
        self.assertIsInstance(said, Drop)

    async def test_somebody_reads_them(self) -> None:
        """Whoever has that address gets them too."""
        self.server.add_account(ADDRESS)
        self.assertIsNone(await self.build().forward(Address.parse(ADDRESS)))

    async def test_alias(self) -> None:
        self.server.add_alias(ADDRESS, "bob@example.com")
        self.assertIsNone(await self.build().forward(Address.parse(ADDRESS)))

    def test_address(self) -> None:
        self.assertRaises(OptionError, self.build, address="nobody")

"""FILTERS: searches with a name (RFC 5466)."""

from __future__ import annotations

from typing import Any

from tests.session.imap.searchhouse import SearchCase, letter

BOX = (
    letter("From: boss@example.com\nSubject: one\n\nx\n"), letter("From: bob@example.com\nSubject: two\n\nx\n"),
    letter("From: boss@example.com\nSubject: three\n\nx\n"),
)


class FilterCase(SearchCase):
    async def named(self, *filters: str) -> None:
        """alice has these filters, each "name search"."""
        server = await self.server()
        await self.put(server, BOX)
        assert server.rooms is not None
        self.store: Any = next(iter(server.rooms.stores.values()))
        self.peer = await self.client(server)
        for each in filters:
            name, _, value = each.partition(" ")
            quoted = value.replace("\\", "\\\\").replace('"', '\\"')
            [end] = await self.peer.ask(f'SETMETADATA "" (/private/filters/values/{name} "{quoted}")'.encode())
            self.assertTrue(end.startswith("OK "), end)

    async def finds(self, command: str, found: str) -> None:
        self.assertEqual(await self.peer.found(command), found, command)

    async def refuses(self, command: str, words: str) -> None:
        self.assertRegex((await self.peer.ask(command.encode()))[-1], words, command)


class FilterTests(FilterCase):
    async def test_inserted(self) -> None:
        await self.named('boss FROM "boss@example.com"', "late FILTER boss UID 2:9", "uni SUBJECT two")
        await self.finds("SEARCH FILTER boss", "1 3")
        await self.finds("UID SEARCH RETURN (MIN COUNT) FILTER BOSS", "UID MIN 1 COUNT 2")
        await self.finds("SEARCH 2:3 FILTER boss ALL", "3")
        await self.finds("SEARCH NOT FILTER late", "1 2")
        await self.finds("SEARCH OR FILTER late FILTER uni", "2 3")
        await self.finds("SEARCH CHARSET US-ASCII (NOT FILTER boss)", "2")
        await self.finds("SORT (REVERSE SUBJECT) UTF-8 FILTER boss", "3 1")
        await self.finds("THREAD REFERENCES UTF-8 FILTER boss", "(1)(3)")

    async def test_modseq_inside(self) -> None:
        """It is as if it stood in the command, so that the answer has a MODSEQ (RFC 7162 3.1.5)."""
        await self.named("new MODSEQ 2")
        self.assertRegex(await self.peer.found("SEARCH FILTER new"), r"\(MODSEQ \d+\)$")

    async def test_private_first(self) -> None:
        """The one that all share counts where there is none of one's own."""
        await self.named("mine SUBJECT two")
        for name in ("mine", "all"):
            await self.store.annotate(None, None, {f"/shared/filters/values/{name}": b"ALL"})
        await self.finds("SEARCH FILTER mine", "2")
        await self.finds("SEARCH FILTER all", "1 2 3")
        await self.peer.ask('SETMETADATA "" (/private/filters/values/mine NIL)')
        await self.finds("SEARCH FILTER mine", "1 2 3")

    async def test_undefined(self) -> None:
        await self.named("loop FILTER pool", "pool FILTER loop", "self NOT FILTER self", "to-none FILTER Nobody")
        for name, missing in (("none", "none"), ("loop", "loop|pool"), ("self", "self"), ("to-none", "Nobody")):
            for command in (f"SEARCH FILTER {name}", f"SORT (DATE) UTF-8 FILTER {name}",
                            f"UID THREAD REFS UTF-8 ALL FILTER {name}"):
                await self.refuses(command, rf"^NO \[UNDEFINED-FILTER ({missing})\]")

    async def test_depth(self) -> None:
        """Eight within one another, and no more."""
        await self.named("f0 SUBJECT two", *(f"f{number} FILTER f{number - 1}" for number in range(1, 9)))
        await self.finds("SEARCH FILTER f7", "2")
        await self.refuses("SEARCH FILTER f8", r"^NO \[UNDEFINED-FILTER f0\]")

    async def test_growth(self) -> None:
        """Each twice as large as the one before it, or deeper: refused, and soon."""
        def deep(inner: str) -> str:
            return "NOT (ALL " * 20 + inner + ")" * 20

        await self.named(
            "a " + "SUBJECT x " * 40 + "ALL", "b " + " ".join(["FILTER a"] * 40),
            "n " + deep("SEEN"), "m " + deep("FILTER n"), "k " + deep("FILTER m"), "j " + deep("FILTER k"),
        )
        await self.finds("SEARCH FILTER m", "")
        for name in ("b", "k", "j"):
            await self.refuses(f"SEARCH FILTER {name}", r"^NO \[LIMIT\]")

    async def test_charset(self) -> None:
        """A filter is UTF-8 (RFC 5466 3.1)."""
        await self.named("all ALL")
        await self.refuses("SEARCH CHARSET ISO-8859-1 FILTER all", r"^BAD \[BADCHARSET \(UTF-8 US-ASCII\)\]")
        await self.refuses("SORT (DATE) SHIFT_JIS FILTER all", r"^BAD \[BADCHARSET ")

    async def test_checked_when_set(self) -> None:
        """A filter is a whole search, with a name that can be asked for."""
        await self.named()
        for name, value in (("x", "OR SMALLER"), ("x", ""), ("x", "WOOL"), ("x", "ALL)"), ("x", "SUBJECT"),
                            ("a/b", "ALL"), ('"a]b"', "ALL"), ('"a b"', "ALL")):
            name = f'"/private/filters/values/{name[1:]}' if name[0] == '"' else f"/private/filters/values/{name}"
            await self.refuses(f'SETMETADATA "" ({name} "{value}")', r"^NO \[CANNOT\]")
        await self.refuses('SETMETADATA "" (/private/filters/values/x {11+}\r\nSUBJECT \xff\xfe\xfd)', "^NO|^BAD")
        await self.refuses('SETMETADATA "" (/private/filters/descriptions/x "not a search")', "^OK ")
        await self.refuses('SETMETADATA INBOX (/private/filters/values/x "not of the server")', "^OK ")
        for name in ("", " ", " a/b", " (a)", ' "a"'):
            await self.refuses(f"SEARCH FILTER{name}", "^BAD ")

    async def test_saved_nothing(self) -> None:
        """RFC 5182 2.1."""
        await self.named()
        await self.peer.ask("SEARCH RETURN (SAVE) 1")
        await self.refuses("SEARCH RETURN (SAVE) FILTER none", "^NO ")
        await self.finds("SEARCH $", "")

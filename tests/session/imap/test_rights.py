"""No command does anything in somebody else's mailbox without the right that it needs (RFC 4314 4)."""

from __future__ import annotations

import random
import re
from typing import Any

from mailserver.imap.rights import RIGHTS
from tests.session.imap.house import SMALL, Peer
from tests.session.imap.sharinghouse import ALICE, NO_SUCH, SharingCase

MANY = (
    "", *RIGHTS, *(f"lr{each}" for each in "swite"), "lrte", "lrite", *(RIGHTS.replace(each, "") for each in RIGHTS),
    RIGHTS,
)

# What is said to a mailbox that is not chosen, and the rights that it needs.
OUTSIDE = (
    ("STATUS {} (MESSAGES UNSEEN)", "r"), ("EXAMINE {}", "r"), ("GETACL {}", "a"), ("LISTRIGHTS {} anyone", "a"),
    ("SETACL {} carol@example.net +l", "a"), ("DELETEACL {} carol@example.net", "a"), ("SUBSCRIBE {}", "l"),
    ("GETQUOTAROOT {}", "r"), ("APPEND {} {{4+}}\r\nx: y", "i"), ("APPEND {} (\\Seen) {{4+}}\r\nx: y", "i"),
)
# ... and to one that is.
INSIDE = (
    ("FETCH 1 BODY.PEEK[]", "r"), ("FETCH 1:* (FLAGS ENVELOPE)", "r"), ("SEARCH TEXT body", "r"), ("COPY 1 mine", "r"),
    ("SORT (SUBJECT) UTF-8 ALL", "r"), ("STORE 1 +FLAGS (\\Seen)", "s"), ("UID STORE 1 FLAGS (\\Seen)", "?"),
    ("STORE 1 +FLAGS (\\Flagged)", "w"), ("STORE 1 -FLAGS ($Work)", "w"), ("STORE 1 +FLAGS.SILENT (\\Deleted)", "t"),
    ("EXPUNGE", "e"), ("UID EXPUNGE 1", "e"), ("MOVE 1 mine", "te"), ("UID MOVE 2 mine", "te"),
    ("REPLACE 1 mine {{4+}}\r\nx: y", "te"), ("CHECK", "r"), ("CLOSE", "r"),
)


class RightsTests(SharingCase):
    async def test_every_right(self) -> None:
        """Each command with each right alone, with those it comes with, and with all but one."""
        self.alice = await self.begin("", "CREATE Parent", "SETACL Parent bob@example.org k")
        self.peer = await self.bob("CREATE mine")
        await self.fill(self.server, SMALL % (9, 9), local="bob", name="INBOX")
        for number, rights in enumerate(MANY):
            await self.one(f"P{number}", rights)

    async def one(self, name: str, rights: str) -> None:
        there = f'{ALICE}{name}"'
        await self.alice.ok(f"CREATE {name}")
        await self.fill(self.server, *(SMALL % (number, number) for number in range(6)), name=name)
        await self.alice.ok(f'SETACL {name} bob@example.org "{rights}"')
        listed = await self.listed(self.peer, f'LIST "" {there}')
        self.assertEqual(bool(listed), "l" in rights, rights)
        words = rb"^OK" if set(rights) & set("lrikxa") else NO_SUCH
        self.assertRegex((await self.peer.ask(f"MYRIGHTS {there}")).end, words, rights)
        await self.tried(self.peer, "COPY 1 {}", "i", there, rights, chosen="INBOX")
        for command, needed in OUTSIDE:
            await self.tried(self.peer, command, needed, there, rights)
        if "r" in rights:
            for command, needed in INSIDE:
                await self.tried(self.peer, command, needed, there, rights, chosen=there)
        await self.unharmed(name, rights)
        end = (await self.peer.ask(f'CREATE {there[:-1]}/below"')).end
        self.assertRegex(end, rb"^OK" if "k" in rights else rb"^NO \[NOPERM\]", rights)
        moved = f'{ALICE}Parent/{name}"'
        await self.tried(self.peer, f"RENAME {{}} {moved}", "x", there, rights)
        await self.tried(self.peer, "DELETE {}", "x", moved if "x" in rights else there, rights)
        self.assertEqual((await self.alice.ask(f"STATUS {name} (MESSAGES)")).is_ok, "x" not in rights)

    async def tried(
        self, peer: Peer, command: str, needed: str, there: str, rights: str, chosen: str = ""
    ) -> None:
        if chosen:
            await peer.ok(f"SELECT {chosen}")
        if needed == "?":
            allowed = bool(set(rights) & set("swt"))
        else:
            allowed = set(needed) <= set(rights)
        words = rb"^OK" if allowed else rb"^NO \[NOPERM\]" if "l" in rights else NO_SUCH
        if chosen == there and not allowed and "l" not in rights:
            words = rb"^NO "
        heard = await peer.ask(command.format(there))
        self.assertRegex(heard.end, words, f"{command} with {rights!r}")

    async def unharmed(self, name: str, rights: str) -> None:
        """What was refused has not been done all the same."""
        account = await self.account(self.server)
        box = await self.store(self.server).open(account, name)
        state = await box.load()
        if not {"t", "e"} <= set(rights) or "r" not in rights:
            self.assertEqual(list(state.uids[:6]), [1, 2, 3, 4, 5, 6], rights)
        self.assertEqual(state.uidnext > 7, "i" in rights, rights)
        if "w" not in rights:
            self.assertEqual([flags & ~8 for flags in state.flags], [0] * len(state.flags), rights)
        if "t" not in rights:
            self.assertEqual([flags & 8 for flags in state.flags], [0] * len(state.flags), rights)
        self.assertEqual([flags & 1 for flags in state.flags], [0] * len(state.flags), rights)
        told = (await self.alice.ok(f"GETACL {name}")).lines[0]
        self.assertNotIn(b"carol", told)

    async def test_hidden(self) -> None:
        """What is hidden answers as what is not there, to the letter; and so does what a name might lead to."""
        alice = await self.begin("", "CREATE hidden", "SETACL hidden bob@example.org sw", "CREATE inner/hidden")
        await self.public("team")
        owner = await self.store(self.server).owner("@example.org")
        await self.store(self.server).share(owner, "team", "@example.org", "=", "")
        bob = await self.bob("SELECT INBOX")
        await self.fill(self.server, SMALL % (1, 1), local="bob")
        await bob.ok("NOOP")
        names = [
            f"{ALICE}hidden", f"{ALICE}INBOX", f"{ALICE}inner", f"{ALICE}inner/hidden", '"Shared/team', '"Shared',
            '"Other Users', ALICE[:-1], f"{ALICE}../bob@example.org/INBOX", '"Other Users/bob@example.org/INBOX',
            '"Other Users/ALICE@example.org/hidden', '"Other Users/alice/hidden', '"Other Users/@example.org/team',
            '"Other Users/\\"\\"@example.org/team', '"Other Users/alice=40example.org/hidden', '"other users/x',
        ]
        commands = [command for command, _ in OUTSIDE] + [
            "MYRIGHTS {}", "SELECT {}", "DELETE {}", "RENAME {} mine", "CREATE {}", "RENAME INBOX {}",
            'LIST "" {} RETURN (STATUS (MESSAGES) MYRIGHTS)',
        ]
        for command in commands:
            absent = await self.said(bob, command, '"Other Users/nobody@example.org/x')
            for name in names:
                if name == '"other users/x' and not command.startswith(("SELECT", "STATUS", "DELETE")):
                    continue                # a name of one's own
                self.assertEqual(await self.said(bob, command, name), absent, f"{command} {name}")
        self.assertEqual(await self.listed(bob, 'LIST "" "*"'), [
            "INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"])
        await alice.ok("SELECT hidden")

    async def test_odd_names(self) -> None:
        """Whatever stands below the names of others, and whoever is to be let in: a no, and nothing else."""
        await self.begin("", "CREATE Plans")
        bob = await self.bob("CREATE mine", "ENABLE UTF8=ACCEPT")
        dice = random.Random(4314)
        for _ in range(80):
            odd = "".join(dice.choice("ab.-_+=%@/\u00e9\u65e5\u200d'`$&~#!xn") for _ in range(dice.randrange(1, 14)))
            for command in (f'STATUS "Other Users/{odd}" (UNSEEN)', f'MYRIGHTS "Shared/{odd}"',
                            f'CREATE "Other Users/{odd}"', f'SETACL mine "{odd}" l', f'GETQUOTA "@{odd}"'):
                self.assertRegex((await bob.ask(command)).end, rb"^(NO|BAD) (?!\[(SERVERBUG|UNAVAILABLE))", command)
        self.assertEqual(len((await bob.ok("GETACL mine")).lines[0].split()), 5)

    async def said(self, peer: Peer, command: str, name: str) -> Any:
        """All that is heard, but for the name; the chosen mailbox is INBOX again."""
        heard = await peer.ask(command.format(f'{name}"'))
        await peer.ok("SELECT INBOX")
        told = heard.end.replace(name.replace("\\", "").strip('"').encode(), b"NAME")
        return re.sub(rb"Other Users/nobody@example.org/x", b"NAME", told), len(heard.lines)

    async def test_taken_back(self) -> None:
        """Who may no more is told so at his next command, or while he idles (RFC 4314 5.1.1)."""
        alice = await self.begin("", "CREATE Plans", "SETACL Plans bob@example.org lrswte")
        await self.fill(self.server, SMALL % (1, 1), name="Plans")
        bob, idler = [await self.bob(f'SELECT {ALICE}Plans"') for _ in range(2)]
        idler.say("IDLE")
        await idler.response()
        await alice.ok("SETACL Plans bob@example.org lrs")
        await self.refused(bob, "STORE 1 +FLAGS (\\Flagged)")
        self.assertEqual((await idler.response(), await idler.response()), (
            b"* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft)", b"* OK [PERMANENTFLAGS (\\Seen)] these stay"))
        await alice.ok("SETACL Plans -@example.org r")
        self.assertRegex(await idler.response(), rb"^\* BYE the mailbox has been deleted")
        bob.say("FETCH 1 BODY[]")
        self.assertRegex(await bob.response(), rb"^\* BYE the mailbox has been deleted")

    async def test_removed_account(self) -> None:
        """Who gets an address anew has nothing of what its owner before had."""
        from mailserver.address import Address
        from mailserver.store import credentials, directory

        await self.begin("", "CREATE Plans", "SETACL Plans bob@example.org lrs")
        folder = self.server.database.contents

        def renew(connection: Any) -> None:
            directory.remove_account(connection, Address("bob", "example.org"), folder)
            made = directory.add_account(connection, Address("bob", "example.org"), 0.0)
            directory.set_credentials(connection, made.id, credentials.derive("secret"))

        await self.server.database.write(renew)
        bob = await self.bob()
        await self.refused(bob, f'SELECT {ALICE}Plans"', NO_SUCH)
        self.assertEqual(await self.listed(bob, 'LIST "" "Other*"'), [])

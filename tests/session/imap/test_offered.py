"""What the server says that it can do, it can: for each capability an exchange that would fail without it."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from mailserver.address import Address
from mailserver.service import MailServer
from mailserver.session.imap import capabilities
from mailserver.store import credentials, directory
from tests.session.imap.house import ImapCase, Peer

LETTER = b"From: %b <bob@example.org>\r\nTo: alice@example.org\r\nSubject: \xc3\x84pfel %b\r\n\r\nbody\r\n"

# The capability: what to say before, what to say, and what is answered; or the test that tries it.
EXCHANGES: dict[str, tuple[tuple[str, ...], str, str] | str] = {
    "IMAP4rev1": ((), "EXAMINE INBOX", r"^\* \d RECENT$"),
    "IMAP4rev2": (("ENABLE IMAP4rev2", "SELECT INBOX"), "SEARCH 1", r'^\* ESEARCH \(TAG "\w+"\) ALL 1$'),
    "LITERAL+": ((), "STATUS {5+}\r\nINBOX (MESSAGES)", r"^\* STATUS INBOX \(MESSAGES 2\)$"),
    "LITERAL-": "test_login.LoginTests.test_small_literals",
    "SASL-IR": "test_login.LoginTests.test_dialogue", "ID": ((), "ID NIL", r'^\* ID \("name" "mailserver"'),
    "ENABLE": ((), "ENABLE CONDSTORE", "^[*] ENABLED CONDSTORE$"),
    "LOGIN-REFERRALS": "test_referrals.ReferralTests.test_elsewhere",
    "STARTTLS": "test_login.LoginTests.test_starttls", "AUTH": "test_login.LoginTests.test_dialogue",
    "LOGINDISABLED": "test_login.LoginTests.test_starttls",
    "IDLE": "test_selecting.IdleTests", "NAMESPACE": ((), "NAMESPACE", r'^\* NAMESPACE \(\("" "/"\)'),
    "CHILDREN": (("CREATE a/b",), 'LIST "" a', r"^\* LIST \([^)]*\\HasChildren"),
    "UIDPLUS": (("SELECT INBOX",), "COPY 1 Trash", r"^OK \[COPYUID \d+ 1 1\]"),
    "UNSELECT": (("SELECT INBOX",), "UNSELECT", "^OK "),
    "MOVE": (("SELECT INBOX",), "MOVE 1 Trash", r"^\* OK \[COPYUID [^\0]*^\* 1 EXPUNGE"),
    "MULTIAPPEND": ((), "APPEND INBOX {3+}\r\na\r\n {3+}\r\nb\r\n", r"^OK \[APPENDUID \d+ 3:4\]"),
    "BINARY": (("SELECT INBOX",), "FETCH 1 BINARY[1]", r"^\* 1 FETCH \(BINARY\[1\] "),
    "CONDSTORE": (("SELECT INBOX (CONDSTORE)",), "FETCH 1 (MODSEQ)", r"^\* 1 FETCH \(MODSEQ \(\d+\)\)"),
    "QRESYNC": (
        ("ENABLE QRESYNC", "SELECT INBOX", "STORE 1 +FLAGS (\\Deleted)"), "EXPUNGE", r"^\* VANISHED 1$",
    ),
    "ESEARCH": (("SELECT INBOX",), "SEARCH RETURN (COUNT) ALL", r'^\* ESEARCH \(TAG "\w+"\) COUNT 2$'),
    "SEARCHRES": (("SELECT INBOX", "SEARCH RETURN (SAVE) 2"), "FETCH $ (UID)", r"^\* 2 FETCH \(UID 2\)$"),
    "WITHIN": (("SELECT INBOX",), "SEARCH OLDER 1000", r"^\* SEARCH 1 2$"),
    "SORT": (("SELECT INBOX",), "SORT (REVERSE SUBJECT) UTF-8 ALL", r"^\* SORT 2 1$"),
    "SORT=DISPLAY": (("SELECT INBOX",), "SORT (DISPLAYFROM) UTF-8 ALL", r"^\* SORT 2 1$"),
    "ESORT": (("SELECT INBOX",), "SORT RETURN (COUNT) (DATE) UTF-8 ALL", r"^\* ESEARCH \(TAG \"\w+\"\) COUNT 2$"),
    "THREAD=ORDEREDSUBJECT": (("SELECT INBOX",), "THREAD ORDEREDSUBJECT UTF-8 ALL", r"^\* THREAD \(1\)\(2\)$"),
    "THREAD=REFERENCES": (("SELECT INBOX",), "THREAD REFERENCES UTF-8 ALL", r"^\* THREAD \(1\)\(2\)$"),
    "THREAD=REFS": (("SELECT INBOX",), "THREAD REFS UTF-8 ALL", r"^\* THREAD \(1\)\(2\)$"),
    "LIST-EXTENDED": ((), 'LIST (SUBSCRIBED) "" (Sent)', r"^\* LIST \([^)]*\\Subscribed"),
    "LIST-STATUS": ((), 'LIST "" INBOX RETURN (STATUS (MESSAGES))', r"^\* STATUS INBOX \(MESSAGES 2\)$"),
    "SPECIAL-USE": ((), 'LIST (SPECIAL-USE) "" Sent', r"^\* LIST \([^)]*\\Sent\)"),
    "CREATE-SPECIAL-USE": (("DELETE Sent", "CREATE Out (USE (\\Sent))"), 'LIST "" Out', r"^\* LIST \([^)]*\\Sent\)"),
    "STATUS=SIZE": ((), "STATUS Junk (SIZE)", r"^\* STATUS Junk \(SIZE 0\)$"),
    "OBJECTID": (("SELECT INBOX",), "FETCH 1 (EMAILID)", r"^\* 1 FETCH \(EMAILID \(\S+\)\)$"),
    "SAVEDATE": (("SELECT INBOX",), "FETCH 1 (SAVEDATE)", r'^\* 1 FETCH \(SAVEDATE "'),
    "PREVIEW": (("SELECT INBOX",), "FETCH 1 (PREVIEW)", r'^\* 1 FETCH \(PREVIEW "body"\)$'),
    "UTF8=ACCEPT": (("ENABLE UTF8=ACCEPT", 'CREATE "\u00e4"'), 'LIST "" "\u00e4"', '^[*] LIST .* "?\u00e4"?$'),
    "I18NLEVEL=1": (("SELECT INBOX",), "SEARCH SUBJECT {6+}\r\n\u00e4pfel", r"^\* SEARCH 1 2$"),
    "QUOTA": ((), "GETQUOTAROOT INBOX", r'^\* QUOTAROOT INBOX ""$'),
    "QUOTA=RES-STORAGE": ((), 'GETQUOTA ""', r'^\* QUOTA "" \(.*STORAGE \d+ 1024'),
    "QUOTA=RES-MESSAGE": ((), 'GETQUOTA ""', r'^\* QUOTA "" \(.*MESSAGE 2 100\)'),
    "PARTIAL": (("SELECT INBOX",), "SEARCH RETURN (PARTIAL 2:2) ALL", r"^\* ESEARCH .* PARTIAL \(2:2 2\)$"),
    "REPLACE": (("SELECT INBOX",), "REPLACE 1 INBOX {3+}\r\nx\r\n", r"^\* OK \[APPENDUID [^\0]*^\* 1 EXPUNGE$"),
    "UNAUTHENTICATE": (("UNAUTHENTICATE", "LOGIN bob@example.org secret"), "STATUS INBOX (MESSAGES)", r" 0\)$"),
    "INPROGRESS": "test_progress.ProgressTests.test_still_at_it",
    "APPENDLIMIT": ((), "STATUS INBOX (APPENDLIMIT)", r"^\* STATUS INBOX \(APPENDLIMIT \d+\)$"),
    "METADATA": (
        ('SETMETADATA INBOX (/private/comment "x")',), "GETMETADATA INBOX /private/comment",
        r'^\* METADATA INBOX \(/private/comment "x"\)$',
    ),
    "LIST-METADATA": ((), 'LIST "" Sent RETURN (METADATA (/private/specialuse))', r"^\* METADATA Sent "),
    "FILTERS": (
        ('SETMETADATA "" (/private/filters/values/x "SUBJECT two")', "SELECT INBOX"), "SEARCH FILTER x",
        r"^\* SEARCH 2$",
    ),
    "ACL": (("SETACL INBOX anyone p",), "GETACL INBOX", r'^\* ACL INBOX .*"anyone" "p"'),
    "RIGHTS=kxte": ((), "LISTRIGHTS INBOX anyone", r'^\* LISTRIGHTS INBOX "anyone" "" .* k x t e'),
    "LIST-MYRIGHTS": ((), 'LIST "" INBOX RETURN (MYRIGHTS)', r"^\* MYRIGHTS INBOX \w+$"),
    "CATENATE": ((), "APPEND INBOX CATENATE (TEXT {3+}\r\nx\r\n TEXT {3+}\r\ny\r\n)", r"^OK \[APPENDUID \d+ 3\]"),
    "URL-PARTIAL": (
        ('APPEND INBOX CATENATE (URL "/INBOX/;UID=1/;PARTIAL=0.4")', "SELECT INBOX"), "FETCH 3 (RFC822.SIZE)",
        r"^\* 3 FETCH \(RFC822.SIZE 4\)$",
    ),
    "MULTISEARCH": (
        (), "ESEARCH IN (personal) RETURN (COUNT) ALL",
        r'^\* ESEARCH \(TAG "\w+" MAILBOX INBOX UIDVALIDITY \d+\) UID COUNT 2$',
    ),
    "CONTEXT=SEARCH": "test_contexts.UpdateTests.test_by_uid", "CONTEXT=SORT": "test_contexts.UpdateTests.test_sorted",
    "URLAUTH": "test_urlauth.UrlAuthTests.test_read", "URLAUTH=BINARY": "test_urlauth.BinaryTests.test_decoded",
    "NOTIFY": ((), "NOTIFY SET STATUS (personal (MessageNew MessageExpunge))", r"^\* STATUS INBOX \(MESSAGES 2"),
    "UIDONLY": (("ENABLE UIDONLY", "SELECT INBOX"), "UID FETCH 1 (FLAGS)", r"^\* 1 UIDFETCH \(FLAGS"),
    "UIDBATCHES": (("SELECT INBOX",), "UIDBATCHES 500", r'^\* UIDBATCHES \(TAG "\w+"\) 2:1$'),
    "COMPRESS=DEFLATE": "test_login.CompressionTests.test_conversation",
}


def bare(word: str) -> str:
    """Without what it says of this server alone."""
    return word.partition("=")[0] if word.startswith(("AUTH=", "APPENDLIMIT=")) else word


class OfferedTests(ImapCase):
    async def test_each(self) -> None:
        """Each is tried by an account, and a session, of its own."""
        server = await self.serve('[[mailbox]]\nuse = "sql"\nquota_octets = 1048576\nquota_messages = 100\n')
        peer = await self.log_in(server)
        found = (await peer.ok("CAPABILITY")).of(b"CAPABILITY")[0].decode().split()[2:]
        every = {*found, *(word for may in (True, False) for word in capabilities.outside(["PLAIN"], may, True))}
        self.assertEqual({"LITERAL-", *map(bare, every)}, set(EXCHANGES))
        for number, (name, exchange) in enumerate(EXCHANGES.items()):
            if isinstance(exchange, str):
                module, *rest = exchange.split(".")
                there: Any = import_module(f"tests.session.imap.{module}")
                for each in rest:
                    there = getattr(there, each)
                continue
            before, command, answer = exchange
            session = await self._newcomer(server, f"n{number}")
            for each in before:
                await session.ok(each.encode())
            heard = await session.ask(command.encode())
            said = b"\n".join([*heard.lines, heard.end]).decode()
            self.assertTrue(re.search(answer, said, re.MULTILINE), (name, command, said))
            await session.ok("LOGOUT")

    async def _newcomer(self, server: MailServer, local: str) -> Peer:
        """Somebody new with two letters, who has logged in; the password is alice's."""
        alice = await self.account(server)

        def move_in(connection: Any) -> None:
            made = directory.add_account(connection, Address(local, "example.org"), 0.0)
            proof = directory.find_credentials(connection, alice.id, credentials.ARGON2ID)
            directory.set_credentials(connection, made.id, [(credentials.ARGON2ID, each) for each in proof])

        await server.database.write(move_in)
        await self.fill(server, LETTER % (b"Zoe", b"one"), LETTER % (b"Ann", b"two"), local=local)
        return await self.log_in(server, local)

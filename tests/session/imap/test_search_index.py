"""Searches of a mailbox that is in the index: what is found is what a look at each message finds."""

from __future__ import annotations

from typing import Any

from mailserver.mime.looking import Looked, Needle
from mailserver.service import MailServer
from mailserver.store import searching
from tests.searched import Corpus
from tests.session.imap.searchhouse import Client, SearchCase, of_octets

WORDS = ("BODY", "TEXT", "SUBJECT", "FROM", "TO", "HEADER X-Note", "HEADER Message-ID")


def quoted(text: str) -> bytes:
    """A literal that need not be waited for."""
    octets = text.encode()
    return b"{%d+}\r\n%b" % (len(octets), octets)


def found_by_a_look(corpus: Corpus, word: str, text: str) -> list[int]:
    """UIDs; the messages have the UIDs 1 and on."""
    needle, found = Needle.of(text), []
    name = word.rpartition(" ")[2].lower().encode()
    for uid, octets in enumerate(corpus.messages, 1):
        looked = Looked(b"", octets)
        if word == "BODY":
            is_so = looked.in_body(needle)
        elif word == "TEXT":
            is_so = looked.in_header(needle) or looked.in_body(needle)
        else:
            is_so = looked.in_field(name, needle)
        if is_so:
            found.append(uid)
    return found


class IndexCase(SearchCase):
    async def index(self, server: MailServer) -> int:
        """Put alice's INBOX into the index; how many messages it were."""
        assert server.rooms is not None
        store: Any = next(iter(server.rooms.stores.values()))
        [row] = await server.database.read(_rows)
        return await store.indexer.index(row)

    async def corpus(self, seed: int, count: int) -> tuple[Corpus, MailServer, Client]:
        """Such a mailbox, but the last ten messages, which are not in the index."""
        corpus, server = Corpus(seed, count), await self.server()
        await self.put(server, [of_octets(each) for each in corpus.messages[:-10]])
        self.assertEqual(await self.index(server), count - 10)
        await self.put(server, [of_octets(each) for each in corpus.messages[-10:]])
        return corpus, server, await self.client(server)


def _rows(connection: Any) -> list[int]:
    return searching.waiting(connection, 0, 100)[0]


class EqualTests(IndexCase):
    """Answers equal a scan's; `queries` of them by chance."""

    queries = 200
    messages = 150
    seed = 1

    async def test_equal(self) -> None:
        corpus, _, client = await self.corpus(self.seed, self.messages)
        texts = [
            text for octets in corpus.messages
            for looked in (Looked(b"", octets),) for text in (*looked.header_texts(), *looked.body_texts())
        ]
        hits = 0
        for number in range(self.queries):
            word, text = corpus.chance.choice(WORDS[: 2 + number % 6]), corpus.needle(texts)
            wanted = found_by_a_look(corpus, word, text)
            heard = await client.found(b"UID SEARCH CHARSET UTF-8 %b %b" % (word.encode(), quoted(text)))
            self.assertEqual(list(map(int, heard.split())), wanted, (number, word, text))
            hits += bool(wanted)
        self.assertGreater(hits, self.queries // 3)

"""Commands and literals of IMAP, in each of its states."""

from __future__ import annotations

from collections.abc import Iterable

from mailserver.imap.commands.connection import Authenticate, Enable, Idle, Login, StartTls
from mailserver.imap.commands.listing import List
from mailserver.imap.commands.mailboxes import Select
from mailserver.imap.commands.search import Search
from mailserver.imap.commands.table import State
from mailserver.imap.error import ImapError
from mailserver.imap.events import Announced, Event, Piece, Request, Wanted
from mailserver.imap.limits import Limits
from mailserver.imap.names import canonical, encode, read
from mailserver.imap.responses import failure
from mailserver.imap.wire import ServerWire
from tests.fuzz.choices import Choices, split

WORDS = (
    b"a ", b"\r\n", b"NOOP\r\n", b"LOGIN a b\r\n", b"LOGIN {1}\r\na {1+}\r\nb\r\n", b"AUTHENTICATE PLAIN\r\n", b"*\r\n",
    b"AGEAYg==\r\n", b"STARTTLS\r\n", b"IDLE\r\n", b"DONE\r\n", b"ENABLE IMAP4rev2\r\n", b"SELECT INBOX\r\n", b"UID ",
    b"FETCH 1:* (FLAGS BODY.PEEK[1.HEADER.FIELDS (From)]<0.9>)\r\n", b"STORE 1 +FLAGS (\\Seen)\r\n", b"COPY 1 x\r\n",
    b"APPEND x (\\Seen) {3+}\r\nabc\r\n", b"APPEND x {3}\r\n", b" UTF8 (~{2+}\r\n", b"REPLACE 1 x {1+}\r\n", b")", b"(",
    b"SEARCH RETURN (MIN) CHARSET UTF-8 OR NOT ALL (FROM x 1:3)\r\n", b"SORT (DATE) UTF-8 ALL\r\n", b"NOT ", b"OR ",
    b'LIST (SUBSCRIBED) "" (a* %) RETURN (STATUS (MESSAGES))\r\n', b"THREAD REFS UTF-8 ALL\r\n", b"{4294967296}\r\n",
    b"{5+}\r\n", b"{0}\r\n", b"~{1}\r\n", b"&ZeVnLIqe-", b"\xe6\x97\xa5", b"$", b"*:4294967295", b'"', b"\\", b"\0",
    b"\n", b"\r", b"\xff", b" ", b"NIL", b"x" * 600, b"ID (\"a\" NIL)\r\n", b"STATUS x (MESSAGES)\r\n",
    b"CREATE a/b/\r\n",
)
SMALL = Limits(command=2000, literal=500, message=1000, unasked=400, swallowed=4000)
REFUSED = ImapError("not here", "NO", "CANNOT")


class Session:
    """Decides as the choices say, and hears what it can state."""

    def __init__(self, choose: Choices) -> None:
        self.wire = ServerWire(SMALL)
        self.choose = choose
        self.heard: list[object] = []
        self.message: list[bytes] = []      # its pieces
        self.left: int | None = None        # octets of a message that are still to come

    def hear(self, pieces: Iterable[bytes]) -> list[object]:
        """All, to a fatal error or STARTTLS."""
        for piece in pieces:
            self.wire.receive(piece)
            while True:
                try:
                    event = self.wire.next()
                except ImapError as error:
                    assert failure(error).endswith(b"\r\n") and failure(error).count(b"\n") == 1
                    self.heard.append((error.tag, error.condition, error.code, str(error), error.fatal))
                    self.message, self.left = [], None
                    if error.fatal:
                        return self.heard
                    continue
                if event is None:
                    break
                if not self.meet(event):
                    return self.heard
            assert self.wire.buffered <= 12 * 1024, self.wire.buffered
        return self.heard

    def meet(self, event: Event) -> bool:
        """Whether the conversation goes on."""
        wire, below = self.wire, self.choose.below
        if isinstance(event, Piece):
            assert self.left is not None and len(event.octets) <= self.left
            self.left -= len(event.octets)
            assert event.is_last == (self.left == 0)
            self.message.append(event.octets)
            if event.is_last:
                self.heard.append(b"".join(self.message))
                self.message, self.left = [], None
            return True
        self.heard.append(event)
        if isinstance(event, (Wanted, Announced)):
            assert wire.next() is None
            if below(3) == 2:
                wire.refuse(ImapError(str(REFUSED), REFUSED.condition, REFUSED.code))
                return True
            wire.grant()
            if isinstance(event, Announced):
                assert 0 <= event.draft.size <= wire.limits.message and wire.state is not State.NOT_AUTHENTICATED
                self.left = event.draft.size
            return True
        if isinstance(event, Request):
            return self.obey(event)
        return True

    def obey(self, request: Request) -> bool:
        """A whole command."""
        wire, below, command = self.wire, self.choose.below, request.command
        if isinstance(command, StartTls):
            wire.restart()
            return False
        if isinstance(command, Login):
            wire.state = (State.AUTHENTICATED, State.SELECTED, State.NOT_AUTHENTICATED)[below(3)]
        elif isinstance(command, Authenticate):
            wire.challenge(request.tag)
        elif isinstance(command, Idle):
            wire.idle(request.tag)
        elif isinstance(command, Enable):
            wire.utf8 = True
        elif isinstance(command, Select):
            wire.state = State.SELECTED
            assert canonical(command.mailbox) == command.mailbox == read(encode(command.mailbox, False), False)
        elif isinstance(command, List):
            command.matches("a/b")
        elif isinstance(command, Search):
            assert hash(command) is not None        # walks the whole tree
        return True


def run(octets: bytes) -> None:
    """The same is heard whatever the cuts, nothing but what a tag can tell, and little is kept."""
    choices, said = split(octets)
    whole = Session(Choices(choices)).hear([said])
    cut = Session(Choices(choices)).hear(Choices(choices).cut(said))
    assert whole == cut, (whole, cut)
    for each in whole:
        tag = each[0] if isinstance(each, tuple) else getattr(each, "tag", None)
        assert tag is None or (tag.isascii() and tag.isprintable() and 0 < len(tag) <= 64), tag

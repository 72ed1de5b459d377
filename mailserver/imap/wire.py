"""The server's side of IMAP: commands out of octets, and the literals that have to be asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from mailserver.imap.commands.append import BEGINNINGS, Append, Draft, Replace
from mailserver.imap.commands.catenate import Joined, Place, Step, Text, read_messages
from mailserver.imap.commands.connection import base64
from mailserver.imap.commands.table import WITH_LITERAL8, State, may_have_literals, too_long
from mailserver.imap.error import Hungry, ImapError
from mailserver.imap.events import Announced, Cancelled, Done, Event, Piece, Request, Response, Wanted
from mailserver.imap.heads import Head, parts, read_head, read_tag, read_whole
from mailserver.imap.limits import BEFORE_LOGIN, Limits, after_login
from mailserver.imap.lines import Broken, Swallower, line_end
from mailserver.imap.literal import LONGEST_MARKER, Marker, announced
from mailserver.imap.reader import Reader


class ServerWire:
    """Give it octets with `receive`, take events with `next`; the session sets `state`, `utf8` and `limits`.

    `utf8`: names of mailboxes are UTF-8 (after ENABLE of UTF8=ACCEPT or IMAP4rev2).  `limits` hold from the login on.
    However the octets are cut into pieces, the events and the errors are the same, but for the pieces of messages.

    An error whose tag is that of an `Announced` command ends that one: what has come of its messages is void.
    """

    __slots__ = (
        "_buffer", "_command", "_head", "_idling", "_in_brackets", "_is_held", "_left", "_line", "_marker", "_place",
        "_queued", "_refusal", "_seen", "_swallower", "_tag", "limits", "state", "utf8",
    )

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or after_login()
        self._buffer = bytearray()
        self._queued: deque[Event] = deque()            # read already, and not yet told
        self.restart()

    def restart(self) -> None:
        """As if the peer had just connected (TLS has started): what came before is forgotten."""
        self.state = State.NOT_AUTHENTICATED
        self.utf8 = False
        self._buffer.clear()
        self._refusal: ImapError | None = None          # to be raised when its command is over
        self._swallower: Swallower | None = None        # takes the rest of a refused command
        self._tag: str | None = None                    # of an AUTHENTICATE or IDLE that goes on
        self._idling = False
        self._begin()

    def _begin(self) -> None:
        """Be ready for a new command; of the buffer nothing is taken."""
        self._line = self._seen = 0     # where its current line begins, and up to where that has been looked at
        self._marker: Marker | None = None              # of a literal that is neither granted nor refused yet
        self._is_held = False           # that literal is a part of the command, and no message
        self._left: int | None = None                   # octets of a granted message that are still to come
        self._command: tuple[str, Append | Replace] | None = None      # the one whose messages come
        self._place = Place.BEHIND      # where among its messages that one is
        self._queued.clear()
        self._in_brackets = False       # of UTF8 (...)
        self._head: Head | None = None                  # tag and name of a command that has had a literal

    @property
    def buffered(self) -> int:
        """Octets that came and were not used yet."""
        return len(self._buffer)

    def receive(self, octets: bytes) -> None:
        """Keep octets of the peer."""
        self._buffer += octets

    # -- what the session says

    def challenge(self, tag: str) -> None:
        """An AUTHENTICATE goes on: its peer's next line is a `Response`, or `Cancelled`."""
        self._tag, self._idling = tag, False

    def idle(self, tag: str) -> None:
        """An IDLE has begun: its peer's next line is `Done`."""
        self._tag, self._idling = tag, True

    def grant(self) -> None:
        """The literal may come; if it waits, the session has to say so ("+ "), and then goes on with `next`."""
        marker = self._asked()
        self._marker = None
        if self._is_held:
            self._line = self._seen = self._line + marker.size
        else:
            self._left = marker.size

    def refuse(self, error: ImapError) -> None:
        """The literal may not come: `next` raises this error, with the command's tag, as soon as that is over.

        If the literal waits, that is at once, though nothing may be buffered.
        """
        self._refuse(error, self._asked())

    def _asked(self) -> Marker:
        if self._marker is None:
            raise RuntimeError("no literal has been announced")
        return self._marker

    # -- what the peer says

    def next(self) -> Event | None:
        """The next event; None when more octets are needed, or an announced literal is neither granted nor refused.

        Raises `ImapError` for whatever is no command or may not come now; unless it is fatal, what follows it can be
        read.
        """
        while True:
            if self._swallower is not None:
                if not self._swallower.swallow(self._buffer):
                    return None
                self._swallower = None
            if self._refusal is not None:
                error, self._refusal = self._refusal, None
                raise error
            if self._queued:
                return self._queued.popleft()
            if self._marker is not None:
                return None
            if self._left is not None:
                return self._piece()
            if self._tag is not None:
                return self._exchange(self._tag)
            if (event := self._proceed()) is not None or not self._is_refused:
                return event

    def _proceed(self) -> Event | None:
        """The next lines of a command, to where somebody has to know of them."""
        buffer = self._buffer
        while (end := self._line_end()) >= 0:
            marker = announced(bytes(buffer[max(self._line, end - LONGEST_MARKER) : end]))
            self._line = self._seen = end + 2
            if marker is None and self._command is not None:
                return self._behind_message(self._command, end)
            if marker is None:
                octets = bytes(buffer[:end])
                del buffer[: end + 2]
                self._begin()
                return self._told(read_whole(octets, self.state, self.utf8))
            if (event := self._ask(marker)) is not None or self._is_refused:
                return event
        return None

    @property
    def _limits(self) -> Limits:
        return BEFORE_LOGIN if self.state is State.NOT_AUTHENTICATED else self.limits

    @property
    def _is_refused(self) -> bool:
        return self._swallower is not None or self._refusal is not None

    def _line_end(self) -> int:
        buffer = self._buffer
        try:
            end = line_end(buffer, self._line, self._seen, self._limits.command)
        except Broken as broken:
            tag = self._tag or (self._command[0] if self._command else read_tag(bytes(buffer[: broken.place])))
            del buffer[: self._line]
            self._begin()
            self._tag = None
            # Whoever cannot end a line is not waited for as long as a message would be.
            self._swallower = Swallower(0, min(self._limits.swallowed, 4 * self._limits.command))
            raise ImapError(str(broken), tag=tag) from None
        self._seen = len(buffer)
        return end

    def _ask(self, marker: Marker) -> Event | None:
        """A literal is announced at the end of what is here of a command; None: nobody has to be asked about it."""
        try:
            event = None
            if self._command is not None:
                event = self._ask_next(self._command, marker)
            elif self._head is None or self._head.name in BEGINNINGS:
                event = self._ask_first(marker)
            if event is not None:
                return event
            limits, name = self._limits, self._head.name if self._head else ""
            if marker.is_binary and name not in WITH_LITERAL8:
                raise ImapError("a literal8 is for messages")
            if marker.size > limits.literal or self._line + marker.size + 2 > limits.command:
                raise too_long(name)
            if not marker.waits and marker.size > limits.unasked:
                raise ImapError("that literal has to wait", code="TOOBIG")
        except ImapError as error:
            self._refuse(error, marker)
            return None
        self._marker, self._is_held = marker, True
        if marker.waits:
            return Wanted(self._command[0] if self._command else self._head.tag if self._head else "", marker.size)
        self.grant()
        return None

    def _ask_first(self, marker: Marker) -> Event | None:
        """Whether this command may have a literal at all, or is about to bring a message."""
        reader = Reader(bytes(self._buffer[: self._line]), self.utf8, is_open=True)
        try:
            self._head = head = read_head(reader, self.state)
            if not may_have_literals(head.name, self.state):
                raise ImapError("no literal is taken here", code="TOOBIG")
            if head.name not in BEGINNINGS:
                return None
            command = BEGINNINGS[head.name](reader)
            steps = read_messages(reader, Place.BEGINNING, isinstance(command, Replace))
        except Hungry:
            return None
        return self._announce((head.tag, command), steps, marker)

    def _ask_next(self, begun: tuple[str, Append | Replace], marker: Marker) -> Event | None:
        """Whether it is another message or part that comes."""
        try:
            steps = self._steps(begun[1], Reader(bytes(self._buffer[: self._line]), self.utf8, is_open=True))
        except Hungry:
            return None
        if not steps or isinstance(steps[-1], Joined):
            raise ImapError("one message takes the place of one")
        return self._announce(begun, steps, marker)

    def _steps(self, command: Append | Replace, reader: Reader) -> list[Step]:
        """What a command says behind one of its messages, or a part of one."""
        if self._in_brackets:
            reader.expect(b")")
        steps = read_messages(reader, self._place, isinstance(command, Replace))
        if not reader.is_open:
            reader.end()
        return steps

    def _announce(self, begun: tuple[str, Append | Replace], steps: Sequence[Step], marker: Marker) -> Event:
        last = steps[-1]
        assert isinstance(last, (Draft, Text))
        draft = last.draft if isinstance(last, Text) else last
        limits = self.limits
        if draft.size > limits.message:
            raise ImapError("that message is too large", "NO", "TOOBIG")
        if not draft.waits and draft.size > limits.unasked:
            raise ImapError("that literal has to wait", code="TOOBIG")
        del self._buffer[: self._line]
        self._line = self._seen = 0
        self._command = begun
        self._in_brackets = draft.is_utf8
        self._place = Place.PART if isinstance(last, Text) else Place.BEHIND
        self._marker, self._is_held = marker, False
        return self._told([*parts(begun, steps), Announced(*begun, draft, isinstance(last, Text))])

    def _told(self, events: Sequence[Event]) -> Event:
        """The first of them; the others wait."""
        self._queued.extend(events[1:])
        return events[0]

    def _piece(self) -> Piece | None:
        left, buffer = self._left, self._buffer
        assert left is not None
        if left and not buffer:
            return None
        octets = bytes(buffer[:left])
        del buffer[:left]
        left -= len(octets)
        self._left = left or None
        self._line = self._seen = 0
        return Piece(octets, not left)

    def _behind_message(self, begun: tuple[str, Append | Replace], end: int) -> Event | None:
        """What a command says behind the last of its messages: that this was all, and perhaps some parts."""
        try:
            steps = self._steps(begun[1], Reader(bytes(self._buffer[:end]), self.utf8))
        except ImapError as error:
            error.tag = begun[0]
            self._refuse(error, None)
            return None
        del self._buffer[: self._line]
        self._begin()
        return self._told([*parts(begun, steps), Request(*begun)])

    def _refuse(self, error: ImapError, marker: Marker | None) -> None:
        """Give up the command, of which all is used up to `_line`; a literal that does not wait follows there."""
        if error.tag is None:
            error.tag = self._command[0] if self._command else self._head.tag if self._head else None
        del self._buffer[: self._line]
        self._begin()
        self._refusal = error
        if marker is not None and not marker.waits:
            self._swallower = Swallower(marker.size, self._limits.swallowed)

    def _exchange(self, tag: str) -> Event | None:
        """A line of an AUTHENTICATE or IDLE that goes on."""
        end = self._line_end()
        if end < 0:
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        self._begin()
        self._tag = None
        try:
            if self._idling:
                if line.upper() != b"DONE":
                    raise ImapError("DONE was expected")
                return Done()
            return Cancelled() if line == b"*" else Response(base64(line))
        except ImapError as error:
            error.tag = tag
            raise

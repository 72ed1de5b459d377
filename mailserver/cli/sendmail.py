"""``sendmail``: the classic interface, by which programs on this machine send mail.

The message goes through an SMTP session with ourselves, so that it is judged and routed as any other; it is durable
when the command ends, whether the server runs or not.
"""

from __future__ import annotations

import getpass
import os
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formataddr, getaddresses
from typing import Any

import click
from twisted.internet.threads import deferToThread

from mailserver.address import Address
from mailserver.cli.given import configuration
from mailserver.cli.house import House, in_reactor, opened_house
from mailserver.config import Config
from mailserver.errors import BadAddress, MailserverError
from mailserver.net.answer import Answer, Then
from mailserver.session.smtp import SmtpSession
from mailserver.smtp.stuffing import Stuffer

# sysexits.h
USAGE, DATA_ERROR, NO_USER, UNAVAILABLE, TEMPORARY, NO_PERMISSION, CONFIGURATION = 64, 65, 67, 69, 75, 77, 78

CHUNK = 64 * 1024


class SendmailCommand(click.Command):
    """Takes the options that sendmail has had for decades, and passes over those that mean nothing here."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        kept: list[str] = []
        words = iter(args)
        for word in words:
            if word == "--":
                kept += ["--", *words]
            elif word == "-oi" or word == "-i":
                kept.append("-i")
            elif re.fullmatch(r"-(?:o.+|[BNRVXpLhdqOC].*|[emnvUGM].*|A[cm]|bm)", word):
                if word in ("-o", "-B", "-N", "-R", "-V", "-X", "-L", "-h", "-O", "-C"):
                    next(words, None)
            elif word.startswith("-b") and word != "-bs":
                raise click.UsageError(f"{word} is not known: -bs speaks SMTP, without it a message is read", ctx)
            elif word == "-bs":
                kept.append("--smtp")
            elif re.fullmatch(r"-r(.*)", word):
                kept.append("-f" + word[2:])
            elif word == "-ti" or word == "-it":
                kept += ["-t", "-i"]
            else:
                kept.append(word)
        return super().parse_args(ctx, kept)


@click.command("sendmail", cls=SendmailCommand)
@click.option("-t", "from_header", is_flag=True, help="Take the recipients from To, Cc and Bcc too; take Bcc away.")
@click.option("-f", "sender", metavar="ADDRESS", help="The sender; '' or <> is nobody.")
@click.option("-F", "name", metavar="NAME", help="The name for a From that is missing.")
@click.option("-i", "dots", is_flag=True, help="A line with a single dot does not end the message.")
@click.option("--smtp", "smtp", is_flag=True, help="-bs: speak SMTP on standard input and output.")
@click.argument("recipients", nargs=-1)
def command(
    from_header: bool, sender: str | None, name: str | None, dots: bool, smtp: bool, recipients: Sequence[str]
) -> int:
    """Send the message on standard input to the recipients; exit codes are those of sysexits."""
    try:
        config = configuration()
    except MailserverError as error:
        return _end(CONFIGURATION, str(error))
    try:
        if smtp:
            return in_reactor(lambda reactor: _in_house(config, reactor, _speak))
        message = lines(sys.stdin.buffer.read(), dots)
        who = _sender(sender, config.hostname)
        to = [_address(each, config.hostname) for text in recipients for each in text.split(",") if each.strip()]
        if from_header:
            to += [each for each in header_recipients(message, config.hostname) if each not in to]
            message = without_bcc(message)
        if not to:
            return _end(USAGE, "nobody is named: name recipients, or say -t")
        message = with_from(message, name, who, config.hostname)
    except BadAddress as error:
        return _end(DATA_ERROR, f"this is no address: {error}")

    async def hand_in(house: House) -> int:
        return await _hand_in(house, who, to, message)

    try:
        return in_reactor(lambda reactor: _in_house(config, reactor, hand_in))
    except MailserverError as error:
        return _end(TEMPORARY, str(error))


def _end(code: int, sentence: str) -> int:
    click.echo(f"sendmail: {sentence}", err=True)
    return code


async def _in_house(config: Config, reactor: Any, work: Callable[[House], Awaitable[int]]) -> int:
    async with opened_house(config, reactor) as house:
        return await work(house)


# -- the message


def lines(octets: bytes, dots: bool) -> bytes:
    """The message with CRLF line ends, up to a line with a single dot, without an mbox's first line."""
    message = re.sub(rb"\r\n|\r|\n", b"\r\n", octets)
    if not dots:
        if message.startswith(b".\r\n"):
            message = b""
        message = message.partition(b"\r\n.\r\n")[0] + b"\r\n" if b"\r\n.\r\n" in message else message
    if message.startswith((b"From ", b">From ")):
        message = message.partition(b"\r\n")[2]
    if message and not message.endswith(b"\r\n"):
        message += b"\r\n"
    if _FIELD.match(message) is None and not message.startswith(b"\r\n"):
        message = b"\r\n" + message           # a text without a header
    return message


_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
_FIELDS = re.compile(rb"([!-9;-~]+)[ \t]*:((?:[^\r]|\r(?!\n)|\r\n[ \t])*)\r\n")


def fields(message: bytes) -> list[tuple[bytes, str, str]]:
    """The header fields: the octets, the name in lower case, the unfolded body."""
    found = []
    at = 0
    while field := _FIELDS.match(message, at):
        body = re.sub(rb"\r\n[ \t]", b" ", field[2]).decode("utf-8", "replace").strip()
        found.append((field[0], field[1].decode("ascii").lower(), body))
        at = field.end()
    return found


def header_recipients(message: bytes, hostname: str) -> list[Address]:
    """Whom To, Cc and Bcc name (of a resent message, Resent-To ...); raises `BadAddress`."""
    found = fields(message)
    again = "resent-" if any(name.startswith("resent-") for _, name, _ in found) else ""
    bodies = [body for _, name, body in found if name in (f"{again}to", f"{again}cc", f"{again}bcc")]
    named: list[Address] = []
    for _, text in getaddresses(bodies):
        address = _address(text, hostname) if text else None
        if address is not None and address not in named:
            named.append(address)
    return named


def without_bcc(message: bytes) -> bytes:
    """The message without the fields that its recipients are not to see."""
    for octets, name, _ in fields(message):
        if name in ("bcc", "resent-bcc"):
            message = message.replace(octets, b"", 1)
    return message


def with_from(message: bytes, name: str | None, sender: Address | None, hostname: str) -> bytes:
    """The message with a From (RFC 5322 3.6), if it had none."""
    if any(each == "from" for _, each, _ in fields(message)):
        return message
    who = str(sender) if sender is not None else f"postmaster@{hostname}"
    return f"From: {formataddr((name or '', who))}\r\n".encode() + message


def _sender(given: str | None, hostname: str) -> Address | None:
    if given is None:
        return _address(getpass.getuser(), hostname)
    given = given.strip("<> ")
    return _address(given, hostname) if given else None


def _address(text: str, hostname: str) -> Address:
    """An address; a name alone is somebody at this host."""
    text = text.strip().strip("<>")
    return Address.parse(text if "@" in text else f"{text}@{hostname}")


# -- the session


async def _hand_in(house: House, sender: Address | None, recipients: Sequence[Address], message: bytes) -> int:
    """Say it all to a session; when one recipient is refused nobody gets anything, and who called hears of it."""
    session = house.local_session()
    try:
        await session.greeting()
        await _say(session, f"EHLO {house.config.hostname}\r\n".encode())
        code, text = await _say(session, f"MAIL FROM:<{sender or ''}> SIZE={len(message)} BODY=8BITMIME\r\n".encode())
        if code != 250:
            return _end(_exit_code(code), text)
        refused = 0
        for each in recipients:
            code, text = await _say(session, f"RCPT TO:<{each}>\r\n".encode())
            if code >= 400:
                refused = refused or (NO_USER if code == 550 else _exit_code(code))
                _end(refused, f"<{each}>: {text}")
        if refused:
            return refused
        await _say(session, b"DATA\r\n")
        stuffer = Stuffer()
        for start in range(0, len(message), CHUNK):
            await _say(session, stuffer.feed(message[start : start + CHUNK]))
        code, text = await _say(session, stuffer.end())
        return 0 if code == 250 else _end(_exit_code(code), text)
    finally:
        session.lost()


async def _say(session: SmtpSession, octets: bytes) -> tuple[int, str]:
    """Give a session some octets; returns the code of its answer, and the answer, when there is one."""
    session.receive(octets)
    said = b""
    while (answer := await session.next()) is not None:
        said += answer.data
    text = said.decode("utf-8", "replace").strip()
    return int(text[:3]) if text[:3].isdigit() else 0, text.replace("\r\n", " / ")


def _exit_code(code: int) -> int:
    if code < 500:
        return TEMPORARY
    return {550: NO_PERMISSION, 501: DATA_ERROR, 552: DATA_ERROR, 554: UNAVAILABLE}.get(code, UNAVAILABLE)


async def _speak(house: House) -> int:
    """-bs: the session on standard input and output."""
    session = house.local_session()
    try:
        answer: Answer | None = await session.greeting()
        while answer is None or answer.then is Then.GO_ON:
            if answer is not None:
                await deferToThread(_write, answer.data)
                answer = await session.next()
                continue
            octets = await deferToThread(os.read, 0, CHUNK)
            if not octets:
                return 0
            session.receive(octets)
            answer = await session.next()
        await deferToThread(_write, answer.data)
        return 0
    finally:
        session.lost()


def _write(octets: bytes) -> None:
    sys.stdout.buffer.write(octets)
    sys.stdout.buffer.flush()

"""``mailserver send``: a message by SMTP, through this server's own listener."""

from __future__ import annotations

import getpass
import re
import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any

import click

from mailserver.address import Address
from mailserver.cli.given import configuration, password, password_stdin
from mailserver.cli.shown import as_json, plain, show_json
from mailserver.config import Config, Listen
from mailserver.errors import BadAddress, MailserverError
from mailserver.tomlvalues import port_of

WAIT = 30.0             # seconds for each answer
_ID = re.compile(r"\b([0-9A-HJKMNP-TV-Z]{13})\b")


@click.command("send")
@click.option("--to", "recipients", multiple=True, required=True, metavar="ADDRESS", help="May be given often.")
@click.option("--from", "sender", metavar="ADDRESS", help="The sender; else the login, or you at this host.")
@click.option("--subject", default="", help="The subject.")
@click.option("--login", metavar="ADDRESS", help="Submit as this account, with its password.")
@password_stdin
@as_json
@click.argument("file", type=click.File("rb"), required=False)
def command(
    recipients: Sequence[str],
    sender: str | None,
    subject: str,
    login: str | None,
    password_stdin: bool,
    json_wanted: bool,
    file: Any,
) -> None:
    """Send the text in FILE (- is standard input; without it, a line that says that it is a test)."""
    config = configuration()
    secret = password(password_stdin) if login else None
    who = sender or login or f"{getpass.getuser()}@{config.hostname}"
    message = written(who, recipients, subject, file.read() if file is not None else b"This is a test.\n")
    code, text = spoken(config, who, recipients, message, login, secret)
    reply = plain(f"{code} {text}")
    found = _ID.search(text)
    if code >= 400:
        raise MailserverError(f"it was not taken: {reply}")
    if json_wanted:
        show_json({"reply": reply, "id": found[1] if found else None})
        return
    click.echo(reply)
    if found is not None:
        click.echo(f"id {found[1]}")


def written(sender: str, recipients: Sequence[str], subject: str, text: bytes) -> bytes:
    """A message around a text, with CRLF line ends."""
    message = EmailMessage()
    try:
        message["From"] = sender
        message["To"] = ", ".join(recipients)
        message["Subject"] = subject
        message["Date"] = formatdate(localtime=True)
        message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2] or None)
        message.set_content(text.decode("utf-8", "replace").replace("\r\n", "\n"))
    except ValueError as error:
        raise MailserverError(f"this makes no message: {error}") from None
    return re.sub(rb"\r?\n", b"\r\n", message.as_bytes())


def spoken(
    config: Config, sender: str, recipients: Sequence[str], message: bytes, login: str | None, secret: str | None
) -> tuple[int, str]:
    """Say it to the server; returns the reply to the message, or to what was refused before it."""
    for each in (sender, *recipients):
        try:
            Address.parse(each)
        except BadAddress as error:
            raise MailserverError(f"{each!r} is no address: {error}") from None
    listen = _listener(config, "submission" if login else "smtp")
    host, port = _where(listen)
    try:
        with _connected(listen, host, port) as peer:
            peer.ehlo(config.hostname)
            if login:
                if listen.tls == "starttls":
                    peer.starttls(context=_own())
                    peer.ehlo(config.hostname)
                peer.login(login, secret or "")
            code, text = peer.mail(sender, ["BODY=8BITMIME"])
            for each in recipients:
                if code < 400:
                    code, text = peer.rcpt(each)
            if code >= 400:
                return code, text.decode("utf-8", "replace")
            code, text = peer.data(message)
            return code, text.decode("utf-8", "replace")
    except smtplib.SMTPResponseException as error:
        words = error.smtp_error
        return error.smtp_code, words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
    except smtplib.SMTPException as error:
        raise MailserverError(f"the server at {host} port {port} ended the conversation: {error}") from None
    except OSError as error:
        raise MailserverError(f"no server answers at {host} port {port}: {error.strerror or error}") from None


def _listener(config: Config, service: str) -> Listen:
    for listen in sorted(config.listen, key=lambda each: each.tls == "implicit"):
        if listen.service == service and port_of(listen.endpoint) is not None:
            return listen
    raise MailserverError(f"the configuration has no {service} listener on a TCP port")


def _where(listen: Listen) -> tuple[str, int]:
    found = port_of(listen.endpoint)
    assert found is not None
    interface, port = found
    return interface or ("::1" if listen.endpoint.startswith("tcp6") else "127.0.0.1"), port


def _connected(listen: Listen, host: str, port: int) -> smtplib.SMTP:
    if listen.tls == "implicit":
        return smtplib.SMTP_SSL(host, port, timeout=WAIT, context=_own())
    return smtplib.SMTP(host, port, timeout=WAIT)


def _own() -> ssl.SSLContext:
    """To ourselves, whatever name the certificate is for."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


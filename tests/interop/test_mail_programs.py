"""A developer's server, as its first user meets it: swaks sends, curl and mutt read, and no octet is changed."""

from __future__ import annotations

import base64
import email
import hashlib
import random
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.commands import free_base
from tests.cli.running import Running
from tests.interop.terminal import in_terminal
from tests.needs import program
from tests.plain import Sink

PASSWORD = "dev"
PLAIN = "Hello,\n\nthis is a message.\n.\n..\n.hidden?\nBye\n"
JAPANESE = "日本語の件名です"
TEXT = "こんにちは。半角と全角。\n"


class DevTests(SynchronousTestCase):
    """swaks to SMTP and submission, curl and mutt from POP3."""

    def setUp(self) -> None:
        self.swaks, self.curl, self.mutt = program("swaks"), program("curl"), program("mutt")
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.base = free_base((25, 587, 110))
        self.server = Running("dev", "--dir", str(self.folder / "server"), "--port-base", str(self.base))
        self.addCleanup(self.server.stop)
        self.server.wait_for("ready")

    def run_program(self, *words: str) -> bytes:
        """The output of a program that must do what it was asked for."""
        done = subprocess.run(words, capture_output=True, cwd=self.folder, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, (done.stdout + done.stderr)[-3000:].decode(errors="replace"))
        return done.stdout

    def send(self, *words: str, to: str = "ann@example.org") -> str:
        """Let swaks send something; the digest of what it sends, found by letting it send the same elsewhere too."""
        sent: list[bytes] = []

        def taken(recipients: Sequence[str], content: bytes, mark: int) -> None:
            sent.append(content)

        sink = Sink(taken)
        try:
            for port in (sink.port, self.base + 25):
                self.run_program(
                    self.swaks, "--server", f"127.0.0.1:{port}", "--helo", "client.example.net", "--silent", "3",
                    "--from", "bob@example.net", "--to", to, *words,
                )
        finally:
            sink.stop()
        return hashlib.sha256(sent[0]).hexdigest()

    def fetch(self, number: int, of: str = "ann@example.org") -> bytes:
        """A message, as curl gets it."""
        return self.run_program(
            self.curl, "-s", "-u", f"{of}:{PASSWORD}", f"pop3://127.0.0.1:{self.base + 110}/{number}"
        )

    def below_ours(self, octets: bytes) -> str:
        """The digest of what is below our own header fields."""
        ours = re.match(
            rb"Return-Path: <bob@example\.net>\r\nDelivered-To: \S+\r\nReceived: .*\r\n(?:[ \t].*\r\n)*", octets
        )
        assert ours is not None, octets[:500]
        return hashlib.sha256(octets[ours.end():]).hexdigest()

    def write(self, name: str, text: str, charset: str = "ascii") -> str:
        (self.folder / name).write_bytes(text.encode(charset))
        return f"@{self.folder / name}"

    def japanese(self) -> str:
        """A message as Japanese mail programs have written them for decades."""
        subject = base64.b64encode(JAPANESE.encode("iso2022_jp")).decode()
        return self.write(
            "japanese",
            f"From: bob@example.net\nTo: ann@example.org\nSubject: =?ISO-2022-JP?B?{subject}?=\nMIME-Version: 1.0\n"
            f"Content-Type: text/plain; charset=ISO-2022-JP\nContent-Transfer-Encoding: 7bit\n\n{TEXT}",
            "iso2022_jp",
        )

    def read_by_mutt(self, *keys: str) -> bytes:
        """What mutt makes of the first message when it pipes it, decoded, to a file."""
        (self.folder / "muttrc").write_text("\n".join([
            f'set folder="{self.folder}"', "set mail_check=0", "set ssl_starttls=no", "set ssl_force_tls=no",
            f'set pop_pass="{PASSWORD}"', "set pop_delete=no", "set charset=utf-8", "set pipe_decode=yes",
            "set wait_key=no", "set confirmappend=no", "set quit=yes", "set record=''", "set header_cache=''",
            "set move=no", "set pop_authenticators='user'", "unset message_cachedir",
            # mutt takes its keys from here when it has opened the mailbox.
            f"push '{''.join(keys)}<exit>'",
        ]))
        shown = in_terminal(
            [self.mutt, "-n", "-F", "muttrc", "-f", f"pop://ann%40example.org@127.0.0.1:{self.base + 110}/"],
            self.folder, {"HOME": str(self.folder)},
        )
        out = self.folder / "out"
        self.assertTrue(out.exists(), shown[-2000:])
        return out.read_bytes()

    def test_plain(self) -> None:
        sent = self.send(
            "--h-Subject", "Hello", "--h-Date", "Tue, 24 Nov 2026 10:15:28 +0000", "--h-Message-Id", "<1@example.net>",
            "--body", self.write("body", PLAIN),
        )
        self.assertEqual(self.below_ours(self.fetch(1)), sent)
        out = self.read_by_mutt("<first-entry><pipe-message>cat > out<enter>").decode()
        self.assertIn("Subject: Hello\n", out)
        self.assertIn(f"\n\n{PLAIN}", out)

    def test_japanese(self) -> None:
        """The octets of ISO-2022-JP pass as they are, and a Japanese reads them."""
        sent = self.send("--data", self.japanese())
        fetched = self.fetch(1)
        self.assertEqual(self.below_ours(fetched), sent)
        self.assertIn(TEXT.split("\n")[0].encode("iso2022_jp"), fetched)
        out = self.read_by_mutt("<first-entry><pipe-message>cat > out<enter>").decode()
        self.assertIn(f"Subject: {JAPANESE}\n", out)
        self.assertIn(TEXT, out)

    def test_attachment(self) -> None:
        """20 MB, there and back."""
        attachment = self.folder / "attachment.bin"
        attachment.write_bytes(random.Random(20).randbytes(20_000_000))
        written = (
            "From: bob@example.net\nTo: ann@example.org\nSubject: large\nMIME-Version: 1.0\n"
            'Content-Type: multipart/mixed; boundary="here"\n\n--here\nContent-Type: text/plain\n\nSee below.\n'
            "--here\nContent-Type: application/octet-stream; name=attachment.bin\n"
            "Content-Disposition: attachment; filename=attachment.bin\nContent-Transfer-Encoding: base64\n\n"
            f"{base64.encodebytes(attachment.read_bytes()).decode()}--here--\n"
        )
        sent = self.send("--data", self.write("large", written))
        fetched = self.fetch(1)
        self.assertEqual(self.below_ours(fetched), sent)
        part = email.message_from_bytes(fetched).get_payload()[1]      # type: ignore[index, union-attr]
        self.assertEqual(part.get_payload(decode=True), attachment.read_bytes())   # type: ignore[union-attr]
        out = self.read_by_mutt("<first-entry><view-attachments><last-entry><save-entry><kill-line>out<enter><exit>")
        self.assertEqual(hashlib.sha256(out).digest(), hashlib.sha256(attachment.read_bytes()).digest())

    def test_by_submission(self) -> None:
        """TLS and a login on the way in, TLS on the way out."""
        self.run_program(
            self.swaks, "--server", f"127.0.0.1:{self.base + 587}", "--tls", "--auth", "PLAIN", "--auth-user",
            "bob@example.net", "--auth-password", PASSWORD, "--from", "bob@example.net", "--to", "ann@example.org",
        )
        read = self.run_program(
            self.curl, "-s", "-k", "--ssl-reqd", "-u", f"ann@example.org:{PASSWORD}",
            f"pop3://127.0.0.1:{self.base + 110}/1",
        )
        self.assertIn(b"with ESMTPSA id", read)
        listing = self.run_program(
            self.curl, "-s", "-u", f"ann@example.org:{PASSWORD}", f"pop3://127.0.0.1:{self.base + 110}/"
        )
        self.assertEqual(listing, b"1 %d\r\n" % len(read))

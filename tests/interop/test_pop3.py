"""POP3 as real clients speak it: curl's SASL, Python's poplib inside TLS and with UTF-8, mutt's own exchange."""

from __future__ import annotations

import poplib
import ssl
import subprocess
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.commands import free_base
from tests.cli.running import Running
from tests.interop.terminal import in_terminal
from tests.needs import program

ANN, PASSWORD = "ann@example.org", "dev"
JAPANESE = "日本語の件名です"


class ClientTests(SynchronousTestCase):
    """One message without anything special, and one with UTF-8 in its header."""

    def setUp(self) -> None:
        self.swaks, self.curl, self.mutt = program("swaks"), program("curl"), program("mutt")
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.base = free_base((25, 587, 110))
        self.server = Running("dev", "--dir", str(self.folder / "server"), "--port-base", str(self.base))
        self.addCleanup(self.server.stop)
        self.server.wait_for("ready")
        for subject in ("plain", JAPANESE):
            (self.folder / "message").write_text(f"From: bob@example.net\nTo: {ANN}\nSubject: {subject}\n\nHello\n")
            self.run_program(
                self.swaks, "--server", f"127.0.0.1:{self.base + 25}", "--from", "bob@example.net", "--to", ANN,
                "--data", f"@{self.folder / 'message'}",
            )

    def run_program(self, *words: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(words, capture_output=True, cwd=self.folder, timeout=120, check=False, text=True)
        self.assertEqual(done.returncode, 0, (done.stdout + done.stderr)[-3000:])
        return done

    def fetch(self, *options: str, number: int = 1) -> subprocess.CompletedProcess[str]:
        """What curl gets, and what it says of the exchange."""
        return subprocess.run(
            [self.curl, "-sv", "-k", "-u", f"{ANN}:{PASSWORD}", *options,
             f"pop3://127.0.0.1:{self.base + 110}/{number}"],
            capture_output=True, timeout=60, check=False, text=True,
        )

    def test_curl(self) -> None:
        """PLAIN and LOGIN, in one step and in several, in clear on loopback and inside TLS."""
        for options, said in (
            (["--login-options", "AUTH=PLAIN", "--sasl-ir"], "> AUTH PLAIN AGFubk"),
            (["--login-options", "AUTH=PLAIN"], "< + \n"),
            (["--login-options", "AUTH=LOGIN"], "< + UGFzc3dvcmQ6"),
            (["--login-options", "AUTH=PLAIN", "--ssl-reqd"], "> AUTH PLAIN"),
        ):
            done = self.fetch(*options)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("Subject: plain\n", done.stdout)
            self.assertIn(said, done.stderr.replace("\r", ""))

    def test_curl_wrong(self) -> None:
        """67 is what it calls a login that was denied."""
        done = self.fetch("-u", f"{ANN}:wrong", "--login-options", "AUTH=PLAIN")
        self.assertEqual(done.returncode, 67, done.stderr)

    def test_curl_and_utf8(self) -> None:
        """It does not say UTF8, and gets what it can show."""
        done = self.fetch(number=2)
        [subject] = [each for each in done.stdout.split("\n") if each.startswith("Subject: ")]
        self.assertTrue(subject.isascii())
        self.assertEqual(str(make_header(decode_header(subject))), f"Subject: {JAPANESE}")

    def box(self) -> poplib.POP3:
        return poplib.POP3("127.0.0.1", self.base + 110, timeout=30)

    def test_poplib(self) -> None:
        """STLS, then UTF8, then a login; what it finds before and after."""
        box = self.box()
        before = box.capa()
        self.assertLessEqual({"STLS", "SASL", "UTF8", "LANG", "USER"}, set(before))
        box.stls(ssl._create_unverified_context())
        inside = box.capa()
        self.assertNotIn("STLS", inside)
        box.utf8()
        box.user(ANN)
        box.pass_(PASSWORD)
        self.assertNotIn("SASL", box.capa())
        _, lines, _ = box.retr(2)
        self.assertIn(f"Subject: {JAPANESE}".encode(), lines)
        box.quit()

    def test_poplib_and_languages(self) -> None:
        box: Any = self.box()
        box._longcmd("LANG")
        self.assertEqual(box._shortcmd("LANG ja").decode(), "+OK ja これからは日本語です")
        box.user(ANN)
        error = self.assertRaises(poplib.error_proto, box.pass_, "wrong")
        self.assertIn("[AUTH] 名前かパスワードが違います", error.args[0].decode())
        box.quit()

    def test_mutt(self) -> None:
        """PLAIN inside TLS.  mutt does not know UTF8; and an error at one message would keep it from all."""
        (self.folder / "muttrc").write_text("\n".join([
            f'set folder="{self.folder}"', "set mail_check=0", "set ssl_starttls=yes", "set ssl_force_tls=yes",
            "set ssl_verify_dates=no", "set ssl_verify_host=no",
            f'set certificate_file="{self.folder}/accepted"',
            f'set pop_pass="{PASSWORD}"', "set pop_delete=no", "set charset=utf-8", "set pipe_decode=yes",
            "set wait_key=no", "set quit=yes", "set record=''", "set header_cache=''", "set move=no",
            "unset message_cachedir",
            "push '<last-entry><pipe-message>cat > out<enter><exit>'",
        ]))
        certificate = next((self.folder / "server").rglob("*.pem"))
        (self.folder / "accepted").write_bytes(certificate.read_bytes())
        shown = in_terminal(
            [self.mutt, "-n", "-F", "muttrc", "-f", f"pop://ann%40example.org@127.0.0.1:{self.base + 110}/"],
            self.folder, {"HOME": str(self.folder)},
        )
        out = self.folder / "out"
        self.assertTrue(out.exists(), shown[-2000:])
        self.assertIn(f"Subject: {JAPANESE}\n", out.read_text())

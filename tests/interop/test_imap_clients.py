"""IMAP as real clients speak it: mbsync and offlineimap both ways, mutt, curl, Python's imaplib, imapclient."""

from __future__ import annotations

import contextlib
import imaplib
import ssl
import subprocess
import threading
import time
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

from imapclient import IMAPClient
from twisted.trial.unittest import SynchronousTestCase

from tests.cli.commands import free_base
from tests.cli.running import Running
from tests.interop.terminal import in_terminal
from tests.needs import program

ANN, PASSWORD = "ann@example.org", "dev"
JAPANESE = "日本語の件名です"
MESSAGE = (
    b"From: bob@example.net\r\nTo: ann@example.org\r\nSubject: %b\r\nMessage-ID: <%b@example.net>\r\n\r\nHello\r\n"
)


class ClientCase(SynchronousTestCase):
    """A developer's server; ann's INBOX has a plain message, one with UTF-8 in its header, one of 300 kB."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.base = free_base((25, 587, 143, 110))
        self.server = Running("dev", "--dir", str(self.folder / "server"), "--port-base", str(self.base))
        self.addCleanup(self.server.stop)
        self.server.wait_for("ready")
        self.certificate = next((self.folder / "server").rglob("*.pem"))
        box = self.imaplib()
        for subject, more in ((b"plain", b""), (JAPANESE.encode(), b""), (b"large", b"x" * 70 + b"\r\n")):
            message = MESSAGE % (subject, subject.hex().encode()) + more * 4000
            self.assertEqual(box.append("INBOX", "", "", message)[0], "OK")
        box.logout()

    def imaplib(self) -> imaplib.IMAP4:
        box = imaplib.IMAP4("127.0.0.1", self.base + 143, timeout=30)
        self.addCleanup(_hang_up, box)
        box.login(ANN, PASSWORD)
        return box

    def run_program(self, *words: str, home: str = "") -> str:
        """What a program says, which has to succeed."""
        done = subprocess.run(
            words, capture_output=True, cwd=self.folder, timeout=120, check=False, text=True,
            env={"HOME": str(self.folder / home), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        )
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, 0, said[-4000:])
        return said

    def subjects(self, folder: Path) -> list[str]:
        """Those of a Maildir."""
        found = []
        for name in ("cur", "new"):
            for file in (folder / name).iterdir():
                [line] = [each for each in file.read_text().split("\n") if each.startswith("Subject: ")]
                found.append(line.removeprefix("Subject: "))
        return sorted(found)

    def flags(self, subject: str) -> set[str]:
        """Those of the message in INBOX with this subject."""
        with IMAPClient("127.0.0.1", self.base + 143, ssl=False) as client:
            client.login(ANN, PASSWORD)
            client.select_folder("INBOX", readonly=True)
            found = client.fetch(range(1, 20), ["FLAGS", "BODY.PEEK[HEADER.FIELDS (SUBJECT)]"])
            [flags] = [
                each[b"FLAGS"] for each in found.values()
                if subject.encode() in each[b"BODY[HEADER.FIELDS (SUBJECT)]"]
            ]
            return {each.decode() for each in flags} - {"\\Recent"}

    def both_ways(self, synchronise: Any, inbox: Path) -> None:
        """There, back, and then nothing changes any more."""
        synchronise()
        self.assertEqual(self.subjects(inbox), sorted(["plain", "large", JAPANESE]))
        # On this side: a new message, one that is read, one that goes.  On the other: one that is flagged.
        for file in [*(inbox / "cur").iterdir(), *(inbox / "new").iterdir()]:
            text = file.read_text()
            base = file.name.partition(":")[0]
            if "Subject: plain" in text:
                file.rename(inbox / "cur" / f"{base}:2,S")
            elif "Subject: large" in text:
                file.unlink()
        mine = b"From: ann@example.org\nSubject: mine\nMessage-ID: <mine@example.org>\n\nmine\n"
        (inbox / "new" / "1700000000.1.here").write_bytes(mine)
        box = self.imaplib()
        box.select("INBOX")
        self.assertEqual(box.store("2", "+FLAGS", "(\\Flagged)")[0], "OK")
        box.logout()
        synchronise()
        synchronise()
        self.assertEqual(self.flags("plain"), {"\\Seen"})
        self.assertEqual(self.flags("mine"), set())
        [flagged] = [each for each in [*(inbox / "cur").iterdir(), *(inbox / "new").iterdir()] if JAPANESE in
                     each.read_text()]
        self.assertIn("F", flagged.name.partition(":2,")[2])
        self.assertEqual(self.subjects(inbox), sorted(["plain", "mine", JAPANESE]))
        before, modseq = sorted(inbox.rglob("*")), self.modseq()
        synchronise()
        self.assertEqual(sorted(inbox.rglob("*")), before)
        self.assertEqual(self.modseq(), modseq)

    def modseq(self) -> bytes:
        box = self.imaplib()
        _, [line] = box.status("INBOX", "(MESSAGES UIDNEXT HIGHESTMODSEQ)")
        box.logout()
        self.assertIn(b"MESSAGES 3 ", line)
        return bytes(line)


def _hang_up(box: imaplib.IMAP4) -> None:
    with contextlib.suppress(OSError):
        box.shutdown()


class CopyTests(ClientCase):
    def test_mbsync(self) -> None:
        mbsync = program("mbsync", "isync")
        (self.folder / "mbsyncrc").write_text(f"""
IMAPAccount there
Host localhost
Port {self.base + 143}
User {ANN}
Pass {PASSWORD}
SSLType STARTTLS
CertificateFile {self.certificate}

IMAPStore there
Account there

MaildirStore here
Path {self.folder}/mail/
Inbox {self.folder}/mail/INBOX
SubFolders Verbatim

Channel both
Far :there:
Near :here:
Patterns *
Create Both
Expunge Both
SyncState *
""")
        (self.folder / "mail").mkdir()
        self.both_ways(
            lambda: self.run_program(mbsync, "-c", "mbsyncrc", "-a", "-V"), self.folder / "mail" / "INBOX"
        )
        self.assertTrue((self.folder / "mail" / "Sent" / "cur").is_dir())

    def test_offlineimap(self) -> None:
        """In clear: with TLS 1.3 it hangs now and then, as its threads read and write one SSL object at once."""
        offlineimap = program("offlineimap", "offlineimap3")
        (self.folder / "offlineimaprc").write_text(f"""
[general]
accounts = ann
metadata = {self.folder}/metadata
ui = basic
[Account ann]
localrepository = here
remoterepository = there
[Repository here]
type = Maildir
localfolders = {self.folder}/mail
[Repository there]
type = IMAP
remotehost = 127.0.0.1
remoteport = {self.base + 143}
remoteuser = {ANN}
remotepass = {PASSWORD}
ssl = no
starttls = no
""")
        self.both_ways(
            lambda: self.run_program(offlineimap, "-o", "-c", "offlineimaprc"), self.folder / "mail" / "INBOX"
        )


class ReadingTests(ClientCase):
    def test_curl(self) -> None:
        """Listing, one message, a part of one, an upload, a command of one's own; in clear and inside TLS."""
        curl = program("curl")
        url = f"imap://127.0.0.1:{self.base + 143}"

        def fetch(*words: str) -> str:
            return self.run_program(curl, "-sS", "-k", "-u", f"{ANN}:{PASSWORD}", *words)

        self.assertIn('* LIST (\\HasNoChildren \\Sent) "/" Sent', fetch(f"{url}/"))
        for more in ([], ["--ssl-reqd"], ["--login-options", "AUTH=PLAIN"], ["--login-options", "AUTH=LOGIN"],
                     ["--sasl-ir"]):
            self.assertIn("Subject: plain\n", fetch(*more, f"{url}/INBOX;UID=1"))
        self.assertEqual(fetch(f"{url}/INBOX;MAILINDEX=1;SECTION=HEADER.FIELDS%20(SUBJECT)").strip(), "Subject: plain")
        self.assertEqual(len(fetch(f"{url}/INBOX;UID=3;SECTION=TEXT")), len("Hello\n") + 71 * 4000)
        (self.folder / "upload").write_bytes(MESSAGE % (b"sent", b"sent"))
        fetch("-T", "upload", f"{url}/Sent")
        self.assertIn("MESSAGES 1", fetch(url, "-X", "STATUS Sent (MESSAGES)"))
        self.assertIn("Subject: sent", fetch(f"{url}/Sent;UID=1"))

    def test_mutt(self) -> None:
        """Inside TLS, with a header in UTF-8; what is opened is seen."""
        mutt = program("mutt")
        (self.folder / "accepted").write_bytes(self.certificate.read_bytes())
        (self.folder / "muttrc").write_text("\n".join([
            "set ssl_starttls=yes", "set ssl_force_tls=yes", "set ssl_verify_dates=no", "set ssl_verify_host=no",
            f'set certificate_file="{self.folder}/accepted"', f'set imap_pass="{PASSWORD}"', "set charset=utf-8",
            "set pipe_decode=yes", "set wait_key=no", "set quit=yes", "set record=''", "set header_cache=''",
            "set move=no", "set delete=yes", "unset message_cachedir", "set imap_qresync=yes", "set imap_condstore=yes",
            "push '1<enter><display-message><pipe-message>cat > out<enter><exit><flag-message><sync-mailbox><quit>'",
        ]))
        shown = in_terminal(
            [mutt, "-n", "-F", "muttrc", "-f", f"imap://ann%40example.org@127.0.0.1:{self.base + 143}/INBOX"],
            self.folder, {"HOME": str(self.folder)},
        )
        out = self.folder / "out"
        self.assertTrue(out.exists(), shown[-2000:])
        self.assertIn("Subject: plain\n", out.read_text())
        self.assertEqual(self.flags("plain"), {"\\Seen", "\\Flagged"})

    def test_imaplib(self) -> None:
        """Also inside TLS, and with UTF-8 enabled."""
        box: Any = imaplib.IMAP4("127.0.0.1", self.base + 143, timeout=30)
        self.addCleanup(_hang_up, box)
        box.starttls(ssl._create_unverified_context())
        box.login(ANN, PASSWORD)
        self.assertEqual(box.enable("UTF8=ACCEPT")[0], "OK")
        self.assertEqual(box.create('"日本語"')[0], "OK")
        self.assertEqual(box.append('"日本語"', "(\\Seen)", None, "Subject: 日本語\r\n\r\n".encode())[0], "OK")
        self.assertEqual(box.select("INBOX")[1], [b"3"])
        _, found = box.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        headers = [str(make_header(decode_header(each[1].decode()))) for each in found if isinstance(each, tuple)]
        self.assertEqual([each.strip() for each in headers],
                         ["Subject: plain", f"Subject: {JAPANESE}", "Subject: large"])
        self.assertEqual(box.copy("1:2", "Archive")[0], "OK")
        self.assertEqual(box.store("1", "+FLAGS", "\\Deleted")[0], "OK")
        self.assertEqual(box.expunge()[1], [b"1"])
        self.assertEqual(box.close()[0], "OK")
        self.assertEqual(box.logout()[0], "BYE")

    def test_imapclient(self) -> None:
        """What its own calls make of it: folders, IDLE, MOVE, quotas, flags."""
        with IMAPClient("127.0.0.1", self.base + 143, ssl=False) as client:
            client.login(ANN, PASSWORD)
            self.assertEqual(client.find_special_folder(b"\\Sent"), "Sent")
            self.assertEqual(client.namespace().personal, (("", "/"),))
            client.create_folder("Ordner/Grün")
            self.assertIn("Ordner/Grün", [name for _, _, name in client.list_folders()])
            self.assertEqual(client.folder_status("INBOX", ["MESSAGES"]), {b"MESSAGES": 3})
            self.assertEqual(client.select_folder("INBOX")[b"EXISTS"], 3)
            envelope = client.fetch([1], ["ENVELOPE", "BODYSTRUCTURE", "INTERNALDATE"])[1]
            self.assertEqual(envelope[b"ENVELOPE"].subject, b"plain")
            self.assertEqual(envelope[b"ENVELOPE"].from_[0].mailbox, b"bob")
            self.assertEqual(envelope[b"BODYSTRUCTURE"][:2], (b"text", b"plain"))
            client.idle()
            other = threading.Thread(target=self.deliver)
            other.start()
            heard: list[Any] = []
            until = time.monotonic() + 20
            while (4, b"EXISTS") not in heard and time.monotonic() < until:
                heard += client.idle_check(timeout=2)
            other.join()
            client.idle_done()
            self.assertIn((4, b"EXISTS"), heard)
            client.move([2], "Ordner/Grün")
            self.assertEqual(sorted(client.fetch(range(1, 20), ["FLAGS"])), [1, 3, 4])
            client.add_flags([1], ["$Important"])
            self.assertIn(b"$Important", client.get_flags([1])[1])
            client.delete_messages([1])
            client.expunge([1])
            client.rename_folder("Ordner/Grün", "Neu")
            client.select_folder("Neu")
            subject = client.fetch([1], ["BODY[HEADER.FIELDS (SUBJECT)]"])[1][b"BODY[HEADER.FIELDS (SUBJECT)]"]
            self.assertEqual(subject, f"Subject: {JAPANESE}\r\n\r\n".encode())

    def deliver(self) -> None:
        box = self.imaplib()
        box.append("INBOX", "", "", MESSAGE % (b"late", b"late"))
        box.logout()

"""Parameters, as they were sent and as they are meant."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailserver.mime.parameters import LONGEST_NAME, MOST_PARAMETERS, disposition, meant, media_type, token


def named(value: str | bytes) -> str | None:
    """The file name that a Content-Disposition gives."""
    octets = value if isinstance(value, bytes) else value.encode()
    found = disposition(b"attachment; " + octets)
    assert found is not None
    return meant(found[1], b"filename")


class ParameterTests(SynchronousTestCase):
    def test_types(self) -> None:
        self.assertEqual(media_type(b"TEXT/Plain"), ("text", "plain", ()))
        self.assertEqual(
            media_type(b'text/plain (c) ; Charset="us-ascii" (plain (text)); x = y z ;;a="b\\"c"; bad; e='),
            ("text", "plain", ((b"Charset", b"us-ascii"), (b"x", b"y z"), (b"a", b'b"c'), (b"e", b""))),
        )
        for bad in (b"", b"text", b"/", b"text/", b"/plain", b";", b"(", b"((((", b"\xff"):
            self.assertIsNone(media_type(bad), bad)

    def test_tokens(self) -> None:
        self.assertEqual((token(b" BASE64 "), token(b"(c) 7bit;"), token(b""), token(b"(")), ("base64", "7bit", "", ""))

    def test_rfc_2231(self) -> None:
        """The examples of RFC 2231 3 and 4."""
        found = media_type(
            b'message/external-body; access-type=URL; URL*0="ftp://"; URL*1="cs.utk.edu/pub/moore/bulk-mailer.tar"'
        )
        assert found is not None
        self.assertEqual(meant(found[2], b"url"), "ftp://cs.utk.edu/pub/moore/bulk-mailer.tar")
        self.assertEqual(found[2][1], (b"URL*0", b"ftp://"))
        found = media_type(
            b"application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20;"
            b' title*2="isn\'t it!"'
        )
        assert found is not None
        self.assertEqual(meant(found[2], b"title"), "This is even more ***fun*** isn't it!")

    def test_japanese_names(self) -> None:
        """In both spellings, and in the raw."""
        for value in (
            "filename*=UTF-8''%E8%AB%8B%E6%B1%82%E6%9B%B8.pdf",
            "filename*=iso-2022-jp'ja'%1B%24B%40A5a%3Dq%1B%28B.pdf",
            "filename*0*=UTF-8''%E8%AB%8B%E6; filename*1*=%B1%82%E6%9B%B8; filename*2=.pdf",
            "filename*1*=%B1%82%E6%9B%B8; filename*2=.pdf; filename*0*=UTF-8''%E8%AB%8B%E6",
            'filename="=?UTF-8?B?6KuL5rGC5pu4LnBkZg==?="',
            'filename="=?ISO-2022-JP?B?GyRCQEE1YT1xGyhCLnBkZg==?="',
            'filename="=?UTF-8?B?6KuL?= =?UTF-8?B?5rGC5pu4LnBkZg==?="',
            'filename="請求書.pdf"',
            '''filename="fallback.pdf"; filename*=UTF-8''%E8%AB%8B%E6%B1%82%E6%9B%B8.pdf''',
            "請求書.pdf".encode("cp932").join((b"filename=", b"")),
        ):
            self.assertEqual(named(value), "請求書.pdf", value)

    def test_odd(self) -> None:
        self.assertEqual(named("filename=report(1).pdf"), "report(1).pdf")
        self.assertEqual(named("filename=my report.pdf; x=y"), "my report.pdf")
        self.assertEqual(named('filename="a\\\\b"'), "a\\b")
        self.assertEqual(named('filename="open'), "open")
        self.assertEqual(named("filename*=%41"), "A")
        self.assertEqual(named("filename*=klingon''%41%FF"), "A\xff")
        self.assertEqual(named("filename*0=a; filename*2=c"), "a")
        self.assertEqual(named("filename*=utf-8''%zz%"), "%zz%")
        self.assertEqual((named("filename*1=b"), named("x=y"), named("filename*99999=a")), (None, None, None))

    def test_many(self) -> None:
        """10^5 segments, and a name without end: some are read, and it takes no time."""
        found = disposition(b"a" + b"".join(b"; filename*%d=x" % each for each in range(10**5)))
        assert found is not None
        self.assertEqual((len(found[1]), meant(found[1], b"filename")), (MOST_PARAMETERS, "x" * MOST_PARAMETERS))
        self.assertEqual(len(named(b"filename=" + b"x" * 10**6) or ""), LONGEST_NAME)

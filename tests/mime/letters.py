"""Messages to try things with."""

from __future__ import annotations


def crlf(text: str) -> bytes:
    """A message as it is sent, written here with bare line ends; characters beyond ASCII in UTF-8."""
    return text.encode().replace(b"\n", b"\r\n")


# RFC 9051 6.4.5.1 numbers the sections of a message like this.
RFC_9051 = crlf("""\
From: a@example.org
Subject: all
Content-Type: multipart/mixed; boundary=one

preamble
--one
Content-Type: text/plain

first
--one
Content-Type: application/octet-stream

second
--one
Content-Type: message/rfc822
Content-ID: <three>

Subject: three
From: b@example.org
Content-Type: multipart/mixed; boundary=two

--two

three one
--two
Content-Type: application/octet-stream

three two
--two--
--one
Content-Type: multipart/mixed; boundary=three

--three
Content-Type: image/gif
Content-ID: <four-one>

four one
--three
Content-Type: message/rfc822

Subject: four two
Content-Type: multipart/mixed; boundary=four

--four
Content-Type: text/plain

four two one
--four
Content-Type: multipart/alternative; boundary=five

--five
Content-Type: text/plain

four two two one
--five
Content-Type: text/richtext

four two two two
--five--
--four--
--three--
--one--
epilogue
""")

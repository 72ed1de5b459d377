"""Where a domain wants its reports."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailserver.tlsrpt.record import MOST_ENDPOINTS, endpoints, is_mail, is_web, mailbox


class RecordTests(SynchronousTestCase):
    def test_one(self) -> None:
        self.assertEqual(endpoints(["v=TLSRPTv1; rua=mailto:tls@example.com"]), ("mailto:tls@example.com",))

    def test_several(self) -> None:
        """Examples of RFC 8460 3.1, and spaces where its grammar has them."""
        self.assertEqual(
            endpoints(["v=TLSRPTv1;rua=mailto:a@example.com , https://example.com/v1/tlsrpt;"]),
            ("mailto:a@example.com", "https://example.com/v1/tlsrpt"),
        )

    def test_other_records(self) -> None:
        """What is of no version that is known is passed over; of two that are, none is taken (RFC 8460 3)."""
        ours = "v=TLSRPTv1; rua=mailto:a@example.com"
        self.assertEqual(endpoints(["v=spf1 -all", ours, "v=TLSRPTv2; rua=mailto:b@example.com"]),
                         ("mailto:a@example.com",))
        self.assertEqual(endpoints([ours, ours]), ())
        self.assertEqual(endpoints([]), ())
        self.assertEqual(endpoints(["v=TLSRPTv1"]), ())

    def test_only_what_can_be_reached(self) -> None:
        wanted = ["http://example.com/", "ftp://x", "mailto:nobody", "mailto:", "https://", "https://u:p@example.com/",
                  "https://example.com:x/", "https://example.com/\u00e9", "mailto:a%0D%0AX@example.com"]
        self.assertEqual(endpoints([f"v=TLSRPTv1; rua={','.join(wanted)}"]), ())
        self.assertEqual(
            len(endpoints(["v=TLSRPTv1; rua=" + ",".join(f"mailto:u{each}@x.example" for each in range(99))])),
            MOST_ENDPOINTS,
        )

    def test_uris(self) -> None:
        self.assertTrue(is_mail("MAILTO:a%2Bb@example.com?subject=x"))
        self.assertEqual(str(mailbox("mailto:a%2Bb@example.com?subject=x")), "a+b@example.com")
        self.assertTrue(is_web("https://example.com:8443/x?y"))
        self.assertFalse(is_web("mailto:a@example.com"))

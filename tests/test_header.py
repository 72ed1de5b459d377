"""Header fields taken out by scanning."""

from twisted.trial.unittest import SynchronousTestCase

from mailserver.header import remove_fields, whole_fields


class CutTests(SynchronousTestCase):
    def test_whole_fields(self) -> None:
        """Of a header that goes on, the last field may go on too, even behind its line end."""
        for cut in (b"", b"Y: 2", b"Y: 2\r", b"Y: 2\r\n", b"Y: 2\r\n 3\r\n\t4"):
            self.assertEqual(whole_fields(b"X: 1\r\n folded\r\n" + cut), b"X: 1\r\n folded\r\n" if cut else b"")


class RemoveTests(SynchronousTestCase):
    def test_by_name_and_number(self) -> None:
        """All of a name in each spelling, or one of them; what is folded goes with its field."""
        header = b"X-Old: 1\r\n folded\r\nSubject: x\r\nx-old : 2\r\nX-Old: 3\r\n\r\n"
        self.assertEqual(remove_fields(header, [("X-Old", None)]), b"Subject: x\r\n\r\n")
        self.assertEqual(remove_fields(header, [("X-Old", 1)]), header.replace(b"x-old : 2\r\n", b""))

    def test_bare_line_ends(self) -> None:
        """Nothing else is lost where a line ends with less than CRLF, and no field hides behind such an end."""
        header = b"Subject: x\ry\nX-Old: 1\n folded\rX-Old: 2\r\r\nTo: z\r\n\r\n"
        self.assertEqual(remove_fields(header, [("Not-There", None)]), header)
        self.assertEqual(remove_fields(header, [("X-Old", None)]), b"Subject: x\ry\n\r\nTo: z\r\n\r\n")

"""Addresses as they come on the wire, and what is not one."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailserver.address import Address, domain_key
from mailserver.errors import BadAddress


class ReadingTests(SynchronousTestCase):
    def test_plain(self) -> None:
        """The local part stays as it is, the domain is lower case."""
        self.assertEqual(Address.parse("Alice.Smith+x@Example.ORG"), Address("Alice.Smith+x", "example.org"))

    def test_quoted(self) -> None:
        """Quoting is taken away, and put back where it must be."""
        quoted = Address.parse(r'"a b\"c@d"@example.org')
        self.assertEqual(quoted.local, 'a b"c@d')
        self.assertEqual(str(quoted), r'"a b\"c@d"@example.org')

    def test_needless_quotes(self) -> None:
        """RFC 5321 4.1.2: quoted or not, it is one mailbox."""
        self.assertEqual(Address.parse('"alice"@example.org'), Address.parse("alice@example.org"))

    def test_literals(self) -> None:
        """Address literals are read as addresses."""
        self.assertEqual(Address.parse("a@[192.0.2.1]").domain, "[192.0.2.1]")
        self.assertEqual(Address.parse("a@[IPv6:2001:DB8:0:0::1]").domain, "[IPv6:2001:db8::1]")

    def test_postmaster(self) -> None:
        """RFC 5321 4.5.1: postmaster needs no domain, in whatever case."""
        self.assertEqual(Address.parse("PostMaster").domain, "")

    def test_international(self) -> None:
        """U-labels and A-labels are one domain."""
        self.assertEqual(Address.parse("用户@例え.jp").key, Address.parse("用户@XN--R8JZ45G.jp").key)
        self.assertEqual(domain_key("例え.jp"), "xn--r8jz45g.jp")

    def test_not_addresses(self) -> None:
        """Each of these is refused with a reason."""
        for text in (
            "", "@", "alice", "alice@", "@example.org", "a b@example.org", "a@b c", "a@-b.org", "a@b..org",
            "a..b@c.org", ".a@b.org", "a.@b.org", '"a@b.org', '"a"b@c.org', "a@[1.2.3]", "a@[IPv6:zz]",
            "a@[IPv6:fe80::1%x]", "a@[192.0.2.1",
            "a@b.org.",
            "a@b.org\n", "a\r@b.org", "a@b@c.org", "<a@b.org>", "a" * 65 + "@b.org", "a@" + "b." * 128 + "org",
            "a@example.org,b@example.org", "a@☃☃。..jp",
        ):
            with self.assertRaises(BadAddress, msg=repr(text)):
                Address.parse(text)

    @given(st.text(max_size=40))
    def test_anything(self, text: str) -> None:
        """Whatever comes is an address or a `BadAddress`, and an address reads the same again."""
        try:
            address = Address.parse(text)
        except BadAddress:
            return
        self.assertEqual(Address.parse(str(address)), address)
        self.assertIsInstance(address.key, str)

    def test_key_of_nobody(self) -> None:
        """RFC 5321 4.1.2 allows an empty local part in quotes; it is not how the directory calls a catch-all."""
        self.assertNotIn(Address.parse('""@example.org').key, ("@example.org", Address.parse("a@example.org").key))
        self.assertNotEqual(Address.parse('""@例え.jp').key, "@xn--r8jz45g.jp")

    def test_dot_at_the_end(self) -> None:
        """No spelling of one, as in ASCII: it would be another domain than ours."""
        for text in ("a@例え.jp.", "a@例え.jp。", "a@example.org。"):
            with self.assertRaises(BadAddress, msg=repr(text)):
                Address.parse(text)

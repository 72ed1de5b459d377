"""For the tests of plugins: what the server promises to keep, and what a plugin has to keep.

============================  ==========================================================================
`StandIn`                     an `mailserver.interfaces.IServer` with a real database, and a clock that stands still
`PluginCase`                  a trial TestCase with a `StandIn`, where `plugin` names the class under test
`FilterContract` and others   mixins: the tests that every plugin of a kind has to pass
`DialogueTestCase`            plays C: and S: scripts against any protocol, in memory or over TCP
============================  ==========================================================================

A plugin's tests begin like this::

    class PoliteTests(FilterContract, PluginCase):
        plugin = Polite

        async def test_thanks(self):
            said = await answer(self.build().content(a_client(), an_envelope(), Content.of(b"Thank you")))
            self.assertIsNone(said)

Where the tests are run, ``python -m twisted.trial``, mailserver must be installed.
"""

from mailserver.testing.cases import PluginCase, a_client, an_envelope, answer
from mailserver.testing.contracts import AuthenticatorContract, FilterContract, ForwarderContract, ListenerContract
from mailserver.testing.dialogue import DialogueTestCase, Line
from mailserver.testing.imapstores import ImapSteps, ImapStoreContract
from mailserver.testing.metadata import MetadataContract
from mailserver.testing.sharing import SharingContract
from mailserver.testing.standin import Names, StandIn
from mailserver.testing.stores import MailboxSteps, MailboxStoreContract

__all__ = [
    "AuthenticatorContract",
    "DialogueTestCase",
    "FilterContract",
    "ForwarderContract",
    "ImapSteps",
    "ImapStoreContract",
    "Line",
    "ListenerContract",
    "MailboxSteps",
    "MailboxStoreContract",
    "MetadataContract",
    "Names",
    "PluginCase",
    "SharingContract",
    "StandIn",
    "a_client",
    "an_envelope",
    "answer",
]

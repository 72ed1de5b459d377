"""One plugin for mailserver of each kind: a filter, a forwarder, an authenticator and a mailbox store."""

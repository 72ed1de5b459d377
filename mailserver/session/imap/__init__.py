"""IMAP conversations (RFC 9051, RFC 3501): what a client asks, as steps on an `mailserver.imapstore.IImapStore`."""

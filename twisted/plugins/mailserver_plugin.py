"""What this package offers: the twistd command, and the built-in plugins, each by one line."""

from twisted.application.service import ServiceMaker

from mailserver.plugin import AuthenticatorOffer, FilterOffer, ForwarderOffer, MailboxOffer

command = ServiceMaker(
    "Mail server", "mailserver.tap", "A mail server whose every decision can be a plugin.", "mailserver"
)

sql = MailboxOffer("sql", "mailserver.mailbox.sql.Sql", "Keep mail in the server's database.")
maildir = MailboxOffer("maildir", "mailserver.mailbox.maildir.Maildir", "Keep mail in Maildir folders.")
memory = MailboxOffer("memory", "mailserver.mailbox.memory.Memory", "Keep mail until the server stops (for tests).")

passwords = AuthenticatorOffer("passwords", "mailserver.auth.passwords.Passwords", "Check the directory's passwords.")
cred = AuthenticatorOffer("cred", "mailserver.auth.cred.Cred", "Ask any twisted.cred checker.")
dev_login = AuthenticatorOffer("dev", "mailserver.auth.dev.Dev", "One password for everybody (for developers).")

bounces = ForwarderOffer("bounces", "mailserver.forwarding.bounces.Bounces", "Take reports to keyed return paths.")
accounts = ForwarderOffer("accounts", "mailserver.forwarding.accounts.Accounts", "Deliver to an account's mailbox.")
aliases = ForwarderOffer("aliases", "mailserver.forwarding.aliases.Aliases", "Send an alias's mail to its targets.")
catchall = ForwarderOffer("catchall", "mailserver.forwarding.catchall.CatchAll", "Send everybody else's mail there.")
shared = ForwarderOffer("shared", "mailserver.forwarding.shared.Shared", "Put mail into mailboxes open to all.")
subaddress = ForwarderOffer("subaddress", "mailserver.forwarding.subaddress.Subaddress", "Take user+detail for user.")
smarthost = ForwarderOffer("smarthost", "mailserver.forwarding.smarthost.Smarthost", "Send through one server.")
tls_reports = ForwarderOffer(
    "tls-reports", "mailserver.forwarding.tlsreports.TlsReports", "Take TLS reports for the database alone."
)
dev_mailboxes = ForwarderOffer("dev", "mailserver.forwarding.dev.Dev", "Make a mailbox for whoever is written to.")

headers = FilterOffer("headers", "mailserver.filters.headers.Headers", "Add Date and Message-ID to submissions.")
loops = FilterOffer("loops", "mailserver.filters.loops.Loops", "Refuse what goes in a circle.")
feedback = FilterOffer("feedback", "mailserver.filters.feedback.Feedback", "Book what others say of our mail.")
rate = FilterOffer("rate", "mailserver.filters.rate.Rate", "Slow down who sends too much.")
dnsbl = FilterOffer("dnsbl", "mailserver.filters.dnsbl.Dnsbl", "Refuse peers that DNS lists name.")
hello = FilterOffer("hello", "mailserver.filters.hello.Hello", "Refuse strangers by what they call themselves.")
mx = FilterOffer("mx", "mailserver.filters.mx.Mx", "Refuse senders whom nobody could answer.")
kept_tls_reports = FilterOffer(
    "tls-reports", "mailserver.filters.tlsreports.TlsReports", "Keep the TLS reports of others."
)
dev_faults = FilterOffer("dev", "mailserver.filters.dev.Dev", "Make the faults that recipients ask for: +451, +550.")

"""All tables, once, for SQLite and PostgreSQL.

Rows are few and narrow, keys are integers, and there is no index that no question needs: a third of what a
message costs is spent here.  Message ids (`mailserver.ident`) are made before the transaction, so that
a commit whose answer was lost can be looked up.  Times are seconds since the epoch.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

metadata = MetaData()

# SQLite only counts by itself in a column that is exactly INTEGER.
_Number = BigInteger().with_variant(Integer(), "sqlite")


domain = Table(
    "domain",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("name", Text, nullable=False, unique=True),          # A-labels, lower case
    Column("created", Double, nullable=False),
    Column("quota_octets", _Number),                            # of all its accounts together; NULL as configured
    Column("quota_messages", _Number),
)

account = Table(
    "account",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("domain_id", _Number, ForeignKey("domain.id"), nullable=False, index=True),
    Column("address", Text, nullable=False),                    # as it was given
    Column("key", Text, nullable=False, unique=True),           # Address.key
    Column("enabled", Integer, nullable=False, server_default=text("1")),
    Column("created", Double, nullable=False),
    Column("quota_octets", _Number),                            # 0 is no limit, NULL as configured
    Column("quota_messages", _Number),
    Column("uidvalidity", _Number, nullable=False, server_default=text("0")),   # the last that a mailbox here had
)

credential = Table(
    "credential",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("account_id", _Number, ForeignKey("account.id"), nullable=False, index=True),
    Column("kind", Text, nullable=False),                       # argon2id, scram-sha-1, scram-sha-256 ...
    Column("data", LargeBinary, nullable=False),
)

alias = Table(
    "alias",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("domain_id", _Number, ForeignKey("domain.id"), nullable=False, index=True),
    Column("address", Text, nullable=False),
    Column("key", Text, nullable=False, index=True),            # "@domain" catches all
    Column("target", Text, nullable=False),                     # one row a target
    Column("created", Double, nullable=False),
)

# How often something was changed: what is remembered in memory is dropped when its number moves.
revision = Table(
    "revision",
    metadata,
    Column("name", Text, primary_key=True),                     # "directory"
    Column("number", _Number, nullable=False),
)

# Whoever holds a content counts in `uses`.  No foreign key says so: each delete of a content would have to look
# through every message for it, or every message pay for an index that answers no other question.
content = Table(
    "content",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=False),       # the message's id
    Column("size", _Number, nullable=False),
    Column("uses", Integer, nullable=False),                    # message and spool rows that hold it
    Column("file", Text),                                       # name below data/contents (SQLite, shared data)
    Column("data", LargeBinary),                                # all of it when not large; else its beginning
)

# How many rows hold a content beyond those that it counts itself: copies.  To count them there would write each content
# anew, ten times the octets of all the rest.
shared = Table(
    "shared",
    metadata,
    Column("content_id", _Number, primary_key=True, autoincrement=False),
    Column("more", _Number, nullable=False),                    # less than none once originals have gone
)

# Large content on PostgreSQL: rows of pieces, since several machines read them.
piece = Table(
    "piece",
    metadata,
    Column("content_id", _Number, ForeignKey("content.id"), primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

mailbox = Table(
    "mailbox",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("account_id", _Number, ForeignKey("account.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("uidvalidity", _Number, nullable=False),
    Column("uidnext", _Number, nullable=False),
    Column("created", Double, nullable=False),
    Column("modseq", _Number, nullable=False, server_default=text("1")),        # HIGHESTMODSEQ (RFC 7162)
    Column("forgotten", _Number, nullable=False, server_default=text("0")),     # what is known of `expunged` is newer
    Column("messages", _Number, nullable=False, server_default=text("0")),      # how many there are,
    Column("unseen", _Number, nullable=False, server_default=text("0")),        # how many of them are not \Seen,
    Column("octets", _Number, nullable=False, server_default=text("0")),        # and their sizes together
    Column("recent", _Number, nullable=False, server_default=text("1")),        # first UID that nobody was told of
    Column("special_use", Text, nullable=False, server_default=text("''")),     # \Sent ... (RFC 6154); "" none
    Column("keywords", Text, nullable=False, server_default=text("''")),        # in the order of their bits
    Index("mailbox_by_name", "account_id", "name", unique=True),
)

subscription = Table(
    "subscription",
    metadata,
    Column("account_id", _Number, ForeignKey("account.id"), primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),                     # of a mailbox, which need not exist
)

message = Table(
    "message",
    metadata,
    Column("mailbox_id", _Number, ForeignKey("mailbox.id"), primary_key=True, autoincrement=False),
    Column("uid", _Number, primary_key=True, autoincrement=False),
    Column("content_id", _Number, nullable=False),
    Column("size", _Number, nullable=False),                    # prefix and content
    Column("received", Double, nullable=False),
    Column("flags", _Number, nullable=False),                   # bits: five of the system, then the mailbox's keywords
    Column("prefix", LargeBinary, nullable=False),
    Column("modseq", _Number, nullable=False, server_default=text("1")),        # when it was last changed
    Column("saved", Double, nullable=False, server_default=text("0")),          # SAVEDATE (RFC 8514); 0 as received
    sqlite_with_rowid=False,
)
Index("message_modseq", message.c.mailbox_id, message.c.modseq)

# UIDs that are gone, for who asks what vanished since (RFC 7162); the oldest are forgotten.
expunged = Table(
    "expunged",
    metadata,
    Column("mailbox_id", _Number, primary_key=True, autoincrement=False),
    Column("modseq", _Number, primary_key=True, autoincrement=False),
    Column("uid", _Number, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    sqlite_with_rowid=False,
)

# Messages that were removed and may still be brought back: each holds its content, as it did in its mailbox.  By time,
# so that the oldest are found; a UID is given once, and a mailbox's number too.
removed = Table(
    "removed",
    metadata,
    Column("mailbox_id", _Number, primary_key=True, autoincrement=False),
    Column("at", Double, primary_key=True),
    Column("uid", _Number, primary_key=True, autoincrement=False),
    Column("content_id", _Number, nullable=False),
    Column("size", _Number, nullable=False),
    Column("received", Double, nullable=False),
    Column("flags", _Number, nullable=False),                   # bits, as in the mailbox that it was in
    Column("prefix", LargeBinary, nullable=False),
    Column("why", Text, nullable=False),                        # expunge, pop3, delete, retention
    sqlite_with_rowid=False,
)

# The mailboxes that they were in, which may have been deleted: then this is all that is known of them.
removed_from = Table(
    "removed_from",
    metadata,
    Column("mailbox_id", _Number, primary_key=True, autoincrement=False),
    Column("account_id", _Number, ForeignKey("account.id"), nullable=False, index=True),
    Column("name", Text, nullable=False, server_default=text("''")),        # of one that was deleted
    Column("keywords", Text, nullable=False, server_default=text("''")),    # likewise
    Column("oldest", Double, nullable=False),                   # when the first of them was removed, or later
    Column("messages", _Number, nullable=False),
    Column("octets", _Number, nullable=False),
)

# What a mailbox may hold; 0 is no limit.
mailbox_quota = Table(
    "mailbox_quota",
    metadata,
    Column("mailbox_id", _Number, primary_key=True, autoincrement=False),
    Column("octets", _Number, nullable=False),
    Column("messages", _Number, nullable=False),
)

# How long a mailbox keeps messages, where it is not as configured; twice 0 is for ever.
mailbox_retention = Table(
    "mailbox_retention",
    metadata,
    Column("mailbox_id", _Number, primary_key=True, autoincrement=False),
    Column("older_than", Double, nullable=False),               # seconds
    Column("at_most", _Number, nullable=False),                 # messages
)

# The last threshold of a quota whose crossing somebody was told of, in percent.
quota_told = Table(
    "quota_told",
    metadata,
    Column("kind", Text, primary_key=True),                     # account, domain, mailbox
    Column("id", _Number, primary_key=True, autoincrement=False),
    Column("percent", Integer, nullable=False),
)
# An account's key for a mailbox, of which the tokens of its URLs are made (RFC 4467 2.2).
access_key = Table(
    "access_key",
    metadata,
    Column("mailbox_id", _Number, primary_key=True, autoincrement=False),
    Column("account_id", _Number, primary_key=True, autoincrement=False),
    Column("key", LargeBinary, nullable=False),
    Column("made", Double, nullable=False),
    sqlite_with_rowid=False,
)
Index("access_key_account", access_key.c.account_id)

# Messages of other stores that an account has been given (`mailserver.store.imported`).
imported = Table(
    "imported",
    metadata,
    Column("account_id", _Number, ForeignKey("account.id"), primary_key=True, autoincrement=False),
    Column("source", Text, primary_key=True),                   # what they came from
    Column("item", Text, primary_key=True),                     # and what each is called there
    sqlite_with_rowid=False,
)

# What is understood of a content (`mailserver.mime`), a moment after it was delivered or when it is asked for: what
# clients ask for most is answered from here.  Sort keys are folded, so that the order of their octets is the order.
digest = Table(
    "digest",
    metadata,
    Column("content_id", _Number, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),                 # of the understanding; an older one is done anew
    Column("envelope", LargeBinary, nullable=False),            # these three as IMAP says them
    Column("body", LargeBinary, nullable=False),
    Column("structure", LargeBinary, nullable=False),
    Column("parts", LargeBinary, nullable=False),               # where each part lies in the content
    Column("header_size", _Number, nullable=False),             # octets of its header, the empty line included
    Column("preview", Text, nullable=False),                    # RFC 8970
    Column("sent", Double),                                     # the Date field; NULL when it says none
    Column("subject", Text, nullable=False),                    # the base subject (RFC 5256 2.1), folded
    Column("is_reply", Integer, nullable=False),                # or forwarded, as its subject says
    Column("by_from", Text, nullable=False),                    # sort keys of RFC 5256 3 ...
    Column("by_to", Text, nullable=False),
    Column("by_cc", Text, nullable=False),
    Column("display_from", Text, nullable=False),               # ... and of RFC 5957
    Column("display_to", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("refs", Text, nullable=False),                       # message ids of those before it, with blanks
    Column("find_subject", Text, nullable=False),               # these five: the fields as they are searched, folded
    Column("find_from", Text, nullable=False),
    Column("find_to", Text, nullable=False),
    Column("find_cc", Text, nullable=False),
    Column("find_bcc", Text, nullable=False),
    Column("thread", _Number, nullable=False),                  # THREADID (RFC 8474): made of the first of all these
)

# What others may do in a mailbox (RFC 4314): an account, all of a domain, or, with neither, everybody.
share = Table(
    "share",
    metadata,
    Column("mailbox_id", _Number, primary_key=True, autoincrement=False),
    Column("account_id", _Number, primary_key=True, autoincrement=False),       # 0 none
    Column("domain_id", _Number, primary_key=True, autoincrement=False),        # 0 none
    Column("denied", Integer, primary_key=True, autoincrement=False),           # 1: they have these rights not
    Column("rights", Text, nullable=False),
    sqlite_with_rowid=False,
)
Index("share_whom", share.c.account_id, share.c.domain_id)

# What somebody has read in a mailbox of others, where each has his own \Seen; the owner's is a message's flag.
sight = Table(
    "sight",
    metadata,
    Column("mailbox_id", _Number, primary_key=True, autoincrement=False),
    Column("account_id", _Number, primary_key=True, autoincrement=False),
    Column("uid", _Number, primary_key=True, autoincrement=False),
    Column("seen", Integer, nullable=False),
    Column("modseq", _Number, nullable=False),                  # the mailbox's, when that was last changed
    sqlite_with_rowid=False,
)
Index("sight_modseq", sight.c.mailbox_id, sight.c.account_id, sight.c.modseq)

# Addresses whose mail goes into a mailbox that is no INBOX.
posting = Table(
    "posting",
    metadata,
    Column("key", Text, primary_key=True),                      # Address.key
    Column("address", Text, nullable=False),
    Column("mailbox_id", _Number, nullable=False, index=True),
)

# Who may send as whom.
delegate = Table(
    "delegate",
    metadata,
    Column("account_id", _Number, primary_key=True, autoincrement=False),       # in whose name
    Column("delegate_id", _Number, primary_key=True, autoincrement=False, index=True),
)

# One row a destination that is still to be reached.
spool = Table(
    "spool",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=False),
    Column("content_id", _Number, nullable=False),
    Column("origin", Text, nullable=False),
    Column("sender", Text, nullable=False),                     # "" is the null reverse-path
    Column("recipient", Text, nullable=False),                  # as the sender named it: what a DSN speaks of
    Column("kind", Text, nullable=False),                       # remote, mailbox
    Column("target", Text, nullable=False),                     # address to deliver to
    Column("place", Text, nullable=False),                      # remote: fixed host or ""; mailbox: "store/name"
    Column("domain", Text, nullable=False),                     # of the target, for queue --domain
    Column("prefix", LargeBinary, nullable=False),
    Column("body", Text, nullable=False),                       # 7BIT, 8BITMIME, BINARYMIME
    Column("created", Double, nullable=False),
    Column("expires", Double, nullable=False),
    Column("next_attempt", Double, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("held", Integer, nullable=False),
    Column("reason", Text, nullable=False),                     # why it is still here; the remote's last words
    Column("owner", Text, nullable=False),                      # the lease: which instance tries it; "" nobody
    Column("lease", Double, nullable=False),                    # until when
    Column("wishes", Text, nullable=False, server_default=text("''")),      # `mailserver.wishes`, as JSON; "" none
    Column("priority", Integer, nullable=False, server_default=text("0")),  # RFC 6710
    Column("login", Text, nullable=False, server_default=text("''")),       # the account that submitted it; "" none
    Column("told", Integer, nullable=False, server_default=text("0")),      # how often the sender heard of the delay
)
_free = spool.c.held == 0
Index("spool_due", spool.c.priority, spool.c.next_attempt, sqlite_where=_free, postgresql_where=_free)
# Of one domain: for who looks at it, and to pass over a domain that has to wait with all its million entries.
Index("spool_domain", spool.c.domain, spool.c.held, spool.c.next_attempt)
# The few that are being tried, for the heartbeat; an entry that nobody tries costs nothing here.
Index("spool_leased", spool.c.owner, sqlite_where=spool.c.owner != "", postgresql_where=spool.c.owner != "")

# What was learned of a place that mail goes to (a lane of the scheduler): it rests, or gets less at a time.
destination = Table(
    "destination",
    metadata,
    Column("name", Text, primary_key=True),                     # the lane: a domain, a fixed host, a store
    Column("until", Double, nullable=False),                    # when the rule ends
    Column("rule", Text, nullable=False),                       # the rule's name, "unreachable", "rate" ...
    Column("why", Text, nullable=False),                        # the words that led to it
    Column("since", Double, nullable=False),
    Column("failures", Integer, nullable=False),                # in a row
    Column("connections", Integer, nullable=False),             # at a time; 0 is as configured
)

# MTA-STS policies of others (RFC 8461 3.3), until their time is over.
sts_policy = Table(
    "sts_policy",
    metadata,
    Column("domain", Text, primary_key=True),
    Column("id", Text, nullable=False),                         # as its TXT record had it
    Column("text", Text, nullable=False),                       # the policy, a line a field
    Column("fetched", Double, nullable=False),
    Column("expires", Double, nullable=False),
    Column("used", Double, nullable=False),                     # when mail last went there, to a day
    Column("trouble", Text, nullable=False),                    # why it could not be fetched anew; "" it could
)

# Domains whose mail servers had TLS whenever mail went there, and since when they have not.
tls_memory = Table(
    "tls_memory",
    metadata,
    Column("domain", Text, primary_key=True),
    Column("since", Double, nullable=False),                    # when it was first seen
    Column("last", Double, nullable=False),                     # when it was last seen, to an hour
    Column("times", Integer, nullable=False),                   # as far as they were counted
    Column("level", Text, nullable=False),                      # of the last: encrypt, verify, dane
    Column("tls", Text, nullable=False),                        # its version and cipher
    Column("missing", Double, nullable=False),                  # since when it cannot be had; 0 it can
    Column("reason", Text, nullable=False),                     # why not
)

# The story of each message: number 0 is its acceptance, the others came after.
trace = Table(
    "trace",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("record", Text, nullable=False),
    sqlite_with_rowid=False,
)

# Stories of what was refused: bounded in number and age.
refusal = Table(
    "refusal",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=False),
    Column("record", Text, nullable=False),
)

# Exclusive use of something by one running server, renewed while it lives (POP3's maildrop lock).
lock = Table(
    "lock",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("until", Double, nullable=False),
)

# How TLS went on the way to others, one day (RFC 8460 4): a row for each kind of session.  Few days are kept, and so
# many rows of a domain.
tls_result = Table(
    "tls_result",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),          # since the epoch, UTC
    Column("domain", Text, primary_key=True),
    Column("key", Text, primary_key=True),                      # made of all that follows but the count
    Column("policy", Text, nullable=False),                     # JSON: type, strings, patterns of MX
    Column("result", Text, nullable=False),                     # "success", or a result type of RFC 8460 4.3
    Column("mx", Text, nullable=False),
    Column("receiving", Text, nullable=False),                  # IP addresses
    Column("sending", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("count", _Number, nullable=False),
)

# The reports that we owe for a day, and those that were sent: as long as the results of that day are kept.
tls_owed = Table(
    "tls_owed",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("domain", Text, primary_key=True),
    Column("report", Text, nullable=False),                     # the report's id
    Column("next_attempt", Double, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("endpoints", Text, nullable=False),                  # JSON: yet to be reached; "" when not yet asked for
    Column("done", Integer, nullable=False),
    Column("said", Text, nullable=False),                       # how it went, in words
)
_open = tls_owed.c.done == 0
Index("tls_owed_due", tls_owed.c.next_attempt, sqlite_where=_open, postgresql_where=_open)

# Reports of others about us, a row for each of their policies; bounded in age and number.
tls_report = Table(
    "tls_report",
    metadata,
    Column("key", Text, primary_key=True),                      # made of whose and which it is
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("received", Double, nullable=False, index=True),
    Column("organization", Text, nullable=False),
    Column("contact", Text, nullable=False),
    Column("report", Text, nullable=False),                     # its id
    Column("since", _Number, nullable=False),
    Column("until", _Number, nullable=False),
    Column("domain", Text, nullable=False),                     # the policy's
    Column("policy", Text, nullable=False),                     # its type
    Column("successful", _Number, nullable=False),
    Column("failed", _Number, nullable=False),
    Column("details", Text, nullable=False),                    # JSON
)

# The index of what messages say (`mailserver.store.searching`): for a piece of a mailbox, all that it was made of ...
search_piece = Table(
    "search_piece",
    metadata,
    Column("mailbox_id", _Number, primary_key=True, autoincrement=False),
    Column("first", _Number, primary_key=True, autoincrement=False),    # UID
    Column("last", _Number, nullable=False),
    Column("version", Integer, nullable=False),                 # of the rules by which it was made
    Column("size", Integer, nullable=False),                    # messages
    Column("octets", _Number, nullable=False),                  # of its pages
    Column("uids", LargeBinary, nullable=False),                # four octets each
    Column("unsure", LargeBinary, nullable=False),              # of those that must be looked at in any case
)

# ... and its words, with who has them.
search_page = Table(
    "search_page",
    metadata,
    Column("mailbox_id", _Number, primary_key=True, autoincrement=False),
    Column("kind", Integer, primary_key=True, autoincrement=False),     # where the words stand
    Column("first", _Number, primary_key=True, autoincrement=False),    # of the piece
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("words", LargeBinary, nullable=False),
    Column("lists", LargeBinary, nullable=False),
)

# What others said of our mail, and what failed for good here: bounded in number and age.
feedback = Table(
    "feedback",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("at", Double, nullable=False, index=True),
    Column("sort", Text, nullable=False),                       # bounce, delay, delivered, complaint, other
    Column("key", Text, nullable=False, index=True),            # of the recipient
    Column("recipient", Text, nullable=False),
    Column("kind", Text, nullable=False),                       # what it is about: gone, full ...
    Column("status", Text, nullable=False),
    Column("message_id", _Number, nullable=False),              # ours
    Column("proof", Text, nullable=False),                      # own: we saw it; verp: a keyed path; trace: an id
    Column("reporter", Text, nullable=False),
    Column("text", Text, nullable=False),
)

# Who is not written to any more.
suppression = Table(
    "suppression",
    metadata,
    Column("key", Text, primary_key=True),                      # Address.key
    Column("address", Text, nullable=False),
    Column("kind", Text, nullable=False),                       # bounce, complaint, operator
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),                         # automatic, operator
    Column("created", Double, nullable=False),
    Column("until", Double, nullable=False),                    # 0 is for ever
    Column("message_id", _Number, nullable=False),              # that led to it; 0 none
)

# METADATA (RFC 5464): what is said of a mailbox, or of the server where that is 0, and by whom it is seen.
annotation = Table(
    "annotation",
    metadata,
    Column("mailbox_id", _Number, primary_key=True, autoincrement=False),
    Column("account_id", _Number, primary_key=True, autoincrement=False),       # whose it is alone; 0 is everybody's
    Column("entry", Text, primary_key=True),                    # in lower case
    Column("owner_id", _Number, nullable=False, index=True),    # who is answerable for its octets; 0 nobody
    Column("value", LargeBinary, nullable=False),
)

# When each of them was last changed, those that are gone too, so that sessions can be told: bounded for each owner.
annotated = Table(
    "annotated",
    metadata,
    Column("mailbox_id", _Number, primary_key=True, autoincrement=False),
    Column("account_id", _Number, primary_key=True, autoincrement=False),
    Column("entry", Text, primary_key=True),
    Column("owner_id", _Number, nullable=False),
    Column("number", _Number, nullable=False),                  # in the order of all changes of annotations
    Column("session_id", _Number, nullable=False),              # that did it; 0 none
    Index("annotated_number", "owner_id", "number"),
)

# Accounts whose mailboxes are on another server (LOGIN-REFERRALS, RFC 2221).
referral = Table(
    "referral",
    metadata,
    Column("account_id", _Number, primary_key=True, autoincrement=False),
    Column("url", Text, nullable=False),                        # imap://user;AUTH=*@host/
    Column("may_log_in", Integer, nullable=False),              # here as well, for what is shared
)

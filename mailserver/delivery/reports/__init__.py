"""Reports: what senders are told of their mail (DSN, RFC 3461 and 3464), and who is told nothing.

`wanted` decides, `compose` writes; both are pure.  Strangers cannot cause mail here at will: whoever neither logged
in nor is trusted hears of failures alone, which RFC 5321 4.5.5 demands of who has accepted; never of successes and
delays, whatever NOTIFY says, since the address that they gave may be anybody's.  Nobody hears of the failure of a
report: its reverse-path is null.
"""

"""What somebody who means harm says to a whole server, and that it gets him nowhere.

What a dialogue can express stands in tests/dialogues; here are floods, cuts, other people's octets, and what lies in
the store afterwards.  During every case a second, polite connection is answered.
"""

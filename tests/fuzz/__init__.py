"""Each wire under whatever octets somebody can think of.

A target is a module with ``run(octets)``, which states what must always hold and raises AssertionError, or anything
else, when it does not; and ``WORDS``, of which its language consists.  The first line of the octets makes the choices
of the run (where reads are cut, which commands succeed), the rest is what the peer says, so that a case of
tests/corpus can be read, and written, with an editor.

trial replays the corpus and a few hundred inputs more.  ``python -m tests.fuzz TARGET --seconds 3600`` goes on for as
long as you like, led by what the code covers, and puts what breaks a target into the corpus.
"""

"""Authenticators: whose a login is (`mailserver.interfaces.IAuthenticator`).

An authenticator is asked with a name, a password and the client, in the order of the ``[[auth]]`` tables.  It returns
the address of the account when the password is right, and None otherwise: then the next one is asked.  An
unknown name must take as long as a wrong password.  Raise `TemporaryFailure` when you cannot know; then
the client hears that it should come back, unless another authenticator says yes.
"""

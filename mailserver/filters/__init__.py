"""Filters: who may connect, send, receive, and with what (`mailserver.interfaces.IFilter`).

A filter has any of five hooks, and only those it has are called:

=========================================  ==========================================
``connected(client)``                      a peer connected
``hello(client, name)``                    it gave a name
``sender(client, envelope)``               MAIL FROM
``recipient(client, envelope, address)``   RCPT TO, once per recipient
``content(client, envelope, content)``     the message, once for all recipients
=========================================  ==========================================

Each returns verdicts (`mailserver.verdict`) or None.  ``origins`` names which mail it judges; ``dry = True``
says that asking it changes nothing, so that ``mailserver explain`` may.  Filters are asked in the order of
the ``[[filter]]`` tables until one refuses, drops or accepts.
"""

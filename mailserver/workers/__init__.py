"""Several processes that serve one configuration: a master, and workers which accept from the master's sockets.

The master binds the ports, holds the lock on the data, renews the tables, takes an operator's orders, and starts each
worker as a fresh process.  It never sees a connection.  A worker is a whole `mailserver.service.MailServer`; worker 0
also delivers and tidies up.  They talk over a pair of sockets, in the words of `mailserver.control`.

A worker that dies is replaced, and what it had leased is free at once.  When the master dies, each worker finds its
socket closed, finishes what it had begun, and ends.
"""

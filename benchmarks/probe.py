"""A polite connection: says NOOP every 50 ms and tells how long each answer took.

    python -m benchmarks.probe PORT

Prints "ready" after EHLO, then the milliseconds of each answer, until its input ends.
"""

from __future__ import annotations

import gc
import select
import socket
import sys
import time

SOURCE = "127.0.0.2"        # none of the attackers'
EACH = 0.05                 # seconds
PATIENCE = 30.0


def main(port: str) -> None:
    with socket.create_connection(("127.0.0.1", int(port)), PATIENCE, (SOURCE, 0)) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        replies = peer.makefile("rb")
        replies.readline()
        peer.sendall(b"EHLO probe.example.net\r\n")
        while replies.readline()[3:4] == b"-":
            pass
        print("ready", flush=True)
        gc.disable()
        took = []
        while not select.select([sys.stdin], [], [], EACH)[0]:
            begun = time.perf_counter()
            peer.sendall(b"NOOP\r\n")
            try:
                answered = replies.readline().startswith(b"250")
            except OSError:
                answered = False
            if not answered:
                print("lost", flush=True)
                return
            took.append((time.perf_counter() - begun) * 1000)
        print(*(f"{each:.3f}" for each in took), sep="\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])

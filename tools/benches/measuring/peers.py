"""A peer is a process of its own, as Headwater is: it prints its port and serves until its standard input ends."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from tools.benches.measuring.connection import Address

_CHECKOUT = Path(__file__).resolve().parents[3]


@contextlib.contextmanager
def started(module: str, path: Path) -> Iterator[Address]:
    """Start the peer that a module of this folder is, for a file or directory, and stop it."""
    command = [sys.executable, "-m", f"{__package__}.{module}", str(path)]
    with subprocess.Popen(command, cwd=_CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield "127.0.0.1", int(process.stdout.readline())
        finally:
            process.stdin.close()


def serve(answer: Callable[[socket.socket, int], None]) -> None:
    """Be such a process: answer each connection, which has a number, in a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=_accept, args=(listener, answer), daemon=True).start()
    sys.stdin.read()


def _accept(listener: socket.socket, answer: Callable[[socket.socket, int], None]) -> None:
    for number in range(sys.maxsize):
        connection, _ = listener.accept()
        threading.Thread(target=answer, args=(connection, number), daemon=True).start()

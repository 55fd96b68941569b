"""Sign texts with one key until nobody asks any more: the other end of ``process.py``."""

from __future__ import annotations

import signal
import sys
from multiprocessing.connection import Connection

import pysequoia

from headwater.streams.signing.process import Answer
from headwater.streams.signing.texts import TextNotSignable, clear_signed


def main() -> None:
    """Read the key and its password (empty: it has none), then answer each text, until standard input ends."""
    for each in (signal.SIGINT, signal.SIGTERM):  # who asks is told the same, and may have requests to end
        signal.signal(each, signal.SIG_IGN)
    asked = Connection(sys.stdin.fileno(), writable=False)
    answers = Connection(sys.stdout.fileno(), readable=False)
    try:
        key, password = pysequoia.Tsk.from_bytes(asked.recv_bytes()), asked.recv_bytes().decode()
        signer = key.signer(password or None)
        while True:
            for part in _answer(asked.recv_bytes(), signer):
                answers.send_bytes(part)
    except (EOFError, BrokenPipeError):
        return


def _answer(text: bytes, signer: pysequoia.PySigner) -> tuple[Answer, bytes]:
    try:
        return Answer.SIGNED, clear_signed(text, signer)
    except TextNotSignable:
        return Answer.NOT_SIGNABLE, b""
    except RuntimeError as error:
        return Answer.REFUSED, str(error).encode()


if __name__ == "__main__":
    main()

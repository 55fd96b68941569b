"""A process that signs, beside the one that asks.

The OpenPGP library lets no other thread run while it signs, which takes 25 ms for the document of 10 000 images. In a
process of its own it holds up nobody: the thread that asks waits for a pipe.

The key goes through that pipe, so neither arguments nor environment tell it. The process starts with the first text,
and ends when the pipe does: also when who asks was killed.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import dataclass
from enum import Enum
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Final

from headwater.errors import Unavailable
from headwater.streams.signing.texts import TextNotSignable

_PATIENCE_S: Final = 20.0  # for one text; that of 100 000 images takes a quarter of a second


class SigningProcessLost(Unavailable):
    """The process that signs ended before it answered, twice in a row."""

    def __init__(self) -> None:
        super().__init__("the process that signs the feed ends before it answers; try again, and look at the log")


class Answer(bytes, Enum):
    """What the process says first of a text, before the one thing that belongs to it."""

    SIGNED = b"signed"  # the signed text
    NOT_SIGNABLE = b"not signable"  # nothing
    REFUSED = b"refused"  # why the library does not sign


class SigningProcess:
    """Signs with one key in a process of its own; safe to use from several threads."""

    def __init__(self, key: bytes, password: str | None) -> None:
        self._key, self._password = key, password
        self._lock = threading.Lock()
        self._running: _Running | None = None

    def clear_signed(self, text: bytes) -> bytes:
        """Return ``text`` clear-signed, as ``texts.clear_signed`` does.

        Raises:
            TextNotSignable: A line of ``text`` ends in a blank or carriage return.
            RuntimeError: The library does not sign, for the reason that it gives.
            SigningProcessLost: There is no answer.
        """
        with self._lock:
            answer = self._answer(text) or self._answer(text)  # what was killed meanwhile is started anew
        if answer is None:
            raise SigningProcessLost
        how, said = answer
        if how is Answer.NOT_SIGNABLE:
            raise TextNotSignable
        if how is Answer.REFUSED:
            raise RuntimeError(said.decode())
        return said

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            self._end()

    def _answer(self, text: bytes) -> tuple[Answer, bytes] | None:
        """Return one answer; ``None`` when the process ended before it."""
        try:
            if self._running is None:
                self._running = _start()
                self._running.asks.send_bytes(self._key)
                self._running.asks.send_bytes((self._password or "").encode())
            overdue = threading.Timer(_PATIENCE_S, self._running.process.kill)
            overdue.start()
            try:
                self._running.asks.send_bytes(text)
                return Answer(self._running.answers.recv_bytes()), self._running.answers.recv_bytes()
            finally:
                overdue.cancel()
        except (EOFError, OSError):
            self._end()
            return None

    def _end(self) -> None:
        if self._running is not None:
            with self._running.process:
                self._running.asks.close()
                self._running.answers.close()
            self._running = None


@dataclass(frozen=True, slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    asks: Connection
    answers: Connection


def _start() -> _Running:
    asked, asks = Pipe(duplex=False)
    answers, answered = Pipe(duplex=False)
    with asked, answered:
        # -P: not what happens to lie in the working directory.
        command = [sys.executable, "-P", "-m", "headwater.streams.signing"]
        process = subprocess.Popen(command, stdin=asked.fileno(), stdout=answered.fileno())  # noqa: S603 - of ours
    return _Running(process, asks, answers)

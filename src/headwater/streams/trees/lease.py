"""Who writes a tree that many machines reach: a file in it says so, and is written anew as long as it is true.

A process that was killed keeps others out for ``LEASE_S`` at most. Where what holds the tree knows ``expect`` only
nearly (Swift, for a file that is there), two that take over an old lease in the same second may both believe it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from typing import Any

from headwater.clock import Clock, now, timestamp
from headwater.errors import HeadwaterError
from headwater.streams.trees.tree import ABSENT, JSON, PathChanged, PathNotFound, Tree, TreeInUse

NAME = "headwater-writer.json"
LEASE_S = 120
_EVERY_S = 30
_LIMIT = 4096  # bytes
_FARTHEST_S = 24 * 3600  # what counts longer than that was written by a clock that is wrong


@contextlib.contextmanager
def leased(tree: Tree, purpose: str, clock: Clock = now) -> Iterator[None]:
    """Hold the tree's lease; raise ``TreeInUse`` when somebody else does."""
    own = secrets.token_hex(8)
    holder = f"{purpose} on {socket.gethostname()}, process {os.getpid()}"
    kept = _Kept(tree, own, holder, clock)
    kept.take()
    over = threading.Event()
    keeping = threading.Thread(target=kept.keep, args=(over,), name="lease of a tree", daemon=True)
    keeping.start()
    try:
        yield
    finally:
        over.set()
        keeping.join()
        kept.give_back()


class _Kept:
    def __init__(self, tree: Tree, own: str, holder: str, clock: Clock) -> None:
        self._tree, self._own, self._holder, self._clock = tree, own, holder, clock
        self._tag = ABSENT

    def take(self) -> None:
        try:
            found = self._tree.read(NAME, _LIMIT)
        except PathNotFound:
            pass
        else:
            said = _read(found.body)
            if 0 < (until := said.get("until", 0)) - self._clock() < _FARTHEST_S * 1_000_000:
                holder = str(said.get("holder", "somebody"))[:200]
                raise TreeInUse(self._tree.place, f"{holder} (if that was killed, it counts until {timestamp(until)})")
            self._tag = found.tag
        try:
            self._write()
        except PathChanged as error:
            raise TreeInUse(self._tree.place, "somebody who began at the same moment") from error

    def keep(self, over: threading.Event) -> None:
        while not over.wait(_EVERY_S):
            with contextlib.suppress(HeadwaterError):  # it is tried again long before the lease is over
                self._write()

    def give_back(self) -> None:
        with contextlib.suppress(HeadwaterError):
            if _read(self._tree.read(NAME, _LIMIT).body).get("own") == self._own:
                self._tree.delete(NAME)

    def _write(self) -> None:
        until = self._clock() + LEASE_S * 1_000_000
        body = json.dumps({"holder": self._holder, "own": self._own, "until": until}).encode()
        self._tag = self._tree.write(NAME, body, media_type=JSON, expect=self._tag, max_age_s=0)


def _read(body: bytes) -> dict[str, Any]:
    """Return what a lease says; one that nobody can read holds nobody out."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("until"), int) else {}

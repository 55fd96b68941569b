"""Documents packed with gzip: once for each of their contents, and not for each request."""

from __future__ import annotations

import gzip
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

LEAST: Final = 1 << 10  # bytes; packing less saves nothing
MOST: Final = 64 << 20  # bytes; what is larger is sent as it is
_LEVEL: Final = 6


class Packed:
    """The packed documents that were asked for last; used by several threads."""

    def __init__(self, limit: int = 64 << 20) -> None:
        """Keep so many bytes at most."""
        self._limit, self._held = limit, 0
        self._known: OrderedDict[object, bytes] = OrderedDict()
        self._making: dict[object, threading.Lock] = {}
        self._lock = threading.Lock()

    def of(self, key: object, read: Callable[[], bytes]) -> bytes:
        """Return what ``read`` returns, packed; whoever asks for the same meanwhile waits and does not pack it too.

        Args:
            key: Of this content, and of no other.
        """
        with self._lock:
            found = self._found(key)
            making = self._making.setdefault(key, threading.Lock()) if found is None else None
        if found is not None or making is None:
            return found or b""
        with making:
            with self._lock:
                found = self._found(key)
            if found is not None:
                return found
            try:
                made = gzip.compress(read(), _LEVEL, mtime=0)
            finally:
                with self._lock:
                    self._making.pop(key, None)
            with self._lock:
                self._keep(key, made)
            return made

    def _found(self, key: object) -> bytes | None:
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    def _keep(self, key: object, made: bytes) -> None:
        if key not in self._known:
            self._known[key] = made
            self._held += len(made)
        while self._held > self._limit:
            self._held -= len(self._known.popitem(last=False)[1])

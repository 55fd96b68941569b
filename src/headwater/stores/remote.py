"""What stores on a service across the network share: the mark that is an object there, names, and ranges.

The mark is believed for a few seconds once it was seen; but "not found", "deleted" and "stored" are said only after it
was seen anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from headwater.stores.store import IDENTITY, ForeignUrl, ObjectNotFound, StoreUnavailable, is_key

# Neither is a key, so no list shows them.
MARK: Final = ".headwater-store-id"
PROBE: Final = ".headwater-probe"

MARK_BYTES: Final = 64  # as much is read of what lies under its name
SETTLES_S: Final = 1.0  # longer than a service of many servers takes to decide between two that put the mark at once

_BELIEVED_S = 5.0


class KeptMark:
    """The mark of one store; safe to use from several threads."""

    def __init__(
        self, store: str, place: str, read: Callable[[], bytes], *, absent: Callable[[], None] = lambda: None
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            store: The name of the store.
            place: What holds it, such as "the bucket images".
            read: Returns the first ``MARK_BYTES`` of the object, or raises ``ObjectNotFound``.
            absent: Raises when not only the mark is missing, where ``read`` does not tell.
        """
        self._store, self._place, self._read, self._absent = store, place, read, absent
        self._believed_until = 0.0
        self.expected: str | None = None

    def expect(self, identity: str) -> None:
        """From now on require this mark."""
        self.expected, self._believed_until = identity, 0.0

    def found(self) -> str:
        """Return the mark that is there.

        Raises:
            ObjectNotFound: There is none.
            StoreUnavailable: Something else lies in its place, or the service does not work.
        """
        text = self._read().decode("ascii", "replace").strip()
        if not IDENTITY.fullmatch(text):
            raise StoreUnavailable(self._store, f"what {self._place} has as {MARK} is none")
        return text

    def require(self, *, anew: bool = False) -> None:
        """Raise ``StoreUnavailable`` unless this is the store that is expected, if any is.

        Args:
            anew: Look for the mark even if it was seen just now.
        """
        if self.expected is None or (not anew and time.monotonic() < self._believed_until):
            return
        try:
            found = self.found()
        except ObjectNotFound as error:
            self._absent()
            raise StoreUnavailable(self._store, f"{self._place} has no {MARK}") from error
        if found != self.expected:
            raise StoreUnavailable(self._store, f"{self._place} has the {MARK} of another store")
        self._believed_until = time.monotonic() + _BELIEVED_S


def range_header(start: int, length: int | None) -> dict[str, str]:
    """Return the header that asks for a part of an object, which is not empty; none for all of it."""
    if not start and length is None:
        return {}
    return {"Range": f"bytes={start}-{'' if length is None else start + length - 1}"}


def key_in(url: str, store: str, url_of: Callable[[str], str]) -> str:
    """Return the key for which ``url_of``, whose URLs end with it, gives this URL; raise ``ForeignUrl`` for others."""
    above = url_of("k").removesuffix("k")
    key = url.removeprefix(above)
    if not url.startswith(above) or not is_key(key):
        raise ForeignUrl(store, url)
    return key

"""One object on its way into a container: put at once if it is small, and else in segments, sent while they come.

The segments of a key ``K`` are ``.segments/K/.UPLOAD/NUMBER``, in the same container: a key that signs the container's
addresses is good for them, too. The manifest, which makes them an object, is put last; until then nothing is visible.
No name of a segment is a key, and what belongs to ``K`` alone begins with ``.segments/K/.``, as no part of a key
begins with a dot.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future

from headwater.stores.store import Piece, Stored, StoreFull, StoreUnavailable, WriteLost
from headwater.stores.swift.container import Container, SegmentsGone

LARGEST = 5 << 30  # bytes of one object or segment, Swift's max_file_size

_MIB = 1 << 20
_AT_ONCE = 4 * _MIB  # an object of so many bytes is put in one request, whose tag is known before it
_PIECE = _MIB
_WAITING = 8 * _MIB  # bytes that wait for a server that is slower than the client
# How long a segment waits for a client that is silent. Swift gives a request up after 60 (client_timeout).
_QUIET_S = 20.0


def segments_of(key: str) -> str:
    """Return what the names of all segments of an object begin with."""
    return f".segments/{key}/."


def growing(number: int, first: int, most: int) -> int:
    """Return how large a segment is, so that ``most`` of them hold what anybody uploads (1.8 TiB with 1000).

    Args:
        number: Which segment, counted from 1.
        first: How large the first one is.
        most: How many there may be.
    """
    doublings = max(0, (number - 1) * 20 // most - 9)  # from the middle on, twice as large each twentieth
    return min(first << doublings, LARGEST)


def even(size: int, first: int, most: int) -> int:
    """Return how large all segments of an object of ``size`` bytes are; at least ``first``."""
    return max(first, -(-size // most))


class SwiftWriter:
    """What is pushed into a container, until it is an object."""

    def __init__(self, container: Container, key: str, size: int | None, require_store: Callable[[], None]) -> None:
        """Begin an object; nothing is asked yet.

        Args:
            size: How long it will be, if that is known.
            require_store: Raises unless the container is the store that it is taken for.
        """
        self._container, self._key, self._expected = container, key, size
        self._require_store = require_store
        self._upload = f"{segments_of(key)}{uuid.uuid4().hex}"
        self._small = bytearray()
        self._size = 0
        self._sent: list[_Segment] = []
        self._is_over = self._is_in_doubt = False

    def write(self, piece: Piece) -> None:
        with memoryview(piece) as given, given.cast("B") as view:
            self._size += view.nbytes
            if not self._sent and len(self._small) + view.nbytes <= _AT_ONCE:
                self._small += view
                return
            small, self._small = self._small, bytearray()
            self._push(memoryview(small))
            self._push(view)

    def commit(self) -> Stored:
        self._require_store()
        if self._sent:
            self._end_segments()
            try:
                parts = ((each.name, each.tag, each.size) for each in self._sent if each.size)
                self._container.put_manifest(self._key, parts)
            except SegmentsGone as error:
                raise WriteLost(self._container.store, self._key) from error
            except StoreUnavailable as error:
                # It may have been taken, and the answer lost; another call may be refused and change nothing of that.
                self._is_in_doubt |= error.may_pass
                raise
        else:
            self._container.put(self._key, self._small)
        self._is_over = True
        return Stored(self._key, self._size)

    def _end_segments(self) -> None:
        try:
            self._sent[-1].finish()
        except StoreUnavailable as error:
            error.may_pass = False  # its bytes are gone
            raise

    def abort(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._sent:
            self._sent[-1].stop()
        if self._is_in_doubt:
            return  # an object without its segments would be worse than segments that wait for ``delete``
        with contextlib.suppress(StoreUnavailable):
            for each in self._sent:
                self._container.remove(each.name)

    def _push(self, view: memoryview) -> None:
        while view.nbytes:
            if not self._sent or self._sent[-1].is_full:
                self._begin_segment()
            view = view[self._sent[-1].take(view[:_PIECE]) :]
            if self._sent[-1].is_full:
                self._sent[-1].finish()

    def _begin_segment(self) -> None:
        number, settings = len(self._sent) + 1, self._container.settings
        first, most = settings.segment_mib * _MIB, settings.most_segments
        if number > most:
            raise StoreFull(self._container.store)
        left = None if self._expected is None else self._expected - sum(each.size for each in self._sent)
        limit = growing(number, first, most) if left is None else even(left, first, most - number + 1)
        self._sent.append(_Segment(self._container, f"{self._upload}/{number:08}", limit, left))


class _Segment:
    """One segment: a thread sends its bytes as they come. When none come for long, it ends where it is."""

    def __init__(self, container: Container, name: str, limit: int, left: int | None) -> None:
        """Begin it.

        Args:
            limit: How many bytes it has at most.
            left: How many bytes the object has from here on, if that is known.
        """
        self.name, self.limit, self.size, self.tag = name, limit, 0, ""
        self._container = container
        self._pipe = Pipe()
        self._digest = hashlib.md5(usedforsecurity=False)
        self._room: int | None = None
        self._answer: Future[str] = Future()
        self._answer.add_done_callback(lambda _: self._pipe.end_reading())
        self._left = left
        self._asked = threading.Event()
        self._thread = threading.Thread(target=self._send, name="headwater-segment", daemon=True)
        self._thread.start()
        self._asked.wait()
        if self._answer.done():
            self._answer.result()  # raises what was wrong before the first byte

    @property
    def is_full(self) -> bool:
        return self.size == self.limit or bool(self.tag)

    def take(self, view: memoryview) -> int:
        """Append what has room in the segment, and return how much that is; waits for a server that is slow.

        That is nothing where the segment has ended because the last bytes came long ago.
        """
        count = min(view.nbytes, self.limit - self.size)
        # Swift itself compares with the quota what a request announces, and this one announces nothing.
        if self._room is not None and self.size + count > self._room:
            raise StoreFull(self._container.store)
        if not self._pipe.put(bytes(view[:count])):
            self.finish()
            return 0
        self.size += count
        return count

    def finish(self) -> None:
        """Send the rest, and compare what Swift has with what was sent; does nothing a second time."""
        if self.tag:
            return
        self._pipe.put(b"")
        tag, sent = self._answer.result(), self._digest.hexdigest()
        self._thread.join()
        if tag != sent:
            reason = f"a segment that was sent with the MD5 {sent} arrived with {tag}"
            raise StoreUnavailable(self._container.store, reason)
        self.tag = tag

    def stop(self) -> None:
        """Break it off, unless it is whole; returns when nothing is on its way any more."""
        self._pipe.break_off()
        self._thread.join()

    def _send(self) -> None:
        try:
            with self._container.connection(writes=True) as connection:
                # The token is proved before the bytes, which cannot be sent again.
                self._room = self._container.room(connection)
                if self._room is not None and self._left is not None and self._left > self._room:
                    raise StoreFull(self._container.store, self._left)
                self._asked.set()
                tag = self._container.put_stream(connection, self.name, self._pieces())
            self._answer.set_result(tag)
        except BaseException as error:  # noqa: BLE001 - raised where the answer is asked for, whatever it is
            self._answer.set_exception(error)
        finally:
            self._asked.set()

    def _pieces(self) -> Iterator[bytes]:
        while piece := self._pipe.get(_QUIET_S):
            self._digest.update(piece)
            yield piece


class _BrokenOff(Exception):
    """Nobody sends the rest of a segment; raised into the request, which so never ends."""


class Pipe:
    """Pieces from one thread to another, a few MiB at most."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._pieces: deque[bytes] = deque()
        self._waiting = 0  # bytes
        self._is_read, self._is_broken = True, False

    def put(self, piece: bytes) -> bool:
        """Append a piece, when there is room for it; return whether somebody will read it."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting < _WAITING or not self._is_read)
            if not self._is_read:
                return False
            self._pieces.append(piece)
            self._waiting += len(piece)
            self._changed.notify_all()
            return True

    def get(self, patience_s: float) -> bytes:
        """Return the next piece, when it is there; an empty one, and no other after it, when none comes for so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._pieces or self._is_broken, patience_s)
            if self._is_broken:
                raise _BrokenOff
            if not self._pieces:
                self._is_read = False
                return b""
            piece = self._pieces.popleft()
            self._waiting -= len(piece)
            self._changed.notify_all()
            return piece

    def end_reading(self) -> None:
        """Let nobody wait for room any more."""
        with self._changed:
            self._is_read = False
            self._changed.notify_all()

    def break_off(self) -> None:
        """Let whoever reads fail."""
        with self._changed:
            self._is_broken = True
            self._changed.notify_all()

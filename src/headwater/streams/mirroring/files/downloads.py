"""One file on its way from tree to tree.

What writes the target reads a ``Download``. It begins with what an earlier run has of the file, and goes on where the
source broke off, as long as that is the same file. Its last piece is given away only when the whole is what the feed
says: until then a tree makes nothing visible, so nothing wrong is ever seen under the file's name.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Generator, Iterator

from headwater.errors import HeadwaterError
from headwater.streams.mirroring.files.file import Check, File
from headwater.streams.mirroring.files.pace import Pace
from headwater.streams.trees.tree import Opened, Tree, TreeUnavailable

_PAUSES_S = (1.0, 2.0, 4.0)  # before a broken download goes on, while hardly anything comes
_PROGRESS = 1 << 20  # bytes that make a try a success


class Stopped(HeadwaterError):
    """The run ends; what is on its way is given up."""


class Download(io.RawIOBase):
    """A file that is being read."""

    def __init__(
        self,
        source: Tree,
        file: File,
        pace: Pace,
        *,
        told: Callable[[int], None] = lambda _: None,
        is_over: Callable[[], bool] = lambda: False,
        sleep: Callable[[float], object] = time.sleep,
        begun: Opened | None = None,
    ) -> None:
        """Begin; nothing is asked yet.

        Args:
            told: Is told how many bytes came.
            begun: What an earlier run has of it; it is closed with the download.
            is_over: Whether the run ends.
        """
        super().__init__()
        self.failure: HeadwaterError | None = None  # why it did not come to its end
        self.resumed = begun is not None  # whether it broke off and went on
        self.found = 0  # bytes that did not have to come again
        self._source, self._file, self._pace = source, file, pace
        self._told, self._is_over, self._sleep = told, is_over, sleep
        self._begun = begun
        self._pieces, self._left = self._judged(), memoryview(b"")

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not self._left:
            try:
                self._left = memoryview(next(self._pieces, b""))
            except HeadwaterError as error:
                self.failure = error
                raise
        cut = len(self._left) if size < 0 else size
        given, self._left = self._left[:cut], self._left[cut:]
        return bytes(given)

    def close(self) -> None:
        self._pieces.close()
        if self._begun is not None:
            self._begun.__exit__()
        super().close()

    def _judged(self) -> Generator[bytes]:
        """Yield the pieces, the last one when all of them are right."""
        check = Check(self._source.place, self._file)
        held = b""
        for piece in self._arriving(check):
            check.update(piece)
            if held:
                yield held
            held = piece
        check.finish()
        if held:
            yield held

    def _arriving(self, check: Check) -> Iterator[bytes]:
        for piece in self._begun or ():
            self.found += len(piece)
            self._told(len(piece))
            yield piece
        received, tag, pauses = self.found, None, list(_PAUSES_S)
        while True:
            began, opened_once = received, False
            try:
                with self._source.open(self._file.path, received, tag=tag) as opened:
                    opened_once = True
                    check.require_size(opened.size, opened)
                    tag, doubled = opened.tag, received - opened.start
                    for each in opened:
                        if self._is_over():
                            raise Stopped("the run ends")
                        self._pace.spend(len(each))
                        piece, doubled = each[doubled:], max(0, doubled - len(each))
                        if piece:
                            received += len(piece)
                            self._told(len(piece))
                            yield piece
            except TreeUnavailable:
                if received - began >= _PROGRESS:
                    pauses = list(_PAUSES_S)
                if not opened_once or not pauses:  # a tree asks several times before it says so
                    raise
                self.resumed = True
                self._sleep(pauses.pop(0))
            else:
                return

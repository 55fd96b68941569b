"""A part of an upload that is held to a digest of its own: hashed as it comes, and taken back where it is another.

It counts once all of it was hashed and found right. What came of one that broke off is taken back too: nobody can
say whether it is right. A killed service leaves what it had of one; a digest of all the data covers that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator

from headwater.errors import Invalid
from headwater.images.data.session import DigestUnforeseen
from headwater.stores.store import Piece, ResumedWriter, Stored

Digest = tuple[str, bytes]  # the algorithm, by hashlib's name, and what bytes must hash to by it


class PartMismatch(Invalid):
    """A part is not what a digest of it said; nothing of it is kept."""

    def __init__(self, algorithm: str, expected: str, got: str, offset: int) -> None:
        super().__init__(
            f"Digest mismatch of a part: expected {algorithm} {expected}, got {got}; nothing of it is kept, go on at "
            f"byte {offset}"
        )
        self.algorithm, self.expected, self.got, self.offset = algorithm, expected, got, offset
        self.headers = {"Upload-Offset": str(offset), "Upload-Complete": "?0"}


class CheckedWriter:
    """A writer of one part; what is written is hashed first."""

    def __init__(self, writer: ResumedWriter, digests: Collection[Digest], foreseen: Collection[str]) -> None:
        """Take what the part must hash to.

        Args:
            foreseen: Algorithms by which a digest may follow the part.
        """
        self._writer, self._start = writer, writer.size
        self._digests = list(digests)
        self._hashes = {
            name: hashlib.new(name, usedforsecurity=False) for name in {*foreseen, *(name for name, _ in digests)}
        }
        self._is_open = True  # neither found right nor taken back

    def expect(self, digests: Collection[Digest]) -> None:
        """Hold the part to what was said of it behind it.

        Raises:
            DigestUnforeseen: One is by an algorithm that nobody announced.
        """
        for name, _ in digests:
            if name not in self._hashes:
                raise DigestUnforeseen(name)
        self._digests += digests

    def require_right(self) -> None:
        """Raise ``PartMismatch`` unless all that was written is what was said; from then on it counts."""
        for name, expected in self._digests:
            got = self._hashes[name].digest()
            if got != expected:
                raise PartMismatch(name, expected.hex(), got.hex(), self._start)
        self._is_open = False

    def take_back(self) -> None:
        """Forget the part, unless it was found right."""
        if self._is_open:
            self._is_open = False
            self._writer.cut(self._start)

    # --- The contract of a writer --------------------------------------------------------------------

    @property
    def size(self) -> int:
        return self._writer.size

    def write(self, piece: Piece) -> None:
        for each in self._hashes.values():
            each.update(piece)
        self._writer.write(piece)

    def written(self) -> Iterator[bytes]:
        return self._writer.written()

    def cut(self, size: int) -> None:
        self._writer.cut(size)

    def suspend(self) -> int:
        return self._writer.suspend()

    def commit(self) -> Stored:
        return self._writer.commit()

    def abort(self) -> None:
        self._writer.abort()

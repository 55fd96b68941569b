"""What a feed says of a file, and whether bytes are that."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from headwater.errors import Conflict
from headwater.streams.format.json_objects import MalformedDocument, safe_path

# The strongest first, which alone is looked at.
_ALGORITHMS: Final = ("sha512", "sha256", "md5")
_DIGITS: Final = re.compile(r"[0-9]{1,19}")


class WrongFile(Conflict):
    """A file is not what the feed says of it; it is not taken."""

    def __init__(self, place: str, path: str, problem: str) -> None:
        super().__init__(f"{place}: {path} {problem}")
        self.place, self.path, self.problem = place, path, problem


@dataclass(frozen=True, slots=True)
class File:
    """One file, as items say it."""

    path: str
    size: int | None = None  # bytes
    algorithm: str | None = None  # of the strongest hash that is told
    digest: str | None = None  # lower-case hex

    @classmethod
    def of_row(cls, row: Mapping[str, str], where: str) -> File:
        """Read what an item says of its file, with what it inherits.

        Raises:
            MalformedDocument, UnsafePath: The size is none, or the path leads out of the tree; ``where`` names the
                item.
        """
        path, size = safe_path(row["path"], f"{where}.path"), row.get("size")
        if size is not None and not _DIGITS.fullmatch(size):
            raise MalformedDocument(f"{where}.size", "expected a number of bytes; write a whole number")
        algorithm = next((name for name in _ALGORITHMS if row.get(name)), None)
        digest = row[algorithm].lower() if algorithm else None
        return cls(path, None if size is None else int(size), algorithm, digest)

    def agrees(self, other: File) -> bool:
        """Return whether both may be said of one file."""
        same_hash = self.algorithm != other.algorithm or self.digest == other.digest
        return same_hash and (self.size is None or other.size is None or self.size == other.size)

    def joined(self, other: File) -> File:
        """Return what both say together of one file: of two hashes the stronger."""
        said = [each for each in (self, other) if each.algorithm is not None]
        best = min(said, key=lambda each: _ALGORITHMS.index(each.algorithm or ""), default=self)
        size = self.size if self.size is not None else other.size
        return File(self.path, size, best.algorithm, best.digest)

    @property
    def mark(self) -> str | None:
        """What is the same for the same bytes, in hexadecimal digits; ``None``: nobody tells a hash of them."""
        if self.digest is None:
            return None
        return hashlib.sha256(f"{self.algorithm}:{self.digest}:{self.size}".encode()).hexdigest()[:32]

    @property
    def key(self) -> str:
        """What is the same for two paths that lead to one file of a directory."""
        path = self.path
        return posixpath.normpath(path) if "//" in path or "/." in path or path[0] == "." else path


class Check:
    """Bytes of one file, judged as they pass."""

    def __init__(self, place: str, file: File) -> None:
        self._place, self._file = place, file
        # MD5 tells accidents from the file, and is all that old feeds say.
        self._hash = hashlib.new(file.algorithm or "sha256", usedforsecurity=False)
        self._received, self._page = 0, False

    def require_size(self, size: int | None, beginning: Iterable[bytes] = ()) -> None:
        """Refuse a file of another size than the feed says; ``None``: that is not known yet.

        Args:
            beginning: Its pieces, of which the first may tell what it is instead.
        """
        wanted = self._file.size
        if size is not None and wanted is not None and size != wanted:
            self._look_at(next(iter(beginning), b""))
            raise self._wrong(f"has {size} bytes, and the feed says {wanted}")

    def update(self, piece: bytes) -> None:
        """Take the next bytes.

        Raises:
            WrongFile: There are more than the feed says.
        """
        if not self._received:
            self._look_at(piece)
        self._received += len(piece)
        if self._file.size is not None and self._received > self._file.size:
            raise self._wrong(f"has more than the {self._file.size} bytes that the feed says")
        self._hash.update(piece)

    def finish(self) -> None:
        """Judge the whole.

        Raises:
            WrongFile: It is another file than the feed says.
        """
        self.require_size(self._received)
        if self._file.digest not in (None, self._hash.hexdigest()):
            raise self._wrong(f"has another {(self._file.algorithm or '').upper()} than the feed says")

    def _look_at(self, beginning: bytes) -> None:
        self._page = self._page or beginning[:64].lstrip()[:1] == b"<"

    def _wrong(self, problem: str) -> WrongFile:
        page = "; it looks like a web page, such as one to log in" if self._page else ""
        return WrongFile(self._place, self._file.path, problem + page)

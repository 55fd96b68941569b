"""The data of an image of the source: read from any byte on, over as many connections as it takes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from headwater.client.downloading import PIECE, DataDamaged
from headwater.client.service import Document, ImageService, Patience, Unreachable

_NO_CONTENT, _PARTIAL = 204, 206


class Reading:
    """What one image holds."""

    def __init__(self, source: ImageService, image: Document, patience: Patience) -> None:
        self._source, self._image, self._patience = source, image, patience
        self._size: int | None = image.get("size")

    def pieces(self, start: int = 0) -> Iterator[bytes]:
        """Yield the bytes from ``start`` on; a lost connection is followed by another one, at that byte.

        Raises:
            DataDamaged: There is more than the image is said to have.
            RequestRefused, Unreachable: The source does not give them.
        """
        at = start
        while self._size is None or at < self._size:
            try:
                for piece in self._part(at):
                    at += len(piece)
                    if self._size is not None and at > self._size:
                        raise DataDamaged(self._image["id"], "size")
                    self._patience.moved()
                    yield piece
                if self._size is None or at >= self._size:
                    return
                raise Unreachable(self._source.url, f"the data ended after {at} of {self._size} bytes")
            except Unreachable as error:
                self._patience.wait(error)

    def checked(self) -> Iterator[bytes]:
        """Yield all pieces; the last one only when the digest is what it should be.

        A service never gets as much as it was told to expect when the data is not right.
        """
        algorithm, expected = digest_of(self._image)
        made = hashlib.new(algorithm, usedforsecurity=False) if expected else None
        held: bytes | None = None
        for piece in self.pieces():
            if made is not None:
                made.update(piece)
            if held is not None:
                yield held
            held = piece
        if made is not None and made.hexdigest() != expected:
            raise DataDamaged(self._image["id"], algorithm)
        if held is not None:
            yield held

    def _part(self, start: int) -> Iterator[bytes]:
        fields = {"Accept": "application/octet-stream", "Accept-Encoding": "identity"}
        if start:
            fields["Range"] = f"bytes={start}-"
        path = f"/v2/images/{self._image['id']}/file"
        with self._source.answer("GET", path, headers=fields) as answer:
            if answer.status_code == _NO_CONTENT:
                raise DataDamaged(self._image["id"], "size")  # for an image that has bytes
            passed_over = 0 if answer.status_code == _PARTIAL else start
            if not passed_over and start:
                _require_from(answer.headers.get("Content-Range", ""), start, self._image["id"])
            for piece in answer.iter_raw(PIECE):
                if passed_over >= len(piece):
                    passed_over -= len(piece)
                    continue
                yield piece[passed_over:]
                passed_over = 0


def _require_from(content_range: str, start: int, image_id: str) -> None:
    if not content_range.startswith(f"bytes {start}-"):
        raise DataDamaged(image_id, "range")


def digest_of(image: Document) -> tuple[str, str | None]:
    """Return the digest that a service tells of an image: the one of its choice before MD5."""
    algorithm, value = image.get("os_hash_algo"), image.get("os_hash_value")
    if value and algorithm in hashlib.algorithms_available:
        return str(algorithm), value
    return "md5", image.get("checksum")

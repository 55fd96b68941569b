"""Bring an image's data into a file: whole and right, or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from headwater.client.service import Document, ImageService, Patience, RequestRefused, Unreachable
from headwater.errors import HeadwaterError

PIECE = 1 << 20  # bytes
_NO_CONTENT, _PARTIAL, _NOT_SATISFIABLE = 204, 206, 416


class NoData(HeadwaterError):
    """The image has no data that could be downloaded."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"image {image_id} has no data yet")
        self.image_id = image_id


class DataDamaged(HeadwaterError):
    """What came is not what the service says of it."""

    def __init__(self, image_id: str, algorithm: str) -> None:
        super().__init__(f"the data of image {image_id} does not have the {algorithm} that it should have; try again")
        self.image_id, self.algorithm = image_id, algorithm


def part_of(target: Path, image_id: str) -> Path:
    """Return the file that holds the data until all of it is there; the next run of the command finds it."""
    return target.with_name(f".{target.name}.{image_id}.part")


def download(
    service: ImageService, image: Document, target: Path, patience: Patience, shown: Callable[[int], None]
) -> None:
    """Download the data of an image, going on after lost connections and with what an earlier run has left.

    Raises:
        NoData, DataDamaged: There is none, or other data came.
        RequestRefused, Unreachable: The service does not give it.
    """
    part = part_of(target, image["id"])
    with part.open("ab") as opened:
        _complete(service, image, opened.fileno(), patience, shown)
        os.fsync(opened.fileno())
    try:
        _verify(image, part)
    except DataDamaged:
        part.unlink()
        raise
    part.replace(target)


def _complete(
    service: ImageService, image: Document, file: int, patience: Patience, shown: Callable[[int], None]
) -> None:
    """Append to ``file`` what it lacks."""
    while True:
        start = os.fstat(file).st_size
        shown(start)
        if image.get("size") is not None and start == image["size"] and start:
            return
        try:
            _append(service, image, file, start, shown)
            return
        except Unreachable as error:
            if os.fstat(file).st_size > start:
                patience.moved()
            patience.wait(error)
        except RequestRefused as refused:
            if refused.status != _NOT_SATISFIABLE or not start:
                raise
            os.ftruncate(file, 0)  # more than there is: it is of something else


def _append(service: ImageService, image: Document, file: int, start: int, shown: Callable[[int], None]) -> None:
    fields = {"Accept": "application/octet-stream", "Accept-Encoding": "identity"}
    etag = image.get("os_hash_value")
    if start and etag:
        fields |= {"Range": f"bytes={start}-", "If-Range": f'"{etag}"'}
    with service.answer("GET", f"/v2/images/{image['id']}/file", headers=fields) as answer:
        if answer.status_code == _NO_CONTENT:
            raise NoData(image["id"])
        if answer.status_code != _PARTIAL:
            os.ftruncate(file, 0)
            start = 0
        for piece in answer.iter_raw(PIECE):
            _write(file, piece)
            start += len(piece)
            shown(start)


def _write(file: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(file, view) :]


def _verify(image: Document, part: Path) -> None:
    algorithm, expected = image.get("os_hash_algo"), image.get("os_hash_value")
    if not algorithm or not expected:
        algorithm, expected = "md5", image.get("checksum")
    if not expected:
        return
    with part.open("rb") as opened:
        made = hashlib.file_digest(opened, lambda: hashlib.new(algorithm, usedforsecurity=algorithm != "md5"))
    if made.hexdigest() != expected:
        raise DataDamaged(image["id"], algorithm)

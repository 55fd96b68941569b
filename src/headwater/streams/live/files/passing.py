"""One pass over an image's data: what feeds of files say of it, found piece by piece.

An upload whose image is for everybody already makes the pass while its bytes come (``of_upload``), so nobody has to
read them again: the image is in the feed as soon as it is active.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from headwater.clock import Clock, now
from headwater.images.catalogue.fingerprints.image_fingerprints import Fingerprint, replaced
from headwater.images.catalogue.transaction import Transaction
from headwater.images.model import Image, Status
from headwater.streams.live.files.placement import FilePlacement, made_metadata, place_files
from headwater.streams.writing.image_files import MAGIC, root_type_of

Feed = Callable[[bytes | memoryview], None]


class Pass:
    """All of the data is given to each of ``feeds``, in order; each may have a thread of its own."""

    def __init__(self, image: Image, at: FilePlacement | None) -> None:
        """Begin.

        Args:
            at: Where the image stands among the image files, if it does.
        """
        self._at, self._disk_format = at, image.disk_format
        self._metadata = b"" if at is None else made_metadata(image, at)
        self._data, self._combined, self._beginning = hashlib.sha256(), hashlib.sha256(self._metadata), b""
        self.feeds: Sequence[Feed] = (self._data.update,) if at is None else (self._data.update, self._feed_combined)

    def _feed_combined(self, piece: bytes | memoryview) -> None:
        if len(self._beginning) < MAGIC:
            self._beginning += bytes(piece[:MAGIC])
        self._combined.update(piece)

    def found(self, image: Image, at: int) -> Fingerprint:
        """Return what was found of the data of an image.

        Args:
            at: The time, in microseconds since 1970.
        """
        found = Fingerprint(
            image_id=image.id,
            data_hash=image.os_hash_value or "",
            sha256=self._data.hexdigest(),
            tried_at=at,
        )
        if self._at is None:
            return found
        found = replace(found, product=self._at.product_id)
        if root_type_of(self._beginning) != self._at.ftype:
            # The same data will be no other, so it is not read again.
            why = f"the data does not begin as that of {self._disk_format} does, which LXD and Incus look at"
            return replace(found, error=why)
        return replace(found, metadata=self._metadata, combined=self._combined.hexdigest())


class UploadPass(Pass):
    """The pass of an upload: see ``images.data.session.Beside``."""

    def __init__(self, image: Image, at: FilePlacement, clock: Clock = now) -> None:
        super().__init__(image, at)
        self._clock = clock

    def kept(self, transaction: Transaction) -> None:
        """Keep what was found, with the image that has got the data."""
        image = transaction.moves[-1].after
        assert isinstance(image, Image)
        replaced(transaction.connection, self.found(image, self._clock()))


def of_upload(image: Image) -> UploadPass | None:
    """Return the pass over the data that comes for an image; ``None``: the feed will not list it as it is."""
    will_be = replace(image, status=Status.ACTIVE, size=image.size or 1, os_hash_value="to come")
    at = place_files(will_be)
    return UploadPass(image, at) if isinstance(at, FilePlacement) else None

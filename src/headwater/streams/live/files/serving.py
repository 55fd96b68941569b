"""What lies behind the paths of image files: an image's data, and the metadata that was made of it.

The data is that of a download, and comes the same way. Whoever asks needs no proof, so each request is judged anew by
what the catalogue says now: an image that is not public any more is not there, and neither is a path of what it was
before. All that is not there is not there in the same words. Of an image that was for everybody when it was deleted the
files stay where they were for a time, as readers go on with the index they hold.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from headwater.clock import Clock, now
from headwater.identity.caller import Caller
from headwater.images.catalogue.deletions.pending_deletes import PendingDelete
from headwater.images.catalogue.fingerprints.image_fingerprints import Fingerprint
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.data.downloads import Download
from headwater.images.model import Image
from headwater.streams.live.document import StreamNotFound
from headwater.streams.live.files.documents import listed_file, metadata_path, root_path
from headwater.streams.live.files.placement import FilePlacement, place_files
from headwater.streams.writing.image_files import DIRECTORY

_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Images(Protocol):
    """The images of the catalogue: see ``images.catalogue.images``."""

    def get(self, image_id: str) -> Image:
        """Return one image or raise ``ImageNotFound``."""


class Fingerprints(Protocol):
    """What is known of images: see ``images.catalogue.fingerprints``."""

    def of(self, image_ids: Collection[str]) -> Mapping[str, Fingerprint]:
        """Return it, by their ids."""


class Kept(Protocol):
    """Deleted images of which files are given: see ``images.catalogue.deletions``."""

    def served(self, image_id: str, now: int) -> PendingDelete | None:
        """Return one; ``None``: none are given of it, or no more."""


class Data(Protocol):
    """The data of images: see ``images.data.downloads``."""

    def open_kept(self, caller: Caller, kept: PendingDelete, *, by_policy: bool) -> Download:
        """Return the data of a deleted image of which files are given."""

    def open_published(self, caller: Caller, image: Image) -> Download | None:
        """Return the data of an image that was found to be for everybody."""


@dataclass(frozen=True, slots=True)
class ServedFile:
    """What lies behind a path."""

    image: Image
    size: int
    sha256: str
    content: bytes | None = None  # None: it is the image's data
    kept: PendingDelete | None = None  # the image is deleted


class ServedFiles:
    """The files of the live feed; safe to use from several threads."""

    def __init__(
        self, images: Images, fingerprints: Fingerprints, data: Data, kept: Kept, *, clock: Clock = now
    ) -> None:
        self._images, self._fingerprints, self._data, self._kept = images, fingerprints, data, kept
        self._clock = clock

    def find(self, path: str) -> ServedFile:
        """Return what lies behind a path of the feed, such as ``images/ID/SHA256/disk.qcow2``.

        Raises:
            StreamNotFound: Nothing, or nothing for everybody.
        """
        image_id = image_id_of(path)
        if image_id is None:
            raise StreamNotFound(path)
        try:
            image = self._images.get(image_id)
        except ImageNotFound:
            kept = self._kept.served(image_id, self._clock())
            found = None if kept is None else kept_file(path, kept)
        else:
            found = served_file(path, image, self._fingerprints.of([image_id]).get(image_id))
        if found is None:
            raise StreamNotFound(path)
        return found

    def download(self, caller: Caller, file: ServedFile) -> Download:
        """Return the image's data.

        Args:
            caller: Nobody in particular: from where it is asked for, for the audit trail.

        Raises:
            StreamNotFound: The image went meanwhile.
            DataMissing, DataDamaged, StoreUnavailable: The data cannot be read.
        """
        if file.kept is not None:
            return self._data.open_kept(caller, file.kept, by_policy=False)
        try:
            found = self._data.open_published(caller, file.image)
        except ImageNotFound as error:
            raise StreamNotFound(file.image.id) from error
        if found is None:
            raise StreamNotFound(file.image.id)
        return found


def image_id_of(path: str) -> str | None:
    """Return of which image a file would be that lies at a path such as ``images/ID/SHA256/disk.qcow2``."""
    directory, _, rest = path.partition("/")
    image_id = rest.partition("/")[0]
    return image_id if directory == DIRECTORY and _ID.fullmatch(image_id) else None


def served_file(path: str, image: Image, known: Fingerprint | None, *, for_everybody: bool = True) -> ServedFile | None:
    """Return what lies at a path of an image, given what is known of its data; ``None``: nothing."""
    at = place_files(image, for_everybody=for_everybody)
    file = listed_file(image, at, known) if isinstance(at, FilePlacement) else None
    if file is None or known is None:
        return None
    if path == metadata_path(file):
        return ServedFile(image, file.metadata_size, file.metadata_sha256, known.metadata)
    return ServedFile(image, file.size, file.sha256) if path == root_path(file) else None


def kept_file(path: str, kept: PendingDelete, *, for_everybody: bool = True) -> ServedFile | None:
    """Return what lies at a path of an image that is deleted; ``None``: nothing."""
    found = served_file(path, kept.image, kept.fingerprint, for_everybody=for_everybody)
    return None if found is None else replace(found, kept=kept)

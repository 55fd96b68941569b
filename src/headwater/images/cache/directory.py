"""The directory of the image cache: ``caching.directory`` with the room ``images``, and ``queue/ID`` for each image
that is to be fetched. The group of a file is the id of its image.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from headwater.caching.directory import KeptFiles, group_of, is_file_of_ours, name_pattern, open_own
from headwater.images.model import Image

_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_NAME = name_pattern(_ID)


@dataclass(frozen=True, slots=True)
class CachedImage:
    """The data of one image in the cache."""

    name: str
    image_id: str
    size: int
    last_accessed: float  # seconds since 1970
    last_modified: float
    hits: int


def name_of(image: Image) -> str | None:
    """Return what the data of an image is called in a cache; ``None`` where nobody could tell it from other data."""
    algorithm, value = (image.os_hash_algo, image.os_hash_value) if image.os_hash_value else ("md5", image.checksum)
    name = f"{image.id}.{algorithm}.{value}.{image.size}"
    return name if image.size and _NAME.fullmatch(name) else None


class CacheDirectory(KeptFiles):
    """The files of the image cache; safe to use from several threads and processes."""

    def __init__(self, root: Path, max_size: int) -> None:
        """Make the directory ready.

        Raises:
            SettingsError: Nothing can be kept there.
        """
        setting = "section [cache], key 'directory'"
        super().__init__(root, max_size, setting=setting, room="images", groups=_ID, others=("queue",), marks=True)

    def images(self) -> list[CachedImage]:
        """Return all that is whole, what was read last at the end."""
        return [
            CachedImage(each.name, each.group, each.size, each.last_accessed, each.last_modified, each.hits)
            for each in self.files()
        ]

    def keep(self, name: str, file: int) -> bool:
        kept = super().keep(name, file)
        if kept:
            with contextlib.suppress(OSError):
                (self.root / "queue" / group_of(name)).unlink()
        return kept

    def queue(self, image_id: str) -> None:
        """Note that an image is to be fetched."""
        with self.working():
            os.close(open_own(self.root / "queue" / image_id, os.O_WRONLY | os.O_CREAT))

    def queued(self) -> list[str]:
        """Return the images that are to be fetched, oldest first."""
        found = []
        with self.working(), os.scandir(self.root / "queue") as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    about = entry.stat(follow_symlinks=False)
                    if re.fullmatch(_ID, entry.name) and is_file_of_ours(about):
                        found.append((about.st_mtime_ns, entry.name))
        return [image_id for _, image_id in sorted(found)]

    def unqueue(self, image_id: str) -> bool:
        """Note that an image is not to be fetched any more; return whether it was."""
        if image_id not in self.queued():
            return False
        with self.working(), contextlib.suppress(FileNotFoundError):
            (self.root / "queue" / image_id).unlink()
        return True

"""The products of image files, kept as images change."""

from __future__ import annotations

from bisect import bisect_left, insort

from headwater.images.catalogue.fingerprints.image_fingerprints import Fingerprint
from headwater.images.model import Image
from headwater.streams.live.files.documents import (
    ListedFile,
    ListedFileProduct,
    ListedFiles,
    listed_file,
    listed_product,
    version_text,
)
from headwater.streams.live.files.placement import FilePlacement, place_files
from headwater.streams.live.image_ids import version_name
from headwater.streams.live.kept import Kept


class KeptFiles(Kept["_Product", ListedFileProduct]):
    """What the feed lists of the images that it was told of; for one thread at a time."""

    def __init__(self, *, for_everybody: bool = True) -> None:
        super().__init__()
        self._for_everybody = for_everybody

    def put(self, image: Image, found: Fingerprint | None) -> None:
        """Take an image in the place of what it was: listed where it has a place, and a fingerprint of that place."""
        self.drop(image.id)
        at = place_files(image, for_everybody=self._for_everybody)
        if not isinstance(at, FilePlacement) or (file := listed_file(image, at, found)) is None:
            return
        name, version = at.product_id, version_name(image)
        self._products.setdefault(name, _Product()).put(version, file)
        self._placed(image.id, name, version)

    def listed(self) -> ListedFiles:
        """Return what the feed says now."""
        return ListedFiles(self._now())


class _Product:
    def __init__(self) -> None:
        # By the names of versions, and by image. Of images that share a name, by a rare chance, one is shown.
        self._versions: dict[str, dict[str, ListedFile]] = {}
        self._texts: dict[str, bytes] = {}
        self._names: list[str] = []  # in order

    @property
    def is_empty(self) -> bool:
        return not self._versions

    def put(self, name: str, file: ListedFile) -> None:
        if name not in self._versions:
            insort(self._names, name)
        self._versions.setdefault(name, {})[file.image_id] = file
        self._texts[name] = version_text(name, self._shown(name))

    def drop(self, name: str, image_id: str) -> None:
        del self._versions[name][image_id]
        if self._versions[name]:
            self._texts[name] = version_text(name, self._shown(name))
        else:
            del self._versions[name], self._texts[name], self._names[bisect_left(self._names, name)]

    def listed(self) -> ListedFileProduct:
        shown = [self._shown(name) for name in self._names]
        return listed_product(
            shown[-1].about,
            [self._texts[name] for name in self._names],
            updated_at=max(file.updated_at for file in shown),
            newest={file.kind: file.image_id for file in shown},
        )

    def _shown(self, name: str) -> ListedFile:
        there = self._versions[name]
        return there[max(there)]

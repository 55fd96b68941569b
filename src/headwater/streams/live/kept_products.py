"""The products of image ids, kept as images change."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headwater.images.model import Image
from headwater.streams.live.image_ids import (
    ListedImage,
    ListedProduct,
    ListedProducts,
    listed_product,
    version_name,
    version_text,
)
from headwater.streams.live.kept import Kept
from headwater.streams.live.placement import Placement, place
from headwater.streams.settings import CloudEndpoint, StreamsSettings


class KeptProducts(Kept["_Product", ListedProduct]):
    """What the feed lists of the images that it was told of; for one thread at a time."""

    def __init__(self, settings: StreamsSettings, images: Iterable[Image] = (), *, for_everybody: bool = True) -> None:
        super().__init__()
        self._settings, self._for_everybody = settings, for_everybody
        for image in images:
            self.put(image)

    def put(self, image: Image) -> None:
        """Take an image in the place of what it was: listed where ``placement.place`` finds a place for it."""
        self.drop(image.id)
        at = place(image, self._settings.virt_types, for_everybody=self._for_everybody)
        if not isinstance(at, Placement):
            return
        name, version = at.product_id, version_name(image)
        if name not in self._products:
            self._products[name] = _Product(at, self._settings.clouds)
        self._products[name].put(version, ListedImage(image.id, at.virt, image.updated_at))
        self._placed(image.id, name, version)

    def listed(self) -> ListedProducts:
        """Return what the feed says now."""
        return ListedProducts(self._now(), self._settings)


@dataclass(frozen=True, slots=True)
class _Version:
    images: tuple[ListedImage, ...]  # in the order of their ids
    updated_at: int
    text: bytes
    text_if_mixed: bytes  # ready, so that the first image of another kind of guest costs no more than the next

    @classmethod
    def of(cls, name: str, images: Iterable[ListedImage], clouds: Sequence[CloudEndpoint]) -> _Version:
        found = tuple(sorted(images, key=lambda image: image.image_id))
        plain, mixed = (version_text(name, found, clouds, is_mixed=is_mixed) for is_mixed in (False, True))
        return cls(found, max(image.updated_at for image in found), plain, mixed)


class _Product:
    def __init__(self, at: Placement, clouds: Sequence[CloudEndpoint]) -> None:
        self._at, self._clouds = at, clouds
        self._versions: dict[str, _Version] = {}
        self._names: list[str] = []  # in order
        self._virts: Counter[str] = Counter()

    @property
    def is_empty(self) -> bool:
        return not self._versions

    def put(self, name: str, image: ListedImage) -> None:
        if (held := self._versions.get(name)) is None:
            insort(self._names, name)
        self._versions[name] = _Version.of(name, (*(held.images if held else ()), image), self._clouds)
        self._virts[image.virt] += 1

    def drop(self, name: str, image_id: str) -> None:
        held = self._versions.pop(name).images
        self._virts -= Counter(image.virt for image in held if image.image_id == image_id)
        if left := [image for image in held if image.image_id != image_id]:
            self._versions[name] = _Version.of(name, left, self._clouds)
        else:
            del self._names[bisect_left(self._names, name)]

    def listed(self) -> ListedProduct:
        versions = [self._versions[name] for name in self._names]
        is_mixed = len(self._virts) > 1
        texts = [version.text_if_mixed if is_mixed else version.text for version in versions]
        updated_at = max([version.updated_at for version in versions])
        return listed_product(self._at, texts, updated_at=updated_at, newest=self._newest())

    def _newest(self) -> dict[str, str]:
        newest: dict[str, str] = {}
        for name in reversed(self._names):
            for image in reversed(self._versions[name].images):
                newest.setdefault(image.virt, image.image_id)
            if len(newest) == len(self._virts):
                break
        return newest

"""What the feed says of the files of one image: where they stand, or every reason why they do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headwater.images.catalogue.fingerprints.image_fingerprints import Fingerprint
from headwater.images.model import Image
from headwater.streams.live.files.documents import ListedFile, ListedFileProduct, listed_file
from headwater.streams.live.files.placement import place_files
from headwater.streams.live.image_ids import version_name
from headwater.streams.live.placement import Omission


@dataclass(frozen=True, slots=True)
class FileListing:
    """The answer to somebody who asks why an image is no image for LXD and Incus."""

    image: Image
    file: ListedFile | None
    reasons: tuple[str, ...] = ()  # why it is not listed
    newest: str | None = None  # the id of the image that readers take of this product and kind of guest

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it: the same keys for every image."""
        file = self.file
        return {
            "listed": file is not None,
            "reasons": list(self.reasons),
            "product": file and file.about.product,
            "version": file and version_name(self.image),
            "type": file and file.kind,
            "aliases": list(file.about.aliases or ()) if file else None,
            "fingerprint": file and file.fingerprint,
            "newest": self.newest,
        }


def file_listing(
    image: Image, found: Fingerprint | None, products: Mapping[str, ListedFileProduct], *, is_on: bool = True
) -> FileListing:
    """Return where the files of an image stand.

    Args:
        found: What is known of its data.
        products: What the feed lists.
        is_on: The feed lists files at all.
    """
    at = place_files(image)
    reasons = [] if is_on else ["image_files is off: the feed lists no files"]
    if isinstance(at, Omission):
        return FileListing(image, None, (*reasons, *at.reasons))
    file = listed_file(image, at, found)
    if is_on and file is None:
        is_tried = found is not None and found.is_of(image) and found.error is not None
        why = f"cannot be made: {found.error}" if found and is_tried else "is not known yet: its data is read once"
        reasons.append(f"fingerprint {why}")
    if reasons or file is None:
        return FileListing(image, None, tuple(reasons))
    product = products.get(at.product_id)
    return FileListing(image, file, newest=None if product is None else product.newest.get(file.kind))

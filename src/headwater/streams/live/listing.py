"""What the feed says of one image: where it stands, or every reason why it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headwater.images.model import Image
from headwater.streams.live.image_ids import version_name
from headwater.streams.live.placement import Omission, Placement


@dataclass(frozen=True, slots=True)
class Listing:
    """The answer to somebody who asks why an image is listed, or why not."""

    image: Image
    at: Placement | Omission
    newest: str | None = None  # the id of the image that Juju takes of this product and kind of guest

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the image is not listed; empty when it is."""
        return self.at.reasons if isinstance(self.at, Omission) else ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it: the same keys for every image."""
        place = self.at if isinstance(self.at, Placement) else None
        return {
            "image_id": self.image.id,
            "listed": place is not None,
            "reasons": list(self.reasons),
            "product": place and place.product_id,
            "stream": place and place.stream,
            "version": place and version_name(self.image),
            "virt": place and place.virt,
            "newest": self.newest,
        }

"""What a sync asks of an Image service; images are the flat objects of the Image API v2."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from headwater.errors import Conflict, HeadwaterError

Document = dict[str, Any]
Pieces = Callable[[], Iterator[bytes]]  # called again where data has to be sent again

GLANCE_DIRECT, WEB_DOWNLOAD = "glance-direct", "web-download"


class ImageVanished(Conflict):
    """The image is not there any more: somebody else deleted it."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"image {image_id} was deleted by somebody else meanwhile; the next run makes it again")
        self.image_id = image_id


class ImageBusy(Conflict):
    """Somebody else brings the image's data now."""

    def __init__(self, image_id: str, status: str) -> None:
        super().__init__(f"image {image_id} is {status}, by somebody else; a later run looks at it again")
        self.image_id, self.status = image_id, status


class UseUnknown(HeadwaterError):
    """Nobody can say whether an image is used."""


class Target(Protocol):
    """The contract; used by one thread at a time."""

    place: str  # as it is shown to people

    def images_of(self, content_id: str) -> Iterator[Document]:
        """Yield the caller's own images with this ``content_id``, in all states, hidden ones too."""

    def get(self, image_id: str) -> Document | None:
        """Return one image; ``None``: it is not there any more."""

    def create(self, document: Document, key: str) -> Document:
        """Create an image, and return it; where the service knows such keys, the same key makes one image."""

    def upload(self, image_id: str, size: int, hashes: Mapping[str, str], pieces: Pieces) -> None:
        """Give the image its data, which makes it active; it stays as it was when ``pieces`` raises.

        Args:
            hashes: What the data must hash to, hex, by hashlib's names.
        """

    def stage(self, image_id: str, size: int, pieces: Pieces) -> None:
        """Give the image data that an import then takes."""

    def begin_import(self, image_id: str, method: Document) -> None:
        """Begin an import; the image tells when it is over."""

    def why_failed(self, image_id: str) -> str | None:
        """Return why the last import into an image failed; ``None``: the service does not say."""

    def methods(self) -> Sequence[str]:
        """Return the import methods that are offered."""

    def verifies_fetches(self) -> bool:
        """Return whether the service holds what it fetches itself to the hash that an import names."""

    def change(self, image_id: str, operations: Sequence[Document]) -> Document:
        """Change an image as a JSON patch says, and return it."""

    def deactivate(self, image_id: str) -> None:
        """Keep the image's data from being used."""

    def delete(self, image_id: str) -> None:
        """Delete an image and its data; one that is not there is fine."""

    def user_of(self, image: Document, used_days: int) -> str | None:
        """Return who or what uses an image, or has in the last days; ``None``: nobody.

        Raises:
            UseUnknown: That cannot be said.
        """

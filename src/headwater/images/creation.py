"""Create an image so that a client which has heard no answer may try again: with a key, it is created once.

Source: draft-ietf-httpapi-idempotency-key-header. It lets a request be refused while the first one with its key is
worked on; here it waits for that, which takes a moment, and has the same answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from headwater.clock import Clock, now
from headwater.errors import Gone, Unprocessable
from headwater.identity.caller import Caller
from headwater.images.catalogue.images import ImageExists
from headwater.images.catalogue.resumed.idempotency_keys import Creation, IdempotencyKeyRows, Key, KeyUsed, kept
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.model import Image
from headwater.images.service import Images

KEPT_S = 24 * 3600


class KeyOfAnother(Unprocessable):
    """The key was used for something else."""

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used for another image: a new image needs a new key")


class CreatedAndGone(Gone):
    """The image that was created under the key is not there any more."""

    def __init__(self, image_id: str) -> None:
        super().__init__(
            f"Image {image_id} was created under this Idempotency-Key and is deleted: a new image needs a new key"
        )
        self.image_id = image_id


class ImageCreation:
    """The use case; safe to use from several threads and processes."""

    def __init__(self, images: Images, keys: IdempotencyKeyRows, clock: Clock = now) -> None:
        self._images = images
        self._keys = keys
        self._clock = clock

    def create(self, caller: Caller, document: Mapping[str, Any], key: str | None = None) -> Image:
        """Create an image as ``Images.create`` does; return the image that was created under ``key``, if one was.

        Raises:
            KeyOfAnother: With this key something else was asked for.
            CreatedAndGone: The image was created and deleted, or is not the caller's to see any more.
        """
        if key is None:
            return self._images.create(caller, document)
        asked = Key.of(caller, key, _fingerprint(document))
        at = self._clock()
        creation = self._keys.find(asked, at)
        if creation is None:
            try:
                return self._images.create(
                    caller,
                    document,
                    also=lambda image: [kept(asked, image.id, now=at, expires_at=at + KEPT_S * 1_000_000)],
                )
            except KeyUsed as used:
                creation = used.creation
            except ImageExists:  # which asked for this id, and was faster
                creation = self._keys.find(asked, at)
                if creation is None:
                    raise
        return self._again(caller, asked, creation)

    def _again(self, caller: Caller, asked: Key, creation: Creation) -> Image:
        if creation.fingerprint != asked.fingerprint:
            raise KeyOfAnother
        try:
            return self._images.get(caller, creation.image_id)
        except ImageNotFound as error:
            raise CreatedAndGone(creation.image_id) from error

    def forget_expired(self) -> None:
        """Forget the keys whose time is over."""
        self._keys.forget_expired(self._clock())


def _fingerprint(document: Mapping[str, Any]) -> str:
    """Return what tells one document from another, whatever the order of its keys."""
    return hashlib.sha256(msgspec.json.encode(document, order="sorted")).hexdigest()

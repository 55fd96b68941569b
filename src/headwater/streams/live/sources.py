"""Where what is live takes its images from: see ``images.catalogue.public`` and ``images.catalogue.fingerprints``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from headwater.images.catalogue.fingerprints.image_fingerprints import Fingerprint
from headwater.images.catalogue.public import Revision
from headwater.images.model import Image


class ImageSource(Protocol):
    """Where the feed takes its images from; called from several threads."""

    def revision(self) -> Revision:
        """Return a value that is another one after any change of the public images. Called for each request."""

    def everything(self) -> Iterable[Image]:
        """Return at least the images that are public and active, in any order; the feed leaves out the rest."""

    def changed(self, since: Revision, until: Revision) -> Collection[str] | None:
        """Return the ids of at least the images that have changed in between; ``None``: nobody knows which."""

    def get(self, image_ids: Collection[str]) -> Iterable[Image]:
        """Return those of these images that are there, in any order; the feed leaves out who is not public."""


class FingerprintSource(Protocol):
    """Where the feed takes the fingerprints of image files from; a new one is a change of its image."""

    def of(self, image_ids: Collection[str]) -> Mapping[str, Fingerprint]:
        """Return what is known of these images, by their ids."""

    def everything(self) -> Iterable[Fingerprint]:
        """Return all that is known."""

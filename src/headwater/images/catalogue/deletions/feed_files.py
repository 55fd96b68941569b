"""Files that feeds go on giving for a time after their image was deleted, as readers go on with the index they hold.

The image is gone for everybody at once, and counts against no limit; what it was, where its data lies and what was
found of it stay with its deletion (``pending_deletes.py``). Only what was for everybody at that moment is kept: who
hides an image, deactivates it or makes it private wants that nobody has it, and so may who deletes it then.
"""

from __future__ import annotations

from dataclasses import dataclass

from headwater.images.catalogue.fingerprints.image_fingerprints import Fingerprint
from headwater.images.model import Image, Status, Visibility


@dataclass(frozen=True, slots=True)
class FeedFiles:
    """For how long they are kept, and of which images."""

    kept_s: int = 0  # 0: not at all
    of_everything_public: bool = False  # the feed for everybody names files; else only who has a secret path reads any

    def names(self, image: Image, found: Fingerprint | None) -> bool:
        """Return whether a feed names files of the image.

        Args:
            found: What is known of its data. Where there is no feed for everybody, somebody has asked for that.
        """
        if image.visibility is not Visibility.PUBLIC or image.status is not Status.ACTIVE or image.os_hidden:
            return False
        return self.of_everything_public or (found is not None and found.sha256 is not None and found.is_of(image))

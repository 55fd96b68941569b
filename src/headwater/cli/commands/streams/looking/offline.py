"""The live feed as this catalogue makes it, for commands; no server needs to run."""

from __future__ import annotations

from headwater.database.engine import Database
from headwater.images.catalogue.fingerprints.image_fingerprints import FingerprintRows
from headwater.images.catalogue.public import PublicImageRows
from headwater.server.settings import Settings
from headwater.streams.live.feed import LiveFeed


def offline_feed(database: Database, settings: Settings) -> LiveFeed:
    """Return the feed, unsigned."""
    lists_files = settings.streams.lists_files(settings.auth.mode)
    fingerprints = FingerprintRows(database) if lists_files else None
    return LiveFeed(PublicImageRows(database), settings.streams, fingerprints=fingerprints)

"""The catalogue of metadata definitions keeps its promises on every database."""

from __future__ import annotations

from contracts.images.metadefs import MetadefsContract


class TestMetadefs(MetadefsContract):
    """On SQLite, PostgreSQL and MariaDB."""

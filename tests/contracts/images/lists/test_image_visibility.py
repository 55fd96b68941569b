"""Whom lists show an image, and its members, on every database."""

from __future__ import annotations

from contracts.images.lists.image_visibility import ImageVisibilityContract


class TestImageVisibility(ImageVisibilityContract):
    """On SQLite, PostgreSQL and MariaDB."""

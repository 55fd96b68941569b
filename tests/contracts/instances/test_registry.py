"""The registry of instances keeps its promises on every database."""

from __future__ import annotations

from contracts.instances.registry import RegistryContract


class TestRegistry(RegistryContract):
    """On SQLite, PostgreSQL and MariaDB."""

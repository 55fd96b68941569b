from __future__ import annotations

from contracts.registry import RegistryContract


class TestRegistryOnSqlite(RegistryContract):
    """In the quick run too."""

from __future__ import annotations

from contracts.instances.registry import RegistryContract


class TestRegistryOnSqlite(RegistryContract):
    """In the quick run too."""

"""Which stores there are: settings in, opened stores by name out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from headwater.stores.file import FileStore, FileStoreSettings
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.store import ObjectStore

StoreSettings = Annotated[FileStoreSettings | MemoryStoreSettings, Field(discriminator="type")]


def open_stores(settings: Mapping[str, StoreSettings], data_dir: Path) -> dict[str, ObjectStore]:
    """Open every store, in the order of the settings.

    Raises:
        SettingsError: One of them cannot work with its settings.
    """
    return {name: _open(name, section, data_dir) for name, section in settings.items()}


def _open(name: str, settings: StoreSettings, data_dir: Path) -> ObjectStore:
    if isinstance(settings, MemoryStoreSettings):
        return MemoryStore(name, settings)
    return FileStore(name, settings, data_dir / "stores" / name)

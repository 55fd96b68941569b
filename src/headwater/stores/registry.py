"""Which stores there are: settings in, opened stores by name out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from headwater.stores.fetch import Fetcher
from headwater.stores.file import FileStore, FileStoreSettings
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.store import ObjectStore
from headwater.stores.web import HttpStore, HttpStoreSettings

StoreSettings = Annotated[FileStoreSettings | MemoryStoreSettings | HttpStoreSettings, Field(discriminator="type")]


def open_stores(settings: Mapping[str, StoreSettings], data_dir: Path, fetcher: Fetcher) -> dict[str, ObjectStore]:
    """Open every store, in the order of the settings.

    Args:
        fetcher: Reads what lies on web servers.

    Raises:
        SettingsError: One of them cannot work with its settings.
    """
    return {name: _open(name, section, data_dir, fetcher) for name, section in settings.items()}


def _open(name: str, settings: StoreSettings, data_dir: Path, fetcher: Fetcher) -> ObjectStore:
    if isinstance(settings, MemoryStoreSettings):
        return MemoryStore(name, settings)
    if isinstance(settings, HttpStoreSettings):
        return HttpStore(name, fetcher)
    return FileStore(name, settings, data_dir / "stores" / name)

"""Which stores there are: settings in, opened stores by name out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from pydantic import Field

from headwater.fetching.fetcher import Fetcher
from headwater.stores.file import FileStore, FileStoreSettings
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.store import ObjectStore
from headwater.stores.web import HttpStore, HttpStoreSettings

StoreSettings = Annotated[FileStoreSettings | MemoryStoreSettings | HttpStoreSettings, Field(discriminator="type")]


def open_stores(
    settings: Mapping[str, StoreSettings],
    data_dir: Path,
    fetcher: Fetcher,
    identities: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, ObjectStore]:
    """Return every store, in the order of the settings; whether they work is not asked.

    Args:
        fetcher: Reads what lies on web servers.
        identities: What each store is expected to be; see ``ObjectStore.expect``.
    """
    stores = {name: open_store(name, section, data_dir, fetcher) for name, section in settings.items()}
    for name, identity in identities.items():
        stores[name].expect(identity)
    return stores


def open_store(name: str, settings: StoreSettings, data_dir: Path, fetcher: Fetcher) -> ObjectStore:
    """Return one store."""
    if isinstance(settings, MemoryStoreSettings):
        return MemoryStore(name, settings)
    if isinstance(settings, HttpStoreSettings):
        return HttpStore(name, fetcher)
    return FileStore(name, settings, data_dir / "stores" / name)

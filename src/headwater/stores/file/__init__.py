"""Objects as files of one directory: the store of type ``file``, on which types of others build too."""

from __future__ import annotations

from headwater.stores.file.layout import MARK
from headwater.stores.file.settings import FileStoreSettings
from headwater.stores.file.store import TYPE, FileStore

__all__ = ["MARK", "TYPE", "FileStore", "FileStoreSettings"]

"""Objects in a container of OpenStack Swift: the store of type ``swift``.

Layout: ``PREFIX KEY`` holds an object, ``PREFIX .headwater-store-id`` the mark, ``PREFIX .segments/`` the parts of
large objects (``upload.py``). An object of segments is whole when its manifest is there, which is put last and removed
first; a crash leaves at most segments without a manifest, which ``delete`` of that key removes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from swiftclient.client import Connection
from urllib3.exceptions import HTTPError

from headwater.stores.remote import (
    MARK,
    MARK_BYTES,
    SETTLES_S,
    AnotherIsThere,
    KeptMark,
    PastTheEnd,
    RemoteStore,
    range_header,
    sentence,
)
from headwater.stores.store import (
    Stored,
    StoreFull,
    StoreUnavailable,
    checked_key,
    is_key,
)
from headwater.stores.store_type import StoreType
from headwater.stores.swift.account import SwiftRefused
from headwater.stores.swift.container import BEFORE_KEYS, Container, NoContainer
from headwater.stores.swift.settings import SwiftStoreSettings
from headwater.stores.swift.upload import LARGEST, SwiftWriter, segments_of


class SwiftStore(RemoteStore):
    """One container, or what in it begins with the prefix."""

    refused, nowhere = SwiftRefused, NoContainer

    def __init__(self, name: str, settings: SwiftStoreSettings) -> None:
        """Name the container; nothing is asked yet."""
        self.settings = settings
        self.abilities = replace(settings.abilities, gives_urls=settings.temp_url_key is not None)
        self._container = Container(name, settings)
        # An answer to a request for an object does not tell whether its container is there.
        absent = self._container.require
        super().__init__(name, KeptMark(name, f"the container {settings.container}", self._read_mark, absent=absent))

    def begin(self, key: str, size: int | None = None) -> SwiftWriter:
        checked_key(key)
        self._mark.require()
        if size is not None and size > self.settings.most_segments * LARGEST:
            raise StoreFull(self.name, size)
        return SwiftWriter(self._container, key, size, lambda: self._mark.require(anew=True))

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        if length == 0:
            self.stat(key)
            return iter(())
        asked = range_header(start, length)
        try:
            connection, body = self._found(key, lambda: self._container.get(key, asked))
        except PastTheEnd:
            return iter(())
        return _Pieces(self._container, connection, body)

    def url_of(self, key: str) -> str:
        # Source: glance_store's Swift driver: locations of an account that its settings name, so without a secret.
        container, name = self.settings.container, self._container.name_of(checked_key(key))
        return f"swift+config://{self.settings.reference or self.name}/{container}/{name}"

    def presigned(self, key: str, expires_s: int) -> str | None:
        return self._container.temp_url(checked_key(key), expires_s)

    def stat(self, key: str) -> Stored:
        return self._found(key, lambda: self._container.head(key))

    def list(self, prefix: str = "") -> Iterator[Stored]:
        self._mark.require(anew=True)
        with self._nothing_where_nothing_is():
            for found in self._container.names(prefix, after=BEFORE_KEYS):
                if is_key(found.key):
                    yield found

    def delete(self, key: str) -> None:
        checked_key(key)
        self._mark.require(anew=True)
        with self._nothing_where_nothing_is():
            self._container.remove(key)
            for segment in self._container.names(segments_of(key)):
                self._container.remove(segment.key)

    def close(self) -> None:
        self._container.close()

    def _put(self, name: str, body: bytes) -> None:
        self._container.put(name, body)

    def _remove(self, name: str) -> None:
        self._container.remove(name)

    # --- The mark ---------------------------------------------------------------------------------

    def _read_mark(self) -> bytes:
        connection, body = self._container.get(MARK, range_header(0, MARK_BYTES))
        return b"".join(_Pieces(self._container, connection, body))

    def _marked(self, identity: str) -> str:
        """Mark a container that has no mark, and return its mark: of several at once the same one for all."""
        if self.settings.create_container:
            self._container.create()
        with contextlib.suppress(AnotherIsThere):
            self._container.put(MARK, identity.encode(), only_if_absent=True)
        # Swift looks for another one when a request begins: of two at the same moment it takes both, and keeps one.
        time.sleep(SETTLES_S)
        return self._mark.found()


class _Pieces(Iterator[bytes]):
    """The bytes of one object, as they come; what breaks off is the store's failure."""

    def __init__(self, container: Container, connection: Connection, body: Any) -> None:
        self._container, self._body = container, body
        self._connection: Connection | None = connection  # until it is given back or closed

    def __next__(self) -> bytes:
        if self._connection is None:
            raise StopIteration
        try:
            piece: bytes = self._body.read(self._container.settings.chunk_size)
        except (HTTPError, OSError) as error:
            self.close()
            raise StoreUnavailable(self._container.store, f"an object broke off: {sentence(error)}") from error
        if not piece:
            connection, self._connection = self._connection, None
            self._container.give_back(connection)
            raise StopIteration
        return piece

    def close(self) -> None:
        """End the connection, unless all was read."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __del__(self) -> None:
        self.close()


TYPE = StoreType("swift", SwiftStoreSettings, lambda name, settings, _: SwiftStore(name, settings))

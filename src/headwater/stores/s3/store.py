"""Objects in a bucket: the store of type ``s3``.

Layout: ``PREFIX KEY`` holds an object, ``PREFIX .headwater-store-id`` the mark. A small object is put at once, a larger
one in parts (``upload.py``); neither is visible before it is whole. A crash leaves at most an unfinished upload, which
``delete`` of that key removes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headwater.clock import microseconds
from headwater.errors import SettingsError
from headwater.stores.parts import LARGEST
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
from headwater.stores.s3.bucket import FAILURES, Bucket, NoBucket, NotKnown, S3Refused
from headwater.stores.s3.settings import S3StoreSettings
from headwater.stores.s3.upload import S3Writer
from headwater.stores.store import (
    ObjectNotFound,
    Stored,
    StoreFull,
    StoreUnavailable,
    checked_key,
    is_key,
)
from headwater.stores.store_type import StoreType


class S3Store(RemoteStore):
    """One bucket, or what in it begins with the prefix."""

    abilities = S3StoreSettings.abilities
    refused, nowhere = S3Refused, NoBucket

    def __init__(self, name: str, settings: S3StoreSettings, directory: Path) -> None:
        """Name the bucket; nothing is asked yet.

        Args:
            directory: Where parts wait that are too large for memory.
        """
        super().__init__(name, KeptMark(name, f"the bucket {settings.bucket}", self._read_mark))
        self.settings = settings
        self._directory = directory
        self._bucket = Bucket(name, settings)

    def begin(self, key: str, size: int | None = None) -> S3Writer:
        checked_key(key)
        self._mark.require()
        if size is not None and size > self.settings.most_parts * LARGEST:
            raise StoreFull(self.name, size)
        return S3Writer(self._bucket, key, size, self._directory, lambda: self._mark.require(anew=True))

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        if length == 0:
            self.stat(key)
            return iter(())
        asked = range_header(start, length)
        try:
            answer = self._found(key, lambda: self._answered(key, "get_object", **asked))
        except PastTheEnd:
            return iter(())
        return _Pieces(self.name, answer["Body"], self.settings.chunk_size)

    def url_of(self, key: str) -> str:
        # Source: glance_store's S3 driver: locations begin with s3+https where it talks to https://, else with s3.
        scheme, _, host = self.settings.endpoint.partition("://")
        return f"{'s3+https' if scheme == 'https' else 's3'}://{host}/{self.settings.bucket}/{self._name_of(key)}"

    def presigned(self, key: str, expires_s: int) -> str:
        return self._bucket.presigned(checked_key(key), expires_s)

    def stat(self, key: str) -> Stored:
        found = self._found(key, lambda: self._answered(key, "head_object"))
        return Stored(key, found["ContentLength"], microseconds(found.get("LastModified")))

    def list(self, prefix: str = "") -> Iterator[Stored]:
        self._mark.require(anew=True)
        with self._nothing_where_nothing_is(), self._bucket.translated():
            for found in self._all("list_objects_v2", "Contents", prefix):
                key = found["Key"].removeprefix(self._bucket.name_of(""))
                if is_key(key):
                    yield Stored(key, found["Size"], microseconds(found.get("LastModified")))

    def delete(self, key: str) -> None:
        name = self._name_of(key)
        self._mark.require(anew=True)
        with self._nothing_where_nothing_is(), self._bucket.translated(key, writes=True):
            # Uploads first: one that is committed between the two would be visible after this.
            for upload in self._all("list_multipart_uploads", "Uploads", key):
                if upload["Key"] == name:
                    self._bucket.forget_upload(key, upload["UploadId"])
            self._remove(key)

    def close(self) -> None:
        self._bucket.close()

    def _name_of(self, key: str) -> str:
        return self._bucket.name_of(checked_key(key))

    def _all(self, operation: str, kind: str, prefix: str) -> Iterator[dict[str, Any]]:
        """Yield what the pages of an operation list."""
        pages = self._bucket.client.get_paginator(operation)
        for page in pages.paginate(Bucket=self.settings.bucket, Prefix=self._bucket.name_of(prefix)):
            yield from page.get(kind, ())

    def _put(self, name: str, body: bytes) -> None:
        self._bucket.put(name, body)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(ObjectNotFound), self._bucket.translated(name, writes=True):
            self._bucket.client.delete_object(**self._bucket.names(name))

    def _answered(self, key: str, operation: str, **asked: str) -> dict[str, Any]:
        """Return what an operation answers of an object."""
        with self._bucket.translated(key):
            answer: dict[str, Any] = getattr(self._bucket.client, operation)(**self._bucket.names(key), **asked)
            return answer

    # --- The mark ---------------------------------------------------------------------------------

    def _read_mark(self) -> bytes:
        with self._bucket.translated(MARK), contextlib.closing(self._answered(MARK, "get_object")["Body"]) as body:
            found: bytes = body.read(MARK_BYTES)
            return found

    def _marked(self, identity: str) -> str:
        """Mark a bucket that has no mark, and return its mark: of several at once the same one for all."""
        if self.settings.create_bucket:
            self._bucket.create()
        is_ours = self._put_mark(identity)
        # Tried again, the same bytes do no harm, and show whether the service keeps conditions.
        if is_ours and self.settings.conditional_put and self._put_mark(identity):
            raise self._no_conditions("takes no notice of")
        # A service of many servers, such as Swift, may take two that come at once, and keeps one of them.
        time.sleep(SETTLES_S)
        return self._mark.found()

    def _put_mark(self, identity: str) -> bool:
        """Return whether the mark was taken, as it is not where one is."""
        try:
            self._bucket.put(MARK, identity.encode(), only_if_absent=self.settings.conditional_put)
        except AnotherIsThere:
            return False
        except NotKnown as error:
            raise self._no_conditions("does not know") from error
        return True

    def _no_conditions(self, what: str) -> SettingsError:
        return SettingsError(
            f"section [stores.{self.name}]: the service at {self.settings.endpoint} {what} If-None-Match: set "
            "conditional_put = false, and start one process before all others"
        )


class _Pieces(Iterator[bytes]):
    """The bytes of one object, as they come; what breaks off is the store's failure."""

    def __init__(self, store: str, body: Any, chunk_size: int) -> None:
        self._store, self._body, self._chunk_size = store, body, chunk_size

    def __next__(self) -> bytes:
        try:
            piece: bytes = self._body.read(self._chunk_size)
        except FAILURES as error:
            self.close()
            raise StoreUnavailable(self._store, f"an object broke off: {sentence(error)}") from error
        if not piece:
            raise StopIteration
        return piece

    def close(self) -> None:
        """End the connection, unless all was read."""
        self._body.close()

    def __del__(self) -> None:
        self._body.close()


TYPE = StoreType("s3", S3StoreSettings, lambda name, settings, around: S3Store(name, settings, around.data_dir))

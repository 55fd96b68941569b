"""One object on its way into a bucket: put at once if it is small, and else in parts that are sent side by side."""

from __future__ import annotations

import binascii
import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from botocore.exceptions import ClientError

from headwater.stores.layers.retry import pause_s
from headwater.stores.parts import Body, Parts, TooManyParts, even, growing
from headwater.stores.s3.bucket import Bucket
from headwater.stores.store import ObjectNotFound, Piece, Stored, StoreFull, StoreUnavailable, WriteLost

_MIB = 1 << 20


class S3Writer:
    """What is pushed into a bucket, until it is an object."""

    def __init__(
        self, bucket: Bucket, key: str, size: int | None, directory: Path, require_store: Callable[[], None]
    ) -> None:
        """Begin an object; nothing is asked yet.

        Args:
            size: How long it will be, if that is known.
            directory: Where parts wait that are too large for memory.
            require_store: Raises unless the bucket is the store that it is taken for.
        """
        self._bucket, self._key, self._require_store = bucket, key, require_store
        self._size = 0
        self._upload: str | None = None
        self._begins = threading.Lock()
        self._is_over = False
        first, most = bucket.settings.part_mib * _MIB, bucket.settings.most_parts
        self._parts = Parts(
            self._send,
            (lambda number: growing(number, first, most)) if size is None else (lambda _: even(size, first, most)),
            most=most,
            threads=bucket.settings.upload_threads,
            directory=directory,
        )

    def write(self, piece: Piece) -> None:
        with memoryview(piece) as given, given.cast("B") as view, self._translated():
            self._parts.write(view)
            self._size += view.nbytes

    def commit(self) -> Stored:
        self._require_store()
        with self._translated():
            if self._parts.any_sent:
                self._complete(self._finished())
            elif not self._is_over:
                self._bucket.put(self._key, self._parts.only())
                self._parts.stop()
        self._is_over = True
        return Stored(self._key, self._size)

    def abort(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._parts.stop()  # first: a part that comes after its upload is gone could stay
        if self._upload is not None:
            with contextlib.suppress(StoreUnavailable):
                self._bucket.forget_upload(self._key, self._upload)

    def _send(self, number: int, body: Body) -> str:
        """Return the tag that the service gives a part. The part is still here when that fails, so it is sent again."""
        failures = 0
        while True:
            try:
                return self._sent(number, body)
            except StoreUnavailable as error:
                if failures >= self._bucket.settings.retries or not error.may_pass:
                    raise
            time.sleep(pause_s(failures))
            failures += 1

    def _sent(self, number: int, body: Body) -> str:
        if not isinstance(body, bytearray):
            body.seek(0)
        with self._bucket.translated(self._key, writes=True):
            answer = self._bucket.client.upload_part(
                **self._bucket.names(self._key),
                UploadId=self._begun(),
                PartNumber=number,
                Body=body,
                **self._bucket.checksum(body),
            )
        tag: str = answer["ETag"]
        return tag

    def _begun(self) -> str:
        """Return the upload that all parts belong to."""
        with self._begins:
            if self._upload is None:
                names = self._bucket.names(self._key)
                self._upload = self._bucket.client.create_multipart_upload(**names)["UploadId"]
            return self._upload

    def _finished(self) -> list[str]:
        """Return the tags of all parts, when they are there."""
        try:
            return self._parts.finish()
        except StoreUnavailable as error:
            error.may_pass = False  # each part was sent as often as the settings say
            raise

    def _complete(self, tags: list[str]) -> None:
        """Make an object of the parts; an earlier call may have been heard, and its answer lost."""
        try:
            with self._bucket.translated(self._key, writes=True):
                self._bucket.client.complete_multipart_upload(
                    **self._bucket.names(self._key),
                    UploadId=self._upload,
                    MultipartUpload={
                        "Parts": [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
                    },
                )
        except WriteLost:
            if not self._is_there(tags):
                raise
        except StoreUnavailable as error:
            # Ceph's gateway says of an upload that is over that somebody completes it: 500.
            if not isinstance(error.__cause__, ClientError) or self._is_known():
                raise
            if not self._is_there(tags):
                raise WriteLost(self._bucket.store, self._key) from error

    def _is_known(self) -> bool:
        """Return whether the service may still complete the upload."""
        try:
            with self._bucket.translated(self._key, writes=True):
                self._bucket.client.list_parts(**self._bucket.names(self._key), UploadId=self._upload, MaxParts=1)
        except WriteLost:
            return False
        except StoreUnavailable:
            return True
        return True

    def _is_there(self, tags: list[str]) -> bool:
        """Return whether the object that was made of these parts is there."""
        with contextlib.suppress(ObjectNotFound), self._bucket.translated(self._key):
            found: str = self._bucket.client.head_object(**self._bucket.names(self._key))["ETag"]
            return tag_of_parts(tags) in found
        return False

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        with self._bucket.translated(self._key, writes=True):
            try:
                yield
            except TooManyParts as error:
                raise StoreFull(self._bucket.store) from error


def tag_of_parts(tags: list[str]) -> str:
    """Return the tag of an object that was made of parts with these tags.

    Source: Amazon's S3 and all that follow it: the MD5 of the MD5s, and how many there are. One that makes others is
    not believed to have completed what it does not know any more.
    """
    try:
        parts = b"".join(binascii.unhexlify(tag.strip('"')) for tag in tags)
    except binascii.Error:
        return "none"
    return f"{hashlib.md5(parts, usedforsecurity=False).hexdigest()}-{len(tags)}"

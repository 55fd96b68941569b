"""A bucket as its service knows it: the client, names of objects, and what the service's refusals mean.

Nothing is asked of a service that only newer ones know: no checksums after the body, no ``aws-chunked``.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import threading
from collections.abc import Iterator
from typing import Any

import boto3.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError
from urllib3.exceptions import HTTPError

from headwater.errors import HeadwaterError
from headwater.stores.parts import Body
from headwater.stores.remote import AnotherIsThere, PastTheEnd, sentence
from headwater.stores.s3.settings import S3StoreSettings
from headwater.stores.store import ObjectNotFound, StoreFull, StoreRefusesWrites, StoreUnavailable, WriteLost

# What is raised when nothing, or half of something, comes back: botocore passes some errors of the connection on.
FAILURES = (BotoCoreError, HTTPError, OSError)

_CONNECTIONS = 64  # kept open for the next call; more may be open at the same time

_FULL = frozenset(
    {"EntityTooLarge", "InsufficientCapacity", "InsufficientStorage", "QuotaExceeded", "XMinioStorageFull"}
)
_MAY_PASS = frozenset({"OperationAborted", "RequestTimeout", "SlowDown"})
# The first may have been heard: the second would find no upload that could be completed.
_NOT_TWICE = frozenset({"CompleteMultipartUpload"})
# Two processes that make the same bucket at once.
_IS_MADE = frozenset({"BucketAlreadyOwnedByYou", "OperationAborted"})


class S3Refused(StoreUnavailable):
    """The S3 service refuses what it is asked, and will until a setting changes, here or there."""

    may_pass = may_pass_later = False


class NotKnown(S3Refused):
    """The S3 service does not have what it is asked for."""


class NoBucket(S3Refused):
    """The S3 service is there, and the bucket is not."""

    def __init__(self, store: str, bucket: str, endpoint: str) -> None:
        super().__init__(store, f"there is no bucket {bucket} at {endpoint}: make it, or set create_bucket = true")


class Bucket:
    """One bucket, or what in it begins with the prefix; safe to use from several threads."""

    def __init__(self, store: str, settings: S3StoreSettings) -> None:
        """Name the bucket; nothing is asked yet."""
        self.store = store
        self.settings = settings
        self._lock = threading.Lock()
        self._clients: dict[tuple[int, str], Any] = {}

    @property
    def client(self) -> Any:
        """What asks the service; use it where its errors are ``translated``."""
        return self._client(self.settings.endpoint)

    def name_of(self, key: str) -> str:
        return f"{self.settings.prefix or ''}{key}"

    def names(self, key: str) -> dict[str, str]:
        """Return what names an object in a request."""
        return {"Bucket": self.settings.bucket, "Key": self.name_of(key)}

    def put(self, key: str, body: bytes | Body, *, only_if_absent: bool = False) -> None:
        """Make ``body`` an object, at once.

        Raises:
            AnotherIsThere: One is there, and the service noticed.
        """
        condition = {"IfNoneMatch": "*"} if only_if_absent else {}
        with self.translated(key, writes=True):
            self.client.put_object(**self.names(key), Body=body, **self.checksum(body), **condition)

    def checksum(self, body: bytes | Body) -> dict[str, str]:
        """Return what proves ``body`` on its way, where the settings ask for it."""
        if not self.settings.content_md5:
            return {}
        digest = hashlib.md5(usedforsecurity=False)
        if isinstance(body, (bytes, bytearray)):
            digest.update(body)
        else:
            for piece in iter(lambda: body.read(1 << 20), b""):
                digest.update(piece)
            body.seek(0)
        return {"ContentMD5": base64.b64encode(digest.digest()).decode()}

    def forget_upload(self, key: str, upload: str) -> None:
        """Remove an unfinished upload; one that is gone is fine."""
        with contextlib.suppress(WriteLost, ObjectNotFound), self.translated(key, writes=True):
            self.client.abort_multipart_upload(**self.names(key), UploadId=upload)

    def create(self) -> None:
        """Make the bucket, if it is not there."""
        region = self.settings.region
        # Source: Amazon's CreateBucket refuses the name of this region, and wants that of any other.
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        with self.translated(writes=True):
            try:
                self.client.create_bucket(Bucket=self.settings.bucket, **place)
            except ClientError as error:
                if _code(error) not in _IS_MADE:
                    raise

    def presigned(self, key: str, expires_s: int) -> str:
        """Return a URL by which anybody may read the object for so long."""
        with self.translated(key):
            client = self._client(self.settings.public_endpoint or self.settings.endpoint)
            # What a client of images reads; other types it may leave alone.
            asked = {**self.names(key), "ResponseContentType": "application/octet-stream"}
            url: str = client.generate_presigned_url("get_object", Params=asked, ExpiresIn=expires_s)
            return url

    def close(self) -> None:
        """Let go of the connections."""
        with self._lock:
            clients, self._clients = self._clients, {}
        for each in clients.values():
            each.close()

    @contextlib.contextmanager
    def translated(self, key: str = "", *, writes: bool = False) -> Iterator[None]:
        """Turn what the service or its library says into the errors of a store.

        Args:
            key: Which object it is about.
            writes: Whoever is denied this may still read.
        """
        try:
            yield
        except ClientError as error:
            raise self._meaning(error, key, writes=writes) from error
        except FAILURES as error:
            raise StoreUnavailable(self.store, sentence(error)) from error

    def _meaning(self, error: ClientError, key: str, *, writes: bool) -> HeadwaterError | AnotherIsThere | PastTheEnd:
        code, settings = _code(error), self.settings
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in ("NoSuchKey", "404"):  # an answer to HEAD has no body, and so no other code than its status
            return ObjectNotFound(self.store, key)
        if code == "NoSuchBucket":
            return NoBucket(self.store, settings.bucket, settings.endpoint)
        if code == "NoSuchUpload":
            return WriteLost(self.store, key)
        if status == 416:
            return PastTheEnd()
        if code in ("PreconditionFailed", "ConditionalRequestConflict"):
            return AnotherIsThere()
        if code in _FULL or status in (413, 507):
            return StoreFull(self.store)
        if code == "AccessDenied" and writes:
            return StoreRefusesWrites(self.store, is_full=False)
        if code == "InvalidAccessKeyId":
            reason = f"{settings.endpoint} does not know the access key {settings.access_key}: see 'access_key'"
            return S3Refused(self.store, reason)
        if code == "SignatureDoesNotMatch":
            reason = f"the secret key is not that of the access key {settings.access_key}: see 'secret_key'"
            return S3Refused(self.store, reason)
        said = error.response.get("Error", {}).get("Message", "")
        reason = f"{settings.endpoint} answers {status} {code}: {sentence(said)}"
        if status == 501:
            return NotKnown(self.store, reason)
        passes = status >= 500 or status in (408, 409, 429) or code in _MAY_PASS
        return StoreUnavailable(self.store, reason) if passes else S3Refused(self.store, reason)

    def _client(self, endpoint: str) -> Any:
        """Return this process's client: connections are not shared with those who fork."""
        which = os.getpid(), endpoint
        with self._lock:
            if which not in self._clients:
                self._clients[which] = self._new_client(endpoint)
            return self._clients[which]

    def _new_client(self, endpoint: str) -> Any:
        settings = self.settings
        if settings.cafile is not None and not settings.cafile.is_file():
            raise S3Refused(self.store, f"there is no file {settings.cafile}, which 'cafile' names")
        session = boto3.session.Session(settings.access_key, settings.secret_key.get_secret_value())
        client = session.client(
            "s3",
            endpoint_url=endpoint,
            region_name=settings.region,
            verify=None if settings.cafile is None else str(settings.cafile),
            config=Config(
                signature_version="s3v4",
                connect_timeout=min(settings.timeout_s, 10),
                read_timeout=settings.timeout_s,
                max_pool_connections=_CONNECTIONS,
                retries={"total_max_attempts": 1},  # layers repeat calls, and an upload its parts
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                # Over TLS nothing changes the bytes on their way, and to sign them would be to hash them once more.
                s3={"addressing_style": settings.addressing, "payload_signing_enabled": endpoint.startswith("http:")},
            ),
        )
        client.meta.events.register("needs-retry.s3", _repeats)
        return client


def _repeats(*, attempts: int, caught_exception: object, operation: Any, **_: object) -> int | None:
    """Return after how many seconds botocore is to make a request once more; ``None``: not at all.

    A service gives up connections on which nothing comes, perhaps in the moment in which one is used again. That says
    nothing of the service, so what does the same twice as once is sent on another one.
    """
    dropped = attempts == 1 and isinstance(caught_exception, ConnectionClosedError)
    return 0 if dropped and operation.name not in _NOT_TWICE else None


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))

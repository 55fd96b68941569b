"""A tree in a bucket of any service that speaks S3, or in what of it begins with a prefix.

Who asks is known from what Amazon's own tools read: ``AWS_ACCESS_KEY_ID`` and its like, ``AWS_PROFILE``, and
``AWS_ENDPOINT_URL`` for the services of others. A service that does not know conditions on puts is looked at before
each of them, which leaves a moment between. A large file with a mark comes as parts that are objects (``parts.py``),
which the service then joins by itself: the parts of an unfinished upload cannot be read, so nobody could say whether
they are right.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import boto3.session
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
from urllib3.exceptions import HTTPError

from headwater.clock import microseconds
from headwater.errors import HeadwaterError
from headwater.streams.format.json_objects import safe_path
from headwater.streams.trees.arriving import Arriving
from headwater.streams.trees.lease import leased
from headwater.streams.trees.parts import Parts, comes_in_parts
from headwater.streams.trees.tree import (
    ABSENT,
    ATTEMPTS,
    DOCUMENT_LIMIT,
    HIDDEN,
    PIECE,
    Document,
    Entry,
    PathChanged,
    PathNotFound,
    TreeRefused,
    TreeUnavailable,
    cache_control,
    media_type_of,
)

_FAILURES = (BotoCoreError, HTTPError, OSError)
_ABSENT = frozenset({"NoSuchKey", "404", "NoSuchBucket"})
_CHANGED = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "InvalidRange", "416"})
_PASSING = frozenset({"SlowDown", "RequestTimeout", "OperationAborted"})
_UNKNOWN_CONDITION = frozenset({"NotImplemented", "InvalidArgument", "InvalidRequest"})
_PARTS = TransferConfig(multipart_threshold=16 << 20, multipart_chunksize=16 << 20, max_concurrency=2)
_PARTS.max_in_memory_upload_chunks = 2  # of one file; boto3 would keep 10


class S3Tree:
    """Files as objects; safe to use from several threads."""

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        endpoint: str | None = None,
        region: str | None = None,
        cafile: Path | None = None,
        timeout_s: float = 60,
    ) -> None:
        """Name the bucket; nothing is asked yet.

        Args:
            prefix: What stands before each path, without slashes around it.
        """
        self.bucket, self._before = bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self.place = f"s3://{bucket}/{self._before}".rstrip("/")
        self._endpoint, self._region_name, self._cafile, self._timeout_s = endpoint, region, cafile, timeout_s
        self._public = False
        self._parts = Parts(self, self._joined, parts_stay=False)

    @cached_property
    def _session(self) -> boto3.session.Session:
        return boto3.session.Session(region_name=self._region_name)

    @cached_property
    def _client(self) -> Any:
        """What asks the service; to know who asks, the library may ask a host in the cloud that this runs in."""
        return self._session.client(
            "s3",
            endpoint_url=self._endpoint,
            region_name=self._region,
            verify=None if self._cafile is None else str(self._cafile),
            config=Config(
                signature_version="s3v4",
                connect_timeout=min(self._timeout_s, 10),
                read_timeout=self._timeout_s,
                max_pool_connections=64,
                retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path"} if self._endpoint else {},
            ),
        )

    @property
    def _region(self) -> str:
        return self._session.region_name or "us-east-1"

    def read(self, path: str, limit: int = DOCUMENT_LIMIT) -> Document:
        with self.open(path) as file:
            return file.whole(limit)

    def open(self, path: str, start: int = 0, *, tag: str | None = None) -> Arriving:
        asked = {**self._names(path), **({"IfMatch": tag} if tag else {})}
        with self._translated(path):
            if start:
                asked["Range"] = f"bytes={start}-"
            answer = self._client.get_object(**asked)
        return Arriving(
            self,
            path,
            self._pieces(path, answer["Body"]),
            tag=answer["ETag"],
            size=start + answer["ContentLength"],
            start=start,
            close=answer["Body"].close,
            media_type=answer.get("ContentType"),
        )

    def _pieces(self, path: str, body: Any) -> Iterator[bytes]:
        with self._translated(path):
            while piece := body.read(PIECE):
                yield piece

    def stat(self, path: str) -> Entry:
        with self._translated(path):
            found = self._client.head_object(**self._names(path))
        return Entry(path, found["ContentLength"], microseconds(found["LastModified"]), found["ETag"])

    def list(self, prefix: str = "") -> Iterator[Entry]:
        return (entry for entry in self.every(prefix) if not entry.path.startswith(HIDDEN))

    def every(self, prefix: str) -> Iterator[Entry]:
        """Yield what ``list`` yields, with the parts of files that are on their way."""
        with self._translated(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=f"{self._before}{prefix}"
            )
            for page in pages:
                for each in page.get("Contents", ()):
                    path = each["Key"].removeprefix(self._before)
                    if path and not path.endswith("/"):  # what consoles make to show a folder
                        yield Entry(path, each["Size"], microseconds(each["LastModified"]), each["ETag"])

    def write(
        self,
        path: str,
        body: bytes | BinaryIO,
        *,
        size: int | None = None,
        media_type: str | None = None,
        expect: str | None = None,
        max_age_s: int | None = None,
        mark: str | None = None,
    ) -> str:
        said = {"ContentType": media_type or media_type_of(path)}
        if max_age_s is not None:
            said["CacheControl"] = cache_control(max_age_s)
        if self._public:
            said["ACL"] = "public-read"
        if not isinstance(body, bytes) and mark is not None and size is not None and comes_in_parts(size):
            return self._parts.put(path, body, said, size=size, mark=mark)
        with self._translated(path, writes=True):
            if expect is not None:
                return self._put_if(path, body if isinstance(body, bytes) else body.read(), said, expect)
            if isinstance(body, bytes):
                tag: str = self._client.put_object(**self._names(path), Body=body, **said)["ETag"]
                return tag
            self._client.upload_fileobj(_Filled(body), *self._names(path).values(), ExtraArgs=said, Config=_PARTS)
        return self.stat(path).tag or ""

    def _joined(self, path: str, parts: Sequence[Entry], said: Mapping[str, str]) -> str:
        """Let the service make one object of others; return its tag."""
        names = self._names(path)
        self._abandon(path)
        with self._translated(path, writes=True):
            upload = {**names, "UploadId": self._client.create_multipart_upload(**names, **said)["UploadId"]}
            try:
                copied = [
                    self._client.upload_part_copy(
                        **upload, PartNumber=number, CopySource=self._names(part.path), CopySourceIfMatch=part.tag
                    )["CopyPartResult"]["ETag"]
                    for number, part in enumerate(parts, 1)
                ]
                listed = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(copied, 1)]
                tag: str = self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": listed})["ETag"]
            except BaseException:
                with contextlib.suppress(ClientError, *_FAILURES):
                    self._client.abort_multipart_upload(**upload)
                raise
        return tag

    def _abandon(self, path: str) -> None:
        """Give up joins of a file that broke off: they are paid for, and nobody sees them."""
        names = self._names(path)
        with self._translated(path, writes=True):
            found = self._client.list_multipart_uploads(Bucket=self.bucket, Prefix=names["Key"])
            for each in found.get("Uploads", ()):
                if each["Key"] == names["Key"]:
                    self._client.abort_multipart_upload(**names, UploadId=each["UploadId"])

    def is_made_of(self, path: str, parts: Sequence[str]) -> bool:
        """Return that no file is made of parts: they are copied into it."""
        return False

    def _put_if(self, path: str, body: bytes, said: dict[str, str], expect: str) -> str:
        there = self._tag_of(path)
        if there != expect:
            raise PathChanged(self.place, path)
        condition = {"IfNoneMatch": "*"} if expect == ABSENT else {"IfMatch": expect}
        try:
            put = self._client.put_object(**self._names(path), Body=body, **said, **condition)
        except ClientError as error:
            if _code(error) not in _UNKNOWN_CONDITION:
                raise
            put = self._client.put_object(**self._names(path), Body=body, **said)
        tag: str = put["ETag"]
        return tag

    def _tag_of(self, path: str) -> str:
        try:
            return self.stat(path).tag or ""
        except PathNotFound:
            return ABSENT

    def begun(self, path: str, mark: str) -> Arriving | None:
        return self._parts.begun(path, mark)

    def delete(self, path: str) -> None:
        with contextlib.suppress(PathNotFound), self._translated(path, writes=True):
            self._client.delete_object(**self._names(path))

    def prepare(self, *, public: bool = False) -> None:
        self._public = public
        region = self._region
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        with self._translated("", writes=True):
            try:
                self._client.head_bucket(Bucket=self.bucket)
            except ClientError as error:
                if _code(error) != "404":
                    raise
                self._client.create_bucket(Bucket=self.bucket, **place)

    @contextlib.contextmanager
    def exclusive(self, purpose: str) -> Iterator[None]:
        with leased(self, purpose):
            with contextlib.suppress(HeadwaterError):  # what somebody left disturbs nobody
                for path in self._parts.tidy():
                    self._abandon(path)
            yield

    def public_url(self) -> str:
        base = str(self._client.meta.endpoint_url).rstrip("/")
        return f"{base}/{quote(f'{self.bucket}/{self._before}')}".rstrip("/")

    def close(self) -> None:
        if "_client" in self.__dict__:
            self._client.close()

    def _names(self, path: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": f"{self._before}{safe_path(path)}"}

    @contextlib.contextmanager
    def _translated(self, path: str, *, writes: bool = False) -> Iterator[None]:
        """Turn what the service or its library says into the errors of a tree."""
        try:
            yield
        except (NoCredentialsError, PartialCredentialsError) as error:
            reason = "nothing says who asks: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            raise TreeRefused(self.place, reason) from error
        except ClientError as error:
            code = _code(error)
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code == "NoSuchBucket" and writes:
                raise TreeRefused(self.place, f"there is no bucket {self.bucket}", status) from error
            if code in _ABSENT:
                raise PathNotFound(self.place, path) from error
            if code in _CHANGED:
                raise PathChanged(self.place, path) from error
            told = " ".join(str(error.response.get("Error", {}).get("Message", "")).split())[:200]
            reason = f"{path or 'it'}: the service answered {status} {code}: {told}"
            passes = status >= 500 or status in (408, 429) or code in _PASSING
            raise (TreeUnavailable if passes else TreeRefused)(self.place, reason, status) from error
        except _FAILURES as error:
            raise TreeUnavailable(self.place, f"{path or 'it'}: {' '.join(str(error).split())[:200]}") from error


class _Filled:
    """A file whose pieces are as long as they are asked for: boto3 takes a shorter one for the last."""

    def __init__(self, body: BinaryIO) -> None:
        self._body = body

    def read(self, size: int = -1) -> bytes:
        pieces, left = [], size
        while left and (piece := self._body.read(left)):
            pieces.append(piece)
            left -= len(piece) if size > 0 else 0
        return b"".join(pieces)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))

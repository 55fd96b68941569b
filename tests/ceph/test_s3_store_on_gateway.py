"""The store of type ``s3`` on RADOS Gateway, against what every store promises."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.stores.store import ObjectStore
from headwater.testing.object_store import ObjectStoreContract, marked
from servers.ceph import Gateway

s3 = pytest.importorskip("headwater.stores.s3.store")


def opened(gateway: Gateway, bucket: str, directory: Path) -> ObjectStore:
    """Return the store of a bucket, which it makes itself."""
    settings = s3.S3StoreSettings.model_validate(
        {
            "type": "s3",
            "endpoint": gateway.endpoint,
            "bucket": bucket,
            "create_bucket": True,
            "access_key": gateway.access_key,
            "secret_key": gateway.secret_key,
        }
    )
    store: ObjectStore = s3.S3Store("s3", settings, directory)
    return store


@pytest.fixture(scope="session")
def s3_store(rados_gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A store for all tests, each of which cleans it: making a bucket takes a while."""
    store = opened(rados_gateway, "images", tmp_path_factory.mktemp("parts"))
    yield marked(store)
    store.close()


class TestS3StoreOnGateway(ObjectStoreContract):
    @pytest.fixture
    def unmarked_store(self, rados_gateway: Gateway, tmp_path: Path) -> Iterator[ObjectStore]:
        store = opened(rados_gateway, f"bucket-{uuid.uuid4().hex[:12]}", tmp_path)
        yield store
        store.close()

    @pytest.fixture
    def store(self, s3_store: ObjectStore) -> Iterator[ObjectStore]:
        identity = s3_store.identity()
        yield s3_store
        s3_store.expect(str(identity))
        for left in list(s3_store.list()):
            s3_store.delete(left.key)

"""Stores on servers pass the suite of all stores: on a real Swift, which also speaks S3."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest

from headwater.fetching.fetcher import Fetcher, FetchSettings
from headwater.stores.registry import open_stores
from headwater.stores.s3.store import S3Store
from headwater.stores.store_type import StoreSettings, Surroundings
from headwater.stores.swift.store import SwiftStore
from headwater.testing.object_store import ObjectStoreContract, content, marked, put
from servers.http.cutting import CutWay
from servers.openstack.swift import Swift, s3_settings, swift_settings

SMALL = 4 << 20  # bytes


@pytest.fixture(scope="module")
def s3_store(swift: Swift, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Store]:
    """A store in a bucket of the server, which is not empty when a test before left something."""
    store = S3Store("s3", s3_settings(swift, swift.container()), tmp_path_factory.mktemp("parts"))
    marked(store)
    yield store
    store.close()


class TestS3Store(ObjectStoreContract):
    """In a bucket of a real Swift, which speaks S3."""

    @pytest.fixture
    def unmarked_store(self, swift: Swift, tmp_path: Path) -> Iterator[S3Store]:
        store = S3Store("s3", s3_settings(swift, f"bucket-{uuid.uuid4().hex[:12]}", create_bucket=True), tmp_path)
        yield store
        store.close()

    @pytest.fixture
    def store(self, s3_store: S3Store) -> S3Store:
        for left in list(s3_store.list()):
            s3_store.delete(left.key)
        return s3_store

    @pytest.fixture
    def small_store(self, swift: Swift, tmp_path: Path) -> Iterator[S3Store]:
        bucket = swift.container(X_Container_Meta_Quota_Bytes=str(SMALL))
        store = S3Store("s3", s3_settings(swift, bucket), tmp_path)
        yield marked(store)
        store.close()


@pytest.fixture(scope="module")
def swift_store(swift: Swift) -> Iterator[SwiftStore]:
    """A store in a container of the server, which is not empty when a test before left something."""
    container = swift.container(X_Container_Meta_Temp_URL_Key="key")
    store = SwiftStore("swift", swift_settings(swift, container, temp_url_key="key"))
    marked(store)
    yield store
    store.close()


class TestSwiftStore(ObjectStoreContract):
    """In a container of a real Swift."""

    @pytest.fixture
    def unmarked_store(self, swift: Swift) -> Iterator[SwiftStore]:
        settings = swift_settings(swift, f"container-{uuid.uuid4().hex[:12]}", create_container=True)
        store = SwiftStore("swift", settings)
        yield store
        store.close()

    @pytest.fixture
    def store(self, swift_store: SwiftStore) -> SwiftStore:
        for left in list(swift_store.list()):
            swift_store.delete(left.key)
        return swift_store

    @pytest.fixture
    def small_store(self, swift: Swift) -> Iterator[SwiftStore]:
        store = SwiftStore("swift", swift_settings(swift, swift.container(X_Container_Meta_Quota_Bytes=str(SMALL))))
        yield marked(store)
        store.close()


# The last request of an object, small and large: what begins so is cut twice, as the libraries repeat some
# requests once themselves.
COMMITS = {
    ("s3", 5): r"PUT \S*/k[ ?]",
    ("s3", 17 << 20): r"POST \S*uploadId=",
    ("swift", 5): r"PUT \S*/k[ ?]",
    ("swift", 17 << 20): r"PUT \S*multipart-manifest=put",
}


@pytest.mark.parametrize("lost", ["request", "answer"])
@pytest.mark.parametrize(("kind", "size"), COMMITS, ids=[f"{kind}-{size}" for kind, size in COMMITS])
def test_a_commit_that_is_cut_off_is_repeated(
    swift: Swift, tmp_path: Path, kind: str, size: int, lost: Literal["request", "answer"]
) -> None:
    data = random.Random(size).randbytes(size)
    container = swift.container()
    way = CutWay(urlsplit(swift.s3_url).port or 0, COMMITS[kind, size], lost, cuts=2)
    settings: StoreSettings
    if kind == "s3":
        settings = s3_settings(swift, container, endpoint=f"http://127.0.0.1:{way.port}", retries=2)
    else:
        path = urlsplit(swift.storage_url).path
        settings = swift_settings(swift, container, storage_url=f"http://127.0.0.1:{way.port}{path}", retries=2)
    store = open_stores({"s": settings}, Surroundings(tmp_path, Fetcher(FetchSettings())))["s"]
    marked(store)
    try:
        put(store, "k", data)
        assert content(store, "k") == data
        assert way.seen == 3
    finally:
        store.close()
        way.close()

"""The store of type ``rbd`` on a real Ceph, against what every store promises."""

from __future__ import annotations

import pytest

from ceph.pools import Pool
from headwater.stores.rbd.store import RbdStore
from headwater.testing.object_store import ObjectStoreContract, marked


class TestRbdStore(ObjectStoreContract):
    @pytest.fixture
    def unmarked_store(self, pool: Pool) -> RbdStore:
        return pool.store()

    @pytest.fixture
    def store(self, unmarked_store: RbdStore) -> RbdStore:
        return marked(unmarked_store)

    @pytest.fixture
    def small_store(self, small_pool: Pool) -> RbdStore:
        return marked(small_pool.store())

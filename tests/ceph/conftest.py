"""The pools of the tests: making one takes a second, so each is made once and cleaned after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ceph.pools import Pool
from headwater.stores.rbd.bindings import NoCephBindings, ceph_bindings
from needs import not_run
from servers.ceph import REMEDY, Ceph


@pytest.fixture(scope="session")
def pools(ceph: Ceph) -> dict[str, Pool]:
    try:
        ceph_bindings()
    except NoCephBindings as error:
        not_run(f"Ceph's bindings for this Python ({error})", REMEDY)
    names = {"images": None, "small": 4 << 20}
    return {
        name: Pool(ceph, ceph.make_pool(name, quota=quota), f"of-{name}", ceph.make_user(f"of-{name}", name))
        for name, quota in names.items()
    }


@pytest.fixture
def pool(pools: dict[str, Pool]) -> Iterator[Pool]:
    """Give an empty pool."""
    yield pools["images"]
    pools["images"].clean()


@pytest.fixture
def small_pool(pools: dict[str, Pool]) -> Iterator[Pool]:
    """Give an empty pool with a quota of 4 MiB."""
    yield pools["small"]
    pools["small"].clean()

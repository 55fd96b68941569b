"""The threads of a worker, and the connections that they need."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headwater.server.pools import Pools, hashing_threads
from headwater.server.settings import DatabaseSettings, ServerSettings, Settings
from headwater.stores.memory import MemoryStoreSettings


def settings(tmp_path: Path, *stores: str, **server: int) -> Settings:
    """Return settings of a service with these stores."""
    return Settings(
        data_dir=tmp_path,
        server=ServerSettings(workers=1, **server),  # type: ignore[arg-type]  # numbers all
        stores={name: MemoryStoreSettings(type="memory") for name in stores},
    )


def test_each_thread_that_asks_the_database_has_a_connection(tmp_path: Path) -> None:
    few = settings(tmp_path, "one", catalogue_threads=7, transfer_threads=42, web_threads=3)
    more = settings(tmp_path, "one", "two", catalogue_threads=8, transfer_threads=44, web_threads=6)
    # Images and guests; requests that move data and what writes it; requests that wait and jobs; a store's sweep.
    assert Pools(more).connections - Pools(few).connections == 2 * 1 + 2 * 2 + 2 * 3 + 1


def test_threads_that_ask_nothing_of_the_database_cost_no_connection(tmp_path: Path) -> None:
    few, more = settings(tmp_path, "one", identity_threads=1), settings(tmp_path, "one", identity_threads=99)
    assert Pools(few).connections == Pools(more).connections


def test_very_many_threads_share_the_connections_of_a_server(tmp_path: Path) -> None:
    elsewhere = DatabaseSettings(url="postgresql://headwater@127.0.0.1/headwater")
    many = settings(tmp_path, "one", transfer_threads=400).model_copy(update={"database": elsewhere})
    assert Pools(many).connections == 48


def test_no_capability_waits_for_the_threads_of_another(tmp_path: Path) -> None:
    pools = Pools(settings(tmp_path, "one"))
    assert len({id(pool) for pool in (pools.catalogue, pools.guests, pools.feeds, pools.house, pools.jobs)}) == 5


def test_a_store_that_hangs_leaves_threads_to_the_rest_of_the_house(tmp_path: Path) -> None:
    assert Pools(settings(tmp_path, "one", "two", "three")).house.size > 3


@pytest.mark.parametrize(("processors", "workers", "threads"), [(8, 8, 4), (8, 1, 16), (2, 2, 4), (64, 8, 16)])
def test_all_workers_together_hash_in_about_twice_as_many_threads_as_there_are_processors(
    processors: int, workers: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: range(processors))
    assert hashing_threads(workers) == threads

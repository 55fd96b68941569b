"""What a store of type ``rbd`` does when Ceph, its pool or its key does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ceph.pools import Pool
from headwater.errors import SettingsError
from headwater.stores.rbd.bindings import ceph_bindings
from headwater.stores.rbd.store import RbdStore
from headwater.stores.store import (
    ObjectInUse,
    ObjectStore,
    Stored,
    StoreFull,
    StoreRefusesWrites,
    StoreUnavailable,
)
from headwater.testing.object_store import content, marked, put, some_bytes
from servers.ceph import Ceph, keyring

MIB = 1 << 20
SOON_S = 2.0  # after which the tests give up what will not come


@pytest.fixture
def store(pool: Pool) -> RbdStore:
    return marked(pool.store())


@pytest.fixture
def impatient(pool: Pool, store: RbdStore) -> RbdStore:
    """The same store for somebody who does not wait long."""
    return marked(pool.store(operation_timeout_s=SOON_S))


def calls(store: ObjectStore) -> dict[str, Callable[[], object]]:
    """Return every call about objects."""
    return {
        "stat": lambda: store.stat("k"),
        "read": lambda: content(store, "k"),
        "list": lambda: list(store.list()),
        "begin": lambda: store.begin("new", 5),
        "delete": lambda: store.delete("k"),
        "ping": store.ping,
        "identity": store.identity,
    }


# --- A cluster that does not answer ----------------------------------------------------------------


@pytest.mark.parametrize("call", calls(RbdStore.__new__(RbdStore)))
def test_an_osd_that_stands_still_is_a_store_that_does_not_work_and_later_works_again(
    ceph: Ceph, store: RbdStore, impatient: RbdStore, call: str
) -> None:
    put(store, "k", b"kept")
    with ceph.osd.standing_still(), pytest.raises(StoreUnavailable, match="does not answer within 2 s"):
        calls(impatient)[call]()
    assert content(store, "k") == b"kept"
    impatient.ping()


def test_a_write_that_an_osd_stops_in_the_middle_fails_and_leaves_nothing_to_see(
    ceph: Ceph, pool: Pool, store: RbdStore, impatient: RbdStore
) -> None:
    writer = impatient.begin("k", 64 * MIB)
    writer.write(some_bytes(9 * MIB))
    with ceph.osd.standing_still():
        with pytest.raises(StoreUnavailable):
            for _ in range(7):
                writer.write(some_bytes(8 * MIB))
        writer.abort()
    assert list(store.list()) == []
    store.delete("k")  # what could not be removed then
    assert (pool.names(), pool.trash()) == ([], [])


def test_what_was_committed_is_there_after_the_osd_was_killed(ceph: Ceph, store: RbdStore) -> None:
    data = some_bytes(20 * MIB)
    put(store, "k", data)
    writer = store.begin("half", 64 * MIB)
    writer.write(some_bytes(30 * MIB))
    ceph.osd.kill()
    ceph.osd.start()
    ceph.wait_for_osd()
    assert content(store, "k") == data
    writer.write(some_bytes(34 * MIB))  # Ceph's client sends again what was not acknowledged
    assert writer.commit() == Stored("half", 64 * MIB)


def test_a_reading_that_an_osd_stops_in_the_middle_fails(ceph: Ceph, store: RbdStore, impatient: RbdStore) -> None:
    put(store, "k", some_bytes(40 * MIB))
    pieces = impatient.read("k")
    next(pieces)
    with ceph.osd.standing_still(), pytest.raises(StoreUnavailable):
        list(pieces)


def test_a_thread_that_waits_for_ceph_keeps_no_other_from_working(ceph: Ceph, store: RbdStore) -> None:
    put(store, "k", b"x")
    turns = 0
    with ceph.osd.standing_still():
        waiting = threading.Thread(target=store.stat, args=["k"])
        waiting.start()
        while turns < 50:
            assert waiting.is_alive()
            turns += 1
            time.sleep(0.01)
    waiting.join()


def test_without_a_monitor_the_first_call_fails_in_time_and_many_wait_no_longer_than_one(
    ceph: Ceph, pool: Pool, store: RbdStore
) -> None:
    put(store, "k", b"kept")
    identity = store.identity()
    assert identity is not None
    fresh = pool.store(connect_timeout_s=SOON_S)
    fresh.expect(identity)
    failures: list[Exception] = []

    def fail() -> None:
        try:
            fresh.stat("k")
        except StoreUnavailable as error:
            failures.append(error)

    with ceph.monitor.standing_still():
        assert store.stat("k") == Stored("k", 4)  # who is connected needs the OSD alone
        threads = [threading.Thread(target=fail) for _ in range(6)]
        began = time.monotonic()
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        took = time.monotonic() - began
        assert fresh.url_of("k") == store.url_of("k")  # its configuration says which cluster it is
    assert len(failures) == 6
    assert all("no monitor of Ceph answers within 2 s" in str(each) for each in failures)
    assert took < 6 * SOON_S
    assert content(fresh, "k") == b"kept"


# --- Settings that are wrong -----------------------------------------------------------------------


def test_a_wrong_key_is_named_and_not_printed(pool: Pool, tmp_path: Path) -> None:
    secret = "AQBSdFhmAAAAABAAn0Fb3tmPbZPcZ0GVEWr6yA=="
    store = pool.store(keyring=keyring(tmp_path / "keyring", pool.user, secret))
    with pytest.raises(StoreUnavailable, match=f"does not let client.{pool.user} do this") as caught:
        store.stat("k")
    assert secret not in str(caught.value)
    assert not caught.value.may_pass


def test_a_key_that_is_not_there_is_named(pool: Pool, tmp_path: Path) -> None:
    store = pool.store(keyring=tmp_path / "none")
    with pytest.raises(StoreUnavailable, match=f"there is no key of client.{pool.user} in {tmp_path}/none"):
        store.stat("k")


def test_a_user_who_may_not_write_is_told(ceph: Ceph, pool: Pool) -> None:
    key = ceph.user_with("reader", mon="profile rbd", osd="profile rbd-read-only")
    reader = pool.store(user="reader", keyring=key)
    put(marked(pool.store()), "k", b"x")
    for call in (reader.ping, lambda: reader.begin("new", 1)):
        with pytest.raises(StoreUnavailable, match=r"does not let client\.reader do this"):
            call()
    assert reader.stat("k") == Stored("k", 1)


def test_a_configuration_that_is_not_there_is_named(pool: Pool, tmp_path: Path) -> None:
    store = pool.store(conf=tmp_path / "ceph.conf")
    for call in (lambda: store.stat("k"), lambda: store.url_of("k")):
        with pytest.raises(StoreUnavailable, match=f"{tmp_path}/ceph.conf"):
            call()


def test_a_pool_that_is_not_there_is_named_and_nothing_is_kept_there(pool: Pool) -> None:
    store = pool.store(pool="absent")
    store.expect("a" * 32)
    for call in calls(store).values():
        with pytest.raises(StoreUnavailable, match="the cluster has no pool 'absent'"):
            call()
    with pytest.raises(SettingsError, match=r"section \[stores.ceph\]: the cluster has no pool 'absent'"):
        store.mark("a" * 32)


def test_a_pool_that_goes_and_comes_back_empty_is_another_store(ceph: Ceph, pool: Pool) -> None:
    ceph.make_pool("fleeting")
    store = marked(pool.store(pool="fleeting", user="admin", keyring=ceph.home / "keyring"))
    put(store, "k", b"x")
    ceph.remove_pool("fleeting")
    with pytest.raises(StoreUnavailable):
        store.stat("k")
    ceph.make_pool("fleeting")
    with pytest.raises(StoreUnavailable, match="does not have the mark"):
        store.stat("k")
    store.expect(store.mark("b" * 32))
    assert list(store.list()) == []
    ceph.remove_pool("fleeting")


# --- A pool that is full ---------------------------------------------------------------------------


@contextmanager
def filled(ceph: Ceph, pool: Pool) -> Iterator[None]:
    """Let the pool be full for everybody."""
    ceph.run("osd", "pool", "set-quota", pool.name, "max_objects", "1")
    try:
        ceph.wait_until(lambda: any("full" in each["flags_names"] for each in details(ceph, pool)))
        yield
    finally:
        ceph.run("osd", "pool", "set-quota", pool.name, "max_objects", "0")
        ceph.wait_until(lambda: not any("full" in each["flags_names"] for each in details(ceph, pool)))


def details(ceph: Ceph, pool: Pool) -> list[dict[str, str]]:
    return [each for each in ceph.run("osd", "pool", "ls", "detail") if each["pool_name"] == pool.name]


def test_a_pool_that_becomes_full_says_so_at_once_and_what_is_there_can_be_read_and_deleted(
    ceph: Ceph, pool: Pool, store: RbdStore
) -> None:
    put(store, "k", some_bytes(9 * MIB))
    put(store, "gone", b"x")
    writer = store.begin("half", 64 * MIB)
    with filled(ceph, pool):
        with pytest.raises(StoreRefusesWrites) as caught:
            store.ping()
        assert caught.value.is_full
        with pytest.raises(StoreFull):
            for _ in range(8):
                writer.write(some_bytes(8 * MIB))
        writer.abort()
        assert content(store, "k") == some_bytes(9 * MIB)
        store.delete("gone")
        assert [each.key for each in store.list()] == ["k"]
    put(store, "again", b"x")


# --- Clones ----------------------------------------------------------------------------------------


@contextmanager
def cloned(pool: Pool, key: str, *, clone_format: int = 1) -> Iterator[None]:
    """Have a clone, as Nova and Cinder make them from the URL of an image."""
    rbd = ceph_bindings().rbd
    with pool.looked_into(rbd_default_clone_format=str(clone_format)) as ioctx:
        rbd.RBD().clone(ioctx, key, "snap", ioctx, "volume", features=rbd.RBD_FEATURE_LAYERING)
        try:
            with rbd.Image(ioctx, "volume") as volume:
                volume.write(b"instance", 0)
            yield
        finally:
            rbd.RBD().remove(ioctx, "volume")


@pytest.mark.parametrize("clone_format", [1, 2])
def test_an_object_with_a_clone_stays_whole_until_the_clone_is_gone(
    ceph: Ceph, pool: Pool, store: RbdStore, clone_format: int
) -> None:
    ceph.run("osd", "set-require-min-compat-client", "mimic")  # for the newer format of clones
    put(store, "k", b"image data")
    with cloned(pool, "k", clone_format=clone_format):
        for _ in range(2):
            with pytest.raises(ObjectInUse, match="the object k of store ceph is in use"):
                store.delete("k")
            with pytest.raises(ObjectInUse):
                store.require_unused("k")
            assert content(store, "k") == b"image data"
        assert [each.key for each in store.list()] == ["k"]
    store.require_unused("k")
    store.delete("k")
    assert (pool.names(), pool.trash()) == ([], [])
    store.require_unused("k")


def test_an_image_with_snapshots_of_others_stays(pool: Pool, store: RbdStore) -> None:
    put(store, "k", b"x")
    with pool.looked_into() as ioctx, ceph_bindings().rbd.Image(ioctx, "k") as image:
        image.create_snap("theirs")
        with pytest.raises(ObjectInUse):
            store.delete("k")
        assert content(store, "k") == b"x"
        image.remove_snap("theirs")
    store.delete("k")
    assert pool.names() == []


# --- What lies in the pool -------------------------------------------------------------------------


def test_an_image_is_as_nova_and_cinder_expect_it(ceph: Ceph, pool: Pool, store: RbdStore) -> None:
    put(store, "4f0e.a1", some_bytes(9 * MIB))
    assert store.url_of("4f0e.a1") == f"rbd://{ceph.fsid}/{pool.name}/4f0e.a1/snap"
    rbd = ceph_bindings().rbd
    with pool.looked_into() as ioctx, rbd.Image(ioctx, "4f0e.a1") as image:
        assert image.size() == 9 * MIB
        assert image.features() == rbd.RBD_FEATURE_LAYERING
        assert image.stat()["obj_size"] == 8 * MIB
        assert [(each["name"], each["size"]) for each in image.list_snaps()] == [("snap", 9 * MIB)]
        assert image.is_protected_snap("snap")


def test_a_pool_and_a_cluster_of_any_name_have_a_url_in_which_they_are_quoted(pool: Pool) -> None:
    store = pool.store(pool="images of berlin%")
    assert store.url_of("k").endswith("/images%20of%20berlin%25/k/snap")
    assert store.key_of(store.url_of("k")) == "k"


@pytest.mark.parametrize("size", [None, 100 * MIB, 2 * MIB])
def test_an_image_has_the_size_that_was_written_whatever_was_announced(
    pool: Pool, store: RbdStore, size: int | None
) -> None:
    assert put(store, "k", some_bytes(9 * MIB), b"end", size=size) == Stored("k", 9 * MIB + 3)
    assert content(store, "k") == some_bytes(9 * MIB) + b"end"


def test_thin_images_hold_no_zeros_and_read_as_if_they_did(pool: Pool) -> None:
    store = marked(pool.store(thin_provisioning=True, chunk_size=MIB))
    data = some_bytes(MIB) + bytes(5 * MIB) + some_bytes(100) + bytes(2 * MIB)
    put(store, "k", data)
    assert content(store, "k") == data
    with pool.looked_into() as ioctx:
        pieces = [each.key for each in ioctx.list_objects() if each.key.startswith("rbd_data.")]
    assert len(pieces) == 2


def test_images_of_others_in_the_pool_are_no_objects_and_are_left_alone(pool: Pool, store: RbdStore) -> None:
    rbd = ceph_bindings().rbd
    with pool.looked_into() as ioctx:
        for name in ("volume", "kept"):
            rbd.RBD().create(ioctx, name, MIB, features=rbd.RBD_FEATURE_LAYERING, old_format=False)
        rbd.RBD().trash_move(ioctx, "kept", 0)
    put(store, "k", b"x")
    store.delete("k")
    store.ping()
    assert list(store.list()) == []
    assert (pool.names(), pool.trash()) == (["volume"], ["kept"])


# --- Crashes ---------------------------------------------------------------------------------------


def test_what_a_crash_left_of_a_write_is_invisible_and_deleted_with_its_key(pool: Pool, store: RbdStore) -> None:
    identity = store.identity()
    dead = pool.store()
    dead.expect(str(identity))
    writer = dead.begin("k", 16 * MIB)
    writer.write(some_bytes(9 * MIB))
    assert pool.names() == ["k"]
    assert list(store.list()) == []
    store.delete("k")
    assert (pool.names(), pool.trash()) == ([], ["k"])  # the other one may still write
    writer.abort()
    assert pool.trash() == []


def test_what_is_deleted_while_it_is_read_goes_when_the_reader_is_done(pool: Pool, store: RbdStore) -> None:
    data = some_bytes(20 * MIB)
    put(store, "k", data)
    other = pool.store("other")
    pieces = other.read("k")
    head = next(pieces)
    store.delete("k")
    assert (list(store.list()), pool.names(), pool.trash()) == ([], [], ["k"])
    store.ping()
    assert head + b"".join(pieces) == data
    assert pool.trash() == []


def test_a_reader_that_is_dropped_keeps_nothing(pool: Pool, store: RbdStore) -> None:
    put(store, "k", some_bytes(20 * MIB))
    begun, never_begun = store.read("k"), store.read("k")
    next(begun)
    store.delete("k")
    del begun, never_begun
    assert pool.trash() == []

"""What every store of bytes promises."""

from __future__ import annotations

import hashlib
import mmap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest
import urllib3
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from headwater.clock import now
from headwater.stores.store import (
    IDENTITY,
    KEY,
    BadKey,
    ForeignUrl,
    ObjectNotFound,
    ObjectStore,
    Piece,
    ProvingStore,
    ResumingStore,
    Stored,
    StoreFull,
    StoreUnavailable,
    WriteLost,
    WriterBusy,
    is_key,
    proving,
    resuming,
)

T = TypeVar("T", bound=ObjectStore)

BLOCK = 2 << 20  # what an upload hands over at once: page-aligned memory of so many bytes

BAD_KEYS = (
    "",
    ".",
    "..",
    "../x",
    "/a",
    "a/",
    "/",
    "a//b",
    "a/./b",
    "a/../b",
    "a/..",
    "a/.hidden",
    "a/-option",
    "a/ b",
    "a/b\n",
    "a\\b/",
    "a\\b",
    "a~b",
    "a%2Fb",
    "a:b",
    ".hidden",
    "-option",
    "a b",
    "a\n",
    "a\x00",
    "ä",
    "x" * 201,
    "x/" * 100 + "x",
)
GOOD_KEYS = ("k", "0", "K", "a.b", "a-b_c.d", "a..b", "x" * 200, "a/b", "a/b.d/e-f/0", "a./b", "a_/b", "x/" * 99 + "x")
FOREIGN_URLS = (
    "",
    "k",
    "/k",
    "k/k",
    "://k",
    "file:///etc/passwd",
    "file:///k",
    "memory://k",
    "memory://another/k",
    "rbd://fsid/pool/k/snap",
    "swift+config://reference/container/k",
    "ftp://user:secret@example.org/k?token=secret",
)

keys = st.from_regex(KEY, fullmatch=True).filter(is_key)


# For tests that ask what names mean, not what lies in the store: one store serves all examples, and every store's suite
# has the test.
OF_THE_NAME_ONLY = hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    max_examples=30,  # in each of many suites
    deadline=None,
)


def some_bytes(size: int, seed: int = 0) -> bytes:
    """Return ``size`` bytes that look random and are the same for the same seed."""
    return hashlib.shake_128(seed.to_bytes(8, "big")).digest(size)


@contextmanager
def aligned(data: bytes) -> Iterator[memoryview]:
    """Give ``data`` in memory that begins at a page, as the buffers of an upload do."""
    with mmap.mmap(-1, max(1, len(data))) as memory:
        memory[: len(data)] = data
        with memoryview(memory) as whole, whole[: len(data)] as view:
            yield view


def marked(store: T, identity: str = "0123456789abcdef" * 2) -> T:
    """Return the store, ready for objects and expecting the mark that it has."""
    store.expect(store.mark(identity))
    return store


def put(store: ObjectStore, key: str, *pieces: Piece, size: int | None = None) -> Stored:
    """Write one whole object."""
    writer = store.begin(key, size)
    for piece in pieces:
        writer.write(piece)
    return writer.commit()


def content(store: ObjectStore, key: str, start: int = 0, length: int | None = None) -> bytes:
    """Return the bytes of one object."""
    return b"".join(store.read(key, start, length))


class ObjectStoreContract:
    """To test a store: subclass, and give a ``store`` fixture with an empty, ``marked`` store of at least 64 MiB.

    A store that has an identity gives an ``unmarked_store`` fixture too, where nothing was ever made; a store whose
    room is limited a ``small_store``, with room for less than 8 MiB.
    """

    @pytest.fixture
    def unmarked_store(self, store: ObjectStore) -> ObjectStore:
        assert not store.abilities.has_identity
        pytest.skip("this store has no identity")

    @pytest.fixture
    def small_store(self) -> ObjectStore:
        pytest.skip("this store has no limit that a test could reach")

    # --- One object ------------------------------------------------------------------------------

    def test_each_object_has_a_url_of_its_own(self, store: ObjectStore) -> None:
        assert store.abilities.writes
        urls = {store.url_of(key) for key in GOOD_KEYS}
        assert len(urls) == len(GOOD_KEYS)
        assert all("://" in url for url in urls)
        for key in BAD_KEYS:
            with pytest.raises(BadKey):
                store.url_of(key)

    @OF_THE_NAME_ONLY
    @given(key=keys)
    def test_a_url_leads_back_to_its_key(self, store: ObjectStore, key: str) -> None:
        assert store.key_of(store.url_of(key)) == key

    @OF_THE_NAME_ONLY
    @given(key=keys, more=st.text(max_size=8), at=st.integers(0, 300))
    def test_what_leads_to_a_key_is_its_url_to_the_letter(
        self, store: ObjectStore, key: str, more: str, at: int
    ) -> None:
        url = store.url_of(key)
        changed = url[:at] + more + url[at:]
        try:
            found = store.key_of(changed)
        except ForeignUrl:
            assert changed != url
        else:
            assert store.url_of(found) == changed

    @pytest.mark.parametrize("url", FOREIGN_URLS)
    def test_a_url_of_another_place_is_refused(self, store: ObjectStore, url: str) -> None:
        with pytest.raises(ForeignUrl, match=f"no object of store {store.name} has this URL") as caught:
            store.key_of(url)
        assert "secret" not in str(caught.value)

    def test_a_url_with_anything_beside_the_key_is_refused(self, store: ObjectStore) -> None:
        url = store.url_of("a/k")
        for other in (
            f"{url}/",
            f"{url}?x",
            f"{url}#x",
            f"{url}/../k",
            f"{url}%00",
            f"{url}\n",
            url.upper(),
            f" {url}",
        ):
            with pytest.raises(ForeignUrl):
                store.key_of(other)

    def test_an_object_lives_from_its_commit_to_its_deletion(self, store: ObjectStore) -> None:
        assert list(store.list()) == []
        assert put(store, "k", b"first ", b"second") == Stored("k", 12)
        assert store.stat("k") == Stored("k", 12)
        assert list(store.list()) == [Stored("k", 12)]
        assert content(store, "k") == b"first second"
        store.delete("k")
        assert list(store.list()) == []
        with pytest.raises(ObjectNotFound):
            store.stat("k")

    def test_a_store_that_says_when_an_object_was_written_says_it_alike(self, store: ObjectStore) -> None:
        put(store, "k", b"data")
        said = [store.stat("k").written_at, *(each.written_at for each in store.list())]
        assert len(said) == 2
        if said != [None, None]:
            # Some say it by the second; a time in another unit or zone is further away.
            assert all(each is not None and abs(each - now()) < 600_000_000 for each in said)

    def test_an_object_may_be_empty(self, store: ObjectStore) -> None:
        assert put(store, "k", size=0) == Stored("k", 0)
        assert content(store, "k") == b""
        assert content(store, "k", 0, 10) == b""
        assert list(store.list()) == [Stored("k", 0)]

    def test_what_is_absent_is_not_found_by_the_call_itself(self, store: ObjectStore) -> None:
        for call in (store.read, store.stat, store.path):
            with pytest.raises(ObjectNotFound, match="absent") as caught:
                call("absent")
            assert caught.value.key == "absent"
            assert caught.value.store == store.name

    def test_a_path_names_a_file_with_the_whole_object_where_the_store_gives_paths(self, store: ObjectStore) -> None:
        put(store, "k", b"whole")
        path = store.path("k")
        assert (path is not None) == store.abilities.gives_paths
        if path is not None:
            assert path.read_bytes() == b"whole"

    # --- What is known of the bytes --------------------------------------------------------------

    @pytest.fixture
    def proving_store(self, store: ObjectStore) -> ProvingStore:
        remembers = proving(store)
        if remembers is None:
            pytest.skip("this store does not remember who read what")
        return remembers

    def test_what_was_committed_is_right_until_somebody_finds_it_wrong(self, proving_store: ProvingStore) -> None:
        put(proving_store, "k", b"bytes")
        read = proving_store.proof("k")
        assert read is not None
        assert read.is_right
        proving_store.prove("k", read, is_right=False)
        again = proving_store.proof("k")
        assert again is not None
        assert again.is_right is False
        proving_store.prove("k", read, is_right=True)  # of what was before
        assert proving_store.proof("k") == again
        proving_store.prove("k", again, is_right=True)
        put(proving_store, "other", b"bytes")
        put(proving_store, "k", b"other bytes")
        for key in ("k", "other"):
            new = proving_store.proof(key)
            assert new is not None
            assert new.is_right

    def test_of_what_is_absent_nothing_is_known_or_remembered(self, proving_store: ProvingStore) -> None:
        put(proving_store, "k", b"bytes")
        read = proving_store.proof("k")
        assert read is not None
        proving_store.delete("k")
        with pytest.raises(ObjectNotFound, match="k"):
            proving_store.proof("k")
        proving_store.prove("k", read, is_right=True)
        assert list(proving_store.list()) == []

    # --- Before the commit -----------------------------------------------------------------------

    def test_nothing_is_visible_before_the_commit(self, store: ObjectStore) -> None:
        writer = store.begin("k", 5)
        writer.write(b"bytes")
        assert list(store.list()) == []
        for call in (store.read, store.stat, store.path):
            with pytest.raises(ObjectNotFound):
                call("k")
        writer.commit()
        assert content(store, "k") == b"bytes"

    def test_a_write_that_is_aborted_leaves_nothing(self, store: ObjectStore) -> None:
        writer = store.begin("k")
        writer.write(b"first half")
        writer.abort()
        assert list(store.list()) == []
        with pytest.raises(ObjectNotFound):
            store.stat("k")

    def test_aborting_twice_or_after_the_commit_does_nothing(self, store: ObjectStore) -> None:
        writer = store.begin("aborted")
        writer.abort()
        writer.abort()
        writer = store.begin("kept")
        writer.write(b"bytes")
        writer.commit()
        writer.abort()
        assert [stored.key for stored in store.list()] == ["kept"]
        assert content(store, "kept") == b"bytes"

    @pytest.mark.parametrize("size", [0, 5, 17 << 20], ids=["empty", "small", "large"])
    def test_a_commit_whose_answer_was_lost_is_repeated_where_the_store_says_so(
        self, store: ObjectStore, size: int
    ) -> None:
        if not store.abilities.commits_again:
            return
        data = some_bytes(size)
        writer = store.begin("k")
        writer.write(data)
        first = writer.commit()
        assert writer.commit() == first
        writer.abort()
        assert content(store, "k") == data
        lost = store.begin("lost")
        lost.write(data)
        lost.commit()
        store.delete("lost")
        if size > BLOCK:  # what was put at once is put once more, or known to be whole
            with pytest.raises((WriteLost, ObjectNotFound)):
                lost.commit()
            with pytest.raises(ObjectNotFound):
                store.stat("lost")

    def test_an_old_object_stays_readable_until_the_new_one_is_committed(self, store: ObjectStore) -> None:
        put(store, "k", b"old")
        writer = store.begin("k")
        writer.write(b"the new one")
        assert content(store, "k") == b"old"
        assert store.stat("k") == Stored("k", 3)
        writer.commit()
        assert content(store, "k") == b"the new one"
        assert list(store.list()) == [Stored("k", 11)]

    def test_an_old_object_survives_an_aborted_replacement(self, store: ObjectStore) -> None:
        put(store, "k", b"old")
        writer = store.begin("k")
        writer.write(b"the new one")
        writer.abort()
        assert content(store, "k") == b"old"

    def test_who_reads_while_an_object_is_replaced_reads_one_of_the_two(self, store: ObjectStore) -> None:
        old, new = some_bytes(3 << 20, 1), some_bytes(3 << 20, 2)
        put(store, "k", old)
        pieces = store.read("k")
        head = next(pieces)
        put(store, "k", new)
        assert head + b"".join(pieces) == old
        assert content(store, "k") == new

    def test_who_reads_while_an_object_is_deleted_reads_it_to_its_end(self, store: ObjectStore) -> None:
        data = some_bytes(3 << 20)
        put(store, "k", data)
        pieces = store.read("k")
        head = next(pieces)
        store.delete("k")
        assert head + b"".join(pieces) == data

    # --- Addresses for clients -------------------------------------------------------------------

    def test_a_store_that_gives_addresses_gives_one_for_each_object_until_it_expires(self, store: ObjectStore) -> None:
        if not store.abilities.gives_urls:
            assert store.presigned("k", 60) is None
            return
        put(store, "k", b"0123456789")
        address = store.presigned("k", 60)
        assert address is not None
        assert address != store.url_of("k")
        assert urllib3.request("GET", address).data == b"0123456789"
        assert urllib3.request("GET", address, headers={"Range": "bytes=3-5"}).data == b"345"
        other = address.replace("/k?", "/another?")
        assert other != address
        assert urllib3.request("GET", other).status in (401, 403)

    # --- Deleting --------------------------------------------------------------------------------

    def test_deleting_what_is_absent_is_fine(self, store: ObjectStore) -> None:
        store.delete("absent")
        put(store, "k", b"x")
        store.delete("k")
        store.delete("k")
        assert list(store.list()) == []

    def test_deleting_removes_an_unfinished_write(self, store: ObjectStore) -> None:
        abandoned = store.begin("k")
        abandoned.write(b"x" * 10_000)
        store.delete("k")
        assert list(store.list()) == []
        abandoned.abort()
        put(store, "k", b"again")
        assert content(store, "k") == b"again"

    def test_deleting_one_object_keeps_the_others(self, store: ObjectStore) -> None:
        for key in ("a", "ab", "b"):
            put(store, key, key.encode())
        store.delete("a")
        assert sorted(stored.key for stored in store.list()) == ["ab", "b"]
        assert content(store, "ab") == b"ab"

    def test_an_unfinished_write_that_was_deleted_is_lost_or_whole(self, store: ObjectStore) -> None:
        late = store.begin("k")
        late.write(b"all of it")
        store.delete("k")
        try:
            late.commit()
        except WriteLost as error:
            late.abort()
            assert (error.store, error.key) == (store.name, "k")
            assert list(store.list()) == []
        else:
            assert content(store, "k") == b"all of it"

    # --- Identity --------------------------------------------------------------------------------

    def test_the_first_mark_stays(self, unmarked_store: ObjectStore) -> None:
        assert unmarked_store.identity() is None
        assert list(unmarked_store.list()) == []
        with pytest.raises(ObjectNotFound):
            unmarked_store.stat("k")
        assert unmarked_store.identity() is None
        assert unmarked_store.mark("a" * 32) == "a" * 32
        assert unmarked_store.mark("b" * 32) == "a" * 32
        assert unmarked_store.identity() == "a" * 32
        assert IDENTITY.fullmatch("a" * 32)
        assert list(unmarked_store.list()) == []

    def test_of_many_that_mark_at_once_all_get_the_same_identity(self, unmarked_store: ObjectStore) -> None:
        start, got = threading.Barrier(8), []

        def mark(number: int) -> None:
            start.wait()
            got.append(unmarked_store.mark(f"{number:032x}"))

        threads = [threading.Thread(target=mark, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(got) == 8
        assert set(got) == {unmarked_store.identity()}

    def test_without_the_mark_that_it_expects_a_store_says_neither_empty_nor_deleted(self, store: ObjectStore) -> None:
        if not store.abilities.has_identity:
            pytest.skip("this store has no identity")
        identity = store.identity()
        assert identity is not None
        put(store, "k", b"kept")
        begun = store.begin("begun")
        begun.write(b"too late")
        store.expect("f" * 32)
        for call in (store.begin, store.read, store.stat, store.path, store.delete):
            for key in ("k", "absent", "begun"):
                with pytest.raises(StoreUnavailable) as caught:
                    call(key)
                assert caught.value.store == store.name
        with pytest.raises(StoreUnavailable):
            list(store.list())
        with pytest.raises(StoreUnavailable):
            store.ping()
        with pytest.raises(StoreUnavailable):
            begun.commit()
        begun.abort()
        store.expect(identity)
        store.ping()
        assert list(store.list()) == [Stored("k", 4)]
        assert content(store, "k") == b"kept"
        store.delete("begun")

    # --- Keys and lists --------------------------------------------------------------------------

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_what_is_no_key_is_refused_by_every_call(self, store: ObjectStore, key: str) -> None:
        for call in (store.begin, store.read, store.stat, store.path, store.delete):
            with pytest.raises(BadKey, match="200 at most"):
                call(key)
        assert list(store.list()) == []

    @pytest.mark.parametrize("key", GOOD_KEYS)
    def test_every_key_can_be_written_read_and_deleted(self, store: ObjectStore, key: str) -> None:
        put(store, key, b"x")
        assert list(store.list()) == [Stored(key, 1)]
        assert content(store, key) == b"x"
        store.delete(key)
        assert list(store.list()) == []

    def test_a_key_that_is_a_path_is_a_name_like_any_other(self, store: ObjectStore) -> None:
        """An object is never in the way of another, whichever is there first, goes first or is unfinished."""
        paths = ("a", "a/b", "a/b/c", "b/c", "b")
        for key in paths:
            put(store, key, key.encode())
        begun = store.begin("a/b/c/d")
        begun.write(b"unfinished")
        assert sorted(stored.key for stored in store.list()) == sorted(paths)
        assert sorted(stored.key for stored in store.list("a/")) == ["a/b", "a/b/c"]
        assert sorted(stored.key for stored in store.list("a")) == ["a", "a/b", "a/b/c"]
        store.delete("a/b")
        store.delete("b")
        assert {key: content(store, key) for key in ("a", "a/b/c", "b/c")} == {
            "a": b"a",
            "a/b/c": b"a/b/c",
            "b/c": b"b/c",
        }
        assert begun.commit() == Stored("a/b/c/d", 10)
        for key in ("a", "a/b/c", "b/c", "a/b/c/d"):
            store.delete(key)
        assert list(store.list()) == []

    def test_keys_that_differ_by_case_are_different(self, store: ObjectStore) -> None:
        put(store, "k", b"small")
        put(store, "K", b"large")
        assert (content(store, "k"), content(store, "K")) == (b"small", b"large")

    def test_a_list_can_be_limited_to_a_prefix(self, store: ObjectStore) -> None:
        for key in ("one.1", "one.2", "two.1", "on"):
            put(store, key, b"x" * len(key))
        assert sorted(stored.key for stored in store.list("one.")) == ["one.1", "one.2"]
        assert sorted(stored.key for stored in store.list("on")) == ["on", "one.1", "one.2"]
        assert list(store.list("three")) == []
        assert sorted(store.list(), key=lambda stored: stored.key) == [
            Stored(key, len(key)) for key in ("on", "one.1", "one.2", "two.1")
        ]

    # --- Ranges ----------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("start", "length"),
        [
            (0, None),
            (0, 1),
            (0, 0),
            (1, None),
            (999, 2),
            (4095, 4097),
            (4096, 8192),
            (2_999_999, None),
            (2_999_990, 10),
        ],
    )
    def test_a_range_is_exactly_these_bytes(self, store: ObjectStore, start: int, length: int | None) -> None:
        data = some_bytes(3_000_000)
        put(store, "k", data)
        end = len(data) if length is None else start + length
        assert content(store, "k", start, length) == data[start:end]

    def test_a_range_past_the_end_is_cut(self, store: ObjectStore) -> None:
        put(store, "k", b"0123456789")
        assert content(store, "k", 8, 100) == b"89"
        assert content(store, "k", 10, 1) == b""
        assert content(store, "k", 11) == b""

    def test_a_piece_is_never_empty(self, store: ObjectStore) -> None:
        put(store, "k", some_bytes(3_000_000))
        assert all(store.read("k"))

    # --- Pieces ----------------------------------------------------------------------------------

    @pytest.mark.parametrize("size", [0, 1, 511, 512, 4095, 4096, 4097, BLOCK - 1, BLOCK, BLOCK + 1])
    def test_an_object_of_any_size_comes_back(self, store: ObjectStore, size: int) -> None:
        data = some_bytes(size)
        with aligned(data) as view:
            assert put(store, "k", view, size=size) == Stored("k", size)
        assert content(store, "k") == data

    @pytest.mark.parametrize(
        "sizes",
        [
            (BLOCK, BLOCK, 5),
            (BLOCK, 777, BLOCK),
            (1, BLOCK, BLOCK, 1),
            (4096, 512, 4096, 100, 4096),
            (3, 5, 7, 11, 13),
            (0, BLOCK, 0, 4096, 0),
        ],
    )
    def test_pieces_of_odd_sizes_come_back_in_their_order(self, store: ObjectStore, sizes: tuple[int, ...]) -> None:
        pieces = [some_bytes(size, seed) for seed, size in enumerate(sizes)]
        writer = store.begin("k", sum(sizes))
        for piece in pieces:
            with aligned(piece) as view:
                writer.write(view)
        assert writer.commit() == Stored("k", sum(sizes))
        assert content(store, "k") == b"".join(pieces)

    def test_memory_that_begins_anywhere_is_taken(self, store: ObjectStore) -> None:
        data = some_bytes(3 * BLOCK)
        writer = store.begin("k")
        with aligned(data) as view:
            for begin, end in ((0, BLOCK), (BLOCK, BLOCK + 3), (BLOCK + 3, 2 * BLOCK + 3), (2 * BLOCK + 3, 3 * BLOCK)):
                writer.write(view[begin:end])
        writer.commit()
        assert content(store, "k") == data

    def test_bytes_bytearrays_and_views_are_pieces(self, store: ObjectStore) -> None:
        put(store, "k", b"one ", bytearray(b"two "), memoryview(b"three"))
        assert content(store, "k") == b"one two three"

    def test_the_memory_of_a_piece_may_be_used_again(self, store: ObjectStore) -> None:
        memory = bytearray(8192)
        writer = store.begin("k")
        for letter in b"abc":
            memory[:] = bytes([letter]) * len(memory)
            writer.write(memoryview(memory))
        memory[:] = bytes(len(memory))
        writer.commit()
        assert content(store, "k") == b"a" * 8192 + b"b" * 8192 + b"c" * 8192

    # --- Room ------------------------------------------------------------------------------------

    def test_more_than_there_is_room_for_is_refused_before_the_first_byte(self, small_store: ObjectStore) -> None:
        with pytest.raises(StoreFull, match="no room") as caught:
            small_store.begin("k", 1 << 60)
        assert caught.value.store == small_store.name
        assert list(small_store.list()) == []

    def test_a_store_that_fills_up_says_so_and_keeps_nothing_of_the_write(self, small_store: ObjectStore) -> None:
        put(small_store, "before", b"stays")
        writer = small_store.begin("k")
        with aligned(some_bytes(1 << 20)) as piece, pytest.raises(StoreFull, match="no room"):
            for _ in range(8):
                writer.write(piece)
            writer.commit()
        writer.abort()
        assert [stored.key for stored in small_store.list()] == ["before"]
        assert content(small_store, "before") == b"stays"
        put(small_store, "after", some_bytes(1 << 20))
        assert content(small_store, "after") == some_bytes(1 << 20)

    # --- Threads ---------------------------------------------------------------------------------

    def test_many_threads_write_read_and_delete_at_once(self, store: ObjectStore) -> None:
        failures: list[BaseException] = []

        def live(number: int) -> None:
            try:
                for turn in range(5):
                    data = some_bytes(50_000 + number, number)
                    put(store, f"{number}.{turn}", data[:30_000], data[30_000:])
                    assert content(store, f"{number}.{turn}") == data
                    list(store.list())
                    if turn % 2:
                        store.delete(f"{number}.{turn}")
            except BaseException as error:  # noqa: BLE001 - given to the test, whatever it is
                failures.append(error)

        threads = [threading.Thread(target=live, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        left = sorted(stored.key for stored in store.list())
        assert left == sorted(f"{number}.{turn}" for number in range(12) for turn in (0, 2, 4))

    def test_a_thread_sees_what_another_committed(self, store: ObjectStore) -> None:
        put(store, "k", b"from here")
        seen: list[bytes] = []
        reader = threading.Thread(target=lambda: seen.append(content(store, "k")))
        reader.start()
        reader.join()
        assert seen == [b"from here"]

    # --- What was left unfinished ----------------------------------------------------------------

    @pytest.fixture
    def resuming_store(self, store: ObjectStore) -> ResumingStore:
        found = resuming(store)
        if found is None:
            pytest.skip("this store does not go on with what a writer left")
        return found

    @pytest.mark.parametrize("size", [0, 1, 4095, 4096, BLOCK, BLOCK + 4097])
    def test_what_a_writer_left_is_gone_on_with(self, resuming_store: ResumingStore, size: int) -> None:
        data = some_bytes(size + BLOCK)
        first = resuming_store.resume("k")
        assert first.size == 0
        with aligned(data[:size]) as part:
            first.write(part)
        assert first.suspend() == size
        first.abort()
        assert list(resuming_store.list()) == []
        with pytest.raises(ObjectNotFound):
            resuming_store.stat("k")
        second = resuming_store.resume("k")
        assert second.size == size
        assert b"".join(second.written()) == data[:size]
        with aligned(data[size:]) as rest:
            second.write(rest)
        assert second.commit() == Stored("k", len(data))
        assert content(resuming_store, "k") == data

    @pytest.mark.parametrize("kept", [0, 1, 4096, 5000])
    def test_what_was_written_can_be_taken_back(self, resuming_store: ResumingStore, kept: int) -> None:
        data = some_bytes(9000)
        writer = resuming_store.resume("k")
        writer.write(data[:5000])
        assert writer.suspend() == 5000
        writer = resuming_store.resume("k")
        writer.cut(kept)
        assert writer.size == kept
        writer.write(b"x" * 4096)
        writer.cut(kept)
        writer.write(data[kept:])
        writer.commit()
        assert content(resuming_store, "k") == data

    def test_what_has_no_room_is_not_begun_and_what_there_is_stays(self, resuming_store: ResumingStore) -> None:
        first = resuming_store.resume("k", 5)
        first.write(b"first")
        assert first.suspend() == 5
        with pytest.raises(StoreFull):
            resuming_store.resume("k", 1 << 62)
        second = resuming_store.resume("k", 5)
        assert second.size == 5
        second.abort()

    def test_one_at_a_time_goes_on(self, resuming_store: ResumingStore) -> None:
        first = resuming_store.resume("k")
        with pytest.raises(WriterBusy):
            resuming_store.resume("k")
        first.write(b"first")
        resuming_store.resume("another").abort()
        first.suspend()
        second = resuming_store.resume("k")
        with pytest.raises(WriterBusy):
            resuming_store.resume("k")
        assert b"".join(second.written()) == b"first"
        second.commit()
        assert content(resuming_store, "k") == b"first"

    def test_a_whole_object_is_taken_back_and_not_seen_until_it_is_whole_again(
        self, resuming_store: ResumingStore
    ) -> None:
        put(resuming_store, "k", b"whole")
        writer = resuming_store.resume("k")
        assert writer.size == 5
        assert list(resuming_store.list()) == []
        writer.write(b" again")
        writer.commit()
        assert content(resuming_store, "k") == b"whole again"

    @pytest.mark.parametrize("end", ["abort", "delete", "delete at rest"])
    def test_what_is_given_up_is_gone(self, resuming_store: ResumingStore, end: str) -> None:
        writer = resuming_store.resume("k")
        writer.write(b"given up")
        if end == "abort":
            writer.abort()
        elif end == "delete":
            resuming_store.delete("k")
            with pytest.raises(WriteLost):
                writer.commit()
        else:
            writer.suspend()
            resuming_store.delete("k")
        again = resuming_store.resume("k")
        assert (again.size, b"".join(again.written())) == (0, b"")
        again.abort()

    # --- Health ----------------------------------------------------------------------------------

    def test_a_ping_leaves_nothing(self, store: ObjectStore) -> None:
        store.ping()
        assert list(store.list()) == []

"""The stores that Headwater has, against what every store promises."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headwater.stores.file import MARK, FileStore, FileStoreSettings
from headwater.stores.layers.deadline import PromptStore
from headwater.stores.layers.layer import Direction, Layer, Operation
from headwater.stores.layers.limit import LimitedStore
from headwater.stores.layers.metrics import CountedStore
from headwater.stores.layers.rest import RestingStore
from headwater.stores.layers.retry import RetriedStore
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.store import ObjectStore
from headwater.testing.object_store import ObjectStoreContract, aligned, marked, put, some_bytes

SMALL = 4 << 20  # bytes


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of ``SMALL`` bytes."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root may mount a small file system; the limit on file sizes is tested instead")
    place = tmp_path / "small-disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "headwater-test", place], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this container may not mount; the limit on file sizes is tested instead")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def everything_below(root: Path) -> list[Path]:
    """Return every file below ``root`` but the mark."""
    return [path for path in root.rglob("*") if not path.is_dir() and path != root / MARK]


class _OnFiles(ObjectStoreContract):
    direct = True

    @pytest.fixture
    def root(self, tmp_path: Path) -> Iterator[Path]:
        yield tmp_path / "store"

    @pytest.fixture
    def store(self, root: Path) -> FileStore:
        return marked(FileStore("files", FileStoreSettings(direct=self.direct), root))

    @pytest.fixture
    def unmarked_store(self, root: Path) -> FileStore:
        return FileStore("files", FileStoreSettings(direct=self.direct), root)

    @pytest.fixture
    def small_store(self, small_disk: Path) -> ObjectStore:
        return marked(FileStore("files", FileStoreSettings(direct=self.direct), small_disk))

    def test_an_aborted_or_deleted_write_leaves_no_file(self, store: FileStore, root: Path) -> None:
        for end in ("abort", "delete"):
            writer = store.begin("k")
            writer.write(b"x" * 100_000)
            assert [path.name for path in everything_below(root)] == ["k"]
            if end == "delete":
                store.delete("k")
            writer.abort()
            assert everything_below(root) == []

    def test_a_full_disk_leaves_no_file(self, small_store: ObjectStore, small_disk: Path) -> None:
        self.test_a_store_that_fills_up_says_so_and_keeps_nothing_of_the_write(small_store)
        assert sorted(path.name for path in everything_below(small_disk)) == ["after", "before"]

    def test_a_refused_size_leaves_no_file(self, store: FileStore, root: Path) -> None:
        self.test_more_than_there_is_room_for_is_refused_before_the_first_byte(store)
        assert everything_below(root) == []

    def test_another_process_sees_the_same_objects(self, store: FileStore, root: Path) -> None:
        assert store.abilities.shared_by_processes
        put(store, "k", b"shared")
        other = FileStore("other", FileStoreSettings(direct=self.direct), root)
        assert b"".join(other.read("k")) == b"shared"

    def test_a_reading_that_is_dropped_holds_no_file_open(self, store: FileStore) -> None:
        put(store, "k", some_bytes(3 << 20))
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the listing itself is one of them
        never_begun = store.read("k")
        begun = store.read("k")
        next(begun)
        del never_begun, begun
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


class TestFileStore(_OnFiles):
    """Past the page cache, on a disk."""

    @pytest.fixture
    def root(self) -> Iterator[Path]:
        place = Path(tempfile.mkdtemp(prefix="headwater-store-"))
        yield place / "store"
        shutil.rmtree(place)


class TestFileStoreThroughTheCache(_OnFiles):
    direct = False


class TestFileStoreOnTmpfs(_OnFiles):
    """A file system that takes ``O_DIRECT`` or refuses it, by the version of the kernel."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Iterator[Path]:
        if not Path("/dev/shm").is_dir():
            pytest.skip("this machine has no /dev/shm")
        place = Path(tempfile.mkdtemp(prefix="headwater-store-", dir="/dev/shm"))
        yield place / "store"
        shutil.rmtree(place)


class TestMemoryStore(ObjectStoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore("memory", MemoryStoreSettings(type="memory"))

    @pytest.fixture
    def small_store(self) -> MemoryStore:
        return MemoryStore("memory", MemoryStoreSettings(type="memory", capacity=SMALL))


# A file that may not grow beyond a limit (EFBIG): what every user can set, where mounting is for root only.
_WRITE_TOO_MUCH = """
import sys
from pathlib import Path
from headwater.stores.file import FileStore, FileStoreSettings
from headwater.stores.store import StoreFull
from headwater.testing.object_store import aligned, content, marked, put, some_bytes
root, direct = Path(sys.argv[1]), sys.argv[2] == "direct"
store = marked(FileStore("files", FileStoreSettings(direct=direct), root))
writer = store.begin("k")
with aligned(some_bytes(1 << 20)) as piece:
    for count in range(8):
        try:
            writer.write(piece)
        except StoreFull as error:
            print(count, error)
            break
writer.abort()
put(store, "small", b"fits")
print(sorted(path.name for path in root.glob("[io]*/**/*") if path.is_file()), content(store, "small"))
"""


@pytest.mark.parametrize("way", ["direct", "through the cache"])
def test_a_file_that_may_not_grow_is_a_full_store(tmp_path: Path, way: str) -> None:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, SMALL))

    done = subprocess.run(
        [sys.executable, "-c", _WRITE_TOO_MUCH, tmp_path, way],
        preexec_fn=limit,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "4 store files has no room left: delete images or give it more space",
        "['small'] b'fits'",
    ]


def test_a_write_past_the_cache_goes_on_through_it_after_an_odd_piece(tmp_path: Path) -> None:
    store = marked(FileStore("files", FileStoreSettings(direct=True), tmp_path))
    data = some_bytes(3 * 4096)
    writer = store.begin("k")
    with aligned(data) as view:
        writer.write(view[:4096])
        writer.write(view[4096:5000])
        writer.write(view[5000:])
    writer.commit()
    assert b"".join(store.read("k")) == data


# --- Layers: whatever is around a store, it keeps its promises -------------------------------------------------


class _Ignored:
    """Counts nothing."""

    def worked(self, store: str, operation: Operation, seconds: float, *, failed: bool) -> None: ...

    def passed(self, store: str, direction: Direction, count: int) -> None: ...


Around = Callable[[ObjectStore], ObjectStore]

LAYERS: dict[str, Around] = {
    "nothing": Layer,
    "counted": lambda store: CountedStore(store, _Ignored()),
    "limited": lambda store: LimitedStore(store, concurrency=2, read_speed=1e12, write_speed=1e12),
    "retried": lambda store: RetriedStore(store, 3, sleep=lambda _: None),
    "prompt": lambda store: PromptStore(store, 60),
    "resting": RestingStore,
}
LAYERS["all"] = lambda store: LAYERS["counted"](LAYERS["retried"](LAYERS["limited"](LAYERS["prompt"](store))))


@pytest.fixture
def layer(request: pytest.FixtureRequest) -> Iterator[Around]:
    """Puts layers around stores, whose threads end with the test."""
    made: list[ObjectStore] = []

    def around(store: ObjectStore) -> ObjectStore:
        made.append(LAYERS[request.param](store))
        return made[-1]

    yield around
    for each in made:
        each.close()


@pytest.mark.parametrize("layer", LAYERS, indirect=True)
class TestLayersAroundMemory(ObjectStoreContract):
    @pytest.fixture
    def store(self, layer: Around) -> ObjectStore:
        return layer(MemoryStore("memory", MemoryStoreSettings(type="memory")))

    @pytest.fixture
    def small_store(self, layer: Around) -> ObjectStore:
        return layer(MemoryStore("memory", MemoryStoreSettings(type="memory", capacity=SMALL)))


@pytest.mark.parametrize("layer", LAYERS, indirect=True)
class TestLayersAroundFiles(ObjectStoreContract):
    @pytest.fixture
    def unmarked_store(self, layer: Around, tmp_path: Path) -> ObjectStore:
        return layer(FileStore("files", FileStoreSettings(fsync=False), tmp_path / "store"))

    @pytest.fixture
    def store(self, unmarked_store: ObjectStore) -> ObjectStore:
        return marked(unmarked_store)

    @pytest.fixture
    def small_store(self, layer: Around, small_disk: Path) -> ObjectStore:
        return marked(layer(FileStore("files", FileStoreSettings(fsync=False), small_disk)))

    def test_a_reading_that_is_dropped_holds_no_file_open(self, store: ObjectStore) -> None:
        put(store, "k", some_bytes(3 << 20))
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the listing itself is one of them
        never_begun = store.read("k")
        begun = store.read("k")
        next(begun)
        del never_begun, begun
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208

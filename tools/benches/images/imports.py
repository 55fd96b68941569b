"""Imports by each method: what they write for each byte of the image, and what they take of the processors."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from tools.benches.failure import BenchFailed
from tools.benches.images import image_requests
from tools.benches.measuring import processes
from tools.benches.measuring.connection import Connection
from tools.benches.measuring.sendfile_peer import peer
from tools.benches.measuring.server import Server, serving
from tools.benches.measuring.source import Source, source
from tools.benches.plan import GIB, MIB, Plan
from tools.benches.results import Results

BENCH = "imports"
ROOM_LEFT = 1 * GIB  # on the disk, beside the data
_COPIES = 3  # what is imported, in two stores, and the file that is downloaded
_WAIT_S = 900
_POLL_S = 0.02
_MOST_WRITTEN = 1.05  # bytes for each byte of the image: it once, and what the catalogue notes
_SETTINGS = {
    "HEADWATER_STORES__FAST__TYPE": "file",
    "HEADWATER_STORES__CHEAP__TYPE": "file",
    "HEADWATER_IMAGES__STORE": "fast",
    "HEADWATER_FETCH__ALLOWED_HOSTS": '["127.0.0.1"]',
    "HEADWATER_FETCH__ALLOWED_PORTS": "[]",
}


def measure(plan: Plan, results: Results) -> None:
    """Fill in the figures of imports.

    Raises:
        BenchFailed: The disk has no room, or an import failed.
    """
    room, size = plan.room(BENCH), plan.import_size
    need, free = _COPIES * size + ROOM_LEFT, shutil.disk_usage(room).free
    if free < need:
        raise BenchFailed(
            f"{need / GIB:.0f} GiB are needed on the disk of {plan.rooms}, and {free / GIB:.0f} are free: "
            "give another --data-dir, or a smaller --import-size"
        )
    file = room / "image"
    with source() as bytes_, serving(room / "data", plan.workers, settings=_SETTINGS) as server:
        _write(file, bytes_, size)
        with peer(file) as web:
            url = f"http://127.0.0.1:{web[1]}/image"
            imports = _Imports(server, bytes_, size, plan.rounds)
            direct, download = {"name": "glance-direct"}, {"name": "web-download", "uri": url}
            imports.measure(results, "glance-direct", 1, imports.staged, direct, ["fast"])
            imports.measure(results, "glance-direct, to a store besides", 2, imports.staged, direct, ["fast", "cheap"])
            imports.measure(results, "web-download", 1, imports.queued, download, ["fast"])
            imports.measure(results, "web-download, to two stores", 2, imports.queued, download, ["fast", "cheap"])
            imports.measure(results, "copy-image", 1, imports.uploaded, {"name": "copy-image"}, ["cheap"], before=True)


class _Imports:
    """Imports of one size, again and again."""

    def __init__(self, server: Server, bytes_: Source, size: int, rounds: int) -> None:
        self._server, self._source, self._size, self._rounds = server, bytes_, size, rounds

    def measure(
        self,
        results: Results,
        name: str,
        copies: int,
        prepared: Callable[[], str],
        method: Mapping[str, str],
        stores: list[str],
        *,
        before: bool = False,
    ) -> None:
        """Measure one method, with what it needs first.

        Args:
            copies: In how many stores the image lies in the end.
            prepared: Makes an image that waits for such an import, and returns its id.
            before: What this writes is no part of the import.
        """
        rates: list[float] = []
        written: list[float] = []
        cpu: list[float] = []
        pids = self._server.pids
        for _ in range(self._rounds):
            image_id = prepared() if before else None
            had, used, began = processes.written(pids), processes.cpu_s(pids), time.perf_counter()
            image_id = image_id or prepared()
            self._import(image_id, method, stores)
            rates.append(self._size / MIB / (time.perf_counter() - began))
            written.append((processes.written(pids) - had) / self._size / copies)
            cpu.append((processes.cpu_s(pids) - used) / (self._size / GIB))
            image_requests.delete(self._server.images, image_id)
        results.add(BENCH, f"import, {name}", "MiB/s", rates)
        results.add(BENCH, f"written for each byte and store, {name}", "bytes", written)
        results.add(BENCH, f"processor time of the server, {name}", "s/GiB", cpu)
        results.aim(BENCH, f"written for each byte and store, {name}", max(written), "under", _MOST_WRITTEN, "bytes")

    def queued(self) -> str:
        """Make an image that waits for data."""
        return image_requests.create(self._server.images)

    def staged(self) -> str:
        """Make an image whose data is staged."""
        return self._with_data("stage")

    def uploaded(self) -> str:
        """Make an image that has its data in the first store."""
        return self._with_data("file")

    def _with_data(self, place: str) -> str:
        image_id = image_requests.create(self._server.images)
        with contextlib.closing(Connection(self._server.images)) as connection:
            path = f"{image_requests.path(image_id)}/{place}"
            connection.upload(path, self._source.descriptor, len(self._source.memory), self._size)
        return image_id

    def _import(self, image_id: str, method: Mapping[str, str], stores: list[str]) -> None:
        with contextlib.closing(Connection(self._server.images)) as connection:
            path = image_requests.path(image_id)
            connection.call("POST", f"{path}/import", {"method": method, "stores": stores}, expected=202)
            deadline = time.monotonic() + _WAIT_S
            while time.monotonic() < deadline:
                (task,) = msgspec.json.decode(connection.get(f"{path}/tasks"))["tasks"]
                if task["status"] == "success":
                    return
                if task["status"] == "failure":
                    raise BenchFailed(f"{method['name']} failed: {task['message']}")
                time.sleep(_POLL_S)
        raise BenchFailed(f"{method['name']} was not over after {_WAIT_S} s")


def _write(file: Path, bytes_: Source, size: int) -> None:
    with file.open("wb") as out:
        for piece in bytes_.pieces(size):
            out.write(piece)

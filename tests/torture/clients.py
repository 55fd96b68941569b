"""Clients that change images without a pause, and know afterwards what the service has promised them.

Each client works on images of its own, one request at a time. So what an image must be is known exactly: as the
last answer said, or, when a request got no answer, either that or what the request asked for.
"""

from __future__ import annotations

import hashlib
import http.client
import itertools
import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

_PATCH = "application/openstack-images-v2.1-json-patch"
_OCTETS = "application/octet-stream"
_BLOB = random.Random(20261126).randbytes(8 << 20)
_SIZES = (1, 4096, 100_000, 1 << 20, (3 << 20) + 17, 8 << 20)
_KEPT = 4  # images of one client; more are deleted before new ones come
_TIMEOUT_S = 60.0

GONE = 0  # in place of a status: the connection ended before the answer


@dataclass
class Known:
    """What one client knows of one image of its own."""

    id: str
    is_there: set[bool] = field(default_factory=lambda: {True})  # both, when nobody said how a DELETE or POST ended
    counters: set[str] = field(default_factory=lambda: {"0"})
    checksums: set[str | None] = field(default_factory=lambda: {None})  # None: it waits for its data


class Client:
    """One thread that works until it is told to stop; ``pause`` returns when no request of it is under way."""

    def __init__(self, number: int, port: Callable[[], int]) -> None:
        self.images: dict[str, Known] = {}
        self.wrong: list[str] = []  # answers that may never be given
        self.answered = 0
        self._chance = random.Random(number)
        self._numbers = itertools.count(1)
        self._port = port
        self._connection: http.client.HTTPConnection | None = None
        self._works = threading.Lock()  # held for one request
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def pause(self) -> threading.Lock:
        """Return a lock, held: until it is let go of, this client asks nothing."""
        self._works.acquire()
        return self._works

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(_TIMEOUT_S)
        assert not self._thread.is_alive(), "a client hangs"
        self._disconnect()

    def _run(self) -> None:
        while not self._stopped.is_set():
            with self._works:
                try:
                    self._act()
                except Exception as error:  # noqa: BLE001 - told to the test, which ends with it
                    self.wrong.append(f"the client failed: {error!r}")
                    return
            time.sleep(self._chance.uniform(0, 0.01))

    def _act(self) -> None:
        surely = [image for image in self.images.values() if image.is_there == {True}]
        waiting = [image for image in surely if image.checksums == {None}]
        if len(surely) >= _KEPT and self._chance.random() < 0.5:
            self._delete(self._chance.choice(surely))
        elif waiting and self._chance.random() < 0.6:
            self._upload(self._chance.choice(waiting))
        elif surely and self._chance.random() < 0.6:
            self._count(self._chance.choice(surely))
        elif len(surely) < _KEPT:
            self._create()

    # --- What it asks --------------------------------------------------------------------------------

    def _create(self) -> None:
        image = Known(str(uuid.uuid4()), is_there={False, True})
        self.images[image.id] = image
        document = {"id": image.id, "disk_format": "raw", "container_format": "bare", "counter": "0", "mirror": "0"}
        status = self._ask("POST", "/v2/images", json.dumps(document).encode(), "application/json")
        if status == 201:
            image.is_there = {True}
        else:
            self._unless_away("POST", status)

    def _upload(self, image: Known) -> None:
        size = self._chance.choice(_SIZES)
        start = self._chance.randrange(len(_BLOB) - size + 1)
        data = memoryview(_BLOB)[start : start + size]
        checksum = hashlib.md5(data).hexdigest()
        image.checksums.add(checksum)
        body = data if self._chance.random() < 0.5 else _pieces(data)
        status = self._ask("PUT", f"/v2/images/{image.id}/file", body, _OCTETS)
        if status == 204:
            image.checksums = {checksum}
        elif status == 409:
            pass  # the upload before it got no answer, and is not cleared yet or has ended well
        else:
            self._unless_away("PUT", status)

    def _count(self, image: Known) -> None:
        # Two properties of one change: nobody may ever see one without the other.
        wanted = str(next(self._numbers))
        operations = [{"op": "replace", "path": f"/{name}", "value": wanted} for name in ("counter", "mirror")]
        image.counters.add(wanted)
        status = self._ask("PATCH", f"/v2/images/{image.id}", json.dumps(operations).encode(), _PATCH)
        if status == 200:
            image.counters = {wanted}
        else:
            self._unless_away("PATCH", status)

    def _delete(self, image: Known) -> None:
        image.is_there.add(False)
        status = self._ask("DELETE", f"/v2/images/{image.id}")
        if status == 204:
            image.is_there = {False}
        else:
            self._unless_away("DELETE", status)

    def _unless_away(self, method: str, status: int) -> None:
        if status not in (GONE, 503):
            self.wrong.append(f"{method} was answered {status}")

    def _ask(self, method: str, path: str, body: Any = None, media_type: str = "") -> int:
        """Return the status of the answer, or ``GONE``."""
        headers = {"Content-Type": media_type} if media_type else {}
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self._port(), timeout=_TIMEOUT_S)
            self._connection.request(
                method, path, body, headers, encode_chunked=not isinstance(body, bytes | memoryview)
            )
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self._disconnect()
            return GONE
        self.answered += 1
        return answer.status

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _pieces(data: memoryview) -> Iterator[bytes]:
    for start in range(0, len(data), 65536):
        yield bytes(data[start : start + 65536])

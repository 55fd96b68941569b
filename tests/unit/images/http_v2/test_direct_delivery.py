"""Downloads that a store gives itself, at an address that Headwater tells."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import pytest
from starlette.requests import Request
from starlette.responses import Response

from contracts.image_catalogue import NOON, add, an_image
from contracts.rules import EveryoneMay
from contracts.unheard import UnheardImages, UnheardLocations
from headwater.activity.journal import Entry, Journal
from headwater.database.engine import Database
from headwater.errors import RangeNotSatisfiable
from headwater.http.context import context
from headwater.http.threads import Threads
from headwater.identity.caller import OPERATOR
from headwater.images.access import Access
from headwater.images.data.downloads import Downloads
from headwater.images.http_v2.data import DataHandlers
from headwater.images.locations.known_stores import ONE_STORE
from headwater.images.model import ImageLocation, Location, Status
from headwater.images.settings import ImagesSettings
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.threads import Pool

DATA = b"some data"
MD5, SHA512 = hashlib.md5(DATA, usedforsecurity=False).hexdigest(), hashlib.sha512(DATA).hexdigest()


class Bucket(MemoryStore):
    """A store that others can read from."""

    abilities = replace(MemoryStore.abilities, gives_urls=True)

    def presigned(self, key: str, expires_s: int) -> str | None:  # type: ignore[override]  # memory gives none
        return f"https://bucket.example/{key}?good={expires_s}&signature=secret"


class Audience:
    """Hears what is done."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def moved(self, _entry: Entry) -> tuple[()]:
        return ()

    def ended(self, entry: Entry, error: BaseException | None) -> None:
        self.heard.append(f"{entry.action} {error or 'done'}")


class Service:
    """Downloads of one image that lies in a bucket and in memory."""

    def __init__(self, database: Database, delivery: Literal["off", "asked", "always"]) -> None:
        self.bucket = Bucket("bucket", MemoryStoreSettings(type="memory"))
        memory = MemoryStore("memory", MemoryStoreSettings(type="memory"))
        for store in (self.bucket, memory):
            store.put("k", DATA)
        catalogue = UnheardImages(database)
        self.image = an_image(
            status=Status.ACTIVE, size=len(DATA), checksum=MD5, os_hash_algo="sha512", os_hash_value=SHA512
        )
        add(catalogue, self.image)
        held = tuple(ImageLocation(at=Location(name, "k")) for name in ("bucket", "memory"))
        UnheardLocations(database).change(self.image.id, lambda image, _: (image, held), NOON)
        self.audience = Audience()
        settings = ImagesSettings(direct_delivery=delivery, direct_delivery_s=60)
        downloads = Downloads(
            catalogue,
            Access(catalogue, EveryoneMay()),
            {"bucket": self.bucket, "memory": memory},
            journal=Journal([self.audience]),
            settings=settings,
        )
        self._pool = Pool("test", 1)
        threads = Threads(self._pool, self._pool, self._pool)
        nothing: Any = None
        self.handlers = DataHandlers(nothing, nothing, downloads, ONE_STORE, threads)

    def get(self, *headers: tuple[str, str]) -> Response:
        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers],
            "path_params": {"image_id": self.image.id},
        }
        context(scope).caller = OPERATOR
        return asyncio.run(self.handlers.download(Request(scope)))

    def close(self) -> None:
        self._pool.close()


FOLLOWS = ("prefer", "redirect")


@pytest.fixture
def asked(database: Database) -> Iterator[Service]:
    service = Service(database, "asked")
    yield service
    service.close()


def test_a_client_that_follows_is_sent_to_the_store(asked: Service) -> None:
    answer = asked.get(("prefer", "wait=10, Redirect; now"))
    assert answer.status_code == 307
    assert answer.headers["location"] == "https://bucket.example/k?good=60&signature=secret"
    assert (answer.headers["content-md5"], answer.headers["etag"]) == (MD5, f'"{SHA512}"')
    assert (answer.headers["cache-control"], answer.headers["preference-applied"]) == ("no-store", "redirect")
    assert (answer.body, asked.audience.heard) == (b"", ["image.download done"])


def test_other_clients_get_the_data_from_us(asked: Service) -> None:
    for headers in ((), (("prefer", "return=minimal"),)):
        assert asked.get(*headers).status_code == 200


@pytest.mark.parametrize(("delivery", "status"), [("off", 200), ("always", 307)])
def test_the_operator_decides(database: Database, delivery: Literal["off", "always"], status: int) -> None:
    service = Service(database, delivery)
    assert service.get().status_code == status
    assert service.get(FOLLOWS).status_code == status
    service.close()


def test_conditions_and_ranges_are_judged_before_it_is_sent_there(asked: Service) -> None:
    assert asked.get(FOLLOWS, ("if-none-match", f'"{SHA512}"')).status_code == 304
    with pytest.raises(RangeNotSatisfiable):
        asked.get(FOLLOWS, ("range", "bytes=99-"))
    assert asked.get(FOLLOWS, ("range", "bytes=2-4")).status_code == 307  # with which it asks the store


def test_what_the_store_does_not_have_comes_from_another(asked: Service) -> None:
    asked.bucket.put("k", DATA[:-1])
    assert asked.get(FOLLOWS).status_code == 200
    asked.bucket.delete("k")
    assert asked.get(FOLLOWS).status_code == 200

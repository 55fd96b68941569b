"""The files of images over HTTP: what is answered, by whom, and to whom."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import httpx2 as httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from contracts.image_catalogue import NOON, add
from contracts.rules import EveryoneMay
from contracts.unheard import UnheardImages, UnheardLocations, commit
from headwater.activity.journal import Entry, Journal
from headwater.clock import now
from headwater.database.engine import Database
from headwater.errors import Forbidden, HeadwaterError
from headwater.http import errors
from headwater.http.threads import Threads
from headwater.identity.caller import Caller
from headwater.images.access import Access
from headwater.images.catalogue import images
from headwater.images.catalogue.deletions.feed_files import FeedFiles
from headwater.images.catalogue.deletions.pending_deletes import Deletion, PendingDeleteRows
from headwater.images.catalogue.fingerprints.image_fingerprints import FingerprintRows
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.data.downloads import Downloads
from headwater.images.model import ImageLocation, Location, Visibility
from headwater.images.settings import ImagesSettings
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.streams.http.image_files import files_route
from headwater.streams.live.files.serving import ServedFiles
from headwater.threads import Pool
from unit.streams.catalogue import image
from unit.streams.live.files.test_kept_files import fingerprint

DATA = b"QFI\xfb" + bytes(range(256)) * 3
SHA256 = hashlib.sha256(DATA).hexdigest()


class Bucket(MemoryStore):
    """A store that others can read from."""

    abilities = replace(MemoryStore.abilities, gives_urls=True)

    def presigned(self, key: str, expires_s: int) -> str | None:  # type: ignore[override]  # memory gives none
        return f"https://bucket.example/{key}?good={expires_s}"


class Audience:
    """Hears who had what."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str | None, str]] = []

    def moved(self, _entry: Entry) -> tuple[()]:
        return ()

    def ended(self, entry: Entry, error: BaseException | None) -> None:
        user = entry.caller.user_id if entry.caller else "headwater"
        self.heard.append((entry.action, user, type(error).__name__))


async def told(_: Request, error: Exception) -> Response:
    return errors.answer(error, "application/json", "req-1")


class Served:
    """The files of one image, whose data lies in a store."""

    def __init__(self, database: Database, delivery: Literal["off", "always"] = "off") -> None:
        self.image = image(1, os_hash_algo="sha512", os_hash_value=hashlib.sha512(DATA).hexdigest(), size=len(DATA))
        self.catalogue = UnheardImages(database)
        self.store = Bucket("bucket", MemoryStoreSettings(type="memory"))
        self.store.put("k", DATA)
        add(self.catalogue, self.image)
        held = (ImageLocation(at=Location("bucket", "k")),)
        UnheardLocations(database).change(self.image.id, lambda image, _: (image, held), NOON)
        rows = FingerprintRows(database)
        rows.keep(fingerprint(self.image, sha256=SHA256, metadata=b"the metadata"))
        self.audience, self.used = Audience(), list[str]()
        downloads = Downloads(
            self.catalogue,
            Access(self.catalogue, EveryoneMay()),
            {"bucket": self.store},
            journal=Journal([self.audience]),
            settings=ImagesSettings(direct_delivery=delivery),
            used=self.used.append,
        )
        self._pool = Pool("test", 2)
        threads = Threads(self._pool, self._pool, self._pool)
        files = ServedFiles(self.catalogue, rows, downloads, PendingDeleteRows(database))
        route = files_route(files, downloads, self._pool.run, threads, "/simplestreams")
        self._app = Starlette(routes=[route], exception_handlers={HeadwaterError: told})
        self.disk = f"{self.image.id}/{SHA256}/disk.qcow2"
        self.metadata = f"{self.image.id}/{hashlib.sha256(b'the metadata').hexdigest()}/metadata.tar.xz"

    def ask(self, path: str, method: str = "GET", **headers: str) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://feed.test") as client:
                given = {name.replace("_", "-"): value for name, value in headers.items()}
                return await client.request(method, f"/simplestreams/images/images/{path}", headers=given)

        return asyncio.run(send())

    def close(self) -> None:
        self._pool.close()


@pytest.fixture
def served(database: Database) -> Iterator[Served]:
    made = Served(database)
    yield made
    made.close()


def test_data_and_metadata_are_given_whole_and_in_parts(served: Served) -> None:
    for path, body in ((served.disk, DATA), (served.metadata, b"the metadata")):
        whole = served.ask(path)
        assert (whole.status_code, whole.content) == (200, body)
        assert whole.headers["ETag"] == f'"{path.split("/")[1]}"'
        assert (whole.headers["Cache-Control"], whole.headers["X-Content-Type-Options"]) == ("no-cache", "nosniff")
        last = served.ask(path, Range="bytes=-3")
        assert (last.status_code, last.content) == (206, body[-3:])
        assert last.headers["Content-Range"] == f"bytes {len(body) - 3}-{len(body) - 1}/{len(body)}"
        other = served.ask(path, Range="bytes=0-3", If_Range='"another"')
        assert (other.status_code, other.content) == (200, body)
        several = served.ask(path, Range="bytes=0-1,3-4")
        assert (several.status_code, several.content) == (200, body)
        assert served.ask(path, Range=f"bytes={len(body)}-").status_code == 416
        assert served.ask(path, If_None_Match=whole.headers["ETag"]).status_code == 304
        assert served.ask(path, If_Match='"another"').status_code == 412


def test_only_who_gets_data_uses_the_image_and_nobody_in_particular_does(served: Served) -> None:
    etag = served.ask(served.disk, "HEAD").headers["ETag"]
    served.ask(served.disk, If_None_Match=etag)
    served.ask(served.metadata)
    assert (served.used, served.audience.heard) == ([], [])
    served.ask(served.disk)
    assert served.used == [served.image.id]
    assert served.audience.heard == [("image.download", None, "NoneType")]


def test_a_head_says_what_the_get_would_say_and_asks_no_store(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    got = {path: served.ask(path) for path in (served.disk, served.metadata)}
    monkeypatch.setattr(served.store, "stat", lambda _: 1 / 0)
    for path, whole in got.items():
        head = served.ask(path, "HEAD")
        assert (head.status_code, head.content, head.headers) == (200, b"", whole.headers)


def test_a_store_that_gives_urls_gives_the_data_itself_where_the_settings_say_so(database: Database) -> None:
    served = Served(database, "always")
    answer = served.ask(served.disk)
    assert (answer.status_code, answer.headers["Location"]) == (307, "https://bucket.example/k?good=300")
    assert answer.headers["Cache-Control"] == "no-store"
    assert served.ask(served.metadata).status_code == 200
    served.close()


def test_data_that_is_lost_is_an_error_and_not_an_absence(served: Served) -> None:
    served.store.delete("k")
    assert served.ask(served.disk).status_code == 410  # as of a download of the Image API
    assert served.ask(served.metadata).status_code == 200


@pytest.mark.parametrize(
    "change",
    [{"visibility": Visibility.PRIVATE}, {"os_hidden": True}, {"properties": {}}, {"os_hash_value": "cd" * 64}],
)
def test_what_is_not_listed_is_not_there(served: Served, change: dict[str, Any]) -> None:
    served.catalogue.change(served.image.id, lambda image: replace(image, **change))
    assert [served.ask(path).status_code for path in (served.disk, served.metadata)] == [404, 404]
    assert served.audience.heard == []


def deleted(served: Served, database: Database, **changes: Any) -> Deletion | None:
    """Delete the image as it is after changes, and return how it is kept."""
    if changes:
        served.catalogue.change(served.image.id, lambda image: replace(image, **changes))
    how, feeds = Deletion(at=now(), scrub_at=0), FeedFiles(3600, of_everything_public=True)
    commit(database, images.deleted(served.image.id, lambda _: None, how, feeds))
    return next((each.deletion for each in PendingDeleteRows(database).page(1)), None)


def test_what_was_listed_when_it_was_deleted_is_given_whole_and_in_parts_and_is_used_by_nobody(
    served: Served, database: Database
) -> None:
    before = {path: served.ask(path) for path in (served.disk, served.metadata)}
    served.used.clear()
    kept = deleted(served, database)
    assert kept is not None
    assert kept.scrub_at == kept.served_until == kept.at + 3_600_000_000
    for path, answer in before.items():
        after = served.ask(path)
        assert (after.status_code, after.content, after.headers) == (200, answer.content, answer.headers)
        assert served.ask(path, Range="bytes=1-2").content == answer.content[1:3]
        assert served.ask(path, "HEAD").headers == answer.headers
        assert served.ask(path, If_None_Match=answer.headers["ETag"]).status_code == 304
    assert served.ask(served.disk.replace("disk.qcow2", "root.squashfs")).status_code == 404
    assert served.used == []


def test_what_was_deleted_is_not_listed_any_more_when_it_is_another_product(served: Served, database: Database) -> None:
    assert deleted(served, database, properties={}) is not None  # checksum files named it
    assert [served.ask(path).status_code for path in (served.disk, served.metadata)] == [404, 404]


class SomeMay:
    """Rules that forbid some actions."""

    def __init__(self, *forbidden: str) -> None:
        self.forbidden = forbidden

    def allows(self, rule: str, _caller: Caller, _target: Any) -> bool:
        return rule not in self.forbidden

    def require(self, rule: str, caller: Caller, target: Any) -> None:
        if not self.allows(rule, caller, target):
            raise Forbidden(rule)


@pytest.mark.parametrize(
    ("rule", "error"), [("get_image", ImageNotFound), ("download_image", Forbidden), ("delete_image", None)]
)
def test_who_is_somebody_is_asked_for_the_right_to_what_was_deleted(
    served: Served, database: Database, rule: str, error: type[Exception] | None
) -> None:
    deleted(served, database)
    (kept,) = PendingDeleteRows(database).page(1)
    downloads = Downloads(served.catalogue, Access(served.catalogue, SomeMay(rule)), {"bucket": served.store})
    assert b"".join(downloads.open_kept(Caller(), kept, by_policy=False).read(0, len(DATA))) == DATA
    if error is None:
        assert downloads.open_kept(Caller(), kept, by_policy=True).image == kept.image
        return
    with pytest.raises(error):
        downloads.open_kept(Caller(), kept, by_policy=True)

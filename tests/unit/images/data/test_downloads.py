"""Data that goes out; what one download finds out, the next one knows."""

from __future__ import annotations

import errno
import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from contracts.image_catalogue import NOON, add, an_image
from contracts.rules import EveryoneMay
from contracts.unheard import UnheardImages, UnheardLocations, UnheardUploads
from headwater.database import tables
from headwater.database.engine import Database
from headwater.fetching.fetcher import Fetcher, FetchSettings
from headwater.http.filesend import FileFailed
from headwater.identity.caller import OPERATOR
from headwater.images.access import Access
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.data.downloads import Download, Downloads
from headwater.images.data.uploads import Uploads
from headwater.images.locations.known_stores import KnownStore, KnownStores
from headwater.images.locations.reading import DataDamaged, DataMissing, DataRefused, NotReadYet
from headwater.images.model import RIGHT, WRONG, Image, ImageLocation, Location, Status
from headwater.stores.file import FileStore, FileStoreSettings
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.store import StoreUnavailable
from headwater.stores.web import HttpStore
from headwater.testing.object_store import marked, put
from unit.images.data.uploading import BrokenStore
from unit.images.data.uploading import put as bring
from unit.images.inspection.disk_images import qcow2

DATA = bytes(range(256)) * 20
DAMAGED = DATA[:-1] + b"x"
URL = "http://images.example/1"


class Web(HttpStore):
    """A web server of others that has one thing; ``asked`` counts how often it was read."""

    def __init__(self, data: bytes) -> None:
        super().__init__("web", Fetcher(FetchSettings()))
        self.data, self.asked = data, 0

    def read(self, key: str, start: int = 0, length: int | None = None) -> Any:
        self.asked += 1
        end = len(self.data) if length is None else start + length
        return (self.data[at : min(at + 1000, end)] for at in range(start, end, 1000))


class Tally:
    """Counts."""

    def __init__(self) -> None:
        self.wrongs: list[str] = []
        self.missed: list[str] = []

    def wrong(self, store: str) -> None:
        self.wrongs.append(store)

    def missing(self, store: str) -> None:
        self.missed.append(store)


class House:
    """Downloads of one image."""

    def __init__(self, database: Database, web: bytes, *held: Location, **more: Any) -> None:
        self.a, self.b = (MemoryStore(name, MemoryStoreSettings(type="memory", chunk_size=1000)) for name in "ab")
        self.web = Web(web)
        self.tally = Tally()
        catalogue = UnheardImages(database)
        self.rows = UnheardLocations(database)
        about: dict[str, Any] = {"size": len(web), "disk_format": "raw", "container_format": "bare", **more}
        self.image = an_image(status=Status.ACTIVE, **about)
        add(catalogue, self.image)
        self.rows.change(self.image.id, lambda image, _: (image, tuple(ImageLocation(at=each) for each in held)), NOON)
        stores: dict[str, Any] = {"a": self.a, "b": self.b, "web": self.web}
        self.downloads = Downloads(catalogue, Access(catalogue, EveryoneMay()), stores, tally=self.tally)

    def open(self) -> Download:
        found = self.downloads.open(OPERATOR, self.image.id)
        assert found is not None
        return found

    def whole(self) -> bytes:
        return b"".join(self.open().read(0, self.image.size or 0))

    @property
    def verdicts(self) -> list[str | None]:
        return [each.verdict for each in self.rows.of(self.image.id)]


def hashed(data: bytes) -> dict[str, str]:
    return {"os_hash_algo": "sha512", "os_hash_value": hashlib.sha512(data).hexdigest()}


def test_after_damage_was_found_the_next_reader_begins_elsewhere(database: Database) -> None:
    house = House(database, DATA, Location("a", "k"), Location("b", "k"), **hashed(DATA))
    house.a.put("k", DAMAGED)
    house.b.put("k", DATA)
    with pytest.raises(DataDamaged):
        house.whole()
    assert (house.verdicts, house.tally.wrongs) == ([WRONG, None], ["a"])
    assert house.whole() == DATA
    assert [place.store.name for place in house.open().places] == ["b", "a"]
    house.a.put("k", DATA)  # the operator has brought it back,
    house.b.close()
    assert house.whole() == DATA  # and it is found right
    assert house.verdicts == [RIGHT, None]


def test_what_is_wrong_is_read_to_be_verified_only(database: Database, tmp_path: Path) -> None:
    house = House(database, DATA, Location("files", "k"), **hashed(DATA))
    files = marked(FileStore("files", FileStoreSettings(), tmp_path / "files"))
    house.downloads._places._stores = {"files": files}
    put(files, "k", DAMAGED)
    found = house.open()
    assert (found.path is None, found.gives_parts) == (False, True)  # nobody has read it
    house.downloads._places._catalogue.judge(house.image.id, Location("files", "k"), WRONG)
    found = house.open()
    assert (found.path, found.gives_parts) == (None, False)
    with pytest.raises(DataDamaged):
        house.whole()
    put(files, "k", DATA)
    assert house.whole() == DATA
    assert house.open().path is not None


def in_files(house: House, tmp_path: Path, data: bytes = DATA) -> FileStore:
    """Let a store of files be the one that holds the image."""
    files = marked(FileStore("files", FileStoreSettings(chunk_size=4096), tmp_path / "files"))
    house.downloads._places._stores = {"files": files, "b": house.b}
    put(files, "k", data)
    return files


def test_a_file_that_was_touched_is_read_and_hashed_once_and_then_sent_again(
    database: Database, tmp_path: Path
) -> None:
    house = House(database, DATA, Location("files", "k"), **hashed(DATA))
    files = in_files(house, tmp_path)
    assert house.open().path == files.path("k")
    files.path("k").touch()
    assert house.open().path is None
    assert b"".join(house.open().read(5, 10)) == DATA[5:15]  # a part proves nothing
    assert house.open().path is None
    assert house.whole() == DATA
    assert house.open().path == files.path("k")
    assert (house.verdicts, house.tally.wrongs) == ([None], [])


def test_a_file_that_was_changed_is_given_to_nobody_whole_and_then_to_nobody_at_all(
    database: Database, tmp_path: Path
) -> None:
    house = House(database, DATA, Location("files", "k"), **hashed(DATA))
    files = in_files(house, tmp_path)
    files.path("k").write_bytes(DAMAGED)
    got: list[bytes] = []
    reading = house.open().read(0, len(DATA))
    with pytest.raises(DataDamaged):
        got.extend(reading)
    assert 0 < len(b"".join(got)) < len(DATA)
    for _ in range(2):
        with pytest.raises(DataDamaged, match="was not changed since it was found wrong"):
            house.open()
    assert (house.verdicts, house.tally.wrongs) == ([WRONG], ["files"])
    files.path("k").write_bytes(DATA)  # the operator has brought it back
    assert house.whole() == DATA
    assert house.verdicts == [RIGHT]
    assert house.open().path == files.path("k")


def test_where_a_changed_file_is_one_of_two_copies_the_next_reader_gets_the_other(
    database: Database, tmp_path: Path
) -> None:
    house = House(database, DATA, Location("files", "k"), Location("b", "k"), **hashed(DATA))
    files = in_files(house, tmp_path)
    house.b.put("k", DATA)
    files.path("k").write_bytes(DAMAGED)
    with pytest.raises(DataDamaged):
        house.whole()
    assert house.whole() == DATA
    assert [place.store.name for place in house.open().places] == ["b"]


def test_who_wants_speed_sends_files_that_were_touched(database: Database, tmp_path: Path) -> None:
    house = House(database, DATA, Location("files", "k"), **hashed(DATA))
    files = in_files(house, tmp_path)
    house.downloads._places._known = KnownStores([KnownStore(name="files", verify_reads=False)])
    files.path("k").touch()
    assert house.open().path == files.path("k")


def test_a_file_that_ends_too_early_is_told_of_and_another_one_is_not(database: Database, tmp_path: Path) -> None:
    house = House(database, DATA, Location("a", "k"), Location("b", "k"), **hashed(DATA))
    house.a.put("k", DATA)
    house.b.put("k", DATA)
    broken = FileFailed(tmp_path, 1000, OSError(errno.EIO, "Input/output error"))
    assert b"".join(house.open().read_on(broken, range(len(DATA)))) == DATA[1000:]
    assert house.verdicts == [None, None]
    assert b"".join(house.open().read_on(FileFailed(tmp_path, 5), range(2000, 3000))) == DATA[2005:3000]
    assert house.verdicts == [WRONG, None]
    with pytest.raises(StoreUnavailable, match="Input/output error"):
        replace(house.open(), places=house.open().places[:1]).read_on(broken, range(len(DATA)))


@pytest.mark.parametrize("there", [b"", DATA[:-1], DATA + b"x", DATA * 2])
@pytest.mark.parametrize("verifies", [True, False])
def test_an_object_of_another_size_is_told_of_once_and_not_read(
    database: Database, there: bytes, *, verifies: bool
) -> None:
    house = House(database, DATA, Location("a", "k"), Location("b", "k"), **hashed(DATA))
    house.downloads._places._known = KnownStores([KnownStore(name=name, verify_reads=verifies) for name in "ab"])
    house.a.put("k", there)
    house.b.put("k", DATA)
    for _ in range(2):
        assert house.whole() == DATA
        assert b"".join(house.open().read(5, 10)) == DATA[5:15]
    assert (house.verdicts, house.tally.wrongs) == ([WRONG, None], ["a"])
    house.b.put("k", there)
    with pytest.raises(DataDamaged, match=f"has {len(there)} bytes, and the image {len(DATA)}"):
        house.open()
    house.a.put("k", DATA)  # the operator has brought it back
    assert house.whole() == DATA
    assert house.verdicts == [RIGHT, WRONG]


def test_a_file_of_another_size_is_not_sent(database: Database, tmp_path: Path) -> None:
    house = House(database, DATA, Location("files", "k"), Location("b", "k"), **hashed(DATA))
    files = marked(FileStore("files", FileStoreSettings(), tmp_path / "files"))
    house.downloads._places._stores = {"files": files, "b": house.b}
    put(files, "k", DATA + b"more")
    house.b.put("k", DATA)
    assert house.open().path is None
    assert house.whole() == DATA
    put(files, "k", DATA)
    assert house.open().places[-1].store is files  # wrong until somebody has read it


def test_missing_data_is_told_of_while_another_copy_is_read_and_is_used_when_it_is_back(database: Database) -> None:
    house = House(database, DATA, Location("a", "k"), Location("b", "k"), **hashed(DATA))
    house.b.put("k", DATA)
    assert house.whole() == DATA
    assert (house.tally.missed, house.tally.wrongs, house.verdicts) == (["a"], [], [None, None])
    house.a.put("k", DATA)
    assert [place.store.name for place in house.open().places] == ["a", "b"]
    house.a.delete("k")
    house.b.delete("k")
    with pytest.raises(DataMissing, match=r"missing from store b: restore the object k, or delete the image"):
        house.open()


def test_who_wants_speed_reads_unverified(database: Database) -> None:
    house = House(database, DATA, Location("a", "k"), Location("web", URL), **hashed(DATA))
    known = KnownStores([KnownStore(name=name, verify_reads=False) for name in ("a", "web")])
    house.downloads._places._known = known
    house.a.put("k", DAMAGED)
    assert house.whole() == DAMAGED
    house.a.close()
    house.web.data = DAMAGED
    with pytest.raises(DataDamaged):  # what others have is verified in any case
        house.whole()


def test_what_a_location_has_is_looked_at_whoever_reads_it_first(database: Database) -> None:
    house = House(database, DATA, Location("web", URL))
    assert not house.open().gives_parts
    with pytest.raises(NotReadYet):
        house.open().read(5, 10)
    assert house.whole() == DATA
    assert house.verdicts == [RIGHT]
    assert house.open().gives_parts
    assert b"".join(house.open().read(5, 10)) == DATA[5:15]


@pytest.mark.parametrize(
    ("data", "disk_format", "reason"),
    [
        (qcow2(backing="/etc/passwd"), "qcow2", "safety check"),
        (qcow2(backing="/etc/passwd"), "raw", "safety check"),
        (DATA, "qcow2", "does not match"),
    ],
)
def test_what_no_upload_could_bring_nobody_gets_from_a_location(
    database: Database, data: bytes, disk_format: str, reason: str
) -> None:
    house = House(database, data, Location("web", URL), disk_format=disk_format)
    got = b""
    with pytest.raises(DataRefused, match=reason):
        for piece in house.open().read(0, len(data)):
            got += piece
    assert got == b""  # in however small pieces it came
    asked = house.web.asked
    with pytest.raises(DataRefused, match=reason):
        house.open()
    assert (house.web.asked, house.tally.wrongs) == (asked, ["web"])


def test_data_of_others_that_has_changed_is_never_given_whole(database: Database) -> None:
    house = House(database, DATA, Location("web", URL), **hashed(DATA))
    assert house.whole() == DATA
    house.web.data = DAMAGED
    with pytest.raises(DataDamaged):
        house.whole()
    assert house.verdicts == [WRONG]
    assert not house.open().gives_parts
    house.web.data = DATA
    assert house.whole() == DATA
    assert house.verdicts == [RIGHT]


def test_a_signed_image_is_not_read_where_nobody_can_verify_it(database: Database) -> None:
    signed = {
        "img_signature": "c2lnbmF0dXJl",
        "img_signature_hash_method": "SHA-256",
        "img_signature_key_type": "RSA-PSS",
        "img_signature_certificate_uuid": "5f9a1d9c-7c4e-4a8f-9a77-0d4e1c4d3b11",
    }
    house = House(database, DATA, Location("web", URL), properties=signed)
    with pytest.raises(DataRefused, match="no source of certificates"):
        house.whole()
    assert house.verdicts == [None]  # which says nothing of the data


def test_a_part_goes_on_only_where_parts_are_given(database: Database) -> None:
    house = House(database, DATA, Location("a", "k"), Location("web", URL))
    house.a.put("k", DATA)
    found = house.open()
    house.a.put("k", DATA[:2000])
    with pytest.raises(DataDamaged):
        list(found.read(1500, 1000))
    assert house.web.asked == 0


def test_a_verdict_that_cannot_be_kept_harms_no_download(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(database, DATA, Location("web", URL))

    def fails(*_: object) -> None:
        raise StoreUnavailable("catalogue", "busy")

    monkeypatch.setattr(house.downloads._places._catalogue, "judge", fails)
    assert house.whole() == DATA


def test_a_verdict_stays_when_other_locations_change(database: Database) -> None:
    house = House(database, DATA, Location("web", URL))
    house.whole()
    other = ImageLocation(at=Location("a", "k"))

    def added(image: Image, held: tuple[ImageLocation, ...]) -> tuple[Image, tuple[ImageLocation, ...]]:
        return image, (other, *held)

    house.rows.change(house.image.id, added, NOON)
    assert house.verdicts == [None, RIGHT]


def test_only_an_image_with_data_can_be_downloaded(
    uploads: Uploads, catalogue: UnheardImages, store: BrokenStore, image: Image
) -> None:
    access = Access(catalogue, EveryoneMay())
    downloads = Downloads(catalogue, access, {store.name: store})
    with pytest.raises(ImageNotFound):
        downloads.open(OPERATOR, "nobody")
    assert downloads.open(OPERATOR, image.id) is None
    data = uploads.begin(OPERATOR, image.id)
    bring(data, DATA)
    assert downloads.open(OPERATOR, image.id) is None
    data.finish()
    opened = downloads.open(OPERATOR, image.id)
    assert opened is not None
    assert b"".join(opened.read(0, len(DATA))) == DATA
    catalogue.change(image.id, lambda now: now.moved_to(Status.DEACTIVATED))
    assert downloads.open(OPERATOR, image.id) is not None


def test_data_is_described_where_it_is_there(
    uploads: Uploads, catalogue: UnheardImages, store: BrokenStore, image: Image
) -> None:
    downloads = Downloads(catalogue, Access(catalogue, EveryoneMay()), {store.name: store})
    assert downloads.describe(OPERATOR, image.id) is None
    data = uploads.begin(OPERATOR, image.id)
    bring(data, DATA)
    data.finish()
    described = downloads.describe(OPERATOR, image.id)
    assert described is not None
    assert described.size == len(DATA)
    with pytest.raises(ImageNotFound):
        downloads.describe(OPERATOR, "nobody")
    store.close()
    with pytest.raises(DataMissing):
        downloads.describe(OPERATOR, image.id)


def test_lost_data_is_named(uploads: Uploads, catalogue: UnheardImages, store: BrokenStore, image: Image) -> None:
    data = uploads.begin(OPERATOR, image.id)
    bring(data, DATA)
    data.finish()
    store.close()
    access = Access(catalogue, EveryoneMay())
    with pytest.raises(DataMissing, match=f"data of image {image.id} is missing from store memory"):
        Downloads(catalogue, access, {store.name: store}).open(OPERATOR, image.id)


def test_data_in_a_store_that_is_not_there_is_not_lost(
    uploads: Uploads, catalogue: UnheardImages, store: BrokenStore, image: Image, tmp_path: Path
) -> None:
    data = uploads.begin(OPERATOR, image.id)
    bring(data, DATA)
    data.finish()
    access = Access(catalogue, EveryoneMay())
    with pytest.raises(StoreUnavailable, match="store memory does not work"):
        Downloads(catalogue, access, {}).open(OPERATOR, image.id)
    away = marked(FileStore("memory", FileStoreSettings(), tmp_path / "away"))
    shutil.rmtree(tmp_path / "away")
    with pytest.raises(StoreUnavailable, match="is it mounted"):
        Downloads(catalogue, access, {"memory": away}).open(OPERATOR, image.id)


def test_data_that_one_store_has_lost_is_read_from_another(
    uploads: Uploads,
    catalogue: UnheardImages,
    records: UnheardUploads,
    store: BrokenStore,
    image: Image,
    tmp_path: Path,
) -> None:
    data = uploads.begin(OPERATOR, image.id)
    bring(data, DATA)
    data.finish()
    key = data.location.object_key
    row = {"image_id": image.id, "position": 1, "store": "files", "object_key": key, "metadata": "{}"}
    records._database.write(lambda connection: connection.execute(insert(tables.image_locations), row))
    files = marked(FileStore("files", FileStoreSettings(), tmp_path / "files"))
    downloads = Downloads(catalogue, Access(catalogue, EveryoneMay()), {store.name: store, "files": files})
    store.close()
    with pytest.raises(DataMissing):
        downloads.open(OPERATOR, image.id)
    shutil.rmtree(tmp_path / "files")
    with pytest.raises(StoreUnavailable):  # it may have it
        downloads.open(OPERATOR, image.id)
    files = marked(FileStore("files", FileStoreSettings(), tmp_path / "files"))
    put(files, key, DATA)
    downloads = Downloads(catalogue, Access(catalogue, EveryoneMay()), {store.name: store, "files": files})
    opened = downloads.open(OPERATOR, image.id)
    assert opened is not None
    assert b"".join(opened.read(0, len(DATA))) == DATA

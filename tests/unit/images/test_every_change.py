"""Of every change: nobody else is asked while its transaction is open, and each move of an image is in the journal."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
import requests
from sqlalchemy import Connection

from headwater.activity.journal import Entry, Journal, Listener
from headwater.activity.notifications.settings import NotificationsSettings
from headwater.database.engine import Database
from headwater.errors import HeadwaterError, Unavailable
from headwater.fetching.fetcher import Fetched, Fetcher, FetchSettings
from headwater.identity.caller import Caller
from headwater.identity.policy.engine import Policy
from headwater.identity.settings import KeystoneSettings, PolicySettings
from headwater.images.assembly import parts
from headwater.images.assembly.parts import ImagePools, Sections
from headwater.images.assembly.service import ImageService
from headwater.images.attributes import Operation
from headwater.images.data.session import SizeMismatch, UploadSession
from headwater.images.imports.location_import import KIND as LOCATION_IMPORT
from headwater.images.imports.plugins.settings import ImportPluginsSettings
from headwater.images.imports.runs.job import KIND as IMPORT
from headwater.images.imports.web_copy import KIND as COPY
from headwater.images.model import Image
from headwater.images.policies import BY_NAME
from headwater.images.quotas.limits import LimitsOf, QuotasSettings
from headwater.images.retention.settings import RetentionSettings
from headwater.images.settings import ImagesSettings
from headwater.images.signatures.settings import SignaturesSettings
from headwater.images.v1.attributes import Description
from headwater.jobs.queue import Jobs
from headwater.jobs.runner import ATTEMPTS, GivenUp
from headwater.jobs.settings import JobsSettings
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.store import ObjectStore, StoreFull
from headwater.stores.web import HttpStore
from headwater.threads import Pool
from templates import sqlite_catalogue

T = TypeVar("T")

DATA = bytes(range(256)) * 2
GOOD, BROKEN = "http://images.example/good", "http://images.example/broken"
FORMATS = {"disk_format": "raw", "container_format": "bare"}
ROLES = frozenset({"admin", "member", "reader", "service"})
ADMIN = Caller(user_id="root", project_id="a", roles=ROLES)
OTHER = Caller(user_id="bob", project_id="b", roles=ROLES)


class Watched(Database):
    """A database that knows whether a transaction is open; used by one thread."""

    is_open = False

    def _write_once(self, work: Callable[[Connection], T]) -> T:
        self.is_open = True
        try:
            return super()._write_once(work)
        finally:
            self.is_open = False


class Questions:
    """What was asked of other servers."""

    def __init__(self, database: Watched) -> None:
        self._database = database
        self.asked: list[str] = []
        self.inside: list[str] = []  # while a transaction was open

    def note(self, question: str) -> None:
        self.asked.append(question)
        if self._database.is_open:
            self.inside.append(question)

    def post(self, url: str, **_: Any) -> requests.Response:
        """Be the policy server, which allows everything."""
        self.note(url)
        answer = requests.Response()
        answer.status_code, answer._content = 200, b"True"
        return answer


class Limits:
    """In place of Keystone's: a source that is asked."""

    def __init__(self, questions: Questions, source: Any) -> None:
        self._questions, self._source = questions, source

    def read(self) -> LimitsOf:
        self._questions.note("limits")
        return cast("LimitsOf", self._source.read())


class Shelf(Fetcher):
    """A web of one file, and of one that gives too little."""

    questions: Questions

    def check(self, url: str) -> None:
        self.questions.note(url)

    def size(self, url: str, **_more: Any) -> int | None:
        self.questions.note(url)
        return len(DATA)

    def open(
        self, url: str, start: int = 0, length: int | None = None, *, if_range: str | None = None, **_: Any
    ) -> Fetched:
        self.questions.note(url)
        return cast("Fetched", Page(DATA if url == GOOD else DATA[:9]))


class Page:
    """What a URL gives."""

    size = len(DATA)
    validator = None

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """There is nothing to close."""

    def __iter__(self) -> Iterator[bytes]:
        yield self._data


class Heard:
    """A listener that writes down which statuses images had and have."""

    def __init__(self) -> None:
        self._moves: dict[Entry, tuple[str, str | None, str | None]] = {}  # once for each entry: it may be run again

    @property
    def moves(self) -> list[tuple[str, str | None, str | None]]:
        return [move for move in self._moves.values() if move[1] != move[2]]

    def moved(self, entry: Entry) -> tuple[()]:
        image = entry.before if entry.after is None else entry.after
        if isinstance(image, Image):
            before = entry.before.status.value if entry.before is not None else None
            after = entry.after.status.value if entry.after is not None else None
            self._moves[entry] = (image.id, before, after)
        return ()

    def ended(self, entry: Entry, error: BaseException | None) -> None:
        """Know it already."""


_NOTED = "INSERT INTO moves VALUES"
_TRIGGERS = (
    "CREATE TABLE moves (image TEXT, was TEXT, is_now TEXT)",
    f"CREATE TRIGGER made AFTER INSERT ON images BEGIN {_NOTED} (new.id, NULL, new.status); END",
    f"CREATE TRIGGER moved AFTER UPDATE OF status ON images WHEN old.status != new.status "
    f"BEGIN {_NOTED} (old.id, old.status, new.status); END",
    f"CREATE TRIGGER gone AFTER DELETE ON images BEGIN {_NOTED} (old.id, old.status, NULL); END",
)


class House:
    """The image service of one process, whose policy is a server's, and what makes it change something."""

    def __init__(self, directory: Path, service: ImageService, database: Watched, store: MemoryStore) -> None:
        self.service, self.database, self.store = service, database, store
        self.directory = directory
        self.namespaces = 0

    def image(self, **fields: Any) -> str:
        return self.service.images.create(ADMIN, {**FORMATS, "owner": "a", **fields}).id

    def active(self, **fields: Any) -> str:
        image_id = self.image(**fields)
        self.upload(image_id)
        return image_id

    def upload(self, image_id: str, *, size: int | None = len(DATA), breaks_off: bool = False) -> None:
        self._bring(self.service.uploads.begin(ADMIN, image_id, size), breaks_off=breaks_off)

    def stage(self, image_id: str, *, size: int | None = len(DATA), breaks_off: bool = False) -> None:
        self._bring(self.service.staging.begin(ADMIN, image_id, size), breaks_off=breaks_off)

    def _bring(self, data: UploadSession, *, breaks_off: bool) -> None:
        back = threading.Event()
        data.put(memoryview(DATA), back.set)
        assert back.wait(60)
        if breaks_off:
            data.abandon()
        else:
            data.finish()

    def resume(self, rest: bytes | None) -> None:
        """Upload in two parts; ``None``: after the first the upload is given up."""
        resumable = self.service.resumable
        image_id = self.image()
        upload = resumable.begin(ADMIN, image_id, length=len(DATA), digests=[("md5", hashlib.md5(DATA).digest())])
        if rest is None:
            resumable.cancel(ADMIN, image_id, upload.id)
            return
        for offset, data, is_last in ((0, DATA[:100], False), (100, rest[100:], True)):
            part = resumable.part(ADMIN, image_id, upload.id, offset=offset, length=None, is_last=is_last)
            back = threading.Event()
            try:
                part.put(memoryview(data), back.set)
                assert back.wait(20)
                part.finish()
            except HeadwaterError as error:
                part.abandon(error)

    def shared(self) -> str:
        image_id = self.image(visibility="shared")
        self.service.sharing.add(ADMIN, image_id, {"member": "b"})
        return image_id

    def namespace(self) -> str:
        self.namespaces += 1
        name = f"n{self.namespaces}"
        document = {
            "namespace": name,
            "resource_type_associations": [{"name": "OS::Nova::Flavor"}],
            "properties": {"p": {"title": "p", "type": "string"}},
            "objects": [{"name": "o"}],
            "tags": [{"name": "t"}],
        }
        self.service.metadefs.create_namespace(ADMIN, document)
        return name

    def patch(self, image_id: str, *operations: Operation) -> None:
        self.service.images.patch(ADMIN, image_id, operations)

    def run(self, kind: str) -> None:
        """Run what waits, once."""
        work = {
            LOCATION_IMPORT: self.service.location_import.run,
            COPY: self.service.tasks._web_copy.run,
            IMPORT: self.service.import_runs.run,
        }[kind]
        for job in Jobs(self.database).claim([kind], "here", 10**18, limit=9):
            with suppress(GivenUp):
                work(replace(job, attempts=ATTEMPTS))  # nothing is tried again

    def create_v1(self, **more: Any) -> Image:
        brings = more.pop("brings", False)
        copy_from = more.pop("copy_from", None)
        said = Description(fields={**FORMATS, **more}, properties={"p": "1"}, copy_from=copy_from)
        return self.service.images_v1.create(ADMIN, said, brings=brings)


def setting(name: str, value: Any) -> Operation:
    return Operation("replace", name, value, strict=False)


def adding(url: str) -> Operation:
    return Operation("add", "locations", {"url": url, "metadata": {}}, position="-")


def _relocate(house: House) -> None:
    image_id = house.image()
    house.patch(image_id, adding(GOOD), adding(BROKEN))
    house.patch(image_id, Operation("remove", "locations", position="0"))


def _tag(house: House) -> None:
    image_id = house.image()
    house.service.images.add_tag(ADMIN, image_id, "t")
    house.service.images.remove_tag(ADMIN, image_id, "t")


def _deactivate(house: House) -> None:
    image_id = house.active()
    house.service.images.deactivate(ADMIN, image_id)
    house.service.images.reactivate(ADMIN, image_id)


def _import_location(house: House, url: str, validation: dict[str, str] | None = None) -> None:
    document: dict[str, Any] = {"url": url, **({"validation_data": validation} if validation else {})}
    house.service.location_import.begin(ADMIN, house.image(), document)
    house.run(LOCATION_IMPORT)


def _task(house: House, url: str) -> None:
    asked = {"import_from": url, "import_from_format": "raw", "image_properties": {}}
    house.service.tasks.create(ADMIN, {"type": "import", "input": asked})
    house.run(COPY)


def _import_staged(house: House, **fields: Any) -> None:
    image_id = house.image(**fields)
    house.stage(image_id)
    house.service.imports.begin(ADMIN, image_id, {"method": {"name": "glance-direct"}})
    house.run(IMPORT)


def _import_url(house: House, url: str, **more: Any) -> None:
    method = {"name": "web-download", "uri": url, **more}
    house.service.imports.begin(ADMIN, house.image(), {"method": method})
    house.run(IMPORT)


def _copy(house: House) -> None:
    asked = {"method": {"name": "copy-image"}, "stores": ["other"]}
    house.service.imports.begin(ADMIN, house.active(), asked)
    house.run(IMPORT)


def _copy_to_a_full_store(house: House) -> None:
    asked = {"method": {"name": "copy-image"}, "stores": ["other"]}
    house.service.imports.begin(ADMIN, house.active(), asked)
    with pytest.MonkeyPatch.context() as full:
        full.setattr(MemoryStore, "begin", _raise_full)
        house.run(IMPORT)


def _delete_while_it_is_imported(house: House) -> None:
    image_id = house.image()
    house.service.imports.begin(ADMIN, image_id, {"method": {"name": "web-download", "uri": GOOD}})
    house.service.images.delete(ADMIN, image_id)
    house.run(IMPORT)


def _copy_v1(house: House, url: str) -> None:
    house.create_v1(copy_from=url)
    house.run(COPY)


def _clear(house: House) -> None:
    house.service.uploads.begin(ADMIN, house.image())
    running = house.service.uploads._running
    running._locations.clear()
    assert house.service._leftovers.clear_dead() == 1


def _store_full(house: House, act: Callable[[], object]) -> None:
    with pytest.MonkeyPatch.context() as full:
        full.setattr(house.store, "begin", _raise_full)
        with pytest.raises(StoreFull):
            act()


def _raise_full(*_: object) -> None:
    raise StoreFull("memory", 0)


def _begin_v1_at_a_full_store(house: House) -> None:
    image = house.create_v1(brings=True)
    _store_full(house, lambda: house.service.images_v1.begin(ADMIN, image, Description(), len(DATA)))


def _begin_v1_too_much(house: House) -> None:
    image = house.create_v1(brings=True)
    with pytest.raises(HeadwaterError):
        house.service.images_v1.begin(ADMIN, image, Description(), 1 << 60)


def _break_off_v1(house: House) -> None:
    image = house.create_v1(brings=True)
    data = house.service.images_v1.begin(ADMIN, image, Description(), len(DATA))
    with pytest.raises(SizeMismatch):
        data.finish()
    data.abandon()


# What the image service changes, each by its use case: name -> act.
ACTS: dict[str, Callable[[House], object]] = {
    "create": lambda house: house.image(),
    "patch": lambda house: house.patch(house.image(), setting("name", "x"), setting("visibility", "public")),
    "give away": lambda house: house.patch(house.image(), setting("owner", "b")),
    "add and remove a location": _relocate,
    "delete": lambda house: house.service.images.delete(ADMIN, house.active()),
    "tag": _tag,
    "deactivate and reactivate": _deactivate,
    "upload": lambda house: house.active(),
    "upload of unknown size": lambda house: house.upload(house.image(), size=None),
    "upload that breaks off": lambda house: house.upload(house.image(), breaks_off=True),
    "upload that resumes": lambda house: house.resume(DATA),
    "upload that resumes and is not what was said": lambda house: house.resume(b"x" * len(DATA)),
    "upload that resumes and is given up": lambda house: house.resume(None),
    "upload to a full store": lambda house: _store_full(house, house.active),
    "upload whose process is gone": _clear,
    "add a member": lambda house: house.shared(),
    "answer": lambda house: house.service.sharing.answer(OTHER, house.shared(), "b", {"status": "accepted"}),
    "remove a member": lambda house: house.service.sharing.remove(ADMIN, house.shared(), "b"),
    "import a location": lambda house: _import_location(house, GOOD),
    "import a location with its hash": lambda house: _import_location(
        house, GOOD, {"os_hash_algo": "md5", "os_hash_value": hashlib.md5(DATA).hexdigest()}
    ),
    "import a location that fails": lambda house: _import_location(
        house, BROKEN, {"os_hash_algo": "md5", "os_hash_value": "0" * 32}
    ),
    "task": lambda house: _task(house, GOOD),
    "task that fails": lambda house: _task(house, BROKEN),
    "stage": lambda house: house.stage(house.image()),
    "stage that breaks off": lambda house: house.stage(house.image(), size=None, breaks_off=True),
    "import what is staged": _import_staged,
    "import what is staged and not what it should be": lambda house: _import_staged(house, disk_format="qcow2"),
    "import from a URL": lambda house: _import_url(house, GOOD),
    "import from a URL that fails": lambda house: _import_url(house, GOOD, os_hash_algo="md5", os_hash_value="0" * 32),
    "import of an image that is deleted": _delete_while_it_is_imported,
    "copy to another store": _copy,
    "copy to a store that is full": _copy_to_a_full_store,
    "v1 create": lambda house: house.create_v1(),
    "v1 create at a location": lambda house: house.create_v1(location=GOOD),
    "v1 copy": lambda house: _copy_v1(house, GOOD),
    "v1 copy that fails": lambda house: _copy_v1(house, BROKEN),
    "v1 update": lambda house: house.service.images_v1.update(
        ADMIN, house.image(), Description(fields={"name": "y", "is_public": True}), brings=False, purge=True
    ),
    "v1 update with a location": lambda house: house.service.images_v1.update(
        ADMIN, house.image(), Description(fields={"location": GOOD}), brings=False, purge=False
    ),
    "v1 data that breaks off": _break_off_v1,
    "v1 data for a full store": _begin_v1_at_a_full_store,
    "v1 too much data": _begin_v1_too_much,
    "v1 delete": lambda house: house.service.images_v1.delete(ADMIN, house.active()),
    "v1 share": lambda house: house.service.sharing_v1.put(ADMIN, house.image(visibility="shared"), "b", None),
    "v1 replace members": lambda house: house.service.sharing_v1.replace(
        ADMIN, house.shared(), {"memberships": [{"member_id": "c"}]}
    ),
    "v1 remove a member": lambda house: house.service.sharing_v1.remove(ADMIN, house.shared(), "b"),
    "metadef: create a namespace": lambda house: house.namespace(),
    "metadef: replace a namespace": lambda house: house.service.metadefs.replace_namespace(
        ADMIN, house.namespace(), {"namespace": "other"}
    ),
    "metadef: delete a namespace": lambda house: house.service.metadefs.delete_namespace(ADMIN, house.namespace()),
    "metadef: associate": lambda house: house.service.metadefs.associate(
        ADMIN, house.namespace(), {"name": "OS::Glance::Image"}
    ),
    "metadef: dissociate": lambda house: house.service.metadefs.dissociate(
        ADMIN, house.namespace(), "OS::Nova::Flavor"
    ),
    "metadef: add a definition": lambda house: house.service.metadefs.add_object(
        ADMIN, house.namespace(), {"name": "o2"}
    ),
    "metadef: replace a definition": lambda house: house.service.metadefs.replace_object(
        ADMIN, house.namespace(), "o", {"name": "o3"}
    ),
    "metadef: delete a definition": lambda house: house.service.metadefs.delete_property(ADMIN, house.namespace(), "p"),
    "metadef: delete all definitions": lambda house: house.service.metadefs.delete_tags(ADMIN, house.namespace()),
    "private path: make one": lambda house: house.service.private_paths.create(ADMIN, {}),
    "private path: revoke one": lambda house: house.service.private_paths.revoke(
        ADMIN, house.service.private_paths.create(ADMIN, {})[0].id
    ),
}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Watched]:
    database = Watched(sqlite_catalogue(tmp_path / "catalogue.db"))
    for statement in _TRIGGERS:
        database.write(lambda connection, statement=statement: connection.exec_driver_sql(statement))  # type: ignore[misc]
    yield database
    database.close()


@pytest.fixture
def questions(database: Watched, monkeypatch: pytest.MonkeyPatch) -> Questions:
    questions = Questions(database)
    monkeypatch.setattr(requests, "post", questions.post)
    return questions


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    """Rules that all ask a server, each once for each thing that it is about."""
    file = tmp_path_factory.mktemp("policy") / "policy.yaml"
    file.write_text("".join(f'"{name}": "http://policy/{name}"\n' for name in BY_NAME))
    return Policy(PolicySettings(file=file, remote_checks=True), BY_NAME)


@pytest.fixture
def house(
    tmp_path: Path,
    database: Watched,
    questions: Questions,
    heard: Heard,
    policy: Policy,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:
    def journal(listeners: list[Listener]) -> Journal:
        return Journal([*listeners, heard])

    monkeypatch.setattr(parts, "Journal", journal)
    sections = Sections(
        images=ImagesSettings(show_multiple_locations=True, require_format_match=False, store="memory"),
        quotas=QuotasSettings(image_count_total=99, image_size_total=99, image_count_uploading=99),
        signatures=SignaturesSettings(),
        keystone=KeystoneSettings(),
        notifications=NotificationsSettings.model_validate({"webhook_url": "https://events.example"}),
        retention=RetentionSettings(),
        import_plugins=ImportPluginsSettings(),
        jobs=JobsSettings(),
    )
    shelf = Shelf(FetchSettings())
    shelf.questions = questions
    store = MemoryStore("memory", MemoryStoreSettings(type="memory"))
    pools = ImagePools(*(Pool(kind, 2) for kind in ("hashing", "storing", "jobs", "house", "caching")))
    other = MemoryStore("other", MemoryStoreSettings(type="memory"))
    stores: dict[str, ObjectStore] = {"memory": store, "other": other, "web": HttpStore("web", shelf)}
    service = ImageService(
        sections, database, stores, shelf, policy, pools=pools, tally=cast("Any", None), data_dir=tmp_path
    )
    monkeypatch.setattr(service.quotas, "_source", Limits(questions, service.quotas._source))
    yield House(tmp_path, service, database, store)
    service.close()
    pools.hashing.close()
    pools.storing.close()


@pytest.mark.parametrize("act", ACTS)
def test_a_change_asks_nobody_while_its_transaction_is_open(house: House, questions: Questions, act: str) -> None:
    ACTS[act](house)
    assert questions.asked
    assert questions.inside == []


@pytest.mark.parametrize("act", ACTS)
def test_each_move_of_an_image_is_in_the_journal(house: House, heard: Heard, act: str) -> None:
    ACTS[act](house)
    rows = house.database.read(lambda connection: connection.exec_driver_sql("SELECT * FROM moves").all())
    assert heard.moves == [tuple(row) for row in rows]
    assert heard.moves or act.startswith(("metadef", "private path"))


def test_the_acts_end_well_and_badly(house: House, heard: Heard) -> None:
    """The two tests above would pass where nothing happens."""
    for act in ACTS.values():
        with suppress(Unavailable):
            act(house)
    moves = {(was, now) for _, was, now in heard.moves}
    assert moves >= {
        (None, "queued"),
        (None, "active"),
        ("queued", "saving"),
        ("queued", "importing"),
        ("queued", "active"),
        ("queued", "killed"),
        ("saving", "active"),
        ("saving", "queued"),
        ("saving", "killed"),
        ("importing", "queued"),
        ("importing", "active"),
        ("queued", "uploading"),
        ("uploading", "queued"),
        ("uploading", "importing"),
        ("importing", None),
        ("active", "deactivated"),
        ("deactivated", "active"),
        ("active", None),
    }

"""Who may see, add and remove locations, with Glance's policy."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from contracts.image_catalogue import NOON, add, an_image
from contracts.unheard import UnheardImages, UnheardLocations
from headwater.database.engine import Database
from headwater.errors import Conflict, Forbidden, Invalid
from headwater.fetching.fetcher import Fetcher, FetchSettings
from headwater.identity.caller import Caller
from headwater.identity.policy.engine import Policy
from headwater.identity.settings import PolicySettings
from headwater.images.access import Access
from headwater.images.attributes import Operation
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.deletions.pending_deletes import PendingDeleteRows
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.catalogue.tasks import TaskRows
from headwater.images.data.scrubber import Scrubber
from headwater.images.imports.location_import import ImageNotQueued, LocationImport, WebLocationsOnly
from headwater.images.locations.content import Contents
from headwater.images.locations.rules import InvalidLocation
from headwater.images.locations.service import ImageInUse, Locations, Web
from headwater.images.model import Image, ImageLocation, ImageProtected, Location, Status, Visibility
from headwater.images.policies import BY_NAME
from headwater.images.service import Images
from headwater.images.settings import ImagesSettings
from headwater.images.signatures.verification import Signatures
from headwater.images.task import TaskStatus
from headwater.jobs.queue import Jobs
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.store import ObjectInUse, StoreUnavailable
from headwater.stores.web import HttpStore

POLICY = Policy(PolicySettings(), BY_NAME)  # once: it takes longer than the tests

ADMIN = Caller(project_id="z", roles=frozenset({"admin", "member", "reader"}))
OWNER = Caller(project_id="a", user_id="u", request_id="req-1", roles=frozenset({"reader", "member"}))
OWNERS_READER = Caller(project_id="a", roles=frozenset({"reader"}))
STRANGER = Caller(project_id="s", roles=frozenset({"reader", "member"}))
SERVICE = Caller(project_id="service", roles=frozenset({"service", "reader"}))
NOVA_FOR_OWNER = Caller(project_id="a", roles=frozenset({"reader", "service"}))
SETTINGS = ImagesSettings(show_multiple_locations=True, show_image_direct_url=True)
URL, SAME = "http://images.example/1", "http://images.example/2"
ON_WEB = ImageLocation(at=Location("web", URL))


class Shelf(Fetcher):
    """A web of two files of the same size."""

    def check(self, url: str) -> None:
        self._filter.target(url)

    def size(self, url: str, **_more: Any) -> int | None:
        self.check(url)
        return {URL: 10, SAME: 10}.get(url)


class Cloned(MemoryStore):
    """A store on whose objects others build."""

    abilities = replace(MemoryStore.abilities, is_cloned=True)
    in_use, is_away = True, False

    def require_unused(self, key: str) -> None:
        if self.is_away:
            raise StoreUnavailable(self.name, "it is away")
        if self.in_use:
            raise ObjectInUse(self.name, key)


class Parts:
    """The use cases over one database."""

    def __init__(self, database: Database, settings: ImagesSettings = SETTINGS, *, http: bool = True) -> None:
        self.fetcher = fetcher = Shelf(FetchSettings())
        stores: dict[str, Any] = {"m": MemoryStore("m", MemoryStoreSettings(type="memory"))}
        self.cloned = stores["c"] = Cloned("c", MemoryStoreSettings(type="memory"))
        if http:
            stores["web"] = HttpStore("web", fetcher)
        self.database = database
        self.catalogue = UnheardImages(database)
        self.rows = UnheardLocations(database)
        access = Access(self.catalogue, POLICY)
        web = Web(stores, fetcher, settings.size_cap)
        self.locations = Locations(self.rows, access, stores, web, settings)
        changes = Changes(database, access)
        self.images = Images(
            access, changes, Scrubber(DiscardedObjectRows(database), stores), settings, locations=self.locations
        )
        self.imports = LocationImport(
            changes,
            self.catalogue,
            self.rows,
            TaskRows(database),
            web=web,
            fetcher=fetcher,
            settings=settings,
            contents=Contents(settings, Signatures(clock=lambda: NOON)),
            stopping=lambda: False,
            clock=lambda: NOON,
        )

    def image(
        self, *held: ImageLocation, visibility: Visibility = Visibility.PRIVATE, disk_format: str = "raw", **more: Any
    ) -> Image:
        status, size = (Status.ACTIVE, 10) if held else (Status.QUEUED, None)
        formats = {"disk_format": disk_format, "container_format": "bare"}
        image = an_image(owner="a", visibility=visibility, status=status, size=size, **formats, **more)
        add(self.catalogue, image)
        self.rows.change(image.id, lambda image, _: (image, held), NOON)
        return self.catalogue.get(image.id)

    def attributes(self, caller: Caller, image: Image) -> dict[str, Any]:
        return self.locations.shown(caller, [image])[image.id]


@pytest.fixture
def parts(database: Database) -> Parts:
    return Parts(database)


def adding(url: str = URL) -> list[Operation]:
    return [Operation("add", "locations", {"url": url, "metadata": {}}, position="-")]


REMOVING = [Operation("remove", "locations", position="0")]


def test_who_owns_an_image_knows_where_it_lies_and_others_who_see_it_do_not(parts: Parts) -> None:
    image = parts.image(ON_WEB, visibility=Visibility.PUBLIC)
    shown = {"locations": [{"url": URL, "metadata": {"store": "web"}}], "direct_url": URL}
    for caller in (ADMIN, OWNER, OWNERS_READER):
        assert parts.attributes(caller, image) == shown
    assert parts.attributes(STRANGER, image) == {"locations": []}


def test_of_a_deactivated_image_only_an_admin_sees_the_locations(parts: Parts) -> None:
    image = parts.image(ON_WEB)
    parts.images.deactivate(OWNER, image.id)
    image = parts.catalogue.get(image.id)
    assert parts.attributes(OWNER, image) == {}
    assert parts.attributes(ADMIN, image)["direct_url"] == URL


def test_each_of_the_two_settings_shows_its_part(database: Database) -> None:
    image = Parts(database).image(ON_WEB)
    for settings, names in (
        (ImagesSettings(), set()),
        (ImagesSettings(show_multiple_locations=True), {"locations"}),
        (ImagesSettings(show_image_direct_url=True), {"direct_url"}),
    ):
        shown = Parts(database, settings).locations.shown(OWNER, [image])
        assert set(shown.get(image.id, {})) == names


def test_a_location_in_a_store_that_is_gone_is_not_shown(parts: Parts) -> None:
    image = parts.image(ImageLocation(at=Location("gone", "key")), ON_WEB)
    assert parts.attributes(OWNER, image)["direct_url"] == URL


def test_members_of_the_project_add_and_only_admins_remove(parts: Parts) -> None:
    image = parts.image(visibility=Visibility.COMMUNITY)
    for caller in (STRANGER, OWNERS_READER):
        with pytest.raises(Forbidden):
            parts.images.patch(caller, image.id, adding())
    assert parts.images.patch(OWNER, image.id, adding()).status is Status.ACTIVE
    parts.images.patch(OWNER, image.id, adding(SAME))
    with pytest.raises(Forbidden):
        parts.images.patch(OWNER, image.id, REMOVING)
    parts.images.patch(ADMIN, image.id, REMOVING)
    assert [each.at.object_key for each in parts.rows.of(image.id)] == [SAME]


def test_an_image_that_is_not_seen_is_not_there(parts: Parts) -> None:
    image = parts.image()
    for call in (
        lambda: parts.images.patch(STRANGER, image.id, adding()),
        lambda: parts.imports.begin(STRANGER, image.id, {"url": URL}),
        lambda: parts.locations.of_image(SERVICE, image.id),
    ):
        with pytest.raises(ImageNotFound):
            call()


def test_a_url_of_another_kind_is_refused_without_a_store_that_reads_the_web(database: Database) -> None:
    parts = Parts(database, http=False)
    image = parts.image()
    with pytest.raises(InvalidLocation):
        parts.images.patch(ADMIN, image.id, adding())
    with pytest.raises(WebLocationsOnly):
        parts.imports.begin(OWNER, image.id, {"url": URL})


def test_services_may_read_locations_and_owners_may_not(parts: Parts) -> None:
    image = parts.image(ON_WEB, visibility=Visibility.PUBLIC)
    for caller in (OWNER, STRANGER):
        with pytest.raises(Forbidden):
            parts.locations.of_image(caller, image.id)
    for caller in (ADMIN, SERVICE, NOVA_FOR_OWNER):
        assert parts.locations.of_image(caller, image.id) == [{"url": URL, "metadata": {"store": "web"}}]


def test_owners_and_services_begin_an_import_and_others_may_not(parts: Parts) -> None:
    image = parts.image(visibility=Visibility.PUBLIC)
    for caller in (STRANGER, OWNERS_READER):
        with pytest.raises(Forbidden):
            parts.imports.begin(caller, image.id, {"url": URL})
    with pytest.raises(WebLocationsOnly):
        parts.imports.begin(OWNER, image.id, {"url": "rbd://a/b/c/d"})
    with pytest.raises(InvalidLocation):
        parts.imports.begin(NOVA_FOR_OWNER, image.id, {"url": "file:///etc/passwd"})
    assert TaskRows(parts.database).of_image(image.id) == []
    task = parts.imports.begin(SERVICE, image.id, {"url": URL})
    assert TaskRows(parts.database).of_image(image.id) == [task]


def test_a_task_knows_who_began_it_and_not_the_query_of_the_url(parts: Parts) -> None:
    image = parts.image()
    task = parts.imports.begin(OWNER, image.id, {"url": URL + "?signature=secret"})
    assert (task.owner, task.user_id, task.request_id, task.image_id) == ("a", "u", "req-1", image.id)
    assert "secret" not in repr(task)
    (job,) = Jobs(parts.database).claim(["location_import"], "me", NOON, limit=9)
    assert job.document["url"] == URL + "?signature=secret"
    assert "secret" not in repr(job)


def test_of_two_imports_one_begins_and_nothing_is_uploaded_beside_it(parts: Parts) -> None:
    image = parts.image()
    parts.imports.begin(OWNER, image.id, {"url": URL})
    with pytest.raises(ImageNotQueued):
        parts.imports.begin(OWNER, image.id, {"url": SAME})
    with pytest.raises(Conflict):
        parts.images.patch(OWNER, image.id, adding())
    assert len(TaskRows(parts.database).of_image(image.id)) == 1
    assert parts.catalogue.get(image.id).status is Status.IMPORTING


def test_an_import_without_formats_is_refused(parts: Parts) -> None:
    image = an_image(owner="a", disk_format=None)
    add(parts.catalogue, image)
    with pytest.raises(Invalid, match="disk_format"):
        parts.imports.begin(OWNER, image.id, {"url": URL})


@pytest.mark.parametrize("size", [10, None])
def test_a_run_that_stood_still_does_not_touch_what_was_begun_after_it(parts: Parts, size: int | None) -> None:
    image = parts.image()
    first = parts.imports.begin(OWNER, image.id, {"url": URL})
    (late,) = Jobs(parts.database).claim(["location_import"], "me", NOON, limit=9)

    def elsewhere(_url: str, **_look: object) -> int | None:
        """While this run waits for the server, another one gives the first import up, and a second one begins."""
        TaskRows(parts.database).move(first.id, TaskStatus.FAILURE, NOON, message="elsewhere")
        parts.catalogue.change(image.id, lambda image: image.moved_to(Status.QUEUED))
        parts.imports.begin(OWNER, image.id, {"url": SAME})
        return size

    parts.fetcher.size = elsewhere  # type: ignore[method-assign, assignment]  # the server that this run asks
    parts.imports.run(late)
    assert parts.catalogue.get(image.id).status is Status.IMPORTING
    assert parts.rows.of(image.id) == ()
    statuses = {task.input["loc_url"]: task.status for task in TaskRows(parts.database).of_image(image.id)}
    assert statuses == {URL: TaskStatus.FAILURE, SAME: TaskStatus.PENDING}


def test_an_import_whose_image_was_deleted_ends_as_a_failure(parts: Parts) -> None:
    image = parts.image()
    task = parts.imports.begin(OWNER, image.id, {"url": URL})
    parts.images.delete(OWNER, image.id)
    (job,) = Jobs(parts.database).claim(["location_import"], "me", NOON, limit=9)
    for _ in range(2):  # also when it runs once more, because its end could not be noted
        parts.imports.run(job)
        ended = TaskRows(parts.database).get(task.id)
        assert (ended.status, "deleted" in ended.message) == (TaskStatus.FAILURE, True)


def test_a_patch_of_very_many_locations_and_properties_costs_no_more_than_reading_it(parts: Parts) -> None:
    """To look each operation up among the others took minutes."""
    image = parts.image()
    one = [Operation("replace", "locations", []), Operation("add", "p", "x")]
    began = time.process_time()
    assert parts.images.patch(OWNER, image.id, one * 20_000).properties == {"p": "x"}
    assert time.process_time() - began < 5


def test_an_image_that_volumes_were_cloned_from_stays_until_they_are_gone(parts: Parts) -> None:
    image = parts.image(ImageLocation(at=Location("m", "k")), ImageLocation(at=Location("c", "k")))
    with pytest.raises(ImageInUse, match=f"Image {image.id} could not be deleted because it is in use"):
        parts.images.delete(OWNER, image.id)
    assert parts.images.get(OWNER, image.id) == image
    parts.cloned.in_use = False
    parts.images.delete(OWNER, image.id)
    with pytest.raises(ImageNotFound):
        parts.images.get(OWNER, image.id)


def test_an_image_in_use_that_can_be_restored_is_deleted_and_its_bytes_stay_until_they_are_unused(
    database: Database,
) -> None:
    parts = Parts(database, SETTINGS.model_copy(update={"delayed_delete_s": 60}))
    image = parts.image(ImageLocation(at=Location("c", "k")))
    parts.images.delete(OWNER, image.id)
    with pytest.raises(ImageNotFound):
        parts.images.get(OWNER, image.id)
    assert PendingDeleteRows(database).get(image.id).held[0].at == Location("c", "k")
    assert DiscardedObjectRows(database).count() == {}


def test_whether_an_image_is_in_use_is_told_to_those_who_may_delete_it(parts: Parts) -> None:
    image = parts.image(ImageLocation(at=Location("c", "k")))
    with pytest.raises(ImageNotFound):
        parts.images.delete(STRANGER, image.id)
    protected = parts.image(ImageLocation(at=Location("c", "k")))
    parts.images.patch(OWNER, protected.id, [Operation("replace", "protected", value=True)])
    with pytest.raises(ImageProtected):
        parts.images.delete(OWNER, protected.id)


def test_a_store_that_is_away_keeps_no_image_from_being_deleted(parts: Parts) -> None:
    image = parts.image(ImageLocation(at=Location("c", "k")))
    parts.cloned.is_away = True
    parts.images.delete(OWNER, image.id)
    with pytest.raises(ImageNotFound):
        parts.images.get(OWNER, image.id)


def test_who_has_to_be_certain_is_told_that_a_store_is_away(parts: Parts) -> None:
    image = parts.image(ImageLocation(at=Location("c", "k")))
    parts.cloned.is_away = True
    parts.locations.require_unused(image.id)
    with pytest.raises(StoreUnavailable):
        parts.locations.require_unused(image.id, certainly=True)

"""Who may do what with images in the API v1, and what its lists show to whom."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.image_catalogue import NOON, SECOND, add, an_image
from contracts.unheard import UnheardLocations
from headwater.errors import Forbidden, Invalid
from headwater.fetching.url_filter import UrlRefused
from headwater.identity.caller import OPERATOR, Caller
from headwater.images.attributes import ReservedAttribute
from headwater.images.catalogue.images import MarkerNotFound
from headwater.images.catalogue.lists import pages
from headwater.images.catalogue.lists.query import Direction, Query
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.data.session import ChecksumMismatch, ImageTooLarge, SizeMismatch
from headwater.images.model import Image, ImageLocation, Location, Status, Visibility
from headwater.images.properties.guard import PropertyGuard
from headwater.images.properties.protection import read_protections
from headwater.images.v1.attributes import Description
from headwater.images.v1.images import DeletedImage, DeletionPending, NotQueued, SourceFixed, Wanted
from unit.images.v1.v1_service import ADMIN, ANN, BOB, EVE, POLICY, READER, Service, says, service

DATA = bytes(range(256)) * 10


@pytest.fixture
def v1(tmp_path: Path) -> Iterator[Service]:
    with service(tmp_path, size_cap=1 << 16) as made:
        yield made


def named(v1: Service, caller: Caller, **wanted: object) -> list[str | None]:
    query = Query(limit=int(str(wanted.pop("limit", 99))), marker=wanted.pop("marker", None))  # type: ignore[arg-type]
    page = v1.images.page(caller, Wanted(query=query, **wanted))  # type: ignore[arg-type]
    return [shown.image.name for shown in page]


def bring(v1: Service, caller: Caller, image: Image, data: bytes, said: Description | None = None) -> Image:
    incoming = v1.images.begin(caller, image, said or Description(), len(data))
    back = threading.Event()
    try:
        incoming.put(memoryview(data), back.set)
        assert back.wait(20)
        return incoming.finish()
    except BaseException:
        incoming.abandon()
        raise


def test_who_may_create_what(v1: Service) -> None:
    assert v1.images.create(ANN, says(name="x"), brings=False).owner == "a"
    assert v1.images.create(ANN, says(owner="b"), brings=False).owner == "a"
    assert v1.images.create(ADMIN, says(owner="b"), brings=False).owner == "b"
    assert v1.images.create(ADMIN, says(is_public=True), brings=False).visibility is Visibility.PUBLIC
    for caller, said in ((READER, says()), (ANN, says(is_public=True))):
        with pytest.raises(Forbidden):
            v1.images.create(caller, said, brings=False)
    assert [(action, ok) for action, _, ok in v1.heard.entries] == [("image.create", True)] * 4 + [
        ("image.create", False)
    ] * 2


def test_who_may_change_what(v1: Service) -> None:
    image = v1.images.create(ANN, says(name="x"), brings=False)
    v1.images.update(ANN, image.id, Description(fields={"name": "y"}), brings=False, purge=True)
    for caller, error in ((READER, Forbidden), (BOB, ImageNotFound)):
        with pytest.raises(error):
            v1.images.update(caller, image.id, Description(), brings=False, purge=True)
        with pytest.raises(error):
            v1.images.delete(caller, image.id)
    with pytest.raises(Forbidden):
        v1.images.update(ANN, image.id, Description(fields={"is_public": True}), brings=False, purge=True)
    v1.images.update(ADMIN, image.id, Description(fields={"is_public": True}), brings=False, purge=True)
    # Its owner, who could not have made it public, may say again that it is.
    again = Description(fields={"is_public": True, "name": "z"})
    assert v1.images.update(ANN, image.id, again, brings=False, purge=True).name == "z"
    with pytest.raises(Forbidden):
        v1.images.update(BOB, image.id, Description(), brings=False, purge=True)
    v1.images.delete(ANN, image.id)
    with pytest.raises(DeletedImage):
        v1.images.update(ADMIN, image.id, Description(), brings=False, purge=True)
    with pytest.raises(ImageNotFound):
        v1.images.update(ANN, image.id, Description(), brings=False, purge=True)


def test_a_deleted_image_is_there_for_admins(v1: Service) -> None:
    image = v1.images.create(ANN, says(name="x"), brings=False)
    v1.now += SECOND
    v1.images.delete(ANN, image.id)
    shown = v1.images.show(ADMIN, image.id)
    assert (shown.image.status, shown.deleted_at, shown.image.name) == (Status.DELETED, v1.now, "x")
    with pytest.raises(ImageNotFound):
        v1.images.show(ANN, image.id)


def test_a_deleted_image_that_can_be_restored_is_pending_for_admins_and_nobody_deletes_it_again(tmp_path: Path) -> None:
    with service(tmp_path, delayed_delete_s=60) as v1:
        image = an_image("x", owner="a", status=Status.ACTIVE, size=1)
        add(v1.catalogue, image)
        held = (ImageLocation(at=Location("memory", f"{image.id}.x")),)
        UnheardLocations(v1.database).change(image.id, lambda now, _: (now, held), NOON)
        v1.images.delete(ANN, image.id)
        shown = v1.images.show(ADMIN, image.id)
        assert (shown.image.status, shown.deleted_at) == (Status.PENDING_DELETE, v1.now)
        with pytest.raises(DeletionPending):
            v1.images.delete(ADMIN, image.id)
        with pytest.raises(DeletedImage):
            v1.images.update(ADMIN, image.id, Description(), brings=False, purge=True)
        for caller in (ANN, BOB):
            with pytest.raises(ImageNotFound):
                v1.images.delete(caller, image.id)
        assert named(v1, ADMIN, of_all=True, deleted=True) == ["x"]
        assert named(v1, ADMIN, of_all=True) == []


def test_what_lists_show_to_whom(v1: Service) -> None:
    add(
        v1.catalogue,
        an_image("public", owner="b", visibility=Visibility.PUBLIC),
        an_image("community", owner="b", visibility=Visibility.COMMUNITY),
        an_image("private", owner="b", visibility=Visibility.PRIVATE),
        an_image("hidden", owner="b", visibility=Visibility.PUBLIC, os_hidden=True),
        an_image("killed", owner="a", status=Status.KILLED),
        an_image("own", owner="a"),
        an_image("nobody's"),
    )
    shared = an_image("shared", owner="b")
    add(v1.catalogue, shared)
    v1.sharing.put(BOB, shared.id, "a", None)

    def lists(caller: Caller, **wanted: object) -> set[str | None]:
        return set(named(v1, caller, **wanted))

    assert lists(ANN) == lists(ANN, is_public=True) == {"public", "own", "shared"}
    assert lists(ANN, of_all=True) == {"public", "own", "shared"}
    assert lists(ANN, is_public=False) == {"own", "shared"}
    assert lists(EVE) == {"public"}
    # An admin sees what its project sees, unless it asks for all.
    assert lists(ADMIN) == lists(ADMIN, is_public=True) == {"public"}
    assert lists(ADMIN, of_all=True) == {"public", "private", "own", "shared", "nobody's"}
    assert lists(ADMIN, is_public=False) == {"private", "own", "shared", "nobody's"}
    # Where nobody proves who they are, there is no project whose images those are.
    assert lists(OPERATOR) == lists(ADMIN, of_all=True)
    assert lists(OPERATOR, is_public=True) == {"public"}


def test_deleted_images_are_listed_to_admins_and_to_their_project(v1: Service) -> None:
    for name, caller in (("ann's", ANN), ("bob's", BOB)):
        v1.now += 1
        v1.images.delete(caller, v1.images.create(caller, says(name=name), brings=False).id)
    v1.now += 1
    kept = v1.images.create(ANN, says(name="kept"), brings=False)
    v1.now += 10 * SECOND
    late = v1.images.create(ANN, says(name="late"), brings=False)
    v1.images.delete(ANN, late.id)
    assert named(v1, ANN, changes_since=1) == ["late", "kept", "ann's"]
    assert named(v1, ANN, changes_since=v1.now - SECOND) == ["late"]
    assert named(v1, ANN, deleted=True) == ["kept"]  # only admins ask for the deleted ones
    assert set(named(v1, ADMIN, of_all=True, deleted=True)) == {"ann's", "bob's", "late"}
    assert set(named(v1, ADMIN, of_all=True, changes_since=1)) == {"ann's", "bob's", "late", "kept"}
    assert named(v1, ADMIN, of_all=True, changes_since=1, deleted=False) == ["kept"]
    assert named(v1, EVE, changes_since=1) == []
    # A page goes on after an image that is no more; one of others marks nothing.
    assert named(v1, ANN, changes_since=1, marker=late.id) == ["kept", "ann's"]
    assert named(v1, ANN, changes_since=1, marker=kept.id) == ["ann's"]
    with pytest.raises(MarkerNotFound):
        named(v1, EVE, changes_since=1, marker=late.id)


def test_data_that_comes_makes_the_image_active(v1: Service) -> None:
    image = v1.images.create(ANN, says(size=len(DATA)), brings=True, length=len(DATA))
    assert bring(v1, ANN, image, DATA).status is Status.ACTIVE
    with pytest.raises(NotQueued):
        v1.images.update(ANN, image.id, Description(), brings=True, purge=False)


@pytest.mark.parametrize(
    ("announced", "error"),
    [({"size": 5}, SizeMismatch), ({"size": 3000}, SizeMismatch), ({"checksum": "0" * 32}, ChecksumMismatch)],
)
def test_other_data_than_was_announced_kills_the_image(
    v1: Service, announced: dict[str, object], error: type[Exception]
) -> None:
    """Also when it was announced by an earlier request."""
    image = v1.images.create(ANN, says(**announced), brings=False)
    with pytest.raises(error):
        bring(v1, ANN, image, DATA)
    assert v1.catalogue.get(image.id).status is Status.KILLED
    assert v1.heard.entries[-1] == ("image.update", image.id, True)
    assert list(v1.store.list()) == []


def test_data_that_the_store_has_no_room_for_kills_the_image(v1: Service) -> None:
    v1.store.begin("filler", None).write(b"x")
    image = v1.images.create(ANN, says(), brings=True)
    with pytest.raises(ImageTooLarge):
        v1.images.begin(ANN, image, Description(), (1 << 16) + 1)
    assert v1.catalogue.get(image.id).status is Status.KILLED
    assert v1.heard.entries[-1] == ("image.update", image.id, True)
    with pytest.raises(ImageTooLarge):
        v1.images.create(ANN, says(size=(1 << 16) + 1), brings=False)


def test_a_copy_is_ordered_with_the_image_or_not_at_all(v1: Service) -> None:
    with pytest.raises(UrlRefused):
        v1.images.create(ANN, says(copy_from="http://bad/x"), brings=False)
    with pytest.raises(Invalid):
        v1.images.create(ANN, Description(copy_from="http://good/x"), brings=False)  # nobody said what it is
    assert (named(v1, ANN), v1.waiting()) == ([], [])
    image = v1.images.create(ANN, says(copy_from="http://good/x"), brings=False)
    (job,) = v1.waiting()
    assert (job.document["image_id"], job.document["caller"]["project_id"]) == (image.id, "a")
    assert "good" not in repr(job)
    active = an_image(owner="a", status=Status.ACTIVE, disk_format="raw", container_format="bare")
    add(v1.catalogue, active)
    with pytest.raises(SourceFixed):
        v1.images.update(ANN, active.id, Description(copy_from="http://good/x"), brings=False, purge=False)
    assert v1.waiting() == []


PROTECTIONS = """
[^x_secret]
create = admin
read = admin
update = admin
delete = admin
[^x_fixed]
create = member
read = member
update = admin
delete = admin
[.*]
create = @
read = @
update = @
delete = @
"""


def test_protected_properties_are_protected_here_too(tmp_path: Path) -> None:
    protections = read_protections("protections", PROTECTIONS, "roles", [])
    with service(tmp_path, PropertyGuard(lambda: protections, POLICY)) as v1:
        given = {"x_secret": "s", "x_fixed": "f", "free": "1"}
        image = v1.images.create(ADMIN, says(owner="a", properties=given), brings=False)
        assert image.properties == given
        assert v1.images.show(ANN, image.id).image.properties == {"x_fixed": "f", "free": "1"}
        for properties in ({}, {"x_fixed": "g"}, {"x_fixed": "f", "x_secret": "s"}):
            with pytest.raises(ReservedAttribute):
                v1.images.update(ANN, image.id, Description(properties=properties), brings=False, purge=True)
        # What she does not see she does not purge.
        after = v1.images.update(ANN, image.id, Description(properties={"x_fixed": "f"}), brings=False, purge=True)
        assert after.properties == {"x_fixed": "f"}
        assert v1.catalogue.get(image.id).properties == {"x_fixed": "f", "x_secret": "s"}
        with pytest.raises(ReservedAttribute):
            v1.images.create(ANN, says(properties={"x_secret": "s"}), brings=False)
        for caller, found in ((ADMIN, [image.id]), (ANN, [])):
            query = Query(properties=(("x_secret", "s"),))
            page = v1.images.page(caller, Wanted(query=query, of_all=True))
            assert [shown.image.id for shown in page] == found


@pytest.mark.parametrize("sort", [(("created_at", "desc"),), (("name", "asc"),)])
def test_a_page_that_ends_early_hides_no_image_among_the_deleted(
    v1: Service, monkeypatch: pytest.MonkeyPatch, sort: tuple[tuple[str, Direction], ...]
) -> None:
    for number in range(9):
        v1.now += 1
        image = v1.images.create(ADMIN, says(name=f"image{number}", properties={"p": "x"}), brings=False)
        if number % 3 == 2:
            v1.images.delete(ADMIN, image.id)
    wanted = Wanted(query=Query(limit=20, sort=sort), of_all=True, changes_since=0)
    whole = [shown.image.name for shown in v1.images.page(ADMIN, wanted)]
    assert len(whole) == 9
    monkeypatch.setattr(pages, "BYTES", 1)
    found: list[str | None] = []
    while page := v1.images.page(ADMIN, wanted):
        found += [shown.image.name for shown in page]
        wanted = replace(wanted, query=replace(wanted.query, marker=page[-1].image.id))
    assert found == whole

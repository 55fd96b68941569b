"""Who sees an image and may do what to it, by the default policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts.image_catalogue import NOON, add, an_image
from contracts.images.lists.image_visibility import share
from contracts.unheard import UnheardImages, UnheardMembers
from headwater.database.engine import Database
from headwater.errors import Forbidden
from headwater.identity.caller import OPERATOR, Caller
from headwater.identity.policy.engine import Policy
from headwater.identity.settings import PolicySettings
from headwater.images.access import Access, AdminOnly
from headwater.images.catalogue import rows
from headwater.images.catalogue.images import MarkerNotFound
from headwater.images.catalogue.lists.query import SORT_KEYS, Direction, Query
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.member import MemberStatus
from headwater.images.model import Image, Visibility
from headwater.images.policies import BY_NAME
from questions import questions

POLICY = Policy(PolicySettings(), BY_NAME)  # once: it takes longer than the tests

READS = frozenset({"reader"})
WRITES = frozenset({"reader", "member"})
ADMIN = Caller(project_id="z", roles=frozenset({"admin", "member", "reader"}))
OWNER = Caller(project_id="a", roles=WRITES)
OWNERS_READER = Caller(project_id="a", roles=READS)
STRANGER = Caller(project_id="b", roles=WRITES)
READING_STRANGER = Caller(project_id="b", roles=READS)
MEMBER = Caller(project_id="m", roles=WRITES)
HOMELESS = Caller(roles=WRITES)
POWERLESS = Caller(project_id="a")
SERVICE = Caller(project_id="a", roles=frozenset({"service"}))
SYSTEM_ADMIN = Caller(roles=ADMIN.roles, system_scope="all")

FOUND, MISSING, REFUSED = "found", "missing", "refused"
MODIFYING = ("modify_image", "delete_image", "upload_image", "deactivate", "reactivate", "add_member", "delete_member")


@pytest.fixture
def access(catalogue: UnheardImages) -> Access:
    return Access(catalogue, POLICY)


@pytest.fixture
def images(catalogue: UnheardImages, database: Database) -> dict[Visibility, Image]:
    """One image of project a for each visibility; project m is a member of each."""
    made = {visibility: an_image(visibility.value, owner="a", visibility=visibility) for visibility in Visibility}
    add(catalogue, *made.values())
    members = UnheardMembers(database)
    for image in made.values():
        share(members, image.id, "m", NOON, -1)
        members.set_status(image.id, "m", MemberStatus.REJECTED, NOON)
    return made


def outcome(access: Access, caller: Caller, image: Image, rule: str) -> str:
    try:
        assert access.visible(caller, image.id, rule) == image
    except ImageNotFound:
        return MISSING
    except Forbidden:
        return REFUSED
    return FOUND


OPEN = {Visibility.PUBLIC, Visibility.COMMUNITY}
EVERY = set(Visibility)


@pytest.mark.parametrize(
    ("caller", "seen", "downloads", "changes"),
    [
        pytest.param(ADMIN, EVERY, EVERY, EVERY, id="admin"),
        pytest.param(OPERATOR, EVERY, EVERY, EVERY, id="operator"),
        pytest.param(OWNER, EVERY, EVERY, EVERY, id="owner"),
        pytest.param(OWNERS_READER, EVERY, set(), set(), id="owner's reader"),
        pytest.param(STRANGER, OPEN, OPEN, set(), id="stranger"),
        pytest.param(READING_STRANGER, OPEN, set(), set(), id="reading stranger"),
        pytest.param(MEMBER, OPEN | {Visibility.SHARED}, OPEN | {Visibility.SHARED}, set(), id="member"),
        pytest.param(HOMELESS, OPEN, OPEN, set(), id="without a project"),
        pytest.param(POWERLESS, set(), set(), set(), id="without a role"),
        pytest.param(SERVICE, set(), set(), set(), id="a service"),
        pytest.param(SYSTEM_ADMIN, set(), set(), set(), id="admin of the system"),
    ],
)
def test_what_is_seen_may_be_refused_and_what_is_not_seen_is_missing(
    caller: Caller,
    seen: set[Visibility],
    downloads: set[Visibility],
    changes: set[Visibility],
    access: Access,
    images: dict[Visibility, Image],
) -> None:
    def expected(visibility: Visibility, allowed: set[Visibility]) -> str:
        return MISSING if visibility not in seen else FOUND if visibility in allowed else REFUSED

    for visibility, image in images.items():
        assert outcome(access, caller, image, "get_image") == expected(visibility, seen), visibility
        assert outcome(access, caller, image, "download_image") == expected(visibility, downloads), visibility
        for rule in MODIFYING:
            assert outcome(access, caller, image, rule) == expected(visibility, changes), (visibility, rule)


def test_who_has_no_project_does_not_own_what_has_no_owner(access: Access, catalogue: UnheardImages) -> None:
    image = an_image(visibility=Visibility.PRIVATE)
    add(catalogue, image)
    assert outcome(access, HOMELESS, image, "get_image") == MISSING
    with pytest.raises(Forbidden, match="get_images"):
        access.page(HOMELESS, Query(visibility=None))


def test_an_unknown_image_and_one_that_is_not_seen_are_told_alike(
    access: Access, images: dict[Visibility, Image]
) -> None:
    private, unknown = images[Visibility.PRIVATE].id, an_image().id
    said = []
    for image_id in (private, unknown):
        with pytest.raises(ImageNotFound) as missing:
            access.visible(STRANGER, image_id, "delete_image")
        with pytest.raises(MarkerNotFound) as no_marker:
            access.page(STRANGER, Query(marker=image_id))
        said.append([str(each.value).replace(image_id, "ID") for each in (missing, no_marker)])
    assert said[0] == said[1]


def test_a_marker_may_be_any_image_that_is_seen(access: Access, images: dict[Visibility, Image]) -> None:
    for visibility in OPEN:
        access.page(STRANGER, Query(visibility=None, marker=images[visibility].id))
    access.page(MEMBER, Query(visibility=None, marker=images[Visibility.SHARED].id))
    with pytest.raises(MarkerNotFound):
        access.page(MEMBER, Query(visibility=None, marker=images[Visibility.PRIVATE].id))


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("key", SORT_KEYS)
def test_a_page_goes_on_where_its_marker_was_deleted_for_all_who_saw_it(
    access: Access, catalogue: UnheardImages, images: dict[Visibility, Image], key: str, direction: Direction
) -> None:
    query = Query(visibility="all", member_status="all", sort=((key, direction),))
    callers = (ADMIN, OWNER, MEMBER, STRANGER)
    whole = {caller: access.page(caller, query) for caller in callers}
    for gone in images.values():
        catalogue.delete(gone.id, lambda image: None, NOON)
        for caller in callers:
            line = whole[caller]
            if gone not in line:
                continue
            after = line[line.index(gone) + 1 :]
            shown = access.page(caller, replace(query, marker=gone.id))
            assert shown == [image for image in after if image in access.page(caller, query)]


def test_a_deleted_marker_that_was_not_seen_is_told_like_one_that_never_was(
    access: Access, catalogue: UnheardImages, images: dict[Visibility, Image]
) -> None:
    for gone in images.values():
        catalogue.delete(gone.id, lambda image: None, NOON)
    for caller, visibility in (
        (STRANGER, Visibility.SHARED),
        (MEMBER, Visibility.PRIVATE),
        (STRANGER, Visibility.PRIVATE),
    ):
        marker = images[visibility].id
        with pytest.raises(MarkerNotFound) as told:
            access.page(caller, Query(marker=marker))
        assert str(told.value) == str(MarkerNotFound(marker))
    catalogue.purge(NOON + 1, 10)
    with pytest.raises(MarkerNotFound):
        access.page(ADMIN, Query(marker=images[Visibility.PUBLIC].id))


def test_a_rule_that_decides_alone_needs_no_right_to_see(access: Access, images: dict[Visibility, Image]) -> None:
    image = images[Visibility.PRIVATE]
    assert access.judged(SERVICE, image.id, "fetch_image_location") == image
    with pytest.raises(Forbidden):
        access.judged(OWNER, image.id, "fetch_image_location")
    for caller in (POWERLESS, STRANGER, replace(SERVICE, project_id="b")):
        with pytest.raises(ImageNotFound):
            access.judged(caller, image.id, "fetch_image_location")


@pytest.mark.parametrize("limit", [0, 25])
def test_who_reads_nothing_lists_nothing(limit: int, access: Access) -> None:
    for caller in (POWERLESS, SERVICE, SYSTEM_ADMIN):
        with pytest.raises(Forbidden, match="get_images"):
            access.page(caller, Query(limit=limit))


def test_a_list_is_the_callers_whatever_viewer_the_query_names(access: Access, images: dict[Visibility, Image]) -> None:
    def names(caller: Caller, visibility: str | None) -> set[str | None]:
        return {image.name for image in access.page(caller, Query(visibility=visibility))}

    everything = {each.value for each in Visibility}
    assert names(OWNER, None) == names(OWNERS_READER, None) == names(ADMIN, "all") == everything
    assert names(ADMIN, None) == everything - {"community"}
    assert names(STRANGER, None) == names(MEMBER, None) == {"public"}
    assert names(STRANGER, "all") == {"public", "community"}
    assert names(STRANGER, "private") == names(STRANGER, "shared") == set()


def test_properties_of_an_image_do_not_decide_who_may_do_what(
    catalogue: UnheardImages, database: Database, tmp_path: Path
) -> None:
    claims = dict.fromkeys(("member", "member_id", "tenant", "project_id", "owner"), "b")
    image = an_image(owner="a", visibility=Visibility.PUBLIC, properties=claims)
    add(catalogue, image)
    file = tmp_path / "policy.yaml"
    file.write_text('"modify_image": "project_id:%(member)s or project_id:%(member_id)s or tenant:%(tenant)s"\n')
    strict = Access(catalogue, Policy(PolicySettings(file=file), BY_NAME))
    for access in (strict, Access(catalogue, POLICY)):
        assert outcome(access, STRANGER, image, "modify_image") == REFUSED
    assert outcome(strict, OWNER, image, "modify_image") == FOUND


def test_admins_are_told_from_others(access: Access) -> None:
    access.require_admin(ADMIN, "the owner of an image")
    with pytest.raises(AdminOnly, match="the owner of an image"):
        access.require_admin(OWNER, "the owner of an image")


@pytest.mark.parametrize("caller", [STRANGER, READING_STRANGER], ids=["member", "reader"])
def test_an_image_that_is_not_seen_costs_the_same_questions_as_one_that_is_not_there(
    catalogue: UnheardImages, access: Access, caller: Caller
) -> None:
    def shown(image_id: str) -> list[str]:
        with questions() as asked, pytest.raises(ImageNotFound):
            access.visible(caller, image_id)
        return [question.statement for question in asked]

    def marked(image_id: str) -> list[str]:
        with questions() as asked, pytest.raises(MarkerNotFound):
            access.page(caller, Query(marker=image_id))
        return [question.statement for question in asked]

    hidden = an_image(owner="a", visibility=Visibility.PRIVATE, tags=("t",), properties={"p": "x"})
    add(catalogue, hidden)
    assert len([said for said in shown(hidden.id) if said.startswith("SELECT")]) == 1
    assert shown(hidden.id) == shown("absent")
    assert marked(hidden.id) == marked("absent") != []


def test_an_image_of_others_takes_the_same_steps_as_none(
    catalogue: UnheardImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same statements, no row of either, and the same questions to the policy: so the time tells nothing."""
    steps: list[object] = []

    class Told:
        def allows(self, rule: str, caller: Caller, target: Mapping[str, Any]) -> bool:
            steps.append(("rule", rule, dict(target)))
            return POLICY.allows(rule, caller, target)

        def require(self, rule: str, caller: Caller, target: Mapping[str, Any]) -> None:
            steps.append(("rule", rule, dict(target)))
            POLICY.require(rule, caller, target)

    def read(row: Any) -> Image:
        steps.append("a row was read")
        return rows.image_of(row)

    monkeypatch.setattr("headwater.images.catalogue.images.image_of", read)
    theirs = an_image(owner="a", visibility=Visibility.PRIVATE)
    shared = an_image(owner="a", visibility=Visibility.SHARED)
    add(catalogue, theirs, shared)
    access = Access(catalogue, Told())
    for caller in (STRANGER, READING_STRANGER):
        taken = []
        for image_id in (theirs.id, shared.id, an_image().id):
            steps.clear()
            with questions() as asked:
                with pytest.raises(ImageNotFound):
                    access.visible(caller, image_id)
                with pytest.raises(MarkerNotFound):
                    access.page(caller, Query(marker=image_id))
            taken.append((list(steps), [question.statement for question in asked]))
        assert taken[0] == taken[1] == taken[2]
        assert "a row was read" not in taken[0][0]
        assert len(taken[0][1]) == 3  # the image; the marker, among the deleted too

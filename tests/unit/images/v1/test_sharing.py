"""Sharing in the API v1: no acceptance, and members that may share further."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.image_catalogue import add, an_image
from headwater.errors import Forbidden
from headwater.identity.caller import OPERATOR
from headwater.images.catalogue.lists.query import Query
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.member import MayNotShare, Member, MemberNotFound, TooManyMembers
from headwater.images.model import Image, Visibility
from headwater.images.v1.images import Wanted
from headwater.images.v1.sharing import BadMembership, KeptFromSharing
from unit.images.v1.v1_service import ADMIN, ANN, BOB, EVE, READER, Service, service

CAN_SHARE = {"member": {"can_share": True}}


@pytest.fixture
def v1(tmp_path: Path) -> Iterator[Service]:
    with service(tmp_path) as made:
        yield made


@pytest.fixture
def image(v1: Service) -> Image:
    made = an_image("x", owner="a")
    add(v1.catalogue, made)
    return made


def members(v1: Service, image: Image) -> list[tuple[str, bool]]:
    return sorted((each.member, each.can_share) for each in v1.sharing.members(ANN, image.id))


def test_who_is_named_sees_the_image_at_once(v1: Service, image: Image) -> None:
    with pytest.raises(ImageNotFound):
        v1.images.show(BOB, image.id)
    v1.sharing.put(ANN, image.id, "b", None)
    assert v1.images.show(BOB, image.id).image == image
    assert [shown.image for shown in v1.images.page(BOB, Wanted(query=Query()))] == [image]
    v1.sharing.remove(ANN, image.id, "b")
    with pytest.raises(ImageNotFound):
        v1.images.show(BOB, image.id)
    with pytest.raises(MemberNotFound):
        v1.sharing.remove(ANN, image.id, "b")
    assert [action for action, _, ok in v1.heard.entries if ok] == ["image.member.create", "image.member.delete"]


def test_a_member_shares_further_only_when_it_was_allowed_to(v1: Service, image: Image) -> None:
    v1.sharing.put(ANN, image.id, "b", None)
    with pytest.raises(MayNotShare):
        v1.sharing.put(BOB, image.id, "e", None)
    v1.sharing.put(ANN, image.id, "b", CAN_SHARE)
    v1.sharing.put(ANN, image.id, "b", None)  # says nothing of it
    v1.sharing.put(BOB, image.id, "e", None)
    assert members(v1, image) == [("b", True), ("e", False)]
    # Who may share knows the members; the others know of themselves.
    assert len(v1.sharing.members(BOB, image.id)) == 2
    assert [each.member for each in v1.sharing.members(EVE, image.id)] == ["e"]


@pytest.mark.parametrize("done", ["put", "replace", "remove"])
def test_whoever_may_share_no_more_when_it_is_done_does_not(
    v1: Service, image: Image, done: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner takes the right back between the first look and the transaction."""
    v1.sharing.put(ANN, image.id, "b", CAN_SHARE)
    v1.sharing.put(ANN, image.id, "c", None)
    asked = v1.sharing._members.get

    def get_and_lose(image_id: str, member: str) -> Member | None:
        found = asked(image_id, member)
        v1.sharing.put(ANN, image.id, "b", {"member": {"can_share": False}})
        return found

    monkeypatch.setattr(v1.sharing._members, "get", get_and_lose)
    with pytest.raises(MayNotShare):
        if done == "put":
            v1.sharing.put(BOB, image.id, "e", None)
        elif done == "replace":
            v1.sharing.replace(BOB, image.id, {"memberships": [{"member_id": "b", "can_share": True}]})
        else:
            v1.sharing.remove(BOB, image.id, "c")
    assert members(v1, image) == [("b", False), ("c", False)]


def test_who_may_not_share_is_told_so_or_nothing(v1: Service, image: Image) -> None:
    document = {"memberships": [{"member_id": "e"}]}
    with pytest.raises(ImageNotFound):
        v1.sharing.replace(EVE, image.id, document)
    with pytest.raises(Forbidden):
        v1.sharing.replace(READER, image.id, document)
    assert v1.heard.entries == [("image.member.create", image.id, False)] * 2
    v1.sharing.replace(ADMIN, image.id, document)
    v1.sharing.replace(OPERATOR, image.id, {"memberships": []})
    assert members(v1, image) == []


@pytest.mark.parametrize("visibility", [Visibility.PRIVATE, Visibility.COMMUNITY])
def test_what_its_owner_took_out_of_sharing_stays_out(v1: Service, visibility: Visibility) -> None:
    image = an_image(owner="a", visibility=visibility)
    add(v1.catalogue, image)
    with pytest.raises(KeptFromSharing):
        v1.sharing.put(ANN, image.id, "b", None)


def test_there_are_so_many_members_and_no_more(v1: Service, image: Image) -> None:
    four = {"memberships": [{"member_id": each} for each in "bcde"]}
    with pytest.raises(TooManyMembers):
        v1.sharing.replace(ANN, image.id, four)
    assert members(v1, image) == []


def test_what_is_shared_with_a_project_is_its_own_matter(v1: Service, image: Image) -> None:
    other = an_image("y", owner="b")
    add(v1.catalogue, other)
    v1.sharing.put(ANN, image.id, "e", CAN_SHARE)
    v1.sharing.put(BOB, other.id, "e", None)

    def told(caller: object) -> set[str]:
        return {each.image_id for each in v1.sharing.shared_with(caller, "e")}  # type: ignore[arg-type]

    assert told(EVE) == told(ADMIN) == {image.id, other.id}
    assert told(ANN) == {image.id}
    assert v1.sharing.shared_with(EVE, "a") == []


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        None,
        {"memberships": {}},
        {"memberships": ["p"]},
        {"memberships": [{"member_id": ""}]},
        {"memberships": [{"member_id": 5}]},
        {"memberships": [{"member_id": "x" * 256}]},
        {"memberships": [{"member_id": "a\x00b"}]},
        {"memberships": [{"member_id": "p", "can_share": 1}]},
    ],
)
def test_a_body_that_names_no_members_is_refused(v1: Service, image: Image, document: object) -> None:
    with pytest.raises(BadMembership):
        v1.sharing.replace(ANN, image.id, document)

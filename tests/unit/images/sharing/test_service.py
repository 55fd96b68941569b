"""UnheardMembers of an image: who adds them, who knows of them, who answers."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.image_catalogue import NOON, add, an_image
from contracts.unheard import UnheardImages, UnheardMembers
from headwater.database.engine import Database
from headwater.errors import Forbidden
from headwater.identity.caller import Caller
from headwater.identity.policy.engine import Policy
from headwater.identity.settings import PolicySettings
from headwater.images.access import Access
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.member import MemberExists, MemberNotFound, MemberStatus, TooManyMembers
from headwater.images.model import Image, Visibility
from headwater.images.policies import BY_NAME
from headwater.images.sharing.service import BadMember, NotShared, Sharing

POLICY = Policy(PolicySettings(), BY_NAME)  # once: it takes longer than the tests

WRITES = frozenset({"reader", "member"})
ADMIN = Caller(project_id="z", roles=frozenset({"admin", "member", "reader"}))
OWNER = Caller(project_id="a", roles=WRITES)
OWNERS_READER = Caller(project_id="a", roles=frozenset({"reader"}))
STRANGER = Caller(project_id="s", roles=WRITES)
B = Caller(project_id="b", roles=WRITES)
BS_READER = Caller(project_id="b", roles=frozenset({"reader"}))
C = Caller(project_id="c", roles=WRITES)
ACCEPTED: dict[str, Any] = {"status": "accepted"}


@pytest.fixture
def sharing(catalogue: UnheardImages, database: Database) -> Sharing:
    access = Access(catalogue, POLICY)
    return Sharing(access, Changes(database, access), UnheardMembers(database), 3, clock=lambda: NOON)


@pytest.fixture
def image(catalogue: UnheardImages) -> Image:
    image = an_image(owner="a", visibility=Visibility.SHARED)
    add(catalogue, image)
    return image


@pytest.fixture
def shared(image: Image, sharing: Sharing) -> str:
    """The id of an image that is shared with b and c."""
    for project in ("b", "c"):
        sharing.add(OWNER, image.id, {"member": project})
    return image.id


def test_an_owner_or_an_admin_shares_and_a_project_waits_to_accept(image: Image, sharing: Sharing) -> None:
    for caller, project in ((OWNER, "b"), (ADMIN, "c")):
        added = sharing.add(caller, image.id, {"member": project, "status": "accepted"})
        assert (added.image_id, added.member, added.status) == (image.id, project, MemberStatus.PENDING)


@pytest.mark.parametrize(
    "document",
    [{}, {"member": ""}, {"member": None}, {"member": 1}, {"member": ["b"]}, {"member": "x" * 256}, {"member": "a\0"}],
)
def test_a_member_is_the_name_of_a_project(document: dict[str, Any], image: Image, sharing: Sharing) -> None:
    with pytest.raises(BadMember):
        sharing.add(OWNER, image.id, document)


def test_others_do_not_share(shared: str, sharing: Sharing) -> None:
    with pytest.raises(ImageNotFound):
        sharing.add(STRANGER, shared, {"member": "s"})
    for caller in (B, BS_READER, OWNERS_READER):
        with pytest.raises(Forbidden, match="add_member"):
            sharing.add(caller, shared, {"member": "d"})


def test_twice_is_too_often_and_the_quota_holds(shared: str, sharing: Sharing) -> None:
    with pytest.raises(MemberExists):
        sharing.add(OWNER, shared, {"member": "b"})
    sharing.add(OWNER, shared, {"member": "d"})
    with pytest.raises(TooManyMembers):
        sharing.add(OWNER, shared, {"member": "e"})
    with pytest.raises(MemberExists):
        sharing.add(OWNER, shared, {"member": "b"})


@pytest.mark.parametrize("visibility", [each for each in Visibility if each is not Visibility.SHARED])
def test_only_shared_images_have_members(visibility: Visibility, catalogue: UnheardImages, sharing: Sharing) -> None:
    image = an_image(owner="a", visibility=visibility)
    add(catalogue, image)
    for caller in (OWNER, ADMIN):
        with pytest.raises(NotShared, match=f"Not allowed to create members for image {image.id}"):
            sharing.add(caller, image.id, {"member": "b"})
        with pytest.raises(NotShared, match="Not allowed to list members"):
            sharing.list(caller, image.id)
        with pytest.raises(NotShared):
            sharing.remove(caller, image.id, "b")
        with pytest.raises(MemberNotFound):
            sharing.get(caller, image.id, "b")
        with pytest.raises(MemberNotFound):
            sharing.answer(caller, image.id, "b", ACCEPTED)
    hidden = ImageNotFound if visibility is Visibility.PRIVATE else Forbidden
    with pytest.raises(hidden):
        sharing.list(STRANGER, image.id)


def test_one_member_does_not_learn_of_the_others(shared: str, sharing: Sharing) -> None:
    for caller in (OWNER, OWNERS_READER, ADMIN):
        assert {each.member for each in sharing.list(caller, shared)} == {"b", "c"}
        assert sharing.get(caller, shared, "c").member == "c"
    for caller in (B, BS_READER):
        assert [each.member for each in sharing.list(caller, shared)] == ["b"]
        assert sharing.get(caller, shared, "b").member == "b"
    said = []
    for other in ("c", "d"):  # a member, and none
        with pytest.raises(MemberNotFound) as got:
            sharing.get(B, shared, other)
        with pytest.raises(MemberNotFound) as answered:
            sharing.answer(B, shared, other, ACCEPTED)
        with pytest.raises(Forbidden) as removed:
            sharing.remove(B, shared, other)
        said.append([str(each.value).replace(other, "?", 1) for each in (got, answered)] + [str(removed.value)])
    assert said[0] == said[1]


def test_strangers_find_no_image(shared: str, sharing: Sharing) -> None:
    for call in (
        lambda: sharing.list(STRANGER, shared),
        lambda: sharing.get(STRANGER, shared, "b"),
        lambda: sharing.get(STRANGER, shared, "s"),
        lambda: sharing.answer(STRANGER, shared, "s", ACCEPTED),
        lambda: sharing.remove(STRANGER, shared, "b"),
    ):
        with pytest.raises(ImageNotFound):
            call()


def test_only_the_member_itself_or_an_admin_answers(shared: str, sharing: Sharing) -> None:
    for caller in (OWNER, BS_READER):
        with pytest.raises(Forbidden, match="modify_member"):
            sharing.answer(caller, shared, "b", ACCEPTED)
    with pytest.raises(MemberNotFound):
        sharing.answer(OWNER, shared, "d", ACCEPTED)
    assert sharing.answer(B, shared, "b", ACCEPTED).status is MemberStatus.ACCEPTED
    assert sharing.answer(ADMIN, shared, "b", {"status": "rejected"}).status is MemberStatus.REJECTED
    assert sharing.get(OWNER, shared, "c").status is MemberStatus.PENDING


@pytest.mark.parametrize("said", [None, "", "Accepted", "all", 1, ["accepted"], {}, True])
def test_who_may_not_answer_is_told_so_whatever_the_answer_is(said: Any, shared: str, sharing: Sharing) -> None:
    for caller in (OWNER, BS_READER):
        with pytest.raises(Forbidden):
            sharing.answer(caller, shared, "b", {"status": said})
    with pytest.raises(ImageNotFound):
        sharing.answer(STRANGER, shared, "b", {"status": said})


@pytest.mark.parametrize("said", [None, "", "Accepted", "all", 1, ["accepted"], {}, True])
def test_an_answer_is_one_of_three_words(said: Any, shared: str, sharing: Sharing) -> None:
    for document in ({"status": said}, {}):
        with pytest.raises(BadMember, match="Status must be"):
            sharing.answer(B, shared, "b", document)


def test_a_member_that_is_removed_does_not_see_the_image_any_more(shared: str, sharing: Sharing) -> None:
    sharing.answer(C, shared, "c", ACCEPTED)
    with pytest.raises(Forbidden):
        sharing.remove(C, shared, "c")
    sharing.remove(OWNER, shared, "c")
    with pytest.raises(ImageNotFound):
        sharing.list(C, shared)
    with pytest.raises(MemberNotFound):
        sharing.remove(OWNER, shared, "c")
    with pytest.raises(MemberNotFound):
        sharing.remove(ADMIN, shared, "nobody")

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from contracts.image_catalogue import NOON
from contracts.unheard import Nobody
from headwater.activity.journal import Journal
from headwater.activity.notifications.notifier import Notifications
from headwater.activity.notifications.outbox import Outbox
from headwater.activity.notifications.settings import NotificationsSettings
from headwater.database.engine import Database
from headwater.identity.caller import Caller
from headwater.images.catalogue.changes import Changes
from headwater.images.events.notices import Notices
from headwater.images.member import Member, MemberStatus
from headwater.images.metadefs.model import Association, MetadefObject, Namespace, Property, Tag
from headwater.images.model import Image, Status, Visibility

ID = "11111111-1111-4111-8111-111111111111"
ADA = Caller(user_id="ada", project_id="lovelace", request_id="req-1", token="s3cret")
IMAGE = Image(
    id=ID,
    created_at=NOON,
    updated_at=NOON,
    name="noble",
    visibility=Visibility.PUBLIC,
    owner="lovelace",
    tags=("lts",),
    properties={"os_distro": "ubuntu"},
)
ACTIVE = replace(IMAGE, status=Status.ACTIVE, size=100)


class Told:
    """A journal whose listener tells a webhook; nothing is delivered."""

    def __init__(self, database: Database, **settings: Any) -> None:
        self._outbox = Outbox(database)
        chosen = NotificationsSettings.model_validate({"webhook_url": "https://events.example", **settings})
        notifications = Notifications(chosen, database, clock=lambda: NOON)
        self.notices = Notices(notifications, clock=lambda: NOON)
        journal = Journal([self.notices])
        self._changes = Changes(database, Nobody(), journal=journal, outbox=notifications.postbox)

    def of(self, action: str, before: Any, after: Any, caller: Caller | None = ADA) -> list[tuple[str, dict[str, Any]]]:
        """Return what one entry tells: types and payloads."""

        with self._changes.told(caller, action) as change:
            change.commit(lambda transaction: transaction.heard(before, after))
        return [(event.type, dict(event.payload)) for event in self.taken()]

    def taken(self) -> Sequence[Any]:
        waiting = self._outbox.waiting("webhook", NOON, 100)
        self._outbox.remove([each.sequence for each in waiting])
        return [each.event for each in waiting]


@pytest.fixture
def told(database: Database) -> Told:
    return Told(database)


def types(found: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [event_type for event_type, _ in found]


def test_a_new_image_is_told_with_the_payload_of_glance(told: Told) -> None:
    ((event_type, payload),) = told.of("image.create", None, IMAGE)
    assert event_type == "image.create"
    assert payload == {
        "id": ID,
        "name": "noble",
        "status": "queued",
        "created_at": "2023-11-14T22:13:20Z",
        "updated_at": "2023-11-14T22:13:20Z",
        "min_disk": 0,
        "min_ram": 0,
        "protected": False,
        "checksum": None,
        "owner": "lovelace",
        "disk_format": None,
        "container_format": None,
        "size": None,
        "virtual_size": None,
        "is_public": True,
        "visibility": "public",
        "properties": {"os_distro": "ubuntu"},
        "tags": ["lts"],
        "deleted": False,
        "deleted_at": None,
    }


@pytest.mark.parametrize(
    ("action", "before", "after", "expected"),
    [
        ("image.update", IMAGE, replace(IMAGE, name="other"), ["image.update"]),
        ("image.prepare", IMAGE, replace(IMAGE, status=Status.SAVING), ["image.prepare"]),
        ("image.upload", replace(IMAGE, status=Status.SAVING), ACTIVE, ["image.upload", "image.activate"]),
        ("image.import", replace(IMAGE, status=Status.IMPORTING), ACTIVE, ["image.update", "image.activate"]),
        ("image.deactivate", ACTIVE, replace(ACTIVE, status=Status.DEACTIVATED), ["image.update"]),
        ("image.reactivate", replace(ACTIVE, status=Status.DEACTIVATED), ACTIVE, ["image.update"]),
        ("image.delete", ACTIVE, None, ["image.delete"]),
        ("image.delete", ACTIVE, replace(ACTIVE, status=Status.PENDING_DELETE), ["image.delete"]),
        ("image.restore", replace(ACTIVE, status=Status.PENDING_DELETE), ACTIVE, ["image.update"]),
    ],
)
def test_what_happens_to_an_image_is_told_under_the_names_of_glance(
    told: Told, action: str, before: Image, after: Image | None, expected: list[str]
) -> None:
    assert types(told.of(action, before, after)) == expected


def test_a_deleted_image_says_when(told: Told) -> None:
    ((_, payload),) = told.of("image.delete", ACTIVE, None)
    assert (payload["deleted"], payload["deleted_at"], payload["status"]) == (True, "2023-11-14T22:13:20Z", "active")


def test_stores_of_an_import_are_lists(told: Told) -> None:
    importing = replace(IMAGE, properties={"os_glance_importing_to_stores": "fast,slow", "os_glance_failed_import": ""})
    ((_, payload),) = told.of("image.update", IMAGE, importing)
    assert payload["os_glance_importing_to_stores"] == ["fast", "slow"]
    assert "os_glance_failed_import" not in payload


def test_members_are_told(told: Told) -> None:
    member = Member(image_id=ID, member="p2", status=MemberStatus.PENDING, created_at=NOON, updated_at=NOON)
    accepted = replace(member, status=MemberStatus.ACCEPTED)
    ((event_type, payload),) = told.of("image.member.create", None, member)
    assert (event_type, payload["image_id"], payload["member_id"], payload["status"]) == (
        "image.member.create",
        ID,
        "p2",
        "pending",
    )
    assert types(told.of("image.member.update", member, accepted)) == ["image.member.update"]
    ((event_type, payload),) = told.of("image.member.delete", accepted, None)
    assert (event_type, payload["deleted"]) == ("image.member.delete", True)


def test_a_download_is_told_with_who_got_how_much(told: Told) -> None:
    entry = Journal().entry(ADA, "image.download", ID)
    told.notices.sent(entry, ACTIVE, 60, whole=False)
    (event,) = told.taken()
    assert (event.type, event.priority) == ("image.send", "ERROR")
    assert event.payload == {
        "bytes_sent": 60,
        "image_id": ID,
        "owner_id": "lovelace",
        "receiver_tenant_id": "lovelace",
        "receiver_user_id": "ada",
    }


def test_what_is_disabled_is_not_kept(database: Database) -> None:
    some = Told(database, disabled=["image.update", "metadef_tag"])
    assert types(some.of("image.update", IMAGE, replace(IMAGE, name="other"))) == []
    assert types(some.of("image.create", None, IMAGE)) == ["image.create"]
    assert some.notices.sends()
    assert not Told(database, disabled=["image"]).notices.sends()


def test_an_event_names_its_caller_and_no_token(told: Told, database: Database) -> None:
    told.of("image.create", None, IMAGE)
    with told._changes.told(ADA, "image.create") as change:
        change.commit(lambda transaction: transaction.heard(None, IMAGE))
    (event,) = told.taken()
    assert (event.request_id, event.user_id, event.project_id, event.subject) == ("req-1", "ada", "lovelace", ID)
    assert "s3cret" not in str(event.to_dict())


def a_namespace(**fields: Any) -> Namespace:
    return Namespace(id=ID, namespace="Told", created_at=NOON, updated_at=NOON, **fields)


def tag(name: str) -> Tag:
    return Tag(name=name, created_at=NOON, updated_at=NOON)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {"description": "new"}, [("metadef_namespace.update", "Told")]),
        ({}, {"tags": (tag("a"), tag("b"))}, [("metadef_tag.create", "a"), ("metadef_tag.create", "b")]),
        ({"tags": (tag("a"), tag("b"))}, {"tags": (tag("b"),)}, [("metadef_tag.delete", "a")]),
        ({"tags": (tag("a"), tag("b"))}, {"tags": (tag("a"), tag("c"))}, [("metadef_tag.update", "c")]),
        (
            {"tags": (tag("a"), tag("b"))},
            {"tags": (tag("c"), tag("d"))},
            [("metadef_tag.delete", n) for n in "ab"] + [("metadef_tag.create", n) for n in "cd"],
        ),
        (
            {"properties": (Property(name="p", definition={"type": "string"}),)},
            {"properties": (Property(name="p", definition={"type": "integer"}),)},
            [("metadef_property.update", "p")],
        ),
        (
            {},
            {"objects": (MetadefObject(name="o", created_at=NOON, updated_at=NOON, properties={"x": {}}),)},
            [("metadef_object.create", "o")],
        ),
        (
            {"associations": (Association(name="OS::Nova::Flavor", created_at=NOON, updated_at=NOON),)},
            {},
            [("metadef_resource_type.delete", "OS::Nova::Flavor")],
        ),
    ],
)
def test_each_part_of_a_namespace_that_changes_is_told(
    told: Told, before: dict[str, Any], after: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    found = told.of("metadef_namespace.update", a_namespace(**before), a_namespace(**after))
    assert [(event_type, payload.get("name", payload["namespace"])) for event_type, payload in found] == expected


def test_emptying_a_namespace_is_one_event(told: Told) -> None:
    before = a_namespace(tags=(tag("a"), tag("b")))
    assert types(told.of("metadef_namespace.delete_tags", before, a_namespace())) == ["metadef_namespace.delete_tags"]

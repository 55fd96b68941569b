from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from contracts.instances.registry import an_instance
from headwater.activity.journal import Journal
from headwater.activity.notifications.event import Event
from headwater.database.engine import Database
from headwater.errors import Forbidden, NotFound
from headwater.identity.caller import Caller
from headwater.identity.policy.engine import Policy
from headwater.identity.settings import PolicySettings
from headwater.instances.api.errors import NoSuchInstance, RevisionDiffers, Taken
from headwater.instances.api.notices import InstanceNotices
from headwater.instances.api.service import ProjectInstances
from headwater.instances.errors import InstanceChanged
from headwater.instances.lists.rows import InstanceLists
from headwater.instances.lists.wanted import EVERY
from headwater.instances.registry.rows import InstanceRows
from headwater.server.apis.policies import BY_NAME
from templates import sqlite_catalogue

MEMBER = Caller(user_id="ann", project_id="a", roles=frozenset({"member", "reader"}))
OTHER = Caller(user_id="bob", project_id="b", roles=frozenset({"member", "reader"}))
NOWHERE = Caller(user_id="eve", roles=frozenset({"member", "reader"}))
ADMIN = Caller(user_id="root", project_id="ops", roles=frozenset({"admin", "member", "reader"}))
OPEN = '"set_instance_addresses": "role:admin or (role:member and project_id:%(project_id)s)"\n'


class NoImages:
    """A service without images."""

    def find(self, id_or_name: str) -> tuple[str, str]:
        raise NotFound(id_or_name)

    def used(self, image_id: str) -> None:
        raise AssertionError(image_id)


class Told:
    """Who is told, where events are kept, and what happens just before a change is read."""

    publisher = "here"

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.fails = False

    def tells(self, event_type: str) -> bool:
        return event_type.startswith("instance.")

    def keep(self, _connection: Any, events: Sequence[Event]) -> None:
        if self.fails:
            raise ConnectionResetError
        self.events += events


class Racing(InstanceRows):
    """A registry in which somebody else is faster."""

    before_a_change: Callable[[], object] | None = None

    def get(self, id_or_name: str) -> Any:
        work, self.before_a_change = self.before_a_change, None
        if work is not None:
            work()
        return super().get(id_or_name)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(sqlite_catalogue(tmp_path / "catalogue.db"))
    yield database
    database.close()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def registry(database: Database) -> Racing:
    return Racing(database)


def service(registry: InstanceRows, database: Database, told: Told, policy: Path | None = None) -> ProjectInstances:
    return ProjectInstances(
        registry,
        InstanceLists(database),
        images=lambda _: NoImages(),
        rules=Policy(PolicySettings(file=policy), BY_NAME),
        journal=Journal([InstanceNotices(told)]),
        outbox=lambda: told,
    )


@pytest.fixture
def instances(registry: Racing, database: Database, told: Told) -> ProjectInstances:
    return service(registry, database, told)


def test_a_change_that_names_no_revision_is_made_of_what_is_there_when_another_was_faster(
    instances: ProjectInstances, registry: Racing
) -> None:
    made = instances.add(MEMBER, {"name": "web1", "meta": {"a": "1"}})
    registry.before_a_change = lambda: instances.change(ADMIN, made.id, {"meta": {"b": "2"}}, revision=None)
    changed = instances.change(MEMBER, "web1", {"meta": {"c": "3"}}, revision=None)
    assert (changed.meta, changed.revision) == ({"a": "1", "b": "2", "c": "3"}, 2)


@pytest.mark.parametrize(("patch", "revision"), [({"revision": 0}, None), ({}, 0)], ids=["in the patch", "beside it"])
def test_a_change_that_names_a_revision_is_not_made_of_another(
    instances: ProjectInstances, registry: Racing, patch: dict[str, Any], revision: int | None
) -> None:
    made = instances.add(MEMBER, {"name": "web1"})
    registry.before_a_change = lambda: instances.change(ADMIN, made.id, {"meta": {"b": "2"}}, revision=None)
    with pytest.raises(InstanceChanged):
        instances.change(MEMBER, "web1", {"meta": {"c": "3"}, **patch}, revision=revision)
    with pytest.raises((RevisionDiffers, InstanceChanged)):
        instances.change(MEMBER, "web1", {"meta": {"c": "3"}, **patch}, revision=revision)
    assert instances.get(MEMBER, "web1").meta == {"b": "2"}


def test_what_is_given_to_another_project_meanwhile_is_not_removed(
    instances: ProjectInstances, registry: Racing
) -> None:
    made = instances.add(MEMBER, {"name": "web1"})
    registry.before_a_change = lambda: instances.change(ADMIN, made.id, {"project_id": "b"}, revision=None)
    with pytest.raises(InstanceChanged):
        instances.remove(MEMBER, "web1", revision=None)
    with pytest.raises(NoSuchInstance):
        instances.remove(MEMBER, "web1", revision=None)
    assert instances.get(OTHER, "web1").id == made.id


def test_nothing_is_changed_that_cannot_be_told(instances: ProjectInstances, told: Told) -> None:
    made = instances.add(MEMBER, {"name": "web1"})
    told.fails = True
    with pytest.raises(ConnectionResetError):
        instances.add(MEMBER, {"name": "web2"})
    with pytest.raises(ConnectionResetError):
        instances.change(MEMBER, "web1", {"hostname": "other"}, revision=None)
    with pytest.raises(ConnectionResetError):
        instances.remove(MEMBER, "web1", revision=None)
    assert instances.get(MEMBER, "web1") == made
    assert [head.name for head in instances.page(ADMIN, EVERY, after=None, limit=9).found] == ["web1"]


def test_a_change_that_changes_nothing_is_told_to_nobody(instances: ProjectInstances, told: Told) -> None:
    made = instances.add(MEMBER, {"name": "web1", "user_data": "hunter2"})
    assert instances.change(MEMBER, "web1", {"name": "web1", "revision": 0}, revision=0) == made
    instances.remove(MEMBER, made.id, revision=0)
    assert [(event.type, event.project_id, event.payload["deleted"]) for event in told.events] == [
        ("instance.create", "a", False),
        ("instance.delete", "a", True),
    ]
    assert "hunter2" not in str([event.to_dict() for event in told.events])


def test_who_has_no_project_has_no_instances(instances: ProjectInstances, registry: Racing) -> None:
    instances.add(MEMBER, {"name": "web1"})
    registry.add(an_instance("of nobody"))
    with pytest.raises(Forbidden):
        instances.page(NOWHERE, EVERY, after=None, limit=9)
    with pytest.raises(NoSuchInstance):
        instances.get(NOWHERE, "of nobody")
    with pytest.raises(Forbidden):
        instances.add(NOWHERE, {"name": "web2"})
    assert instances.get(ADMIN, "of nobody").project_id is None


def test_members_set_addresses_where_the_policy_says_so(
    registry: Racing, database: Database, told: Told, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(OPEN)
    instances = service(registry, database, told, policy)
    instances.add(MEMBER, {"name": "web1", "addresses": ["10.0.0.1"]})
    other = instances.add(OTHER, {"name": "web2"})
    with pytest.raises(Taken, match=r"10\.0\.0\.1 belongs to another instance already") as refused:
        instances.change(OTHER, "web2", {"addresses": ["::ffff:10.0.0.1"]}, revision=None)
    assert "web1" not in str(refused.value)
    assert instances.get(OTHER, "web2") == other

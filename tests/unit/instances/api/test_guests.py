"""What callers learn of guests: each project of its own, registered or of the cloud."""

from __future__ import annotations

import pytest

from headwater.activity.journal import Entry as Said
from headwater.activity.journal import Journal
from headwater.database.engine import Database
from headwater.errors import Forbidden
from headwater.identity.caller import Caller
from headwater.identity.policy.engine import Policy
from headwater.identity.settings import PolicySettings
from headwater.instances.api.errors import NoSuchInstance
from headwater.instances.api.guests import ProjectGuests
from headwater.instances.boot_log.entries import Entry
from headwater.instances.boot_log.rows import VisitRows
from headwater.instances.model import Instance
from headwater.instances.password.rows import OF_CLOUD, PasswordRows
from headwater.instances.registry.rows import InstanceRows
from headwater.instances.sources.guests import Guests, SeveralMeant
from headwater.instances.sources.openstack.rows import CloudRows
from headwater.instances.sources.openstack.told import Told
from headwater.server.apis.policies import BY_NAME
from unit.instances.api.test_service import ADMIN, MEMBER, NOWHERE, OTHER, Racing, service
from unit.instances.api.test_service import Told as Receivers

READER = Caller(user_id="rod", project_id="a", roles=frozenset({"reader"}))
OF_CLOUD_ID, TWIN, REGISTERED = (f"b65cee2f-8c69-4aeb-be2f-f7970000000{number}" for number in range(3))


class Heard:
    """A listener of the journal."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str, bool]] = []

    def moved(self, _: Said) -> tuple[()]:
        return ()

    def ended(self, entry: Said, error: BaseException | None) -> None:
        self.entries.append((entry.action, entry.named["instance"], error is None))


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def guests(database: Database, heard: Heard) -> ProjectGuests:
    for number, project in ((OF_CLOUD_ID, "a"), (TWIN, "b")):
        instance = Instance(id=number, name="web", hostname="h", created_at=1, updated_at=1, project_id=project)
        told = Told(instance=instance, replaced=None, changed_at=1, loaded_at=1)
        CloudRows(database).write([(told, True)])
        PasswordRows(database, of=OF_CLOUD).put(number, f"of {project}")
    registered = Instance(id=REGISTERED, name="db", hostname="h", created_at=1, updated_at=1, project_id="a")
    InstanceRows(database).add(registered)
    PasswordRows(database).put(REGISTERED, "of db")
    entry = Entry(at=1, method="GET", document="ec2", status=200, ms=1, sent=3, complete=True, token=False, agent="x")
    VisitRows(database).add({OF_CLOUD_ID: [entry], REGISTERED: [entry, entry]})
    instances = service(Racing(database), database, Receivers())
    rules = Policy(PolicySettings(), BY_NAME)
    return ProjectGuests(instances, Guests(database), rules=rules, journal=Journal([heard]))


def test_a_project_has_what_its_own_guests_posted_and_fetched(guests: ProjectGuests) -> None:
    for caller in (MEMBER, READER):
        assert [guests.password(caller, name) for name in ("web", OF_CLOUD_ID, "db")] == ["of a", "of a", "of db"]
        assert [len(guests.boot_log(caller, name)[1]) for name in (OF_CLOUD_ID.upper(), "db")] == [1, 2]
    assert guests.password(OTHER, "web") == "of b"
    assert guests.password(ADMIN, TWIN) == "of b"
    with pytest.raises(SeveralMeant, match=TWIN):
        guests.password(ADMIN, "web")


@pytest.mark.parametrize("wanted", [OF_CLOUD_ID, "db", "nothing", REGISTERED, "a\0"])
@pytest.mark.parametrize("caller", [OTHER, NOWHERE], ids=["other", "nowhere"])
def test_what_is_anothers_looks_as_if_it_were_not_there(guests: ProjectGuests, caller: Caller, wanted: str) -> None:
    for use in (guests.password, guests.clear_password, guests.boot_log):
        with pytest.raises(NoSuchInstance) as refused:
            use(caller, wanted)
        assert str(refused.value) == f"there is no instance {wanted!r} among those that you may see"


def test_a_password_is_taken_away_by_members_and_the_journal_hears_of_it(guests: ProjectGuests, heard: Heard) -> None:
    for name in (OF_CLOUD_ID, REGISTERED):
        with pytest.raises(Forbidden):
            guests.clear_password(READER, name)
        guests.clear_password(MEMBER, name)
        assert guests.password(MEMBER, name) is None
        guests.clear_password(MEMBER, name)
    action = "instance.password.delete"
    assert heard.entries[:2] == [(action, OF_CLOUD_ID, False), (action, OF_CLOUD_ID, True)]
    assert guests.password(OTHER, TWIN) == "of b"

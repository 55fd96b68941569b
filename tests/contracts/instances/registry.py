"""What the registry of instances promises on every database."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace

import pytest

from headwater.database.engine import Database
from headwater.instances.errors import (
    InstanceChanged,
    InstanceExists,
    InstanceNotFound,
    InstanceTooLarge,
    UserDataTooLarge,
)
from headwater.instances.keys import Key
from headwater.instances.lists.rows import InstanceLists
from headwater.instances.model import Instance
from headwater.instances.registry.editions import Edition
from headwater.instances.registry.hardware import Identifier, Kind
from headwater.instances.registry.rows import RECORD_LIMIT, InstanceRows

NOON = 1_700_000_000_000_000


def an_instance(name: str, *addresses: str, **fields: object) -> Instance:
    """Return an instance with a new id."""
    given = {"id": str(uuid.uuid4()), "created_at": NOON, "updated_at": NOON, "hostname": "web", **fields}
    return Instance.from_dict({"name": name, "addresses": list(addresses), **given})


class RegistryContract:
    """To run it on a database: subclass, and give a ``database`` fixture with the newest schema and no instance."""

    @pytest.fixture
    def registry(self, database: Database) -> InstanceRows:
        return InstanceRows(database)

    def test_an_instance_comes_back_as_it_was(self, registry: InstanceRows) -> None:
        instance = replace(
            an_instance("Web ☃ 1", "10.0.0.5", "2001:db8::5"),
            keys=(Key(name="me", data="ssh-ed25519 AAAA me"),),
            user_data=bytes(range(256)),
            vendor_data={"cloud-init": "#cloud-config\n", "nested": [1, None, {"snow": "☃\0"}]},
            meta={"role": "web", "empty": ""},
        )
        registry.add(instance)
        assert registry.get(instance.id) == instance
        assert registry.get("Web ☃ 1") == instance

    def test_an_id_is_found_in_upper_case_too(self, registry: InstanceRows) -> None:
        instance = an_instance("web1")
        registry.add(instance)
        assert registry.get(instance.id.upper()) == instance

    @pytest.mark.parametrize("wanted", ["web2", "WEB1", "web1 ", "", "web\0", "\udcff", "' OR 1=1 --", "x" * 5000])
    def test_what_is_not_there_is_not_found(self, registry: InstanceRows, wanted: str) -> None:
        registry.add(an_instance("web1"))
        with pytest.raises(InstanceNotFound):
            registry.get(wanted)
        with pytest.raises(InstanceNotFound):
            registry.remove(wanted)

    def test_each_address_leads_to_its_instance(self, registry: InstanceRows) -> None:
        one, two = an_instance("one", "10.0.0.1", "2001:db8::1"), an_instance("two", "10.0.0.2")
        registry.add(one)
        registry.add(two)
        assert registry.by_address("2001:db8::1") == one
        assert registry.by_address("10.0.0.2") == two
        assert registry.by_address("10.0.0.3") is None
        assert registry.editions.at(["10.0.0.1", "10.0.0.3"]) == {
            "10.0.0.1": Edition(instance_id=one.id, revision=0, updated_at=NOON)
        }

    def test_the_same_address_on_two_networks_leads_to_two_instances(self, registry: InstanceRows) -> None:
        there = [an_instance(name, f"{name}/10.0.0.5", "10.0.0.6") for name in ("blue",)]
        there += [an_instance("red", "red/10.0.0.5"), an_instance("none", "10.0.0.5")]
        for each in there:
            registry.add(each)
        found = [registry.by_address(address) for address in ("blue/10.0.0.5", "red/10.0.0.5", "10.0.0.5", "10.0.0.6")]
        assert found == [*there, there[0]]
        addresses = ["red/10.0.0.5", "10.0.0.5", "green/10.0.0.5", "blue/10.0.0.6", "Blue/10.0.0.5"]
        editions = registry.editions.at(addresses)
        assert {address: edition.instance_id for address, edition in editions.items()} == {
            "red/10.0.0.5": there[1].id,
            "10.0.0.5": there[2].id,
        }
        with pytest.raises(InstanceExists, match=r"address red/10\.0\.0\.5 .*'red'"):
            registry.add(an_instance("late", "red/10.0.0.5"))
        moved = registry.replace(replace(there[0], addresses=("green/10.0.0.5",)), at=NOON + 1)
        assert registry.by_address("green/10.0.0.5") == moved
        assert registry.by_address("blue/10.0.0.5") is None

    def test_hardware_leads_to_its_instance(self, registry: InstanceRows) -> None:
        one = an_instance("one", serial="S-1", devices=[{"type": "nic", "mac": "fa:16:3e:00:00:01"}])
        network_data = {
            "links": [{"id": "a", "type": "phy", "ethernet_mac_address": "fa:16:3e:00:00:02"}],
            "services": [],
            "networks": [],
        }
        two = an_instance("two", devices=[{"type": "nic", "mac": "fa:16:3e:00:00:03"}], network_data=network_data)
        for each in (one, two):
            registry.add(each)

        def known_by(kind: Kind, *values: str) -> str | None:
            edition = registry.editions.known_by(Identifier(kind, values))
            return None if edition is None else edition.instance_id

        assert known_by("serial", "S-1") == known_by("mac", "fa:16:3e:00:00:01") == one.id
        assert [known_by("mac", f"fa:16:3e:00:00:0{n}") for n in (2, 3, 4)] == [two.id, two.id, None]
        assert known_by("serial", "s-1") is None
        swapped = "00000000-0000-4000-8000-000000000000"
        assert known_by("uuid", swapped, one.id) == known_by("uuid", one.id) == one.id
        assert known_by("uuid", one.id, two.id) is None  # which of them, nobody can tell
        shared = registry.replace(replace(two, devices=one.devices, serial="S-2"), at=NOON + 1)
        assert known_by("mac", "fa:16:3e:00:00:01") is None
        assert known_by("mac", "fa:16:3e:00:00:03") is None
        assert known_by("serial", "S-2") == two.id
        with pytest.raises(InstanceExists, match=r"serial S-1 .*'one'"):
            registry.replace(replace(shared, serial="S-1"), at=NOON + 2)
        with pytest.raises(InstanceExists, match=r"serial S-1 .*'one'"):
            registry.add(an_instance("three", serial="S-1"))
        registry.remove("one")
        assert known_by("mac", "fa:16:3e:00:00:01") == two.id
        assert known_by("serial", "S-1") is None

    def test_a_taken_address_is_refused_and_says_whose_it_is(self, registry: InstanceRows) -> None:
        registry.add(an_instance("one", "10.0.0.1"))
        with pytest.raises(InstanceExists, match=r"address 10\.0\.0\.1 .*'one'"):
            registry.add(an_instance("two", "10.0.0.2", "10.0.0.1"))
        with pytest.raises(InstanceNotFound):
            registry.get("two")
        assert registry.by_address("10.0.0.2") is None

    def test_a_taken_name_or_id_is_refused(self, registry: InstanceRows) -> None:
        one = an_instance("one")
        registry.add(one)
        with pytest.raises(InstanceExists, match="name one"):
            registry.add(an_instance("one"))
        with pytest.raises(InstanceExists, match=f"id {one.id}"):
            registry.add(replace(an_instance("two"), id=one.id))

    def test_names_differ_by_case(self, registry: InstanceRows) -> None:
        registry.add(an_instance("web"))
        registry.add(an_instance("WEB"))
        assert [registry.get(name).name for name in ("WEB", "web")] == ["WEB", "web"]

    def test_a_change_counts_the_revision_and_keeps_what_was_before(self, registry: InstanceRows) -> None:
        first = an_instance("web1", "10.0.0.1")
        registry.add(first)
        changed = registry.replace(replace(first, name="web2", addresses=("10.0.0.2",)), at=NOON + 5)
        assert (changed.revision, changed.updated_at, changed.created_at) == (1, NOON + 5, NOON)
        record = registry.record(first.id)
        assert (record.instance, record.replaced) == (changed, first)
        assert registry.by_address("10.0.0.1") is None
        assert registry.editions.at(["10.0.0.2"]) == {
            "10.0.0.2": Edition(instance_id=first.id, revision=1, updated_at=NOON + 5)
        }

    def test_of_two_changes_of_one_revision_the_second_is_refused(self, registry: InstanceRows) -> None:
        first = an_instance("web1")
        registry.add(first)
        registry.replace(replace(first, hostname="a"), at=NOON + 1)
        with pytest.raises(InstanceChanged):
            registry.replace(replace(first, hostname="b"), at=NOON + 2)
        assert registry.get("web1").hostname == "a"

    def test_a_change_cannot_take_what_is_anothers(self, registry: InstanceRows) -> None:
        one, two = an_instance("one", "10.0.0.1"), an_instance("two", "10.0.0.2")
        registry.add(one)
        registry.add(two)
        with pytest.raises(InstanceExists, match="address"):
            registry.replace(replace(two, addresses=("10.0.0.1",)), at=NOON)
        with pytest.raises(InstanceExists, match="name"):
            registry.replace(replace(two, name="one"), at=NOON)
        assert registry.get("two") == two

    def test_a_change_of_what_was_removed_is_refused(self, registry: InstanceRows) -> None:
        one = an_instance("one")
        registry.add(one)
        registry.remove("one")
        with pytest.raises(InstanceNotFound):
            registry.replace(one, at=NOON)

    def test_removing_frees_the_name_and_the_addresses(self, registry: InstanceRows) -> None:
        one = an_instance("one", "10.0.0.1")
        registry.add(one)
        assert registry.remove("one") == one
        assert registry.by_address("10.0.0.1") is None
        registry.add(an_instance("one", "10.0.0.1"))

    def test_too_much_user_data_is_refused(self, database: Database) -> None:
        small = InstanceRows(database, user_data_limit=10)
        small.add(replace(an_instance("fits"), user_data=b"x" * 10))
        with pytest.raises(UserDataTooLarge, match="11 bytes"):
            small.add(replace(an_instance("not"), user_data=b"x" * 11))

    def test_a_record_without_measure_is_refused(self, registry: InstanceRows) -> None:
        with pytest.raises(InstanceTooLarge):
            registry.add(replace(an_instance("big"), vendor_data={"x": "y" * RECORD_LIMIT}))

    def test_of_many_who_register_one_address_at_once_one_wins(
        self, database: Database, registry: InstanceRows
    ) -> None:
        outcomes: list[str] = []
        start = threading.Barrier(6)

        def register(number: int) -> None:
            start.wait()
            try:
                registry.add(an_instance(f"web{number}", "10.0.0.9"))
            except InstanceExists:
                outcomes.append("refused")
            else:
                outcomes.append("added")

        threads = [threading.Thread(target=register, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["added", *["refused"] * 5]
        assert len(InstanceLists(database).page().found) == 1

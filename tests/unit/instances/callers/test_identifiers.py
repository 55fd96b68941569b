from __future__ import annotations

from dataclasses import replace

import pytest

from headwater.errors import NotFound
from headwater.instances.callers.asking import Caller, asked
from headwater.instances.callers.identifiers import identifier_in
from headwater.instances.devices import Disk, Nic
from headwater.instances.errors import IdentifierUnknown, InstanceInvalid, SeedUnknown
from headwater.instances.registry.hardware import Identifier, macs_of
from unit.instances.examples import WEB_1

UUID = "b65cee2f-8c69-4aeb-be2f-f79742548fc2"
SWAPPED = "2fee5cb6-698c-eb4a-be2f-f79742548fc2"


@pytest.mark.parametrize(
    ("path", "kind", "values", "rest"),
    [
        (f"/seed/uuid/{UUID}/meta-data", "uuid", (UUID, SWAPPED), "meta-data"),
        (f"/seed/uuid/{UUID.upper()}/", "uuid", (UUID, SWAPPED), ""),
        (f"/seed/uuid/{SWAPPED}/v1/user-data", "uuid", (SWAPPED, UUID), "v1/user-data"),
        (f"/seed/uuid/{UUID}", "uuid", (UUID, SWAPPED), ""),
        ("/seed/serial/VMware-42 0f/meta-data", "serial", ("VMware-42 0f",), "meta-data"),
        ("/seed/mac/FA-16-3E-9C-BF-3D/user-data", "mac", ("fa:16:3e:9c:bf:3d",), "user-data"),
        ("/seed/mac/fa163e9cbf3d/user-data", "mac", ("fa:16:3e:9c:bf:3d",), "user-data"),
    ],
)
def test_a_path_names_a_machine_by_its_hardware(path: str, kind: str, values: tuple[str, ...], rest: str) -> None:
    found = identifier_in(path)
    assert found is not None
    assert (found[0].kind, found[0].values, found[1]) == (kind, values, rest)


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/seed/uuid/",
            "/seed/uuid//meta-data",
            "/seed/uuid/x/meta-data",
            f"/seed/uuid/{{{UUID}}}/",
            "/seed/mac/web1/",
        ),
        *(
            "/seed/mac//meta-data",
            "/seed/serial//meta-data",
            "/seed/serial/ a/",
            "/seed/serial/../",
            "/seed/serial/a\0/",
        ),
        f"/seed/serial/{'x' * 65}/",
    ],
)
def test_what_no_machine_has_is_not_found(path: str) -> None:
    with pytest.raises(IdentifierUnknown):
        identifier_in(path)


@pytest.mark.parametrize(
    "path", ["/seed/", "/seed/uuid", f"/seed/{'a' * 32}/meta-data", "/latest/seed/uuid/x", "/seed/UUID/x/"]
)
def test_other_paths_are_of_another_kind(path: str) -> None:
    assert identifier_in(path) is None


def test_only_where_machines_may_say_who_they_are_is_it_heard() -> None:
    path = f"/seed/uuid/{UUID}/meta-data"

    def asks(*, trusted: bool) -> tuple[Caller, str]:
        return asked(path, ("10.0.0.5", 1), lambda _: (), only=None, signed=None, network="blue", trusted=trusted)

    assert asks(trusted=True) == (Caller(identifier=Identifier("uuid", (UUID, SWAPPED))), "nocloud/meta-data")
    with pytest.raises(SeedUnknown) as refused:
        asks(trusted=False)
    with pytest.raises(NotFound) as never_there:
        asked("/seed/nothing/x", ("10.0.0.5", 1), lambda _: (), only=None, signed=None)
    assert str(refused.value) == str(never_there.value)


def test_mac_addresses_are_those_of_devices_and_links_also_as_older_versions_kept_them() -> None:
    links = [
        {"ethernet_mac_address": "FA-16-3E-00-00-01"},
        {"vlan_mac_address": "fa:16:3e:00:00:02", "ethernet_mac_address": 7},
        {"ethernet_mac_address": "nonsense"},
        "no link",
    ]
    machine = replace(WEB_1, devices=(Nic(mac="fa:16:3e:00:00:03"), Disk(serial="x")), network_data=None)
    object.__setattr__(machine, "network_data", {"links": links})
    assert macs_of(machine) == {f"fa:16:3e:00:00:0{n}" for n in (1, 2, 3)}
    assert macs_of(replace(WEB_1, devices=(), network_data=None)) == frozenset()


@pytest.mark.parametrize(
    "serial", ["", " x", "x ", "a/b", "a?b", "a#b", "a%20b", ".", "..", "x" * 65, "ü", "a\nb", "a\x7f"]
)
def test_a_serial_that_no_url_holds_as_it_is_is_refused(serial: str) -> None:
    with pytest.raises(InstanceInvalid, match="serial"):
        replace(WEB_1, serial=serial)


@pytest.mark.parametrize("serial", ["x", "VMware-42 0f 8a", "ABC123.", "...", "x" * 64])
def test_other_serials_are_taken(serial: str) -> None:
    assert replace(WEB_1, serial=serial).serial == serial

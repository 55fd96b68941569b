"""The base set is what Glance 33 brings: names, resource types and counts by its table (spec of the Image API, 11).

But where Nova reads something else than Glance says, it is what Nova reads; what Glance does not name stands in a
namespace of its own, ``OS::Compute::ImageProperties``.
"""

from __future__ import annotations

import msgspec
import pytest

from headwater.images.metadefs.loading import BASE, read_directory
from headwater.images.metadefs.model import Association, Namespace

IMAGE, VOLUME, FLAVOR, AGGREGATE, SERVER = (
    "OS::Glance::Image",
    "OS::Cinder::Volume",
    "OS::Nova::Flavor",
    "OS::Nova::Aggregate",
    "OS::Nova::Server",
)
# Namespace: resource types with prefix and target, properties, objects, properties in objects.
TABLE: dict[str, tuple[list[tuple[str, str | None, str | None]], int, int, int]] = {
    "CIM::ProcessorAllocationSettingData": (
        [
            (VOLUME, "CIM_PASD_", "image"),
            (IMAGE, "CIM_PASD_", None),
            (AGGREGATE, "CIM_PASD_", None),
            (FLAVOR, "CIM_PASD_", None),
            (SERVER, None, "scheduler_hints"),
        ],
        3,
        0,
        0,
    ),
    "CIM::ResourceAllocationSettingData": (
        [(VOLUME, "CIM_RASD_", "image"), (AGGREGATE, "CIM_RASD_", None), (FLAVOR, "CIM_RASD_", None)],
        19,
        0,
        0,
    ),
    "CIM::StorageAllocationSettingData": (
        [(VOLUME, "CIM_SASD_", None), (AGGREGATE, "CIM_SASD_", None), (FLAVOR, "CIM_SASD_", None)],
        13,
        0,
        0,
    ),
    "CIM::VirtualSystemSettingData": ([(AGGREGATE, "CIM_VSSD_", None), (FLAVOR, "CIM_VSSD_", None)], 17, 0, 0),
    "OS::Cinder::Volumetype": ([(IMAGE, "cinder_", None)], 1, 0, 0),
    "OS::Compute::AggregateDiskFilter": ([(AGGREGATE, None, None)], 1, 0, 0),
    "OS::Compute::AggregateIoOpsFilter": ([(AGGREGATE, None, None)], 1, 0, 0),
    "OS::Compute::AggregateNumInstancesFilter": ([(AGGREGATE, None, None)], 1, 0, 0),
    "OS::Compute::CPUPinning": ([(IMAGE, "hw_", None), (VOLUME, "hw_", "image"), (FLAVOR, "hw:", None)], 2, 0, 0),
    "OS::Compute::GuestMemoryBacking": (
        [(FLAVOR, "hw:", None), (IMAGE, "hw_", None), (VOLUME, "hw_", "image")],
        1,
        0,
        0,
    ),
    "OS::Compute::GuestShutdownBehavior": ([(IMAGE, None, None)], 1, 0, 0),
    "OS::Compute::HostCapabilities": (
        [(FLAVOR, "capabilities:", None), (AGGREGATE, "aggregate_instance_extra_specs:", None)],
        7,
        0,
        0,
    ),
    "OS::Compute::Hypervisor": ([(IMAGE, None, None)], 2, 0, 0),
    "OS::Compute::ImageProperties": ([(IMAGE, None, None)], 35, 0, 0),
    "OS::Compute::InstanceData": ([(IMAGE, None, None), (VOLUME, None, "image")], 2, 0, 0),
    "OS::Compute::LibvirtImage": ([(IMAGE, None, None)], 17, 0, 0),
    "OS::Compute::Libvirt": ([(IMAGE, "hw_", None), (FLAVOR, "hw:", None)], 5, 0, 0),
    "OS::Compute::Quota": ([(FLAVOR, None, None)], 0, 3, 15),
    "OS::Compute::RandomNumberGenerator": ([(FLAVOR, None, None)], 3, 0, 0),
    "OS::Compute::VirtCPUTopology": (
        [(IMAGE, "hw_", None), (VOLUME, "hw_", "image"), (FLAVOR, "hw:", None)],
        6,
        0,
        0,
    ),
    "OS::Compute::VMwareFlavor": ([(FLAVOR, None, None)], 2, 0, 0),
    "OS::Compute::VMwareQuotaFlavor": ([(FLAVOR, None, None)], 2, 0, 0),
    "OS::Compute::VMware": ([(IMAGE, None, None)], 6, 0, 0),
    "OS::Compute::TPM": ([(FLAVOR, "hw:", None), (IMAGE, "hw_", None)], 2, 0, 0),
    "OS::Compute::VTPM": ([(FLAVOR, "trait:", None), (IMAGE, "trait:", None)], 2, 0, 0),
    "OS::Compute::Watchdog": ([(IMAGE, "hw_", None), (VOLUME, "hw_", "image"), (FLAVOR, "hw:", None)], 1, 0, 0),
    "OS::Compute::XenAPI": ([(IMAGE, None, None)], 1, 0, 0),
    "OS::Glance::CommonImageProperties": ([], 9, 0, 0),
    "OS::Glance::Signatures": ([(IMAGE, None, None)], 4, 0, 0),
    "OS::OperatingSystem": ([(IMAGE, None, None), (VOLUME, None, "image")], 3, 0, 0),
    "OS::Software::DBMS": (
        [(IMAGE, None, None), (VOLUME, None, "image"), (SERVER, None, "metadata"), ("OS::Trove::Instance", None, None)],
        0,
        12,
        34,
    ),
    "OS::Software::Runtimes": ([(IMAGE, None, None), (VOLUME, None, "image"), (SERVER, None, "metadata")], 0, 5, 5),
    "OS::Software::WebServers": ([(IMAGE, None, None), (VOLUME, None, "image"), (SERVER, None, "metadata")], 0, 3, 9),
}


@pytest.fixture(scope="module")
def base() -> dict[str, Namespace]:
    return {namespace.namespace: namespace for namespace in read_directory(BASE, 0)}


def test_there_is_every_namespace_and_no_other(base: dict[str, Namespace]) -> None:
    assert set(base) == set(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_a_namespace_has_what_the_table_says(base: dict[str, Namespace], name: str) -> None:
    def fact(association: Association) -> tuple[str, str | None, str | None]:
        return association.name, association.prefix, association.properties_target

    associations, properties, objects, inner = TABLE[name]
    namespace = base[name]
    assert [fact(each) for each in namespace.associations] == associations
    assert len(namespace.properties) == properties
    assert len(namespace.objects) == objects
    assert sum(len(each.properties) for each in namespace.objects) == inner


@pytest.mark.parametrize(
    ("namespace", "name", "values"),
    [
        ("OS::Compute::CPUPinning", "cpu_policy", {"shared", "dedicated", "mixed"}),
        ("OS::Compute::Libvirt", "mem_encryption_model", {"amd-sev", "amd-sev-es", "amd-sev-snp", "intel-tdx"}),
        (
            "OS::Compute::LibvirtImage",
            "hw_disk_bus",
            {"fdc", "ide", "sata", "scsi", "usb", "virtio", "xen", "lxc", "uml"},
        ),
        (
            "OS::Compute::LibvirtImage",
            "hw_vif_model",
            {
                *("e1000", "e1000e", "igb", "lan9118", "ne2k_pci", "netfront", "pcnet", "rtl8139", "spapr-vlan"),
                *("virtio", "vmxnet3"),
            },
        ),
    ],
    ids=["cpu-policy", "memory-encryption", "disk-bus", "vif-model"],
)
def test_values_are_those_that_nova_takes(
    base: dict[str, Namespace], namespace: str, name: str, values: set[str]
) -> None:
    # Source: Nova 34, objects/fields.py and virt/libvirt/vif.py.
    (definition,) = (each.definition for each in base[namespace].properties if each.name == name)
    assert set(definition["enum"]) == values


def test_everybody_sees_the_base_set_and_most_of_it_is_protected(base: dict[str, Namespace]) -> None:
    assert {namespace.visibility.value for namespace in base.values()} == {"public"}
    assert {namespace.owner for namespace in base.values()} == {"admin"}
    assert {name for name, namespace in base.items() if not namespace.protected} == {
        "OS::Compute::AggregateNumInstancesFilter",
        "OS::Glance::Signatures",
    }


def test_everything_is_explained_and_fits_its_own_type(base: dict[str, Namespace]) -> None:
    kinds: dict[str, type | tuple[type, ...]] = {
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "array": list,
    }
    for namespace in base.values():
        assert namespace.display_name
        assert 0 < len(namespace.description or "") <= 500
        definitions = {each.name: each.definition for each in namespace.properties}
        for group in namespace.objects:
            assert group.description
            definitions |= group.properties
        for name, definition in definitions.items():
            assert definition["title"], name
            assert definition["description"], name
            if "default" in definition:
                assert isinstance(definition["default"], kinds[definition["type"]]), name


def test_common_image_properties_are_those_of_the_table(base: dict[str, Namespace]) -> None:
    assert [each.name for each in base["OS::Glance::CommonImageProperties"].properties] == [
        "kernel_id",
        "ramdisk_id",
        "instance_uuid",
        "architecture",
        "os_distro",
        "os_version",
        "description",
        "cinder_encryption_key_id",
        "cinder_encryption_key_deletion_policy",
    ]


def test_the_files_are_written_as_json_that_people_can_read() -> None:
    for file in BASE.glob("*.json"):
        text = file.read_text(encoding="utf-8")
        assert text.endswith("}\n")
        assert max(len(line) for line in text.splitlines()) <= 220, file.name
        assert isinstance(msgspec.json.decode(text), dict)

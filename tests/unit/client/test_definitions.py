from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from headwater.cli.commands.images.definitions import shipped
from headwater.client.linting.definitions import RESOURCE, profile
from headwater.client.linting.lint import Level, Profile, lint
from headwater.images.metadefs.loading import BASE

SHIPPED = shipped()
ERROR, ADVICE = Level.ERROR, Level.ADVICE


def found(image: dict[str, Any], by: Profile = SHIPPED) -> list[tuple[str, Level, str]]:
    """Return of each finding the property, the level and what would be right."""
    wrong = lint([{"id": "1", "name": "x", **image}], by, date(2026, 7, 20))
    return [(each.property, each.level, each.allowed) for each in wrong]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("hw_disk_buss", "hw_disk_bus"),
        ("hw_vif_modle", "hw_vif_model"),
        ("hw-disk-bus", None),
        ("HW_DISK_BUS", "hw_disk_bus"),
        ("hw_scsi_modell", "hw_scsi_model"),
        ("hw_firmware_typ", "hw_firmware_type"),
        ("hw_cpu_polcy", "hw_cpu_policy"),
        ("hw_qemu_guest_agnet", "hw_qemu_guest_agent"),
        ("hw_numa_node", "hw_numa_nodes"),
        ("os_secure_bot", "os_secure_boot"),
        ("os_requires_quiesce", "os_require_quiesce"),
        ("img_confg_drive", "img_config_drive"),
        ("img_signature_hash_methd", "img_signature_hash_method"),
        ("hypervisor_typ", "hypervisor_type"),
        ("vmware_disktyp", "vmware_disktype"),
    ],
)
def test_a_misspelt_name_is_an_error_and_the_nearest_is_told(name: str, meant: str | None) -> None:
    assert found({name: "virtio"}) == ([] if meant is None else [(name, ERROR, meant)])


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("hw_disk_bus", "viritio", "virtio"),
        ("hw_disk_bus", "Virtio", "virtio"),
        ("hw_vif_model", "e100", "e1000"),
        ("hw_firmware_type", "efi", "uefi"),
        ("hw_firmware_type", "legacy", "bios, uefi"),
        ("hw_cpu_policy", "dedicate", "dedicated"),
        ("hw_tpm_version", "3.0", "2.0"),
        ("hw_tpm_version", "<or> 1.2 <or> 2.0", "1.2, 2.0"),  # Nova takes no operators in images
        ("os_secure_boot", "yes", "disabled, optional, required"),
        ("hw_viommu_model", "smmu", "smmuv3"),
        ("hw_input_bus", "ps2", "usb, virtio"),
        ("hw_scsi_model", "virtio-scsii", "virtio-scsi"),
        ("hw_numa_nodes", "two", "a whole number from 1 on"),
        ("hw_numa_cpus.0", "0-", "CPUs such as 0-3,^1"),
        ("hw_numa_mem.1", "1G", "a whole number of MiB"),
        ("hypervisor_type", "powervm", "hyperv"),
        ("hypervisor_version_requires", "6.0", "conditions such as >=6.0,<8"),
        ("architecture", "arm64", "armv6"),
        ("hw_cpu_cores", "two", "a whole number"),
        ("hw_cpu_cores", "2.5", "a whole number"),
        ("hw_video_ram", "-1", "a whole number from 0 on"),
        ("hw_firmware_stateless", "perhaps", "false, true"),
        ("hw_pmu", "perhaps", "false, true"),
        ("img_config_drive", "madatory", "mandatory"),
        ("trait:HW_CPU_X86_AVX2", "requried", "required"),
    ],
)
def test_a_value_that_the_definition_does_not_have_is_an_error(name: str, value: str, right: str) -> None:
    assert found({name: value}) == [(name, ERROR, right)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hw_disk_bus", "virtio"),
        ("hw_disk_bus", "nvme"),
        ("hw_vif_model", "VirtualVmxnet3"),  # of another hypervisor
        ("hw_vif_model", "VIRTIO"),
        ("hw_vif_multiqueue_enabled", "True"),
        ("hw_qemu_guest_agent", "1"),
        ("hw_tpm_version", "2.0"),
        ("hw_viommu_model", "auto"),
        ("architecture", "amd64"),
        ("hypervisor_type", "XAPI"),
        ("os_type", "Windows"),
        ("img_type", "whole-disk"),
        ("hw_cpu_cores", "4"),
        ("hw_machine_type", "pc-q35-9.0"),
        ("hw_mem_page_size", "large"),
        ("hw_numa_nodes", "2"),
        ("hw_numa_cpus.0", "0-3"),
        ("hw_numa_mem.11", "512"),
        ("trait:CUSTOM_X", "required"),
        ("os_distro", "ubuntu"),
        ("os_version", "24.04"),
        ("os_purpose", "generic"),
        ("cinder_img_volume_type", "fast"),
        ("anything", "else"),
        ("owner_specified.openstack.md5", ""),
    ],
)
def test_what_is_right_or_none_of_its_business_is_passed_over(name: str, value: str) -> None:
    assert found({name: value}) == []


def test_what_nova_may_know_one_day_is_advice() -> None:
    assert found({"hw_quantum_bits": "7"}) == [("hw_quantum_bits", ADVICE, "what the metadata definitions name")]


def test_attributes_are_no_properties() -> None:
    image = {"disk_format": "raw", "min_ram": 1, "tags": ["hw_disk_buss"], "os_hidden": False, "protected": True}
    assert found(image) == []


def test_definitions_of_a_service_count_with_their_prefix_and_only_those_for_images() -> None:
    own = profile(
        [
            {
                "namespace": "Own",
                "resource_type_associations": [{"name": "OS::Glance::Image", "prefix": "hw_"}],
                "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}},
                "objects": [{"name": "o", "properties": {"weight": {"type": "number", "maximum": 2.5}}}],
            },
            {
                "namespace": "Flavors",
                "resource_type_associations": [{"name": "OS::Nova::Flavor"}],
                "properties": {"hw_shape": {"type": "string"}},
            },
        ]
    )
    assert found({"hw_colour": "red", "hw_weight": "2.5"}, own) == []
    assert found({"hw_colour": "ret"}, own) == [("hw_colour", ERROR, "red")]
    assert found({"hw_weight": "3"}, own) == [("hw_weight", ERROR, "a number, 2.5 at most")]
    assert [each[:2] for each in found({"hw_shape": "round"}, own)] == [("hw_shape", ADVICE)]
    assert found({"hw_color": "red"}, own) == [("hw_color", ERROR, "hw_colour")]


def test_what_nova_reads_holds_where_a_service_knows_it_less_well() -> None:
    # As Glance's own files have these.
    less = {
        "hw_disk_bus": {"type": "string", "enum": ["virtio", "mine"]},
        "hw_scsi_model": {"type": "string"},
        "hw_tpm_version": {"type": "string", "enum": ["1.2"], "operators": ["<or>"]},
        "hw_colour": {"type": "string", "enum": ["red"]},
    }
    theirs = [{"namespace": "Theirs", "resource_type_associations": [{"name": RESOURCE}], "properties": less}]
    ours = [json.loads(file.read_bytes()) for file in BASE.glob("*.json")]
    both = profile(theirs, beside=ours)
    right = {"hw_disk_bus": "mine", "hw_tpm_version": "2.0", "hw_colour": "red", "os_secure_boot": "required"}
    assert found(right, both) == []
    assert found({"hw_disk_bus": "sata"}, both) == []
    assert found({"hw_scsi_model": "virtio"}, both) == [("hw_scsi_model", ERROR, "virtio-scsi")]
    assert found({"hw_tpm_version": "<or> 1.2"}, both) == [("hw_tpm_version", ERROR, "1.2, 2.0")]
    assert found({"os_secure_bot": "required"}, both) == [("os_secure_bot", ERROR, "os_secure_boot")]


def test_no_defined_name_is_taken_for_another() -> None:
    for file in BASE.glob("*.json"):
        namespace = json.loads(file.read_bytes())
        for association in namespace.get("resource_type_associations", []):
            if association["name"] == "OS::Glance::Image":
                for name, definition in namespace.get("properties", {}).items():
                    value = definition.get("enum", [">=1" if name == "img_hv_requested_version" else "1"])[0]
                    assert found({f"{association.get('prefix') or ''}{name}": value}) == []


def test_hostile_definitions_and_values_end_soon() -> None:
    odd = profile(
        [{"resource_type_associations": [{"name": "OS::Glance::Image"}], "properties": {"hw_n": {"type": "integer"}}}]
    )
    assert found({"hw_n": "9" * 5000}, odd) == [("hw_n", ERROR, "a whole number")]
    assert [each[1] for each in found({"hw_" + "x" * 60000: "y" * 60000}, odd)] == [ADVICE]

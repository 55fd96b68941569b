"""What Nova makes of an image's properties beyond what a definition can say: former names, other spellings, forms.

Source: ``objects/image_meta.py`` and ``objects/fields.py`` of Nova 34.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# Properties that Nova, or another service, reads or writes itself, and that people do not choose.
READ: Final = frozenset(
    {
        "hw_numa_cpus",
        "hw_numa_mem",
        "img_bdm_v2",
        "img_block_device_mapping",
        "img_mappings",
        "img_owner_id",
        "img_root_device_name",
        "img_type",  # Ironic's: whole disk or partition
        # What standards and other services put beside them.
        "os_hash_algo",
        "os_hash_value",
        "os_hidden",
        "os_purpose",
    }
)
# What is taken under another name today: what a value has to be is said of that one.
FORMER: Final[Mapping[str, str]] = {
    "architecture": "hw_architecture",
    "hypervisor_type": "img_hv_type",
    "hypervisor_version_requires": "img_hv_requested_version",
    "vm_mode": "hw_vm_mode",
    "vmware_adaptertype": "hw_scsi_model",
    "xenapi_device_id": "hw_device_id",
    "xenapi_image_compression_level": "img_compression_level",
    "vmware_image_version": "img_version",
}
_ARCHITECTURES: Final = {
    **dict.fromkeys(("i386", "i486", "i586", "x86_32", "x86_32p"), "i686"),
    "amd64": "x86_64",
}
# Properties whose values may be in any case, and the words that Nova takes for others.
_SPELLINGS: Final[Mapping[str, Mapping[str, str]]] = {
    "hw_architecture": _ARCHITECTURES,
    "hw_emulation_architecture": _ARCHITECTURES,
    "hw_scsi_model": {"lsilogicsas": "lsisas1068", "paravirtual": "vmpvscsi"},
    "hw_vif_model": {
        "virtuale1000": "e1000",
        "virtuale1000e": "e1000e",
        "virtualpcnet32": "pcnet",
        "virtualsriovethernetcard": "sriov",
        "virtualvmxnet": "vmxnet",
        "virtualvmxnet3": "vmxnet3",
    },
    "hw_vm_mode": {"pv": "xen", "hv": "hvm", "baremetal": "hvm"},
    "img_hv_type": {"xapi": "xen"},
    "os_type": {},
}


@dataclass(frozen=True, slots=True)
class Form:
    """What a value that is no word of a list has to look like, and how that is said."""

    pattern: re.Pattern[str]
    says: str


_CPUS: Final = r"\s*\^?[0-9]{1,9}(?:-[0-9]{1,9})?\s*"
_CONDITION: Final = r"\s*(?:[<>]=?|[!=]=)\s*[0-9][0-9a-z.+-]{0,40}\s*"
FORMS: Final[Mapping[str, Form]] = {
    "img_hv_requested_version": Form(
        re.compile(f"{_CONDITION}(?:,{_CONDITION}){{0,15}}"), "conditions such as >=6.0,<8"
    ),
    "hw_numa_cpus.N": Form(re.compile(f"{_CPUS}(?:,{_CPUS}){{0,1023}}"), "CPUs such as 0-3,^1"),
    "hw_numa_mem.N": Form(re.compile(r"[0-9]{1,18}"), "a whole number of MiB"),
}
_NUMBERED: Final = re.compile(r"(hw_numa_(?:cpus|mem))\.[0-9]{1,3}")


def reads(name: str) -> bool:
    """Whether Nova, or another service, does something with a property of this name."""
    return name in READ or name in FORMER or present(name) in FORMS


def present(name: str) -> str:
    """Return the name under which Nova keeps what it reads from a property."""
    numbered = _NUMBERED.fullmatch(name)
    return f"{numbered[1]}.N" if numbered else FORMER.get(name, name)


def as_read(name: str, value: str) -> str:
    """Return the word that Nova takes a value for; ``name`` is a present one."""
    words = _SPELLINGS.get(name)
    return value if words is None else words.get(value.lower(), value.lower())

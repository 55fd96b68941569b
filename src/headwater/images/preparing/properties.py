"""The properties that an image should be given, by what is seen of it.

Source: OpenStack's useful image properties, and the metadata definitions of Nova's libvirt driver.
"""

from __future__ import annotations

from headwater.images.preparing.model import Guest, Seen

_GIB = 1 << 30
_AT_BOOT = ("built in", "initramfs")


def properties_for(seen: Seen) -> dict[str, str]:
    """Return properties by name; what could not be told is not among them."""
    disk, guest = seen.disk, seen.guest
    found = {"disk_format": disk.format, "min_disk": str(-(-disk.virtual_size // _GIB)), **disk.told}
    if disk.firmware in ("uefi", "bios"):
        found["hw_firmware_type"] = disk.firmware
    if guest is None:
        return dict(sorted(found.items()))
    found |= {"os_type": guest.type} if guest.type in ("linux", "windows") else {}
    said = {"os_distro": guest.distribution, "os_version": guest.version, "architecture": guest.architecture}
    found |= {name: value for name, value in said.items() if value is not None}
    found |= _devices(guest)
    if guest.guest_agent:
        found["hw_qemu_guest_agent"] = "yes"
    return dict(sorted(found.items()))


def _devices(guest: Guest) -> dict[str, str]:
    found: dict[str, str] = {}
    block, scsi = guest.virtio.get("virtio_blk", "unknown"), guest.virtio.get("virtio_scsi", "unknown")
    there = ("module",) if guest.type == "windows" else _AT_BOOT
    if block in there:
        found["hw_disk_bus"] = "virtio"
    elif scsi in there:
        found |= {"hw_disk_bus": "scsi", "hw_scsi_model": "virtio-scsi"}
    elif "unknown" not in (block, scsi):
        found["hw_disk_bus"] = "sata"
    network = guest.virtio.get("virtio_net", "unknown")
    if network != "unknown":
        found["hw_vif_model"] = "e1000" if network == "missing" else "virtio"
    return found

"""The standard SCS-0102 of the Sovereign Cloud Stack: what a public image says of itself.

Source: SCS-0102, versions 1.1 (stable) and 2 (draft: ``os_purpose`` is mandatory, and of generic images of one system
one is shown). For values of ``architecture``, ``os_distro`` and ``hypervisor_type`` it points to Glance's documents.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from headwater.client.linting.lint import Document, Level, Profile, Want, day_of, is_day

PURPOSES = ("generic", "minimal", "k8snode", "gpu", "network", "custom")
# How many days after it was built an image is to be replaced; None: at no certain time.
FREQUENCIES = {
    "yearly": 366,
    "quarterly": 92,
    "monthly": 31,
    "weekly": 7,
    "daily": 1,
    "critical_bug": None,
    "never": None,
}
_GRACE_DAYS = 3  # weekends and the like are no violation
_ARCHITECTURES = (
    "x86_64",
    "aarch64",
    "riscv64",
    "risc-v",
    "alpha",
    "armv7l",
    "cris",
    "i686",
    "ia64",
    "lm32",
    "m68k",
    "microblaze",
    "microblazeel",
    "mips",
    "mipsel",
    "mips64",
    "mips64el",
    "openrisc",
    "parisc",
    "parisc64",
    "ppc",
    "ppc64",
    "ppc64le",
    "ppcemb",
    "s390",
    "s390x",
    "sh4",
    "sh4eb",
    "sparc",
    "sparc64",
    "unicore32",
    "xtensa",
    "xtensaeb",
)
_HYPERVISORS = ("qemu", "kvm", "xen", "hyperv", "hyper-v", "vmware", "esxi", "lxc", "uml", "vz", "ironic", "baremetal")
_BUSES = ("scsi", "virtio", "uml", "xen", "ide", "usb", "fdc", "sata", "lxc", "nvme")
_DAY = "YYYY-MM-DD"
_GIB = 1 << 30
_LEAST_RAM = 64  # MiB: what people use boots with no less
_MUST, _SHOULD = Level.ERROR, Level.ADVICE


def _listed(name: str, values: Sequence[str], absent: Level | None = None) -> Want:
    return Want(property=name, allowed=", ".join(values), is_right=lambda value: value in values, absent=absent)


def _text(name: str, allowed: str, absent: Level | None = None) -> Want:
    return Want(property=name, allowed=allowed, is_right=lambda value: bool(value.strip()), absent=absent)


def _like(name: str, allowed: str, pattern: str, absent: Level | None = None) -> Want:
    form = re.compile(pattern)
    return Want(property=name, allowed=allowed, is_right=lambda value: bool(form.fullmatch(value)), absent=absent)


def _day_or(name: str, words: Sequence[str], pattern: str, absent: Level | None = None) -> Want:
    form = re.compile(pattern)
    return Want(
        property=name,
        allowed=", ".join((_DAY, *words)),
        is_right=lambda value: is_day(value) or bool(form.fullmatch(value)),
        absent=absent,
    )


def _boolean(name: str) -> Want:
    return Want(property=name, allowed="true, false", is_right=lambda value: value.lower() in ("true", "false"))


_WANTS = (
    _listed("architecture", _ARCHITECTURES, _MUST),
    _like("os_distro", "the name in lower case, such as ubuntu, debian, rocky", "[a-z0-9][a-z0-9.+_-]*", _MUST),
    _text("os_version", "a version, as a number where there is one: 24.04", _MUST),
    _listed("hw_disk_bus", _BUSES, _MUST),
    _listed("replace_frequency", tuple(FREQUENCIES), _MUST),
    _day_or("provided_until", ("none", "notice"), "none|notice", _MUST),
    _day_or("uuid_validity", ("none", "last-N", "notice", "forever"), "none|notice|forever|last-[0-9]+", _MUST),
    _like("image_source", "a URL (http, https, ftp, ftps), or private", r"private|(https?|ftps?)://\S+", _MUST),
    _text("image_description", "text or a URL: release notes, where it comes from", _MUST),
    Want(
        property="image_build_date",
        allowed=f"{_DAY} or {_DAY} hh:mm[:ss], in UTC",
        is_right=lambda value: day_of(value) is not None,
        absent=_MUST,
    ),
    _text("image_original_user", "the user to log in as, or none", _MUST),
    _like("hotfix_hours", "a number of hours, 0 or more", "[0-9]+"),
    _listed("hypervisor_type", _HYPERVISORS, _SHOULD),
    _listed("hw_rng_model", ("virtio",), _SHOULD),
    _listed("os_hash_algo", ("sha256", "sha512"), _SHOULD),
    _day_or("maintained_until", (), "(?!)"),
    _like("l1_support_contact", "a URI, such as https://… or mailto:…", r"[A-Za-z][A-Za-z0-9+.-]*:\S+"),
    *map(_boolean, ("license_included", "license_required", "subscription_included", "subscription_required")),
)

_Found = tuple[str, Level, str, str]


def _sizes(image: Document, _today: date) -> Iterator[_Found]:
    disk, ram = image.get("min_disk") or 0, image.get("min_ram") or 0
    least = math.ceil(max(image.get("virtual_size") or 0, image.get("size") or 0) / _GIB)
    if disk < max(least, 1):
        yield "min_disk", _MUST, f"is {disk}" if disk else "is missing", f"{max(least, 1)} (GiB) or more: as its disk"
    if not ram:
        yield "min_ram", _MUST, "is missing", "MiB with which it boots"
    elif ram < _LEAST_RAM:
        yield "min_ram", _SHOULD, f"is {ram}", f"{_LEAST_RAM} (MiB) or more"


def _dates(image: Document, today: date) -> Iterator[_Found]:
    built = day_of(str(image.get("image_build_date", "")))
    if built is None:
        return
    came = day_of(str(image.get("created_at", "")))
    if built > today or (came is not None and built > came):
        yield "image_build_date", _MUST, f"is {built}", "a day on which the image was not here yet"
        return
    days = FREQUENCIES.get(str(image.get("replace_frequency")))
    until = day_of(str(image.get("provided_until", "")))
    is_over = until is not None and until < today
    if days is None or is_over or image.get("os_hidden") or _is_dated(str(image.get("name") or "")):
        return
    if built + timedelta(days=days + _GRACE_DAYS) < today:
        problem = f"is {built}, and replace_frequency {image['replace_frequency']}"
        yield (
            "image_build_date",
            _MUST,
            problem,
            "a newer image under this name; hide this one, or rename it with a date",
        )


def _is_dated(name: str) -> bool:
    """Return whether a name ends with a date, as that of an image which was replaced."""
    return re.search(r"[\s._(-](19|20)[0-9]{2}-?[0-9]{2}-?[0-9]{2}[)0-9T:._-]*$", name) is not None


def _licenses(image: Document, _today: date) -> Iterator[_Found]:
    both = ("license_included", "license_required")
    if all(str(image.get(name)).lower() == "true" for name in both):
        yield both[1], _MUST, "is true, as license_included is", "one of them at most"


def _disks(image: Document, _today: date) -> Iterator[_Found]:
    if image.get("hw_disk_bus") == "scsi" and not image.get("hw_scsi_model"):
        yield "hw_scsi_model", _SHOULD, "is missing", "a model, such as virtio-scsi"


def _tags(image: Document, _today: date) -> Iterator[_Found]:
    tags = [str(each) for each in image.get("tags") or ()]
    for beginning, allowed in (("os:", "os:OPERATINGSYSTEM"), ("managed_by_", "managed_by_VENDOR")):
        if not any(each.startswith(beginning) for each in tags):
            yield "tags", _SHOULD, f"have none that begins with {beginning}", allowed


_CHECKS = (_sizes, _dates, _licenses, _disks, _tags)

V1 = Profile(wants=(*_WANTS, _listed("os_purpose", PURPOSES, _SHOULD)), checks=_CHECKS)
V2 = Profile(
    wants=(*_WANTS, _listed("os_purpose", PURPOSES, _MUST)),
    checks=_CHECKS,
    unique=("os_distro", "os_version", "architecture"),
    unique_value=("os_purpose", "generic"),
)

"""What an instance is: everything its guest may learn about itself. Pure rules, no I/O and no clock.

An Instance that exists is valid: whatever a guest could not parse, or could not survive, is refused
when the object is made. Addresses are in the one spelling of ``addresses.canonical``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

import msgspec

from headwater.instances.addresses import canonical, is_ipv4, is_one_ipv4, parted
from headwater.instances.devices import Disk, Nic, Share
from headwater.instances.errors import InstanceInvalid, UserDataTooLarge
from headwater.instances.keys import Key
from headwater.instances.names import is_uuid, require_hostname, require_line, require_text, require_uuid
from headwater.instances.network.data import require_shape

# What stands in a path as it is, as cloud-init puts it there.
SERIAL = re.compile(r"(?!\.{1,2}\Z)(?! )[^/?#%\x00-\x1f\x7f-\U0010ffff]{1,64}(?<! )")

# Nova takes 65535 characters of base64, which is a little less; a round number is easier to tell.
USER_DATA_LIMIT = 64 * 1024  # bytes

_MOST_HOPS = 64

# Source: what Nova tells a guest whose root device it does not know.
DEFAULT_BLOCK_DEVICES = {"ami": "sda1", "ephemeral0": "sda2", "root": "/dev/sda1", "swap": "sda3"}


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that the guest writes on its first boot; it travels on config drives only."""

    path: str  # in the guest, absolute
    data: bytes

    def __post_init__(self) -> None:
        require_text("file path", self.path, limit=4095)
        if not self.path.startswith("/") or ".." in self.path.split("/"):
            raise InstanceInvalid("file path", f"{self.path!r} must begin with '/' and hold no '..'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One machine. A change makes a new Instance; the old one stays as it was."""

    id: str  # lower-case UUID
    name: str  # what people call it; unique, and never the form of a UUID
    hostname: str  # what the machine calls itself, with its domain if it has one
    created_at: int  # microseconds since 1970, UTC; never changes
    updated_at: int
    revision: int = 0  # grows by one with each change; a change names the one that it expects
    project_id: str | None = None
    addresses: tuple[str, ...] = ()  # what it sends from, some with their network; each belongs to one instance
    public_ipv4: str | None = None
    keys: tuple[Key, ...] = ()
    user_data: bytes | None = None  # None: there is none; empty is something else
    vendor_data: Any = None  # JSON: an object, a list or a text; None: there is none
    meta: Mapping[str, str] = field(default_factory=dict)
    image_id: str | None = None  # lower-case UUID
    image_name: str | None = None
    kernel_id: str | None = None  # the image of its kernel, lower-case UUID
    ramdisk_id: str | None = None
    instance_type: str | None = None
    availability_zone: str | None = None
    serial: str | None = None  # that its SMBIOS tells; unique
    launch_index: int = 0
    reservation_id: str | None = None
    security_groups: tuple[str, ...] = ("default",)
    block_devices: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_BLOCK_DEVICES))
    devices: tuple[Nic | Disk | Share, ...] = ()
    dedicated_cpus: tuple[int, ...] = ()
    network_data: Mapping[str, Any] | None = None  # from ``canonical_network_data``; older versions checked less
    files: tuple[File, ...] = ()
    tokens: Literal["optional", "required"] = "optional"  # required: nothing is read without a token of IMDSv2
    hop_limit: int | None = None  # through how many routers a token may travel; None: as any packet

    def __post_init__(self) -> None:
        require_uuid("id", self.id)
        require_text("name", self.name)
        if is_uuid(self.name.lower()):
            raise InstanceInvalid(
                "name", f"{self.name!r} has the form of an id; take a name that nobody mistakes for one"
            )
        require_hostname(self.hostname)
        for label in ("project_id", "instance_type", "availability_zone", "reservation_id"):
            if (value := getattr(self, label)) is not None:
                require_text(label, value)
        for label in ("image_id", "kernel_id", "ramdisk_id"):
            if (value := getattr(self, label)) is not None:
                require_uuid(label, value)
        if self.launch_index < 0:
            raise InstanceInvalid("launch_index", "it counts from 0")
        self._require_tokens()
        if self.serial is not None:
            _require_serial(self.serial)
        self._require_addresses()
        self._require_distinct("key", [key.name for key in self.keys])
        self._require_distinct("file", [file.path for file in self.files])
        for group in self.security_groups:
            require_text("security group", group)
        for name, device in self.block_devices.items():
            require_text("block device", name)
            require_text(f"block device {name}", device)
            if "/" in name or "=" in name:
                raise InstanceInvalid(
                    "block device", f"{name!r} holds '=' or '/', which guests cannot read in a listing"
                )
        for name in self.meta:  # Nova takes any number of spaces anywhere
            require_line("meta key", name)
        require_vendor_data(self.vendor_data)
        if self.network_data is not None:
            require_shape(self.network_data)
        _require_json("meta", self.meta)
        _require_json("image name", self.image_name)  # another service decides what it may hold
        _require_json("network data", self.network_data)

    @property
    def local_ipv4(self) -> str | None:
        """The first IPv4 address."""
        return next((address for address in self.plain_addresses if is_ipv4(address)), None)

    @property
    def plain_addresses(self) -> tuple[str, ...]:
        """The addresses as its guest has them, without their networks, each once."""
        return tuple(dict.fromkeys(parted(address)[1] for address in self.addresses))

    def require_user_data_within(self, limit: int) -> None:
        """Raise ``UserDataTooLarge`` when the user data has more than ``limit`` bytes."""
        if self.user_data is not None and len(self.user_data) > limit:
            raise UserDataTooLarge(len(self.user_data), limit)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data; bytes are base64."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document

    @classmethod
    def from_dict(cls, document: object) -> Instance:
        """Read what ``to_dict`` wrote.

        Raises:
            InstanceInvalid: A field is missing, of a wrong type, or against a rule of this module.
        """
        try:
            return msgspec.convert(document, cls)
        except msgspec.ValidationError as error:
            raise InstanceInvalid("instance", str(error)) from error

    def _require_tokens(self) -> None:
        if self.tokens not in ("optional", "required"):
            raise InstanceInvalid("tokens", f"{self.tokens!r} is neither 'optional' nor 'required'")
        if self.hop_limit is not None and not 1 <= self.hop_limit <= _MOST_HOPS:
            raise InstanceInvalid("hop_limit", f"{self.hop_limit} is not from 1 to {_MOST_HOPS}")

    def _require_addresses(self) -> None:
        for address in self.addresses:
            if canonical(address) != address:
                raise InstanceInvalid("address", f"{address!r} must be written {canonical(address)!r}")
        self._require_distinct("address", list(self.addresses))
        if self.public_ipv4 is not None and not is_one_ipv4(self.public_ipv4):
            raise InstanceInvalid(
                "public_ipv4", f"{self.public_ipv4[:64]!r} is no IPv4 address of a machine; write it as 203.0.113.9"
            )

    @staticmethod
    def _require_distinct(what: str, values: list[str]) -> None:
        if len(set(values)) != len(values):
            twice = next(value for value in values if values.count(value) > 1)
            raise InstanceInvalid(what, f"{twice!r} is given twice")


def _require_serial(serial: str) -> None:
    if not SERIAL.fullmatch(serial):
        raise InstanceInvalid(
            "serial",
            f"{serial[:80]!r} is not 1 to 64 printable ASCII characters without / ? # %, with no space at either end; "
            "nothing else stands in a URL as it is",
        )


def require_vendor_data(vendor_data: object) -> None:
    """Refuse what makes cloud-init drop the vendor data, or with it the whole data source.

    Raises:
        InstanceInvalid: It would; ``None`` would not.
    """
    if vendor_data is None:
        return
    if not isinstance(vendor_data, Mapping | list | tuple | str) or vendor_data == "":
        raise InstanceInvalid("vendor data", "must be a JSON object, list or text; guests break on anything else")
    if isinstance(vendor_data, Mapping) and not isinstance(vendor_data.get("cloud-init", ""), str | list | tuple):
        raise InstanceInvalid(
            "vendor data", "its key 'cloud-init' must hold a text or a list; cloud-init ignores anything else"
        )
    _require_json("vendor data", vendor_data)


def _require_json(field_name: str, value: object) -> None:
    try:
        msgspec.json.encode(value)
    except (
        TypeError,
        ValueError,
        OverflowError,
    ) as error:  # a type that JSON lacks, NaN, half a surrogate pair, 10**30
        _refuse(field_name, str(error), error)
    except RecursionError as error:
        _refuse(field_name, "it is nested too deeply", error)


def _refuse(field_name: str, problem: str, cause: BaseException) -> NoReturn:
    raise InstanceInvalid(field_name, f"cannot be written as JSON: {problem}") from cause

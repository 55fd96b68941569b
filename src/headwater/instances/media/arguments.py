"""What QEMU and libvirt are told so that a machine knows who it is without a network: SMBIOS and fw_cfg.

Sources: smbios-type-11(7) and systemd.system-credentials(7) of systemd; QEMU's -smbios and -fw_cfg; Ignition's
platform qemu; libvirt's ``sysinfo``. Secrets travel in files where the hypervisor takes files:
everybody on the host reads its command line.
"""

from __future__ import annotations

import shlex
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from xml.etree import ElementTree

import msgspec

from headwater.errors import TooLarge
from headwater.instances.errors import InstanceInvalid
from headwater.instances.model import Instance

Carrier = Literal["smbios", "fw-cfg"]

SMBIOS_LIMIT = 0xFFFF  # bytes of all tables, by the entry point that QEMU's machines have by default
_SMBIOS_OTHERS = 4096  # what QEMU and a large machine put there themselves, and more
_CREDENTIAL_LIMIT = 1 << 20  # bytes; systemd takes no more of one
_IGNITION = "opt/com.coreos/config"
_CREDENTIALS = "opt/io.systemd.credentials"


class CarrierFull(TooLarge):
    """What a machine is to be told is more than its carrier holds."""

    def __init__(self, carrier: str, size: int, limit: int) -> None:
        super().__init__(
            f"{size} bytes are more than the {limit} that {carrier} carries; take --by fw-cfg, "
            "or a medium ('headwater config-drive build')"
        )
        self.carrier, self.size, self.limit = carrier, size, limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What goes to the machine, not yet in a hypervisor's words."""

    instance_id: str
    serial: str | None  # of SMBIOS type 1
    strings: Mapping[str, bytes]  # of SMBIOS type 11, by what they carry
    entries: Mapping[str, bytes]  # of fw_cfg, by their names
    left_out: Sequence[str]  # what does not go, and what would carry it

    @property
    def smbios_size(self) -> int:
        """How many bytes SMBIOS holds of it, each text with its NUL."""
        return sum(len(each) + 1 for each in self.strings.values()) + len(self.serial or "")

    def files(self) -> dict[str, bytes]:
        """Return what has to be in files for QEMU, by their names: one for each string and each entry."""
        named = {f"smbios-{name}": value for name, value in self.strings.items()}
        return named | {file_of(name): value for name, value in self.entries.items()}


def carried(instance: Instance, *, seed_url: str | None = None, by: Carrier = "smbios") -> Carried:
    """Return what a machine is told.

    Args:
        seed_url: Where cloud-init's NoCloud reads the rest, by HTTP.
        by: What carries the credentials of systemd.

    Raises:
        InstanceInvalid: The URL is none that cloud-init follows.
        CarrierFull: It is too much.
    """
    entries: dict[str, bytes] = {}
    strings: dict[str, bytes] = {}
    left_out = []
    for name, value in _credentials(instance).items():
        if len(value) > _CREDENTIAL_LIMIT:
            raise CarrierFull("a credential of systemd", len(value), _CREDENTIAL_LIMIT)
        if by == "smbios":
            strings[name] = _oem_string(name, value)
        else:
            entries[f"{_CREDENTIALS}/{name}"] = value
    if instance.user_data is not None:
        if is_ignition(instance.user_data):
            entries[_IGNITION] = instance.user_data
        elif seed_url is None:
            left_out.append("the user data: cloud-init reads it from --seed-url, or from a medium")
    if instance.files:
        left_out.append("the files: a config drive carries them ('headwater config-drive build')")
    found = Carried(
        instance_id=instance.id,
        serial=None if seed_url is None else _serial(seed_url),
        strings=strings,
        entries=entries,
        left_out=left_out,
    )
    if found.smbios_size > SMBIOS_LIMIT - _SMBIOS_OTHERS:
        raise CarrierFull("SMBIOS", found.smbios_size, SMBIOS_LIMIT - _SMBIOS_OTHERS)
    return found


def is_ignition(user_data: bytes) -> bool:
    """Return whether user data is a configuration of Ignition."""
    try:
        document = msgspec.json.decode(user_data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(document, dict) and isinstance(document.get("ignition"), dict)


def for_qemu(what: Carried, directory: Path) -> list[str]:
    """Return the arguments for QEMU, which reads ``what.files()`` in ``directory``."""
    words = ["-uuid", what.instance_id]
    if what.serial is not None:
        words += ["-smbios", f"type=1,serial={_doubled(what.serial)}"]
    for name in what.strings:
        words += ["-smbios", f"type=11,path={_doubled(str(directory / f'smbios-{name}'))}"]
    for name in what.entries:
        words += ["-fw_cfg", f"name={_doubled(name)},file={_doubled(str(directory / file_of(name)))}"]
    return words


def quoted(words: Sequence[str]) -> str:
    """Return words for a shell, each option with its value on a line."""
    lines = [shlex.join(words[start : start + 2]) for start in range(0, len(words), 2)]
    return " \\\n".join(lines)


def for_libvirt(what: Carried, directory: Path) -> str:
    """Return the parts of a domain's XML; what goes by fw_cfg it reads in ``directory``.

    What goes by SMBIOS stands in the XML, and libvirt puts it on QEMU's command line.
    """
    domain = ElementTree.Element("domain")
    ElementTree.SubElement(domain, "uuid").text = what.instance_id
    if what.serial is not None or what.strings:
        system = ElementTree.SubElement(domain, "os")
        ElementTree.SubElement(system, "smbios", mode="sysinfo")
        smbios = ElementTree.SubElement(domain, "sysinfo", type="smbios")
        if what.serial is not None:
            first = ElementTree.SubElement(smbios, "system")
            ElementTree.SubElement(first, "entry", name="serial").text = what.serial
            ElementTree.SubElement(first, "entry", name="uuid").text = what.instance_id
        if what.strings:
            strings = ElementTree.SubElement(smbios, "oemStrings")
            for value in what.strings.values():
                ElementTree.SubElement(strings, "entry").text = value.decode("ascii")
    if what.entries:
        fwcfg = ElementTree.SubElement(domain, "sysinfo", type="fwcfg")
        for name in what.entries:
            ElementTree.SubElement(fwcfg, "entry", name=name, file=str(directory / file_of(name)))
    ElementTree.indent(domain)
    return ElementTree.tostring(domain, encoding="unicode")


def _credentials(instance: Instance) -> dict[str, bytes]:
    """Return what systemd itself does something with, by the names that it gives that."""
    found = {"system.hostname": instance.hostname.encode()}
    keys = [key.data for key in instance.keys if key.type == "ssh"]
    if keys:
        found["ssh.authorized_keys.root"] = "".join(f"{key}\n" for key in keys).encode()
    return found


def _oem_string(name: str, value: bytes) -> bytes:
    text = value.decode(errors="replace")
    if text.isascii() and text.isprintable():
        return b"io.systemd.credential:%b=%b" % (name.encode(), value)
    return b"io.systemd.credential.binary:%b=%b" % (name.encode(), b64encode(value))


def _serial(seed_url: str) -> str:
    parts = urlsplit(seed_url) if seed_url.isascii() and seed_url.isprintable() and " " not in seed_url else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.netloc or ";" in seed_url:
        raise InstanceInvalid("seed URL", "give an http or https URL without spaces and ';', as cloud-init reads it")
    if not seed_url.endswith("/") and "%s" not in seed_url:
        raise InstanceInvalid("seed URL", "it must end with '/', because cloud-init puts the names of files behind it")
    return f"ds=nocloud;s={seed_url}"


def file_of(entry: str) -> str:
    """Return the name of the file for an entry of fw_cfg."""
    return f"fw_cfg-{entry.removeprefix('opt/').replace('/', '-')}"


def _doubled(text: str) -> str:
    """Return a value as QEMU's options take it, in which a comma begins the next one."""
    return text.replace(",", ",,")

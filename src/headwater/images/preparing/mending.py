"""What can be mended without the guest running, as steps of which each can be left out.

A step is planned where there is something to do, and only where nothing is lost by it: host keys go where something
makes new ones. Lines of boot loaders are added to, never written anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal

from headwater.images.preparing.appliance import Step
from headwater.images.preparing.asking import Gathered
from headwater.images.preparing.facts import KERNEL_OPTIONS, names_console
from headwater.images.preparing.model import Guest

Packages = Literal["deb", "rpm"]
NAMES: Final = (
    "cloud-init",
    "cloud-init-enabled",
    "cloud-init-state",
    "host-keys",
    "machine-id",
    "persistent-net",
    "serial-console",
)
_CONSOLES: Final = "console=tty0 console=ttyS0,115200"
_SERIAL: Final = frozenset({"x86_64", "i386", "i686"})
_DEFAULT: Final = re.compile(r"^(GRUB_CMDLINE_LINUX=)([\"'])([^\"'\\\n]*)\2[ \t]*$", re.MULTILINE)
# A line that starts a kernel with a root of its own; none that goes on in the next line.
_KERNEL_LINE: Final = re.compile(
    r"^([ \t]*(?:linux(?:16|efi)?|append|options)[ \t][^\n]*\broot=[^\n\\]*)$", re.I | re.M
)
_SELINUX: Final = re.compile(r"^\s*SELINUX\s*=\s*(?:enforcing|permissive)\s*$", re.IGNORECASE | re.MULTILINE)
_BOOT_FILES: Final = ("/boot/grub/", "/boot/grub2/", "/boot/loader/entries/", "/boot/extlinux/", "/boot/syslinux/")


def plan(gathered: Gathered, guest: Guest, packages: Packages | None) -> list[Step]:
    """Return the steps for a guest.

    Args:
        packages: The kind of those that are given; they bring cloud-init.
    """
    return list(_steps(gathered, guest, packages))


def _steps(gathered: Gathered, guest: Guest, packages: Packages | None) -> Iterator[Step]:
    if packages is not None:
        says = "cloud-init and what it needs, put in from the packages that were given"
        relabels = _SELINUX.search(gathered.texts.get("/etc/selinux/config", "")) is not None
        says += "; the first boot gives all files their SELinux labels anew" if relabels else ""
        # libguestfs's kernel gives files no labels, and enforcing policies let nothing start what has none.
        later = (("write", "/.autorelabel", ""),) if relabels else ()
        yield Step(name="cloud-init", says=says, does=(("install", packages), *later))
    cloud_init = guest.cloud_init
    if cloud_init is not None and (cloud_init.disabled_by or "").startswith("/"):
        disabled = str(cloud_init.disabled_by)
        yield Step(name="cloud-init-enabled", says=f"{disabled} taken out", does=(("remove", disabled),))
    if cloud_init is not None and cloud_init.state:
        says = "what cloud-init knew of an instance, taken out"
        yield Step(name="cloud-init-state", says=says, does=_removing(cloud_init.state))
    makes_keys = guest.ssh.makes_host_keys or cloud_init is not None
    if guest.ssh.host_keys and (makes_keys or packages is not None):
        yield Step(
            name="host-keys",
            says="SSH host keys taken out",
            does=_removing(guest.ssh.host_keys),
            needs=None if makes_keys else "cloud-init",
        )
    if guest.machine_id:
        yield Step(name="machine-id", says="the machine id emptied", does=_machine_id(gathered))
    if guest.network_rules:
        says = "udev's rules for network devices taken out"
        yield Step(name="persistent-net", says=says, does=_removing(guest.network_rules))
    if guest.serial_console is False and guest.architecture in _SERIAL:
        does = tuple(_consoles(gathered))
        if does:
            files = ", ".join(words[1] for words in does)
            yield Step(name="serial-console", says=f"console=ttyS0 put into {files}", does=does)


def _removing(paths: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple(("remove", path) for path in paths)


def _machine_id(gathered: Gathered) -> tuple[tuple[str, ...], ...]:
    # That of D-Bus alone is made anew by dbus-uuidgen when it is away; beside the other one it is a link, or a copy.
    emptied = (("write", "/etc/machine-id", ""),) if "/etc/machine-id" in gathered.texts else ()
    copied = "/var/lib/dbus/machine-id" in gathered.texts
    return (*emptied, *((("remove", "/var/lib/dbus/machine-id"),) if copied else ()))


def _consoles(gathered: Gathered) -> Iterator[tuple[str, str, str]]:
    for path, text in gathered.texts.items():
        if path == "/etc/default/grub":
            changed = _DEFAULT.sub(_with_default, text)
            if changed == text and "GRUB_CMDLINE_LINUX=" not in text:
                changed = f'{text.rstrip()}\nGRUB_CMDLINE_LINUX="{_CONSOLES}"\n'
        elif path.endswith("/grubenv"):
            changed = _with_options(text)
        elif path.startswith(_BOOT_FILES):
            changed = _KERNEL_LINE.sub(_with_consoles, text)
        else:
            continue
        if changed != text and "�" not in text:
            yield ("write", path, changed)


def _with_default(found: re.Match[str]) -> str:
    value = f"{found[3]} {_CONSOLES}".strip()
    return f"{found[1]}{found[2]}{value}{found[2]}"


def _with_consoles(found: re.Match[str]) -> str:
    line = found[1]
    return line if names_console(line) else f"{line.rstrip()} {_CONSOLES}"


def _with_options(block: str) -> str:
    """Return GRUB's environment block with the consoles, as large as it was; unchanged where these have no room."""
    found = KERNEL_OPTIONS.search(block)
    if found is None or names_console(found[1]):
        return block
    added = f"{block[: found.end()].rstrip()} {_CONSOLES}{block[found.end() :]}"
    more = len(added) - len(block)
    if more <= 0:  # in place of blanks at its end
        return f"{added}{'#' * -more}"
    return added[:-more] if added.endswith("#" * more) else block

"""An image looked into, and a copy of it that is mended.

The image itself is only read. A copy appears under its name when all is done, or not at all.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from headwater.errors import Conflict, HeadwaterError, SettingsError
from headwater.images.imports.plugins import confined
from headwater.images.imports.plugins.confined import Bounds, ProgramFailed
from headwater.images.inspection.disk_file import shown
from headwater.images.preparing import appliance, disk, facts, initramfs, mending
from headwater.images.preparing.appliance import Step
from headwater.images.preparing.asking import Gathered
from headwater.images.preparing.model import DiskSeen, Guest, Seen
from headwater.images.preparing.properties import properties_for
from headwater.images.preparing.rules import Finding, found_in

CopyFormat = Literal["qcow2", "raw"]
_PACKAGES_SIZE: Final = 512 << 20  # bytes of all that are given
_COPY_MEMORY: Final = 1 << 30
_MORE: Final = 64 << 20  # bytes that a copy may have beyond its disk: tables of the format


class CopyExists(Conflict):
    """There is a file where the copy should be written."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{shown(path)} exists already; give another name: nothing is written over")
        self.path = path


class CopyNotWritten(HeadwaterError):
    """The copy cannot be made."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot write {shown(path)}: {reason}")
        self.path, self.reason = path, reason


class NothingToMendWith(SettingsError):
    """What a copy is mended with is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a look may take."""

    time_s: float = 600
    kvm: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is told of an image, or of its copy."""

    seen: Seen
    findings: tuple[Finding, ...]
    properties: dict[str, str]
    mended: tuple[Step, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()  # steps that were not done, and why; the copy is as they left it


def prepare(path: Path, limits: Limits) -> Report:
    """Look into an image.

    Raises:
        UnsupportedMedia: It is refused: of two formats, or with data elsewhere, or no disk.
        DiskUnreadable, LookFailed: It cannot be read, or libguestfs came to no end.
    """
    with _scratch() as scratch:
        seen = disk.look(path, scratch, time_s=limits.time_s)
        lacks = appliance.missing()
        if lacks is not None:
            return _report(Seen(disk=seen, guest=None, not_looked=lacks))
        named = disk.plainly_named(path, scratch)
        found, ramdisk = appliance.look(named, seen.format, scratch, time_s=limits.time_s, kvm=limits.kvm)
        return _report(Seen(disk=seen, guest=_guest(found, ramdisk), troubles=found.troubles))


def write(
    path: Path,
    new: Path,
    limits: Limits,
    *,
    kind: CopyFormat = "qcow2",
    packages: Path | None = None,
    only: Collection[str] = mending.NAMES,
    skip: Collection[str] = (),
) -> Report:
    """Make a copy of an image, mend it, and return what is to be said of the copy.

    Args:
        packages: A directory of ``.deb`` or ``.rpm`` files: cloud-init, and what it needs.
        only: Names of ``mending.NAMES``.

    Raises:
        CopyExists, CopyNotWritten: The copy cannot be where it should.
        NothingToMendWith: libguestfs is not installed, a step is unknown, or the packages are none.
        UnsupportedMedia, DiskUnreadable, LookFailed: As for ``prepare``.
    """
    wanted = _wanted(only, skip)
    if os.path.lexists(new):
        raise CopyExists(new)
    lacks = appliance.missing()
    if lacks is not None:
        raise NothingToMendWith(lacks)
    with _scratch() as scratch, _part_of(new) as part:
        seen = disk.look(path, scratch, time_s=limits.time_s)
        package_kind = _packages(packages, scratch) if packages is not None and "cloud-init" in wanted else None
        _copy(disk.plainly_named(path, scratch), seen, part, kind, limits)
        planned: list[Step] = []
        ramdisks: list[Path | None] = []

        def plan(found: Gathered, ramdisk: Path | None) -> Sequence[Step]:
            guest = _guest(found, ramdisk)
            ramdisks.append(ramdisk)
            if guest is not None and guest.type == "linux":
                steps = mending.plan(found, guest, _fitting(guest, package_kind))
                planned.extend(step for step in steps if step.name in wanted)
            return planned

        done = appliance.mend(part, kind, scratch, plan, size=seen.virtual_size, time_s=limits.time_s, kvm=limits.kvm)
        after = _guest(done.after, ramdisks[0] if ramdisks else None)
        report = _report(
            Seen(disk=disk.look(part, scratch, time_s=limits.time_s), guest=after, troubles=done.after.troubles),
            mended=tuple(step for step in planned if step.name not in done.failed),
            failed=tuple(done.failed.items()),
        )
        _publish(part, new)
        return report


def _report(seen: Seen, mended: tuple[Step, ...] = (), failed: tuple[tuple[str, str], ...] = ()) -> Report:
    return Report(
        seen=seen,
        findings=tuple(found_in(seen)),
        properties=properties_for(seen),
        mended=mended,
        failed=failed,
    )


def _guest(found: Gathered, ramdisk: Path | None) -> Guest | None:
    return facts.guest_in(found, None if ramdisk is None else initramfs.drivers_in(ramdisk))


def _wanted(only: Collection[str], skip: Collection[str]) -> frozenset[str]:
    unknown = sorted({*only, *skip} - set(mending.NAMES))
    if unknown:
        raise NothingToMendWith(f"there is no step {unknown[0]!r}; there are {', '.join(mending.NAMES)}")
    return frozenset(only or mending.NAMES) - frozenset(skip)


def _fitting(guest: Guest, kind: mending.Packages | None) -> mending.Packages | None:
    if kind is not None and guest.packages != kind:
        raise NothingToMendWith(f"the packages are .{kind} files, and the guest takes {guest.packages or 'none'}")
    return kind


def _packages(directory: Path, scratch: Path) -> mending.Packages:
    """Copy the packages to where the child finds them, and return their kind."""
    try:
        files = sorted(each for each in directory.iterdir() if each.suffix in (".deb", ".rpm") and each.is_file())
        size = sum(each.stat().st_size for each in files)
    except OSError as error:
        raise NothingToMendWith(f"cannot read {directory}: {error.strerror}; name a directory of packages") from error
    kinds = {each.suffix for each in files}
    if len(kinds) != 1:
        held = " and ".join(sorted(kinds)) or "none"
        raise NothingToMendWith(f"{directory} has to hold either .deb files or .rpm files, and holds {held}")
    if size > _PACKAGES_SIZE:
        raise NothingToMendWith(f"the packages in {directory} have {size} bytes, and {_PACKAGES_SIZE} are taken")
    (scratch / "packages").mkdir()
    for each in files:
        shutil.copyfile(each, scratch / "packages" / each.name)
    return "deb" if kinds == {".deb"} else "rpm"


def _copy(path: Path, seen: DiskSeen, part: Path, kind: CopyFormat, limits: Limits) -> None:
    size = seen.virtual_size * 9 // 8 + _MORE
    bounds = Bounds(memory=_COPY_MEMORY, processor_s=int(limits.time_s), file_size=size, time_s=limits.time_s)
    command = ["qemu-img", "convert", "-f", disk.OF_QEMU[seen.format], "-O", kind, str(path), str(part)]
    try:
        confined.run(command, part.parent, bounds)
    except ProgramFailed as error:
        raise CopyNotWritten(part, str(error)) from error


def _publish(part: Path, new: Path) -> None:
    try:
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.link(part, new)  # which fails where something has come meanwhile
    except FileExistsError as error:
        raise CopyExists(new) from error
    except OSError as error:
        raise CopyNotWritten(new, error.strerror or str(error)) from error


@contextmanager
def _part_of(new: Path) -> Iterator[Path]:
    """Give the name of a file beside ``new`` that is gone in the end."""
    try:
        handle, name = tempfile.mkstemp(dir=new.absolute().parent, prefix=f".{new.name[:200]}.")
    except (OSError, ValueError) as error:
        raise CopyNotWritten(new, getattr(error, "strerror", None) or str(error)) from error
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="headwater-") as directory:
        yield Path(directory)

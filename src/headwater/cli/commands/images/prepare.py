"""``headwater image prepare``: look into a disk image without booting it, and mend a copy of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from headwater.cli import exits, output
from headwater.cli.findings import LevelOption, Threshold, exit_for
from headwater.cli.interrupting import ended_as_by_ctrl_c
from headwater.cli.output import AsJson
from headwater.images.inspection import disk_file

if TYPE_CHECKING:
    from headwater.images.preparing.model import Guest
    from headwater.images.preparing.prepare import Report

_RAW = frozenset({".raw", ".img"})


def prepare(
    image: Annotated[Path, typer.Argument(metavar="FILE", help="The disk image; it is only read.")],
    *,
    write: Annotated[
        Path | None,
        typer.Option(metavar="NEW", help="Mend in this copy what can be; raw for .raw and .img, else qcow2."),
    ] = None,
    packages: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="With --write: .deb or .rpm files of cloud-init, and of all that it needs."),
    ] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Mend this only. Repeatable.")] = None,
    skip: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Do not mend this. Repeatable.")] = None,
    time_s: Annotated[
        int,
        typer.Option(
            "--time",
            min=1,
            max=86400,
            metavar="SECONDS",
            help="How long each program, and the reading of FILE, may take.",
        ),
    ] = 600,
    kvm: Annotated[bool, typer.Option("--kvm/--no-kvm", help="Let libguestfs use KVM where there is one.")] = True,
    level: LevelOption = Threshold.ERROR,
    as_json: AsJson = False,
) -> None:
    """Say what is in a disk image, what hinders it in a cloud, how to mend that, and which properties to set.

    Looks at the system with libguestfs, where it is installed, and boots nothing of the image.
    """
    # What looks into disks is for this command only.
    from headwater.images.preparing import mending  # noqa: PLC0415 - see above
    from headwater.images.preparing.prepare import Limits  # noqa: PLC0415 - see above
    from headwater.images.preparing.prepare import prepare as look  # noqa: PLC0415 - see above
    from headwater.images.preparing.prepare import write as mend  # noqa: PLC0415 - see above

    if write is None and (packages is not None or only or skip):
        raise typer.BadParameter("--packages, --only and --skip are for a copy; name it with --write")
    limits = Limits(time_s=time_s, kvm=kvm)
    with ended_as_by_ctrl_c():
        if write is None:
            report = look(image, limits)
        else:
            kind: Literal["raw", "qcow2"] = "raw" if write.suffix in _RAW else "qcow2"
            report = mend(
                image,
                write,
                limits,
                kind=kind,
                packages=packages,
                only=only or mending.NAMES,
                skip=skip or (),
            )
    if as_json:
        output.say_json(_document(report))
    else:
        _say(report, write)
    if report.failed:
        raise typer.Exit(exits.FAILED)
    exit_for(max((each.level for each in report.findings), default=None), level)


def _document(report: Report) -> dict[str, object]:
    seen = report.seen
    return {
        "disk": asdict(seen.disk),
        "guest": None if seen.guest is None else asdict(seen.guest) | {"machine_id": bool(seen.guest.machine_id)},
        "not_looked": seen.not_looked,
        "troubles": seen.troubles,
        "findings": [each.to_dict() for each in report.findings],
        "properties": report.properties,
        "mended": [{"name": step.name, "says": step.says} for step in report.mended],
        "failed": dict(report.failed),
    }


def _say(report: Report, new: Path | None) -> None:
    disk, guest = report.seen.disk, report.seen.guest
    rows = [
        ("Format", f"{disk.format}, {disk.size} bytes, of a disk of {disk.virtual_size} bytes"),
        ("Partitions", f"{disk.table}: {', '.join(each.file_system or 'other' for each in disk.partitions)}"),
        ("Firmware", {"both": "uefi or bios", "unknown": "could not tell"}.get(disk.firmware, disk.firmware)),
    ]
    if guest is not None:
        rows += _rows(guest)
    output.say_table(("Of", "Seen"), ((name, _shown(text)) for name, text in rows))
    for trouble in report.seen.troubles:
        output.say(_shown(f"not read: {trouble}"))
    for step in report.mended:
        output.say(_shown(f"mended {step.name}: {step.says}"))
    for name, why in report.failed:
        output.say(_shown(f"not mended {name}: {why}"))
    for finding in report.findings:
        output.say(_shown(f"{finding.level} {finding.rule}: {finding.says}") + f"\n  fix: {_shown(finding.fix)}")
    output.say("properties: " + " ".join(f"{name}={_shown(value)}" for name, value in report.properties.items()))
    if new is not None:
        output.say(f"written: {disk_file.shown(new)}")


def _rows(guest: Guest) -> list[tuple[str, str]]:
    cloud_init = guest.cloud_init
    drivers = ", ".join(f"{name}: {reach}" for name, reach in guest.virtio.items())
    return [
        ("System", " ".join(filter(None, (guest.type, guest.distribution, guest.version, guest.architecture)))),
        ("Boot loader", ", ".join(guest.loaders) or "could not tell"),
        ("Kernel", guest.kernel or "could not tell"),
        ("Virtio", drivers or "could not tell"),
        ("cloud-init", "none" if cloud_init is None else cloud_init.version or "of a version that does not show"),
    ]


def _shown(text: str) -> str:
    """Return what somebody wrote on a disk so that a terminal does nothing but show it."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)

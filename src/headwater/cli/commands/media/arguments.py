"""``headwater instance arguments``: what QEMU or libvirt is told so that a machine knows who it is, with no network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from headwater.cli import output
from headwater.cli.catalogue import opened
from headwater.cli.machines import find
from headwater.cli.output import AsJson
from headwater.instances.media import arguments as arguments_of
from headwater.instances.media.writing.file import write_file


def arguments(
    instance: Annotated[str, typer.Argument(metavar="INSTANCE", help="Name or id.")],
    *,
    hypervisor: Annotated[
        Literal["qemu", "libvirt"], typer.Option("--for", help="Arguments for a shell, or parts of a domain's XML.")
    ] = "qemu",
    directory: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where the files lie that the hypervisor reads; made if missing. Default: ./ID.d"
        ),
    ] = None,
    by: Annotated[
        Literal["smbios", "fw-cfg"] | None,
        typer.Option(
            help="What carries credentials of systemd. Default: smbios for QEMU, and for libvirt fw-cfg, "
            "which keeps them from QEMU's command line."
        ),
    ] = None,
    seed_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where cloud-init reads the rest: what 'headwater instance seed' shows."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the arguments that carry what a machine is told by SMBIOS and fw_cfg, and write the files they name."""
    with opened() as database:
        found = find(database, instance).instance
    carrier = by or ("smbios" if hypervisor == "qemu" else "fw-cfg")
    carried = arguments_of.carried(found, seed_url=seed_url, by=carrier)
    place = (directory or Path(f"{found.id}.d")).absolute()
    in_files = {
        name: body for name, body in carried.files().items() if hypervisor == "qemu" or name.startswith("fw_cfg-")
    }
    for name, body in in_files.items():
        write_file(place / name, body)
    notes = [f"not carried: {each}" for each in carried.left_out]
    notes.append(f"SMBIOS carries {carried.smbios_size} of {arguments_of.SMBIOS_LIMIT} bytes")
    notes += [f"{place / name}: {len(body)} bytes" for name, body in in_files.items()]
    if hypervisor == "qemu":
        words = arguments_of.for_qemu(carried, place)
        text = arguments_of.quoted(words)
        said: dict[str, object] = {"arguments": words}
    else:
        text = arguments_of.for_libvirt(carried, place)
        said = {"xml": text}
    if as_json:
        output.say_json({"id": found.id, **said, "files": [str(place / name) for name in in_files], "notes": notes})
        return
    output.say(text)
    for note in notes:
        output.say_error(note)

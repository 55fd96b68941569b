"""``headwater config-drive``: media that tell a machine what the metadata port would, without a network."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import output
from headwater.cli.catalogue import opened
from headwater.cli.output import AsJson
from headwater.instances.registry import Registry

app = typer.Typer(no_args_is_help=True, help="Write config drives for registered machines.")


@app.callback()
def config_drive() -> None:
    """Keep ``build`` a command of its own, though it is the only one."""


@app.command()
def build(
    instance: Annotated[str, typer.Argument(metavar="INSTANCE", help="Name or id.")],
    file: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The ISO image to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the config drive of a machine: an ISO 9660 image with the label config-2."""
    from headwater.instances.media.config_drive import (  # noqa: PLC0415 - what writes ISO images is for this command only
        DriveExists,
        write_config_drive,
    )

    if file.exists() and not force:
        raise DriveExists(file)
    with opened() as database:
        found = Registry(database).get(instance)
    size = write_config_drive(found, file, int(time.time()), replace=force)
    if as_json:
        output.say_json({"instance": found.id, "path": str(file), "size": size})
    else:
        output.say(f"wrote {file}: {size} bytes for {found.name} ({found.id})")

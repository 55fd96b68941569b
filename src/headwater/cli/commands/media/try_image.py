"""``headwater try``: boot an image once, and see what the guest takes of what it is told."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import exits, output
from headwater.cli.commands.media.config_drive import PlainFileUnreadable, read_key, read_plain
from headwater.cli.output import AsJson


def try_image(
    image: Annotated[Path, typer.Argument(metavar="FILE", help="The disk image; nothing is written to it.")],
    *,
    ssh_key: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY|@FILE", help="A public key, or a file with one on each line. Repeatable."),
    ] = None,
    user_data: Annotated[Path | None, typer.Option(metavar="FILE", help="Its user data, byte for byte.")] = None,
    hostname: Annotated[str, typer.Option(metavar="NAME", help="Its host name.")] = "try",
    memory: Annotated[int, typer.Option(min=64, max=65536, metavar="MIB", help="Memory of the machine.")] = 1024,
    time_s: Annotated[
        int, typer.Option("--time", min=1, metavar="SECONDS", help="After which the machine is ended.")
    ] = 600,
    network: Annotated[bool, typer.Option("--network", help="Let it reach the host's network.")] = False,
    kvm: Annotated[bool, typer.Option("--kvm/--no-kvm", help="Use the processor where /dev/kvm can be opened.")] = True,
    as_json: AsJson = False,
) -> None:
    """Boot an image with a medium that tells it who it is, show its console, and say what it took.

    It ends when the machine powers itself off, with --time, or with Ctrl-C. The exit code is 0 when cloud-init read the
    medium and finished without trouble. With --json the console goes to standard error.
    """
    # What writes and boots is for this command only.
    from headwater.instances.media.config_drive import LABELS  # noqa: PLC0415 - see above
    from headwater.instances.media.plain import Given, plain_files  # noqa: PLC0415 - see above
    from headwater.instances.media.writing import iso  # noqa: PLC0415 - see above
    from headwater.server.trying.machine import Bounds, boot, disk_format  # noqa: PLC0415 - see above
    from headwater.server.trying.verdict import plain, verdict  # noqa: PLC0415 - see above

    keys = tuple(read_key(value) for value in ssh_key or ())
    given = Given(hostname=hostname, ssh_keys=keys, user_data=read_plain("--user-data", user_data))
    medium = iso.image(plain_files(given, "nocloud"), LABELS["nocloud"], int(time.time()))
    bounds = Bounds(memory_mib=memory, time_s=time_s, network=network, kvm=kvm)

    def show(text: str) -> None:
        shown = sys.stderr if as_json else sys.stdout
        shown.write(plain(text))
        shown.flush()

    try:
        disk = image.open("rb")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise PlainFileUnreadable("FILE", os.fspath(image), getattr(error, "strerror", None) or str(error)) from error
    with disk:
        console, end = boot(disk, disk_format(disk), medium, bounds, show)
    found = verdict(plain(console))
    if as_json:
        output.say_json({"taken": found.taken, "summary": found.summary, "ended": end, "troubles": found.troubles})
    else:
        output.say("\n".join((f"\n{end}; {found.summary}", *(f"  {trouble}" for trouble in found.troubles))))
    raise typer.Exit(exits.DONE if found.taken else exits.FAILED)

"""``headwater try``: boot an image once, and see what the guest takes of what it is told."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from headwater.cli import exits, output
from headwater.cli.commands.images.image import Cloud, IsNewest, Url, service_at
from headwater.cli.commands.media.config_drive import read_key, read_plain
from headwater.cli.interrupting import ended_as_by_ctrl_c
from headwater.cli.output import AsJson
from headwater.client.downloading import download
from headwater.client.service import Patience, Unreachable
from headwater.errors import HeadwaterError, NotFound

_PATIENCE_S = 600.0  # with a service that does not answer, before its data is given up


class NothingToTry(HeadwaterError):
    """There is no such file, and no such image either."""

    def __init__(self, wanted: str, error: HeadwaterError) -> None:
        super().__init__(f"there is no file {wanted[:200]!r} here, and no image of that name: {error}")
        self.wanted = wanted


def try_image(
    image: Annotated[
        str,
        typer.Argument(
            metavar="FILE|IMAGE",
            help="The disk image, or the id or name of an image of the service. Nothing is written to it.",
        ),
    ],
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
    is_newest: IsNewest = False,
    cloud: Cloud = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Boot an image with a medium that tells it who it is, show its console, and say what it took.

    What is no file here is an image of the service; its data comes into TMPDIR, and has no name there when the machine
    starts. It ends when the machine powers itself off, with --time, or with Ctrl-C. The exit code is 0 when cloud-init
    read the medium and finished without trouble. With --json the console goes to standard error.
    """
    # What writes and boots is for this command only.
    from headwater.images.inspection.disk_file import opened  # noqa: PLC0415 - see above
    from headwater.instances.media.config_drive import LABELS  # noqa: PLC0415 - see above
    from headwater.instances.media.plain import Given, plain_files  # noqa: PLC0415 - see above
    from headwater.instances.media.writing import iso  # noqa: PLC0415 - see above
    from headwater.server.trying.machine import Bounds, boot, disk_format  # noqa: PLC0415 - see above
    from headwater.server.trying.verdict import plain, signs, verdict  # noqa: PLC0415 - see above

    keys = tuple(read_key(value) for value in ssh_key or ())
    given = Given(hostname=hostname, ssh_keys=keys, user_data=read_plain("--user-data", user_data))
    medium = iso.image(plain_files(given, "nocloud"), LABELS["nocloud"], int(time.time()))
    bounds = Bounds(memory_mib=memory, time_s=time_s, network=network, kvm=kvm)

    def show(text: str) -> None:
        shown = sys.stderr if as_json else sys.stdout
        shown.write(plain(text))
        shown.flush()

    of_service = is_newest or cloud is not None or url is not None or not (os.sep in image or os.path.lexists(image))
    told = output.telling(as_json=as_json)
    with (
        ended_as_by_ctrl_c(),
        _fetched(image, url, cloud, told, is_newest=is_newest) if of_service else opened(Path(image)) as disk,
    ):
        console, end = boot(disk, disk_format(disk, time_s), medium, bounds, show)
    said = plain(console)
    found, shows = verdict(said), signs(said, hostname, keys)
    if as_json:
        told_of = {"taken": found.taken, "summary": found.summary, "ended": end, "troubles": found.troubles}
        output.say_json({**told_of, "console_shows": shows})
    else:
        output.say("\n".join((f"\n{end}; {found.summary}", *(f"  {trouble}" for trouble in found.troubles))))
        for what, is_seen in shows.items():
            output.say(f"  {plain(what)}: {'taken' if is_seen else 'does not show on the console'}")
    raise typer.Exit(exits.DONE if found.taken else exits.FAILED)


def _fetched(
    wanted: str, url: str | None, cloud: str | None, told: Callable[[str], None], *, is_newest: bool
) -> BinaryIO:
    """Return the data of an image of the service, in a file that goes with us."""
    with tempfile.TemporaryDirectory(prefix="headwater-try-") as directory, service_at(url, cloud) as service:
        try:
            found = service.newest(wanted) if is_newest else service.find(wanted)
        except (NotFound, Unreachable) as error:
            raise NothingToTry(wanted, error) from error
        file = Path(directory, "image")
        with output.progress(f"Downloading {found.get('name') or found['id']}", found.get("size")) as shown:
            download(service, found, file, Patience(_PATIENCE_S, told=told), shown)
        return file.open("rb")

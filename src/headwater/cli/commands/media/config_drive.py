"""``headwater config-drive``: media that tell a machine what the metadata port would, without a network."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from headwater.cli import output
from headwater.cli.catalogue import opened
from headwater.cli.commands.instances.app import FilesOf, files_of, told_now
from headwater.cli.late import late
from headwater.cli.machines import find
from headwater.cli.output import AsJson
from headwater.errors import SettingsError

app = typer.Typer(
    cls=late({"inspect": "headwater.cli.commands.media.inspect:inspect"}),
    no_args_is_help=True,
    help="Write media that tell a machine who it is, and look at them.",
)


@app.callback()
def config_drive() -> None:
    """Keep ``build`` a command with a name, though it is the only one that stands here."""


class SourceUnclear(SettingsError):
    """Neither a machine that is known nor anything else says what goes on the medium, or both do."""

    def __init__(self) -> None:
        super().__init__(
            "give either an INSTANCE, or what is to be on the medium: --user-data, --meta-data, "
            "--network-config, --vendor-data, --hostname, --ssh-key, --file, --id"
        )


class PlainFileUnreadable(SettingsError):
    """A file that is to go on the medium cannot be read."""

    def __init__(self, option: str, file: str, reason: str) -> None:
        super().__init__(f"{option}: cannot read the file {file!r}: {reason}; nothing was written")
        self.option, self.file, self.reason = option, file, reason


@app.command()
def build(
    instance: Annotated[
        str | None, typer.Argument(metavar="[INSTANCE]", help="Name or id of a machine, registered or of a cloud.")
    ] = None,
    *,
    file: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The image to write.")],
    layout: Annotated[
        Literal["openstack", "nocloud"],
        typer.Option(help="OpenStack's (label config-2), or cloud-init's NoCloud (label cidata)."),
    ] = "openstack",
    format_: Annotated[
        Literal["iso9660", "vfat"], typer.Option("--format", help="A CD-ROM, or a FAT disk of 64 MiB.")
    ] = "iso9660",
    hostname: Annotated[str | None, typer.Option(metavar="NAME", help="Its host name.")] = None,
    instance_id: Annotated[
        str | None, typer.Option("--id", metavar="UUID", help="Its UUID; made from the host name if not given.")
    ] = None,
    ssh_key: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY|@FILE", help="A public key, or a file with one on each line. Repeatable."),
    ] = None,
    user_data: Annotated[Path | None, typer.Option(metavar="FILE", help="Its user data, byte for byte.")] = None,
    meta_data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="meta-data (YAML) of NoCloud, or meta_data.json of OpenStack, as it is."),
    ] = None,
    network_config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="network-config (YAML) of NoCloud, or network_data.json of OpenStack."),
    ] = None,
    vendor_data: Annotated[
        Path | None, typer.Option(metavar="FILE", help="vendor-data of NoCloud, or vendor_data.json of OpenStack.")
    ] = None,
    injected: FilesOf = None,
    dynamic: Annotated[
        bool,
        typer.Option("--dynamic/--no-dynamic", help="Ask the services of vendor data about INSTANCE."),
    ] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a medium for a machine: one that is known here, or one of plain files, with no server and no catalogue."""
    # What writes images is for this command only.
    from headwater.instances.media.config_drive import LABELS, drive_files  # noqa: PLC0415 - see above
    from headwater.instances.media.plain import Given, plain_files  # noqa: PLC0415 - see above
    from headwater.instances.media.writing.file import DriveExists, write_files  # noqa: PLC0415 - see above

    if file.exists() and not force:
        raise DriveExists(file)
    plain = (hostname, instance_id, ssh_key, user_data, meta_data, network_config, vendor_data, injected)
    if (instance is None) is all(each is None for each in plain):
        raise SourceUnclear
    if instance is not None:
        with opened() as database:
            found = find(database, instance).instance
        told = told_now(found, ask=dynamic)
        files = drive_files(told.instance, layout=layout, parts=told.parts)
        whose, known = f"{found.name} ({found.id})", dict[str, object](instance=found.id, failing_targets=told.failing)
        for name, reason in told.failing.items():
            output.say_error(f"the target {name!r} of vendor data: {reason}; {{}} stands on the medium in its place")
        if found.files and layout == "nocloud":
            paths = ", ".join(each.path for each in found.files)
            output.say_error(f"NoCloud has no files: {paths} are not on the medium; --layout openstack has them")
    else:
        given = Given(
            instance_id=instance_id,
            hostname=hostname,
            ssh_keys=tuple(read_key(value) for value in ssh_key or ()),
            user_data=read_plain("--user-data", user_data),
            meta_data=read_plain("--meta-data", meta_data),
            network_config=read_plain("--network-config", network_config),
            vendor_data=read_plain("--vendor-data", vendor_data),
            files=files_of(injected or []),
        )
        files = plain_files(given, layout)
        whose, known = hostname or "a machine that is not registered", dict[str, object]()
    size = write_files(files, LABELS[layout], file, int(time.time()), kind=format_, replace=force)
    if as_json:
        output.say_json({**known, "path": str(file), "size": size, "label": LABELS[layout], "format": format_})
    else:
        output.say(f"wrote {file}: {size} bytes for {whose}")


def read_key(value: str) -> str:
    """Return the public keys that ``--ssh-key`` gives."""
    if not value.startswith("@"):
        return value
    data = read_plain("--ssh-key", Path(value[1:]))
    try:
        return "" if data is None else data.decode()
    except UnicodeDecodeError as error:
        raise PlainFileUnreadable("--ssh-key", value[1:], f"it is not UTF-8 text (byte {error.start})") from error


def read_plain(option: str, path: Path | None) -> bytes | None:
    """Return what is in the file of an option that may not be given."""
    if path is None:
        return None
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else None
        raise PlainFileUnreadable(option, os.fspath(path), reason or str(error)) from error

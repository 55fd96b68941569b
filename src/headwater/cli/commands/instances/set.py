"""``headwater instance set``: change what a machine is told."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from headwater.cli.commands.instances import app
from headwater.cli.output import AsJson
from headwater.instances.model import File

_TAKEN_AWAY = (
    "project_id",
    "user_data",
    "vendor_data",
    "network_data",
    "instance_type",
    "serial",
    "public_ipv4",
    "availability_zone",
    "hop_limit",
)
_EMPTIED = {"addresses", "ssh_keys"}
_FILE = "files."  # and its path


def set_(
    instance: app.IdOrName,
    *,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What people call it.")] = None,
    hostname: Annotated[str | None, typer.Option(metavar="NAME", help="Its host name.")] = None,
    address: Annotated[
        list[str] | None,
        typer.Option(metavar="[NETWORK/]ADDRESS", help="An address, in place of all it has. Repeatable."),
    ] = None,
    ssh_key: Annotated[
        list[str] | None, typer.Option(metavar="KEY|@FILE", help="A public key, in place of all it has. Repeatable.")
    ] = None,
    user_data: Annotated[str | None, typer.Option(metavar="TEXT|@FILE", help="User data; kept byte for byte.")] = None,
    image: Annotated[str | None, typer.Option(metavar="IMAGE", help="Name or id of the image it starts from.")] = None,
    meta: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A fact for it, beside those it has. Repeatable.")
    ] = None,
    availability_zone: Annotated[str | None, typer.Option(metavar="ZONE", help="Where it runs.")] = None,
    instance_type: app.InstanceType = None,
    vendor_data: app.VendorData = None,
    network_data: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE", help="Its links, networks and services.")
    ] = None,
    project_id: app.ProjectId = None,
    serial: app.Serial = None,
    public_ipv4: app.PublicIpv4 = None,
    tokens: Annotated[
        Literal["optional", "required"] | None,
        typer.Option(help="Whether it has to show a session token (IMDSv2) for whatever it reads."),
    ] = None,
    hop_limit: Annotated[
        int | None, typer.Option(metavar="N", help="Through how many routers a token travels.", min=1, max=64)
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GUEST_PATH=LOCAL_FILE",
            help="A file that its config drive brings to it, beside those it has. Repeatable.",
        ),
    ] = None,
    unset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD",
            help="Take a field away: addresses, ssh_keys, meta or meta.KEY, files or files.PATH, "
            f"{', '.join(_TAKEN_AWAY)}.",
        ),
    ] = None,
    revision: Annotated[
        int | None, typer.Option(metavar="N", help="Only if it is at this revision, as 'instance show' says it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change a registered machine; what is not named stays. Its guest is answered by the change at once."""
    said: dict[str, Any] = {}
    plain = {"name": name, "hostname": hostname, "availability_zone": availability_zone, "instance_type": instance_type}
    more = {"project_id": project_id, "tokens": tokens, "hop_limit": hop_limit, "serial": serial, "addresses": address}
    more["public_ipv4"] = public_ipv4
    said |= {field: value for field, value in (plain | more).items() if value is not None}
    if ssh_key is not None:
        said["ssh_keys"] = [app.text_of("--ssh-key", value) for value in ssh_key]
    if user_data is not None:
        said["user_data"] = app.bytes_of("--user-data", user_data)
    if vendor_data is not None:
        said["vendor_data"] = app.json_of("--vendor-data", vendor_data)
    if network_data is not None:
        said["network_data"] = app.json_of("--network-data", network_data)
    facts = app.meta_of(meta or [])
    files = app.files_of(file or [])
    gone = {_checked(field) for field in unset or []}
    with app.opened_to_change(instance) as instances:
        before = instances.get(instance)
        said["meta"] = {key: value for key, value in before.meta.items() if not {"meta", f"meta.{key}"} & gone} | facts
        if files or any(field == "files" or field.startswith(_FILE) for field in gone):
            said["files"] = _files(before.files, gone, files)
        said |= dict.fromkeys(gone & set(_TAKEN_AWAY)) | dict.fromkeys(gone & _EMPTIED, ())
        after = instances.change(
            before.id, said, image=image, revision=before.revision if revision is None else revision
        )
    app.print_one(after, as_json)


def _files(before: tuple[File, ...], gone: set[str], given: tuple[File, ...]) -> tuple[File, ...]:
    """Return the files as they become; one that is given anew keeps its place."""
    absent = {field.removeprefix(_FILE) for field in gone if field.startswith(_FILE)} - {file.path for file in before}
    if absent:
        raise app.ArgumentWrong("--unset", f"the machine has no file {min(absent)[:255]!r}")
    kept = {file.path: file for file in before if not {"files", f"{_FILE}{file.path}"} & gone}
    return tuple((kept | {file.path: file for file in given}).values())


def _checked(field: str) -> str:
    if field in (*_TAKEN_AWAY, *_EMPTIED, "meta", "files") or field.startswith(("meta.", _FILE)):
        return field
    raise app.ArgumentWrong("--unset", f"{field[:64]!r} is none that can be taken away; the help names them")

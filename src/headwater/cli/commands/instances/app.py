"""``headwater instance``: register machines, so that they can read their metadata.

The commands work on the catalogue itself, so they do not need a running server, and a running one
answers by the change at once. Everything that is given is read and checked before the catalogue is
opened.
"""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer

from headwater.cli import options, output
from headwater.cli.catalogue import ImagesByName, opened
from headwater.cli.late import late
from headwater.cli.machines import all_of_cloud, find, looking
from headwater.cli.output import AsJson
from headwater.clock import timestamp
from headwater.database.engine import Database
from headwater.errors import SettingsError
from headwater.instances.addresses import canonical
from headwater.instances.bulk.document import printed
from headwater.instances.bulk.found import REGISTRY, Found, Source
from headwater.instances.errors import InstanceNotFound, NeverAsked
from headwater.instances.lists.rows import Head, InstanceLists
from headwater.instances.lists.wanted import Wanted
from headwater.instances.model import File, Instance
from headwater.instances.names import is_uuid
from headwater.instances.registry.rows import InstanceRows
from headwater.instances.service import Description, Instances, described
from headwater.json_keys import twice

if TYPE_CHECKING:
    from headwater.instances.sources.guests import Guest, Guests
    from headwater.instances.vendor_data.opening import Told

_MOST_BYTES = 64 << 20  # of a file that an option names
_MARKED = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}

app = typer.Typer(
    cls=late(
        {
            "boot-log": "headwater.cli.commands.instances.boot_log:boot_log",
            "hwdb": "headwater.cli.commands.instances.hwdb:hwdb",
            "password": "headwater.cli.commands.instances.password:password",
            "seed": "headwater.cli.commands.instances.seed:seed",
            "import": "headwater.cli.commands.instances.bulk:import_",
            "export": "headwater.cli.commands.instances.bulk:export",
            "set": "headwater.cli.commands.instances.set:set_",
            "user-data": "headwater.cli.commands.instances.user_data:app",
            "lint": "headwater.cli.commands.instances.lint:lint",
            "arguments": "headwater.cli.commands.media.arguments:arguments",
            "rotate-identity-keys": "headwater.cli.commands.instances.rotate:rotate_identity_keys",
            "rotate-tokens": "headwater.cli.commands.instances.rotate:rotate_tokens",
        }
    ),
    no_args_is_help=True,
    help="Register machines and show what they may learn about themselves.",
)

InstanceType = Annotated[str | None, typer.Option(metavar="TYPE", help="Its size, such as m1.small.")]
VendorData = Annotated[str | None, typer.Option(metavar="JSON|@FILE", help="What the operator tells it.")]
ProjectId = Annotated[str | None, typer.Option(metavar="PROJECT", help="The project that owns it.")]
Serial = Annotated[str | None, typer.Option(metavar="TEXT", help="The serial number that its SMBIOS tells; unique.")]
PublicIpv4 = Annotated[
    str | None,
    typer.Option(
        "--public-ipv4", metavar="ADDRESS", help="By which others reach it where that is not its own address."
    ),
]
Dynamic = Annotated[bool, typer.Option("--dynamic/--no-dynamic", help="Ask the services of vendor data about it.")]
FilesOf = Annotated[
    list[str] | None,
    typer.Option(
        "--file", metavar="GUEST_PATH=LOCAL_FILE", help="A file that its config drive brings to it. Repeatable."
    ),
]
IdOrName = Annotated[str, typer.Argument(metavar="INSTANCE", help="Name or id.")]


class FileArgumentUnreadable(SettingsError):
    """An option names a file with ``@`` that cannot be read."""

    def __init__(self, option: str, file: str, reason: str) -> None:
        super().__init__(f"{option}: cannot read the file {file!r}: {reason}; nothing was changed")
        self.option, self.file, self.reason = option, file, reason


class ArgumentWrong(SettingsError):
    """An option holds what it cannot mean."""

    def __init__(self, option: str, problem: str) -> None:
        super().__init__(f"{option}: {problem}; nothing was changed")
        self.option, self.problem = option, problem


@app.command()
def add(
    *,
    name: Annotated[str, typer.Option(metavar="NAME", help="What people call it; unique.")],
    address: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NETWORK/]ADDRESS",
            help="An address it sends from, with its network where it has one: blue/10.0.0.5. Repeatable.",
        ),
    ] = None,
    ssh_key: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY|@FILE", help="A public key, or a file with one on each line. Repeatable."),
    ] = None,
    user_data: Annotated[str | None, typer.Option(metavar="TEXT|@FILE", help="User data; kept byte for byte.")] = None,
    user_data_template: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT|@FILE", help="A Jinja template that is rendered now, with what is said of the machine."
        ),
    ] = None,
    image: Annotated[str | None, typer.Option(metavar="IMAGE", help="Name or id of the image it starts from.")] = None,
    instance_id: Annotated[
        str | None, typer.Option("--id", metavar="UUID", help="Its UUID; the SMBIOS system UUID is best.")
    ] = None,
    hostname: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its host name; made from the name if not given.")
    ] = None,
    meta: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="A fact for it. Repeatable.")] = None,
    availability_zone: Annotated[str, typer.Option(metavar="ZONE", help="Where it runs.")] = "nova",
    instance_type: InstanceType = None,
    vendor_data: VendorData = None,
    network_data: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE", help="Its links, networks and services; DHCP if not given.")
    ] = None,
    project_id: ProjectId = None,
    serial: Serial = None,
    public_ipv4: PublicIpv4 = None,
    tokens: Annotated[
        Literal["optional", "required"],
        typer.Option(help="Whether it has to show a session token (IMDSv2) for whatever it reads."),
    ] = "optional",
    hop_limit: Annotated[
        int | None, typer.Option(metavar="N", help="Through how many routers a token travels; 1: none.", min=1, max=64)
    ] = None,
    file: FilesOf = None,
    as_json: AsJson = False,
) -> None:
    """Register a machine."""
    if user_data is not None and user_data_template is not None:
        raise ArgumentWrong("--user-data-template", "it stands in place of --user-data; give one of them")
    instance = described(
        Description(
            name=name,
            id=instance_id,
            hostname=hostname,
            project_id=project_id,
            addresses=address or [],
            ssh_keys=[text_of("--ssh-key", value) for value in ssh_key or []],
            user_data=None if user_data is None else bytes_of("--user-data", user_data),
            user_data_template=(
                None if user_data_template is None else bytes_of("--user-data-template", user_data_template)
            ),
            template_name=user_data_template[1:] if user_data_template and user_data_template[0] == "@" else None,
            vendor_data=None if vendor_data is None else json_of("--vendor-data", vendor_data),
            network_data=None if network_data is None else json_of("--network-data", network_data),
            meta=meta_of(meta or []),
            instance_type=instance_type,
            availability_zone=availability_zone,
            serial=serial,
            public_ipv4=public_ipv4,
            tokens=tokens,
            hop_limit=hop_limit,
            files=files_of(file or []),
        )
    )
    with opened_instances() as instances:
        registered = instances.register(instance, image=image)
    print_one(registered, as_json)


@app.command("list")
def list_(
    *,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The one of this name.")] = None,
    project: Annotated[str | None, typer.Option(metavar="PROJECT", help="Those that this project owns.")] = None,
    image: Annotated[
        str | None, typer.Option(metavar="IMAGE", help="Those that start from an image: its id, or its name.")
    ] = None,
    address: Annotated[str | None, typer.Option(metavar="ADDRESS", help="The one that sends from it.")] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", help="No more than so many.", min=1)] = None,
    marker: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Those behind this name: the last one of the list before. Of a cloud's: behind this id.",
        ),
    ] = None,
    source: Annotated[
        Source,
        typer.Option(
            help="Registered machines, or those of the OpenStack cloud that have asked for metadata, as it last said "
            "what they are, by id: all, or with --name."
        ),
    ] = REGISTRY,
    as_json: AsJson = False,
) -> None:
    """List the registered machines by name: all, or those of which everything holds that is given."""
    canonical_address = None if address is None else canonical(address)
    if source != REGISTRY:
        _require_alone(project=project, image=image, address=address)
        _list_of_cloud(name, marker, limit, as_json)
        return
    with opened() as database:
        lists = InstanceLists(database)
        image_id = None if image is None else _image_id(ImagesByName(database), image)
        wanted = Wanted(name=name, project_id=project, image_id=image_id, address=canonical_address)
        if as_json:
            every = islice(lists.all(wanted, after=marker), limit)
            output.say_json_list(printed(Found(instance=each)) for each in every)
            return
        rows = (_row(head) for head in islice(lists.all_heads(wanted, after=marker), limit))
        output.say_table(("Name", "Host name", "Addresses", "Image", "Id"), rows)


def _require_alone(**options_given: str | None) -> None:
    for name, value in options_given.items():
        if value is not None:
            raise ArgumentWrong(
                f"--{name}", "machines of a cloud are listed all, or by --name; the cloud lists by more"
            )


def _list_of_cloud(name: str | None, after: str | None, limit: int | None, as_json: bool) -> None:
    with opened() as database:
        found = islice(all_of_cloud(database, name, after), limit)
        if as_json:
            output.say_json_list(map(printed, found))
            return
        rows = ((*_row(each.instance), timestamp(each.told_at or 0)) for each in found)
        output.say_table(("Name", "Host name", "Addresses", "Image", "Id", "Told at"), rows)


def _image_id(images: ImagesByName, id_or_name: str) -> str:
    lowered = id_or_name.lower()
    return lowered if is_uuid(lowered) else images.find(id_or_name)[0]  # by its id also when it has been deleted


def _row(head: Head | Instance) -> tuple[str, ...]:
    return head.name, head.hostname, ", ".join(head.addresses), head.image_name or head.image_id or "", head.id


@app.command()
def show(instance: IdOrName, dynamic: Dynamic = True, as_json: AsJson = False) -> None:
    """Show one machine, registered or of a cloud, and say which services of vendor data have nothing for it."""
    with opened() as database:
        found = find(database, instance)
    print_found(found, as_json)
    for name, reason in told_now(found.instance, ask=dynamic).failing.items():
        output.say_error(f"the target {name!r} of vendor data: {reason}; the machine reads {{}} in its place")


@app.command()
def remove(instance: IdOrName, as_json: AsJson = False) -> None:
    """Forget a registered machine: from now on it gets 404."""
    with opened_to_change(instance) as instances:
        removed = instances.remove(instance)
    if as_json:
        output.say_json(printed(Found(instance=removed)))
    else:
        output.say(f"removed {removed.name} ({removed.id})")


@contextmanager
def opened_instances() -> Iterator[Instances]:
    """Open the catalogue to change it, and give what may be done with its machines."""
    with opened(writes=True) as database:
        yield _instances(database)


@contextmanager
def opened_to_change(id_or_name: str) -> Iterator[Instances]:
    """Open the catalogue, and give what may be done with its machines, of which this one is changed.

    Raises:
        MachineOfCloud: It is not registered, and the cloud knows it.
    """
    with opened(writes=True) as database:
        try:
            yield _instances(database)
        except InstanceNotFound:
            looking(database).require_registered(id_or_name)
            raise


def _instances(database: Database) -> Instances:
    return Instances(InstanceRows(database), InstanceLists(database), ImagesByName(database))


def guest_of(guests: Guests, id_or_name: str) -> Guest:
    """Return a machine of which something may be kept, registered or of a cloud.

    Raises:
        InstanceNotFound, NeverAsked: There is none, or only the cloud may know it.
        SeveralMeant: Several of the cloud have this name.
    """
    try:
        return guests.find(id_or_name)
    except InstanceNotFound as error:
        of_a_cloud = options.sources().load().settings.metadata.openstack.auth_url is not None
        if of_a_cloud and is_uuid(id_or_name.lower()):
            raise NeverAsked(id_or_name) from error
        raise


def told_now(instance: Instance, *, ask: bool) -> Told:
    """Return what is told to a machine, by the settings: the file of vendor data is read, and services are asked."""
    from headwater.instances.vendor_data import opening  # noqa: PLC0415 - most commands ask nobody

    settings = options.sources().load().settings
    return opening.told(instance, settings.metadata.vendor_data, settings.auth.keystone, ask=ask)


def bytes_of(option: str, value: str) -> bytes:
    """Return what an option gives: the bytes of the file after ``@``, otherwise its text."""
    if not value.startswith("@"):
        return os.fsencode(value)
    try:
        with Path(value[1:]).open("rb") as opened:
            data = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise FileArgumentUnreadable(option, value[1:], error.strerror or str(error)) from error
    except ValueError as error:  # a NUL in the name
        raise FileArgumentUnreadable(option, value[1:], str(error)) from error
    if len(data) > _MOST_BYTES:
        raise FileArgumentUnreadable(option, value[1:], f"it has more than {_MOST_BYTES >> 20} MiB")
    return data


def text_of(option: str, value: str) -> str:
    """Return a text that is read here, in any of the codings that Windows' editors and shells write."""
    data = bytes_of(option, value)
    coding = next((coding for mark, coding in _MARKED.items() if data.startswith(mark)), "utf-8")
    try:
        return data.decode(coding)
    except UnicodeDecodeError as error:
        name = "UTF-16" if coding == "utf-16" else "UTF-8"
        raise ArgumentWrong(option, f"it is not {name} text (byte {error.start})") from error


def json_of(option: str, value: str) -> Any:
    """Return the JSON that an option gives, or the file after ``@``."""
    text = text_of(option, value)
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ArgumentWrong(option, f"it is not JSON: {error}") from error
    if (problem := twice(text)) is not None:
        raise ArgumentWrong(option, problem)
    return found


def meta_of(values: list[str]) -> dict[str, str]:
    """Return facts that are given as KEY=VALUE."""
    found: dict[str, str] = {}
    for value in values:
        key, separator, text = value.partition("=")
        if not separator or not key:
            raise ArgumentWrong("--meta", f"{value!r} is not of the form KEY=VALUE")
        if key in found:
            raise ArgumentWrong("--meta", f"the key {key!r} is given twice")
        found[key] = text
    return found


def files_of(values: list[str]) -> tuple[File, ...]:
    """Return files for a guest that are given as GUEST_PATH=LOCAL_FILE, in their order."""
    found: dict[str, File] = {}
    for value in values:
        path, separator, local = value.partition("=")
        if not separator or not path or not local:
            raise ArgumentWrong("--file", f"{value[:64]!r} is not of the form GUEST_PATH=LOCAL_FILE")
        if path in found:
            raise ArgumentWrong("--file", f"the path {path!r} is given twice")
        found[path] = File(path=path, data=bytes_of("--file", f"@{local}"))
    return tuple(found.values())


def print_one(instance: Instance, as_json: bool) -> None:
    """Print one registered machine, as ``print_found`` does."""
    print_found(Found(instance=instance), as_json)


def print_found(found: Found, as_json: bool) -> None:
    """Print one machine, as JSON or as a table; of its user data only the size."""
    if as_json:
        output.say_json(printed(found))
        return
    instance = found.instance
    given = [(name, value) for name, value in instance.to_dict().items() if value not in (None, [], {}, ())]
    rows = [(name, _shown(instance, name, value)) for name, value in given]
    if found.source != REGISTRY:
        rows.append(("source", f"{found.source}: it is changed there, and not here"))
    if found.told_at is not None:
        rows.append(("told_at", timestamp(found.told_at)))
    output.say_table(("Field", "Value"), rows)


def _shown(instance: Instance, name: str, value: object) -> str:
    if name == "user_data":  # may be binary, and often holds secrets
        return f"{len(instance.user_data or b'')} bytes"
    if name == "files":
        return ", ".join(f"{file.path} ({len(file.data)} bytes)" for file in instance.files)
    if name == "keys":
        return "\n".join(f"{key.name} ({key.type})" for key in instance.keys)
    if name in ("addresses", "security_groups"):
        return ", ".join(getattr(instance, name))
    if name in ("created_at", "updated_at"):
        return timestamp(getattr(instance, name))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

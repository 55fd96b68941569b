"""``headwater image``: images of a service that runs somewhere, without OpenStack's clients."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePath
from typing import Annotated, Any

import typer

from headwater.cli import output
from headwater.cli.commands.images import definitions
from headwater.cli.late import late
from headwater.cli.output import AsJson
from headwater.client.clouds import chosen
from headwater.client.downloading import download as downloaded
from headwater.client.environment import proof_from
from headwater.client.importing import Importing, file_named
from headwater.client.service import Document, ImageService, Patience, as_text
from headwater.client.uploading import Notebook, Uploading, cache_directory, digest_of
from headwater.errors import SettingsError

app = typer.Typer(
    cls=late(
        {
            "lint": "headwater.cli.commands.images.lint:check",
            "members": "headwater.cli.commands.images.members:app",
            "prepare": "headwater.cli.commands.images.prepare:prepare",
            "retention": "headwater.cli.commands.images.retention:app",
        }
    ),
    help="Images of a service, wherever it runs.",
    no_args_is_help=True,
)

Url = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="The service. Default: Keystone tells it, or http://127.0.0.1:9292."),
]
Cloud = Annotated[
    str | None, typer.Option("--cloud", metavar="NAME", help="The service, by its name in clouds.yaml: OS_CLOUD.")
]
Named = Annotated[str, typer.Argument(metavar="IMAGE", help="Id of the image, or its name where no other has it.")]
IsNewest = Annotated[
    bool,
    typer.Option("--newest", help="IMAGE is a name without a date at its end: the newest of this name is meant."),
]
PatienceS = Annotated[
    float,
    typer.Option(
        "--patience", metavar="SECONDS", help="How long to try again when nothing moves, after connections are lost."
    ),
]
Properties = Annotated[list[str] | None, typer.Option("--property", metavar="NAME=VALUE", help="May be repeated.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="May be repeated.")]

_FORMATS = {
    ".qcow2": "qcow2",
    ".raw": "raw",
    ".iso": "iso",
    ".vmdk": "vmdk",
    ".vhdx": "vhdx",
    ".vhd": "vhd",
    ".vdi": "vdi",
}
_SHOWN = ("id", "name", "status", "visibility", "disk_format", "size", "os_hash_algo", "os_hash_value", "created_at")


@app.callback()
def image() -> None:
    """Images of a service, wherever it runs.

    Who calls is proved as OpenStack's clients do it: OS_AUTH_URL and its like for Keystone, OS_AUTH_TYPE=http_basic
    with OS_USERNAME and OS_PASSWORD, OS_CLOUD or --cloud for a cloud of clouds.yaml, nothing where nobody has to prove
    anything.
    """


class NotAFile(SettingsError):
    """There is nothing to upload, or something in the way of a download."""


@contextmanager
def service_at(url: str | None, cloud: str | None) -> Iterator[ImageService]:
    """Give the service at a URL, or the one of a cloud, or that the environment names, and close it in the end."""
    said = chosen(os.environ, cloud)
    where, proof = proof_from(said, url)
    with closing(ImageService(where, proof, ca_file=said.get("OS_CACERT") or None)) as service:
        yield service


@app.command("list")
def list_images(
    name: Annotated[str | None, typer.Option("--name", help="Only those with this name.")] = None,
    status: Annotated[str | None, typer.Option("--status", help="Only those in this status.")] = None,
    cloud: Cloud = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List the images that you see, newest first."""
    filters = {key: as_text(value) for key, value in (("name", name), ("status", status)) if value is not None}
    with service_at(url, cloud) as service:
        found = service.images(**filters)
        if as_json:
            output.say_json_list(found)
            return
        columns = ("id", "name", "status", "size", "visibility")
        output.say_table(
            [each.upper() for each in columns], (tuple(_text(each.get(c)) for c in columns) for each in found)
        )


@app.command()
def show(
    wanted: Named, *, is_newest: IsNewest = False, cloud: Cloud = None, url: Url = None, as_json: AsJson = False
) -> None:
    """Show an image."""
    with service_at(url, cloud) as service:
        _say(service.newest(wanted) if is_newest else service.find(wanted), as_json=as_json)


@app.command()
def delete(wanted: Named, cloud: Cloud = None, url: Url = None, as_json: AsJson = False) -> None:
    """Delete an image and its data."""
    with service_at(url, cloud) as service:
        deleted = service.find(wanted)
        service.delete(deleted["id"])
    if as_json:
        output.say_json(deleted)
    else:
        output.say(f"deleted {deleted.get('name') or 'the image'} ({deleted['id']})")


@app.command("set")
def change(
    wanted: Named,
    *,
    name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    visibility: Annotated[
        str | None, typer.Option("--visibility", help="public, community, shared or private.")
    ] = None,
    protected: Annotated[
        bool | None,
        typer.Option("--protected/--not-protected", help="Whether it can be deleted: not while it is protected."),
    ] = None,
    hidden: Annotated[bool | None, typer.Option("--hidden/--not-hidden", help="Whether lists leave it out.")] = None,
    properties: Properties = None,
    removed: Annotated[
        list[str] | None, typer.Option("--remove", metavar="NAME", help="A property to remove; may be repeated.")
    ] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", help="All tags from now on; may be repeated.")] = None,
    cloud: Cloud = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Change what is known of an image, all of it or nothing."""
    fields = {"name": name, "visibility": visibility, "protected": protected, "os_hidden": hidden, "tags": tags or None}
    values = {**{key: value for key, value in fields.items() if value is not None}, **_pairs(properties)}
    operations: list[Document] = [{"op": "add", "path": _pointer(key), "value": each} for key, each in values.items()]
    operations += [{"op": "remove", "path": _pointer(key)} for key in removed or ()]
    if not operations:
        raise SettingsError("nothing is said that would change the image")
    definitions.warn(_pairs(properties))
    with service_at(url, cloud) as service:
        changed = service.change(service.find(wanted)["id"], operations)
    _say(changed, as_json=as_json)


@app.command()
def upload(
    file: Annotated[Path | None, typer.Argument(help="The file that holds the image.")] = None,
    *,
    from_url: Annotated[
        str | None,
        typer.Option("--from-url", metavar="URL", help="Instead of a file: the service fetches the data from there."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Default: the name of the file.")] = None,
    disk_format: Annotated[str | None, typer.Option("--disk-format", help="Default: what the file looks like.")] = None,
    container_format: Annotated[str, typer.Option("--container-format", help="What is around the disk.")] = "bare",
    visibility: Annotated[
        str | None, typer.Option("--visibility", help="public, community, shared or private.")
    ] = None,
    properties: Properties = None,
    tags: Tags = None,
    image_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Bring the data of this image, instead of making one.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the upload of the image --id that another program has begun.")
    ] = False,
    patience_s: PatienceS = 600,
    cloud: Cloud = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Make an image of a file, or of what is at a URL.

    The upload of a file goes on by itself after a lost connection; and, when the command is run again, after it was
    ended in the middle. What the service fetches itself goes on without this command.
    """
    if (file is None) == (from_url is None):
        raise SettingsError("name either a file or --from-url URL")
    if resume and (image_id is None or file is None):
        raise SettingsError("--resume needs a file, and --id, which says the upload of which image goes on")
    if file is not None and (not file.is_file() or not os.access(file, os.R_OK)):
        raise NotAFile(f"there is no file {file} that could be read")
    named = file if file is not None else file_named(from_url or "")
    document: Document = {
        "name": name or named.name,
        "disk_format": disk_format or (_format_of(file) if file is not None else _format_by_name(named)),
        "container_format": container_format,
        **({"visibility": visibility} if visibility else {}),
        **({"tags": tags} if tags else {}),
        **_pairs(properties),
    }
    definitions.warn(_pairs(properties))
    with service_at(url, cloud) as service:
        patience = Patience(patience_s, told=output.telling(as_json=as_json))
        if from_url is not None:
            made = _imported(Importing(service, patience), document, image_id, from_url)
        else:
            assert file is not None
            notebook = Notebook(cache_directory(dict(os.environ)), service.url, file, image_id or document)
            made = _uploaded(Uploading(service, file, notebook, patience, takes_up=resume), document, image_id, file)
    _say(made, as_json=as_json)


def _uploaded(uploading: Uploading, document: Document, image_id: str | None, file: Path) -> Document:
    size = file.stat().st_size
    uploading.create(document, image_id)

    def digest() -> str:
        with output.progress(f"Reading {file.name}", size) as shown:
            return digest_of(file, shown)

    known = None if uploading.goes_on else digest()
    with output.progress(f"Uploading {file.name}", size) as shown:
        return uploading.send(lambda: known or digest(), shown)


def _imported(importing: Importing, document: Document, image_id: str | None, from_url: str) -> Document:
    importing.begin(document, image_id, from_url)
    with output.progress(f"Importing {document['name']}", importing.size()) as shown:
        return importing.finish(shown)


@app.command()
def download(
    wanted: Named,
    file: Annotated[Path, typer.Argument(help="The file to make.")],
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    is_newest: IsNewest = False,
    patience_s: PatienceS = 600,
    cloud: Cloud = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Bring the data of an image into a file, once all of it is there and proved to be right."""
    if file.exists() and not force:
        raise NotAFile(f"{file} is there already; --force replaces it")
    if not file.absolute().parent.is_dir():
        raise NotAFile(f"there is no directory {file.parent}")
    with service_at(url, cloud) as service:
        found = service.newest(wanted) if is_newest else service.find(wanted)
        with output.progress(f"Downloading {found.get('name') or found['id']}", found.get("size")) as shown:
            patience = Patience(patience_s, told=output.telling(as_json=as_json))
            downloaded(service, found, file, patience, shown)
    if as_json:
        output.say_json(found)


def _say(found: Document, *, as_json: bool) -> None:
    if as_json:
        output.say_json(found)
        return
    rest = [key for key in found if key not in (*_SHOWN, "self", "file", "schema")]
    output.say_table(("FIELD", "VALUE"), [(key, _text(found.get(key))) for key in (*_SHOWN, *rest)])


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _pairs(given: list[str] | None) -> dict[str, str]:
    pairs = {}
    for each in given or ():
        key, equals, value = each.partition("=")
        if not key or not equals:
            raise SettingsError(f"--property is NAME=VALUE, not {each[:80]!r}")
        pairs[key] = value
    return pairs


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _format_by_name(file: PurePath) -> str:
    found = _FORMATS.get(file.suffix.lower())
    if found is None:
        raise SettingsError(f"the name {file.name[:80]!r} does not tell the format of the disk: say --disk-format")
    return found


def _format_of(file: Path) -> str:
    with file.open("rb") as opened:
        head = opened.read(4)
    if head == b"QFI\xfb":
        return "qcow2"
    return _FORMATS.get(file.suffix.lower(), "raw")

"""``headwater image members``: the projects with which an image is shared."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from headwater.cli import output
from headwater.cli.commands.images.image import Cloud, Named, Url, service_at
from headwater.cli.output import AsJson
from headwater.client.service import Document, ImageService
from headwater.errors import SettingsError

app = typer.Typer(help="The projects with which an image is shared.", no_args_is_help=True)

Project = Annotated[str, typer.Argument(metavar="PROJECT", help="Id of the project.")]
Own = Annotated[
    str | None, typer.Option("--project", metavar="ID", help="Your project. Default: that of your Keystone token.")
]


@app.command("list")
def list_members(wanted: Named, cloud: Cloud = None, url: Url = None, as_json: AsJson = False) -> None:
    """List the projects with which an image is shared, and whether they took it into their lists."""
    with service_at(url, cloud) as service:
        found = service.ask("GET", _path(service, wanted)).get("members", [])
    if as_json:
        output.say_json_list(found)
    else:
        _say(found)


@app.command()
def add(wanted: Named, project: Project, cloud: Cloud = None, url: Url = None, as_json: AsJson = False) -> None:
    """Share an image with a project; the image's visibility has to be shared."""
    with service_at(url, cloud) as service:
        made = service.ask("POST", _path(service, wanted), {"member": project})
    _say_one(made, as_json=as_json)


@app.command()
def remove(wanted: Named, project: Project, cloud: Cloud = None, url: Url = None, as_json: AsJson = False) -> None:
    """Share an image with a project no more."""
    with service_at(url, cloud) as service:
        path = f"{_path(service, wanted)}/{quote(project, safe='')}"
        found = service.ask("GET", path)
        service.ask("DELETE", path)
    if as_json:
        output.say_json(found)
    else:
        output.say(f"{project} is no member of image {found['image_id']} any more")


@app.command()
def accept(wanted: Named, project: Own = None, cloud: Cloud = None, url: Url = None, as_json: AsJson = False) -> None:
    """Take an image that another project shares with yours into your lists; name it by its id."""
    _answer("accepted", wanted, project, cloud, url, as_json=as_json)


@app.command()
def reject(wanted: Named, project: Own = None, cloud: Cloud = None, url: Url = None, as_json: AsJson = False) -> None:
    """Keep an image that another project shares with yours out of your lists."""
    _answer("rejected", wanted, project, cloud, url, as_json=as_json)


def _answer(
    status: str, wanted: str, project: str | None, cloud: str | None, url: str | None, *, as_json: bool
) -> None:
    with service_at(url, cloud) as service:
        project = project or service.project()
        if project is None:
            raise SettingsError("nothing says which project you are of: name it with --project")
        path = f"{_path(service, wanted)}/{quote(project, safe='')}"
        _say_one(service.ask("PUT", path, {"status": status}), as_json=as_json)


def _path(service: ImageService, wanted: str) -> str:
    return f"/v2/images/{service.find(wanted)['id']}/members"


def _say_one(member: Document, *, as_json: bool) -> None:
    if as_json:
        output.say_json(member)
    else:
        _say([member])


def _say(members: list[Document]) -> None:
    columns = ("member_id", "status", "updated_at")
    output.say_table(
        ("PROJECT", "STATUS", "SINCE"), (tuple(str(each.get(c) or "") for c in columns) for each in members)
    )

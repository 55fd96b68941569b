"""``headwater streams path``: secret paths to what projects see, made in the catalogue; no server needs to run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from headwater.activity.notifications.notifier import Notifications
from headwater.cli import options, output
from headwater.cli.catalogue import opened
from headwater.cli.output import AsJson
from headwater.clock import timestamp
from headwater.identity.caller import OPERATOR
from headwater.identity.registry import open_rules
from headwater.images.access import Access
from headwater.images.assembly.parts import open_changes
from headwater.images.catalogue.images import ImageRows
from headwater.images.catalogue.sharing.private_paths import PrivatePath, PrivatePathRows
from headwater.images.sharing.private_paths import BELOW, LIFETIMES_S, PrivatePaths
from headwater.server import log
from headwater.server.apis import policies

app = typer.Typer(help="Secret paths to what projects see.", no_args_is_help=True)

PathId = Annotated[str, typer.Argument(metavar="ID", help="Of the path, as `headwater streams path list` has it.")]


@app.command()
def create(
    project: Annotated[str, typer.Option(metavar="PROJECT", help="Id of the project whose view it leads to.")],
    *,
    name: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    community: Annotated[bool, typer.Option("--community", help="With community images of other projects.")] = False,
    lifetime: Annotated[
        int | None,
        typer.Option(metavar="SECONDS", min=LIFETIMES_S[0], max=LIFETIMES_S[-1], help="Default: until it is revoked."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a path by which any client reads the feeds and files of all images that a project sees.

    It is shown this once: the catalogue keeps a hash of it only.
    """
    document = {"project_id": project, "name": name, "community": community, "lifetime_s": lifetime}
    with _opened(writes=True) as paths:
        made, secret = paths.create(OPERATOR, document)
    endpoint = options.sources().load().settings.server.public_endpoint
    url = f"{(endpoint or '').rstrip('/')}{BELOW}/{secret.get_secret_value()}"
    if as_json:
        output.say_json({**made.to_dict(), "url": url})
        return
    output.say(url)
    output.say_error(f"It is not shown again: path {made.id} of project {made.project_id}")


@app.command("list")
def list_(
    *,
    project: Annotated[str | None, typer.Option(metavar="PROJECT", help="Only paths of this project.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the paths there are, oldest first, without their secrets."""
    with _opened() as paths:
        found = [each for each in paths.list(OPERATOR) if project in (None, each.project_id)]
    if as_json:
        output.say_json_list(each.to_dict() for each in found)
        return
    output.say_table(("Id", "Project", "Name", "Community", "Made", "By", "Ends"), map(_row, found))


@app.command()
def revoke(path_id: PathId, *, as_json: AsJson = False) -> None:
    """Let a path lead nowhere from now on."""
    with _opened(writes=True) as paths:
        paths.revoke(OPERATOR, path_id.lower())
    if as_json:
        output.say_json({"revoked": path_id.lower()})
    else:
        output.say(f"{path_id.lower()} is revoked")


@contextmanager
def _opened(*, writes: bool = False) -> Iterator[PrivatePaths]:
    settings = options.sources().load().settings
    logging.getLogger("headwater").addHandler(logging.NullHandler())  # the command itself says what went wrong
    if writes and settings.audit.file is not None:
        log.configure(settings.log.format, "error", settings.audit.file)
    with opened() as database:
        rules = open_rules(settings.auth, settings.policy, policies.BY_NAME)
        access = Access(ImageRows(database), rules)
        changes = open_changes(database, access, Notifications(settings.notifications, database))
        yield PrivatePaths(PrivatePathRows(database), changes, rules)


def _row(path: PrivatePath) -> tuple[str, ...]:
    ends = "" if path.expires_at is None else timestamp(path.expires_at)
    community = "yes" if path.with_community else "no"
    return path.id, path.project_id, path.name or "", community, timestamp(path.created_at), path.user_id or "", ends

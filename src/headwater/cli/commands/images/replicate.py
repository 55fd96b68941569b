"""``headwater replicate``: images from one service to another one."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import ExitStack, closing
from typing import Annotated, Any

import typer

from headwater.cli import exits, output
from headwater.cli.output import AsJson
from headwater.client.replication.choice import Choice, time_from
from headwater.client.replication.lock import one_run
from headwater.client.replication.plan import Outcome, Step, is_uuid
from headwater.client.replication.replicating import Replicating, Wanted
from headwater.client.replication.sides import side
from headwater.client.uploading import cache_directory
from headwater.errors import SettingsError

_VISIBILITIES = ("public", "community", "shared", "private", "all")


def replicate(
    *,
    source: Annotated[str | None, typer.Option("--from", metavar="URL", help="The service to copy from.")] = None,
    target: Annotated[str | None, typer.Option("--to", metavar="URL", help="The service to copy to.")] = None,
    source_cloud: Annotated[
        str | None, typer.Option("--from-cloud", metavar="NAME", help="The same by its name in clouds.yaml.")
    ] = None,
    target_cloud: Annotated[
        str | None, typer.Option("--to-cloud", metavar="NAME", help="The same by its name in clouds.yaml.")
    ] = None,
    ids: Annotated[list[str] | None, typer.Option("--id", metavar="ID", help="Only this one; may be repeated.")] = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="PATTERN", help="Only such names, as debian-*; may be repeated."),
    ] = None,
    visibility: Annotated[
        str | None, typer.Option("--visibility", help="public, community, shared, private or all that you may see.")
    ] = None,
    owner: Annotated[str | None, typer.Option("--owner", metavar="PROJECT", help="Only of this project.")] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", help="Only with this tag; may be repeated.")] = None,
    properties: Annotated[
        list[str] | None, typer.Option("--property", metavar="NAME=VALUE", help="Only with it; may be repeated.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Only changed since, as 2026-05-31 or 2026-05-31T12:00:00Z."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    update_metadata: Annotated[
        bool, typer.Option("--update-metadata", help="Change what is known of copies where the source's differs.")
    ] = False,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete copies from this source that it has no more; only told otherwise.")
    ] = False,
    members: Annotated[
        bool, typer.Option("--members", help="Share copies with those whom images are shared with.")
    ] = False,
    keep_owner: Annotated[
        bool, typer.Option("--keep-owner", help="Copies belong to the projects of the images; yours otherwise.")
    ] = False,
    parallel: Annotated[int, typer.Option("--parallel", min=1, max=32, help="How many images at once.")] = 4,
    patience_s: Annotated[
        float, typer.Option("--patience", metavar="SECONDS", help="How long to try again when nothing moves.")
    ] = 600,
    as_json: AsJson = False,
) -> None:
    """Copy the images that another image service lacks, and verify them.

    Who calls is proved to each side by variables of its own, FROM_OS_AUTH_URL and TO_OS_AUTH_URL and their like, or by
    a cloud of clouds.yaml. Run again, it goes on where it was ended.
    """
    if visibility is not None and visibility not in _VISIBILITIES:
        raise SettingsError(f"--visibility is {visibility[:40]!r}; it may be {', '.join(_VISIBILITIES)}")
    for each in ids or ():
        if not is_uuid(each):
            raise SettingsError(f"--id is {each[:40]!r}, which is no id of an image")
    choice = Choice(
        ids=ids or (),
        names=names or (),
        visibility=visibility,
        owner=owner,
        tags=tags or (),
        properties=_pairs(properties),
        since=time_from(since) if since else None,
    )
    wanted = Wanted(
        updates_metadata=update_metadata,
        deletes=delete,
        with_members=members,
        keeps_owner=keep_owner,
        parallel=parallel,
        patience_s=patience_s,
    )
    with ExitStack() as opened:
        one = opened.enter_context(closing(side("from", source, source_cloud, os.environ)))
        other = opened.enter_context(closing(side("to", target, target_cloud, os.environ)))
        if one.url == other.url:
            raise SettingsError(f"both sides are {one.url}")
        notebooks = cache_directory(dict(os.environ)).with_name("replications")
        if not dry_run:
            opened.enter_context(one_run(notebooks, one.url, other.url))
        run = Replicating(one, other, choice, wanted, notebooks, told=output.telling(as_json=as_json))
        steps = run.plan()
        if not dry_run:
            with output.progress("Copying", sum(each.bytes_to_copy for each in steps)) as shown:
                run.perform(steps, shown)
        _say(steps, {"from": one.url, "to": other.url, "dry_run": dry_run}, as_json=as_json)
    if any(each.outcome == Outcome.FAILED for each in steps):
        raise typer.Exit(exits.FAILED)


def _say(steps: list[Step], about: dict[str, Any], *, as_json: bool) -> None:
    counts = Counter(str(each.outcome) for each in steps)
    if as_json:
        output.say_json({**about, "counts": counts, "images": [each.to_dict() for each in steps]})
        return
    output.say_table(
        ("ID", "NAME", "ACTION", "OUTCOME", "VERIFIED BY", "WHY"),
        [
            (
                each.image["id"],
                each.image.get("name") or "",
                each.action,
                each.outcome,
                each.verified_by or "",
                "; ".join([*([each.error] if each.error else []), *each.notes]),
            )
            for each in steps
            if each.outcome != Outcome.SAME or each.notes
        ],
    )
    output.say(", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items())) or "no images")


def _pairs(given: list[str] | None) -> dict[str, str]:
    pairs = dict(each.partition("=")[::2] for each in given or ())
    if any("=" not in each or each.startswith("=") for each in given or ()):
        raise SettingsError("--property is NAME=VALUE")
    return pairs

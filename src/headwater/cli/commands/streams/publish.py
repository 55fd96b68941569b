"""``headwater streams publish|register``: a feed brought to its readers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headwater.cli import output
from headwater.cli.commands.streams.options import CaFile, Insecure, TreeName, tree_of
from headwater.cli.output import AsJson
from headwater.errors import SettingsError
from headwater.streams.publishing.done import Done
from headwater.streams.publishing.publish import Step
from headwater.streams.publishing.publish import publish as published

if TYPE_CHECKING:
    from headwater.streams.publishing.registration import Registered

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
Regions = Annotated[
    list[str] | None,
    typer.Option("--region", help="Of the catalogue; may be repeated. Default: $OS_REGION_NAME."),
]
Interfaces = Annotated[
    list[str] | None, typer.Option("--interface", help="public, internal or admin; again for more. Default: all.")
]


def publish(
    source: TreeName,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A directory, s3://… or swift://…")],
    *,
    public: Annotated[bool, typer.Option("--public", help="Let everybody read the target.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove what is there and not of the feed.")] = False,
    register_as: Annotated[
        str | None, typer.Option("--register", help="Also register it in Keystone as product-streams or juju-tools.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Where readers find the target. Default: what the target says.")
    ] = None,
    region: Regions = None,
    interface: Interfaces = None,
    dry_run: DryRun = False,
    cafile: CaFile = None,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Copy a feed to where its readers fetch it: files first, indexes last."""
    registered: list[Registered] = []
    with (
        tree_of(source, cafile=cafile, insecure=insecure) as here,
        tree_of(target, cafile=cafile, insecure=insecure) as there,
    ):
        with output.progress("published", None) as shown:
            steps: list[Step] = []

            def told(step: Step) -> None:
                steps.append(step)
                shown(len(steps))

            done = published(here, there, public=public, dry_run=dry_run, remove=remove, told=told)
        if register_as is not None:
            place = url or there.public_url()
            if place is None:
                raise SettingsError(f"{there.place}: say with --url where readers find it")
            registered = _register(register_as, place, region, interface, dry_run=dry_run)
    if as_json:
        facts = {"files": [_facts(step) for step in done], "keystone": [_told(each) for each in registered]}
        output.say_json({"dry_run": dry_run, **facts})
        return
    for step in done:
        if step.done is not Done.SAME:
            output.say(f"{_word(step.done, dry_run=dry_run)} {step.path}")
    same = sum(step.done is Done.SAME for step in done)
    output.say(f"{len(done) - same} files {'would be ' if dry_run else ''}published, {same} are as they were")
    _say(registered, dry_run=dry_run)


def register(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where readers find the feed.")],
    *,
    kind: Annotated[str, typer.Option("--type", help="product-streams or juju-tools.")] = "product-streams",
    region: Regions = None,
    interface: Interfaces = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make the Keystone catalogue say where a feed is; who may do that is said by $OS_AUTH_URL and its like."""
    done = _register(kind, url, region, interface, dry_run=dry_run)
    if as_json:
        output.say_json({"dry_run": dry_run, "keystone": [_told(each) for each in done]})
    else:
        _say(done, dry_run=dry_run)


def _register(
    kind: str, url: str, regions: list[str] | None, interfaces: list[str] | None, *, dry_run: bool
) -> list[Registered]:
    from headwater.client.keystone import keystone_session  # noqa: PLC0415 - other commands do without Keystone
    from headwater.streams.publishing import registration  # noqa: PLC0415 - as above

    if kind not in registration.NAMES:
        raise SettingsError(f"{kind}: a feed is registered as {' or '.join(registration.NAMES)}")
    unknown = set(interfaces or ()) - set(registration.INTERFACES)
    if unknown:
        raise SettingsError(f"{', '.join(sorted(unknown))}: an interface is public, internal or admin")
    regions = regions or [name for name in [os.environ.get("OS_REGION_NAME")] if name]
    if not regions:
        raise SettingsError("name the region of the catalogue with --region or $OS_REGION_NAME")
    session = keystone_session(os.environ)
    return registration.register(session, kind, url, regions, interfaces or registration.INTERFACES, dry_run=dry_run)


def _word(done: Done, *, dry_run: bool) -> str:
    return f"would be {done}" if dry_run and done is not Done.SAME else done.value


def _say(done: list[Registered], *, dry_run: bool) -> None:
    for each in done:
        was = f" (was {each.before})" if each.before else ""
        output.say(f"{_word(each.done, dry_run=dry_run)} {each.what}{f': {each.url}' if each.url else ''}{was}")


def _facts(step: Step) -> dict[str, Any]:
    return {"path": step.path, "done": step.done, "size": step.size}


def _told(each: Registered) -> dict[str, Any]:
    return {"what": each.what, "done": each.done, "url": each.url, "before": each.before}

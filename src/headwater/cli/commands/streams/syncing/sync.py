"""``headwater streams sync``: images of a cloud brought from feeds."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from headwater.cli import exits, output
from headwater.cli.commands.streams.options import CaFile, Insecure, Key, signer_of, tree_of
from headwater.cli.commands.streams.syncing import terms as options
from headwater.cli.commands.streams.syncing.places import environment_for, local_target, lock_for, service_target
from headwater.cli.commands.streams.syncing.terms import TermOptions, taking_terms
from headwater.cli.output import AsJson
from headwater.errors import HeadwaterError, SettingsError
from headwater.streams.publishing.publish import publish as published
from headwater.streams.query.reading import split_name
from headwater.streams.syncing.hooks import CommandHooks, command_from
from headwater.streams.syncing.offers import read_offers
from headwater.streams.syncing.planning import Action, Outcome, Step
from headwater.streams.syncing.running import Report, Sync
from headwater.streams.syncing.terms import SyncTerms
from headwater.streams.syncing.written_feed import CloudOfFeed, write_image_ids


@taking_terms
def sync(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A tree, or a document in one, such as https://…/index.sjson.")
    ],
    *,
    terms: TermOptions,
    to: Annotated[
        str | None, typer.Option("--to", metavar="CLOUD", help="Its Image service, by a name of clouds.yaml or a URL.")
    ] = None,
    local: Annotated[bool, typer.Option("--local", help="The catalogue of this machine's settings.")] = False,
    project: Annotated[
        str | None, typer.Option(metavar="ID", help="The images' project, where Keystone does not tell.")
    ] = None,
    keyring: Annotated[
        Path | None, typer.Option(metavar="FILE", help="OpenPGP keys of which one has to have signed each document.")
    ] = None,
    no_verify: Annotated[bool, typer.Option("--no-verify", "-U", help="Do not look at signatures.")] = False,
    hook: Annotated[
        str | None, typer.Option(metavar="COMMAND", help="Run after each image that changed; see the how-to.")
    ] = None,
    hook_at_end: Annotated[str | None, typer.Option(metavar="COMMAND", help="Run in the end.")] = None,
    hook_timeout_s: Annotated[
        float, typer.Option("--hook-timeout", min=1, metavar="SECONDS", help="How long a hook may take.")
    ] = 300,
    write: Annotated[
        str | None, typer.Option("--write", metavar="TREE", help="Write the feed of the images' ids into this tree.")
    ] = None,
    publish: Annotated[
        str | None,
        typer.Option(metavar="TARGET", help="Publish what --write has written there: a directory, s3://… or swift://…"),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Let everybody read what is published.")] = False,
    endpoint: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Of Keystone, in the feed; again for other spellings. Default: $OS_AUTH_URL."),
    ] = None,
    cloud_name: Annotated[str, typer.Option(help="Its name, in the feed.")] = "headwater",
    key: Key = None,
    patience_s: Annotated[
        float, typer.Option("--patience", metavar="SECONDS", help="How long a service that is away is asked again.")
    ] = 60,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: AsJson = False,
    cafile: CaFile = None,
    insecure: Insecure = False,
) -> None:
    """Bring the images that a feed offers, and let older ones go; run again, it goes on where it was ended.

    Who calls is proved as OpenStack's clients do it: by OS_AUTH_URL and its like, or by a cloud of clouds.yaml.
    """
    if local and to is not None:
        raise SettingsError("--local and --to: choose one of them")
    environment = environment_for(to)
    said = {**options.given(region=environment.get("OS_REGION_NAME")), **terms.said()}
    wanted = options.terms_of(said)
    if keyring is not None and no_verify:
        raise SettingsError("--keyring and --no-verify: choose one of them")
    if publish is not None and write is None:
        raise SettingsError("--publish: say with --write where the feed is written before")
    hooks = [command_from(each) if each is not None else () for each in (hook, hook_at_end)]
    cloud = _cloud(wanted, endpoint or [environment.get("OS_AUTH_URL", "")], cloud_name) if write is not None else None
    trusted = None
    if keyring is not None:
        from headwater.streams.signing.certificates import certificates  # noqa: PLC0415 - OpenPGP is long to load

        trusted = certificates(keyring)
    root, start = split_name(source)
    with ExitStack() as held:
        tree = held.enter_context(tree_of(root, cafile=cafile, insecure=insecure))
        written, shown_at = (
            held.enter_context(tree_of(name, cafile=cafile, insecure=insecure)) if name is not None else None
            for name in (write, publish)
        )
        signer = held.enter_context(signer_of(key))
        offered = read_offers(tree, wanted, start=start, trusted=trusted, verifies=not no_verify)
        target = held.enter_context(
            local_target(project) if local else service_target(to, environment, project, patience_s)
        )
        held.enter_context(lock_for(target.place, wanted.marked))
        told = CommandHooks(tree.place, target.place, image=hooks[0], end=hooks[1], timeout_s=hook_timeout_s)
        run = Sync(tree, target, wanted, hooks=told)
        report = run.plan(offered)
        listed: int | None = None
        if not dry_run:
            with output.progress("Bringing images", sum(each.bytes_to_come for each in report.steps)) as shown:
                run.perform(report, shown)
            if written is not None and cloud is not None:
                try:
                    listed = write_image_ids(
                        written, target.images_of(wanted.marked), wanted.marked, cloud, signer=signer
                    )
                    if shown_at is not None:
                        published(written, shown_at, public=public)
                except HeadwaterError as error:  # the images are there all the same
                    report.problems.append(str(error))
            _end(told, report)
        _say(report, {"source": tree.place, "target": target.place, "listed": listed}, dry_run=dry_run, as_json=as_json)
    if report.failed:
        raise typer.Exit(exits.FAILED)


def _end(hooks: CommandHooks, report: Report) -> None:
    try:
        hooks.at_end(report)
    except HeadwaterError as error:
        report.problems.append(str(error))


def _cloud(terms: SyncTerms, endpoints: list[str], name: str) -> CloudOfFeed:
    found = tuple(filter(None, endpoints))
    if not found:
        raise SettingsError("--write: name the cloud's Keystone with --endpoint or $OS_AUTH_URL")
    return CloudOfFeed(region=terms.region, endpoints=found, name=name)


def _say(report: Report, about: dict[str, Any], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        output.say_json({**about, "dry_run": dry_run, **report.to_dict()})
        return
    shown = [step for step in report.steps if step.action is not Action.SAME or step.notes]
    if shown:
        output.say_table(("PRODUCT", "VERSION", "ITEM", "OUTCOME", "IMAGE", "WHY"), map(_row, shown))
    for problem in report.problems:
        output.say_error(f"headwater: {problem}")
    words = ", ".join(f"{number} {word}" for word, number in sorted(report.counts.items()))
    output.say(words or "the feed has no image that the filters take")


def _row(step: Step) -> tuple[str, ...]:
    outcome = f"to {step.action}" if step.outcome is Outcome.PLANNED else step.did or step.outcome.value
    if step.outcome is Outcome.FAILED:
        outcome = "failed"
    image = step.image["id"] if step.image else ""
    why = "; ".join([*([step.error] if step.error else []), *step.notes])
    return step.key.product, step.key.version, step.key.item, outcome, image, why

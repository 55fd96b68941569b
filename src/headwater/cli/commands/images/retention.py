"""``headwater image retention``: what becomes of images that grow old.

The commands work on the catalogue itself, as the service does that runs beside them, and change images through its use
cases: what they do is told, journalled and limited as if it came over the API.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from headwater.cli import exits, options, output
from headwater.cli.catalogue import opened
from headwater.cli.image_service import opened_image_service
from headwater.cli.output import AsJson
from headwater.errors import SettingsError
from headwater.images.catalogue.images import ImageRows
from headwater.images.catalogue.retention.uses import AT_ONCE, ImageUseRows
from headwater.images.model import Image
from headwater.images.retention.retention import Outcome, Retention, every
from headwater.images.retention.rules import Step, Verdict

app = typer.Typer(help="What becomes of images that grow old.", no_args_is_help=True)

Rules = Annotated[
    list[str] | None, typer.Option("--rule", metavar="NAME", help="Only images under this rule; may be repeated.")
]


class NoRules(SettingsError):
    """The settings say nothing of images that grow old."""

    def __init__(self) -> None:
        super().__init__("section [retention.rules] has no rule: write one, and look at what it does with 'plan'")


@app.command()
def plan(rules: Rules = None, as_json: AsJson = False) -> None:
    """Say what would become of each image that is under a rule, why, and why not; nothing is changed."""
    with _retention() as retention:
        verdicts = retention.plan(rules or ())
    if as_json:
        output.say_json_list(map(_document, verdicts))
        return
    for each in verdicts:
        output.say(_sentence(each))
    output.say(_summary([each for each in verdicts if each.steps], len(verdicts), "would be"))


@app.command()
def apply(rules: Rules = None, as_json: AsJson = False) -> None:
    """Do what 'plan' says; exit with 1 when something could not be done."""
    done: list[Verdict] = []
    failed = seen = 0

    def outcomes(retention: Retention) -> Iterator[Outcome]:
        nonlocal failed, seen
        for outcome in retention.apply(rules or ()):
            seen += 1
            if outcome.error is not None:
                failed += 1
            elif outcome.verdict.steps:
                done.append(outcome.verdict)
            yield outcome

    with _retention() as retention:
        if as_json:
            output.say_json_list(map(_outcome, outcomes(retention)))
        else:
            for each in outcomes(retention):
                output.say(_sentence(each.verdict) if each.error is None else _failure(each))
            output.say(_summary(done, seen, "were") + (f", {failed} failed" if failed else ""))
    if failed:
        raise typer.Exit(exits.FAILED)


@app.command()
def used(as_json: AsJson = False) -> None:
    """List all images with the last time that somebody used them, to the hour."""
    with opened() as database:
        rows = _last_uses(ImageRows(database), ImageUseRows(database))
        if as_json:
            output.say_json_list(
                {
                    "id": image.id,
                    "name": image.name,
                    "owner": image.owner,
                    "visibility": image.visibility.value,
                    "size": image.size,
                    "last_used": _time(at),
                }
                for image, at in rows
            )
            return
        output.say_table(
            ("ID", "NAME", "OWNER", "VISIBILITY", "SIZE", "LAST USED"),
            (
                (
                    image.id,
                    image.name or "",
                    image.owner or "",
                    image.visibility.value,
                    "" if image.size is None else str(image.size),
                    _time(at) or "not since uses are noted",
                )
                for image, at in rows
            ),
        )


def _last_uses(catalogue: ImageRows, uses: ImageUseRows) -> Iterator[tuple[Image, int | None]]:
    some: list[Image] = []

    def told() -> Iterator[tuple[Image, int | None]]:
        known = uses.of([image.id for image in some])
        yield from ((image, known.get(image.id)) for image in some)
        some.clear()

    for image in every(catalogue):
        some.append(image)
        if len(some) == AT_ONCE:
            yield from told()
    yield from told()


@contextmanager
def _retention() -> Iterator[Retention]:
    """Open the image service as a worker does, but for the work that it does while nobody waits."""
    settings = options.sources().load().settings
    if not settings.retention.rules:
        raise NoRules
    with opened_image_service(settings) as service:
        yield service.retention


def _document(verdict: Verdict) -> dict[str, Any]:
    image = verdict.image
    return {
        "id": image.id,
        "name": image.name,
        "owner": image.owner,
        "rule": verdict.rule,
        "family": verdict.family,
        "size": image.size,
        "created_at": _time(image.created_at),
        "last_used": _time(verdict.last_used),
        "steps": [each.value for each in verdict.steps],
        "new_name": verdict.new_name,
        "why": list(verdict.why),
        "why_not": list(verdict.why_not),
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    error = None if outcome.error is None else {"type": type(outcome.error).__name__, "message": str(outcome.error)}
    return {**_document(outcome.verdict), "error": error}


def _sentence(verdict: Verdict) -> str:
    steps = [f"rename to {verdict.new_name!r}" if each is Step.RENAME else each.value for each in verdict.steps]
    what = ", ".join(steps) or "keep"
    reasons = "; ".join((*verdict.why, *verdict.why_not))
    return f"{verdict.rule}: {_called(verdict)}: {what}" + (f": {reasons}" if reasons else "")


def _failure(outcome: Outcome) -> str:
    return f"{outcome.verdict.rule}: {_called(outcome.verdict)}: failed: {outcome.error}"


def _called(verdict: Verdict) -> str:
    return f"{verdict.image.name!r} ({verdict.image.id})"


def _summary(changed: list[Verdict], seen: int, words: str) -> str:
    deleted = [each.image.size or 0 for each in changed if Step.DELETE in each.steps]
    return (
        f"{seen} images under a rule: {len(changed) - len(deleted)} {words} changed, {len(deleted)} {words} deleted "
        f"({sum(deleted)} bytes)"
    )


def _time(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

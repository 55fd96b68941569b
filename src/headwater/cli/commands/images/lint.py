"""``headwater image lint``: whether images say of themselves what a standard wants, asked over the API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from headwater.cli import exits, output
from headwater.cli.commands.images import definitions
from headwater.cli.commands.images.image import Cloud, Url, service_at
from headwater.cli.output import AsJson
from headwater.client.linting import scs_0102
from headwater.client.linting.lint import Document, Finding, Level, lint
from headwater.client.service import ImageService


class Profile(StrEnum):
    """What images are held against: standards, or the metadata definitions of the service."""

    SCS_0102 = "scs-0102"
    SCS_0102_V2 = "scs-0102-v2"
    DEFINITIONS = "definitions"


_STANDARDS = {Profile.SCS_0102: scs_0102.V1, Profile.SCS_0102_V2: scs_0102.V2}


def check(
    wanted: Annotated[
        list[str] | None, typer.Argument(metavar="[IMAGE]...", help="Ids or names of images; else all public ones.")
    ] = None,
    *,
    profile: Annotated[
        Profile, typer.Option("--profile", help="The standard; definitions: those of the service.")
    ] = Profile.SCS_0102,
    with_hidden: Annotated[bool, typer.Option("--hidden", help="All public images that are hidden, too.")] = False,
    cloud: Cloud = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Say what images lack, or have wrong, by a standard; exit with 1 when there is more than advice.

    By the metadata definitions of the service: properties that nobody knows, and values that they cannot have.

    Looks at any service that speaks the Image API v2. Changes nothing.
    """
    seen = 0

    def images(service: ImageService) -> Iterator[Document]:
        nonlocal seen
        for image in _images(service, wanted or (), with_hidden=with_hidden):
            seen += 1
            yield image

    with service_at(url, cloud) as service:
        wanted_of_images = _STANDARDS.get(profile) or definitions.of_service(service)
        found = list(lint(images(service), wanted_of_images, datetime.now(UTC).date()))
    errors = sum(each.level is Level.ERROR for each in found)
    if as_json:
        output.say_json({"profile": profile.value, "images": seen, "findings": [asdict(each) for each in found]})
    else:
        for each in found:
            output.say(_sentence(each))
        output.say(f"{seen} images: {errors} errors, {len(found) - errors} pieces of advice")
    if errors:
        raise typer.Exit(exits.FAILED)


def _images(service: ImageService, wanted: list[str] | tuple[()], *, with_hidden: bool) -> Iterator[Document]:
    if wanted:
        yield from map(service.find, wanted)
        return
    yield from service.images(visibility="public")
    if with_hidden:
        yield from service.images(visibility="public", os_hidden="true")


def _sentence(finding: Finding) -> str:
    where = f"{finding.name!r} ({finding.image_id})"
    return f"{where}: {finding.level}: {finding.property} {finding.problem}; allowed: {finding.allowed}"

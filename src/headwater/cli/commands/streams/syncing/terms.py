"""The options that say what a sync wants; those of ``sync`` and of ``sources`` are the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from headwater.cli.option_groups import taking
from headwater.errors import SettingsError
from headwater.streams.syncing.sources.source import problem_of
from headwater.streams.syncing.terms import Old, SyncTerms, Via, Visibility


@dataclass(frozen=True, slots=True, kw_only=True)
class TermOptions:
    """What is said of the terms; ``None``: nothing."""

    filters: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILTER]...",
            help="KEY=TEXT, KEY!=TEXT, KEY~REGEX, KEY!~REGEX and the like. Default: disk images of x86.",
        ),
    ] = None
    max_versions: Annotated[
        int | None,
        typer.Option("--max", min=1, metavar="N", help="The newest N versions of each product come. Default: 1."),
    ] = None
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep", min=1, metavar="N", help="The newest N versions of each product stay. Default: as --max."
        ),
    ] = None
    old: Annotated[
        Old | None,
        typer.Option("--old", help="What becomes of older ones. Default: delete, which hides those that are used."),
    ] = None
    used_days: Annotated[
        int | None,
        typer.Option(min=0, metavar="DAYS", help="Used in these days is used, for --old delete. Default: 30."),
    ] = None
    content_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Marks the images; may hold {region}. Default: auto.sync.")
    ] = None
    region: Annotated[
        str | None,
        typer.Option(metavar="REGION", help="What {region} stands for. Default: $OS_REGION_NAME, or RegionOne."),
    ] = None
    name_prefix: Annotated[str | None, typer.Option(metavar="TEXT", help="Begins all names. Default: auto-sync/.")] = (
        None
    )
    name_template: Annotated[
        str | None,
        typer.Option("--name", metavar="TEMPLATE", help="Names, as {prefix}{os}-{version}-{arch}-{version_name}."),
    ] = None
    visibility: Annotated[Visibility | None, typer.Option(help="Who sees the images. Default: public.")] = None
    properties: Annotated[
        list[str] | None,
        typer.Option(
            "--property", metavar="NAME=TEMPLATE", help="Set this property, as hw_firmware_type=uefi; may be repeated."
        ),
    ] = None
    hypervisor_mapping: Annotated[
        bool | None, typer.Option("--hypervisor-mapping/--no-hypervisor-mapping", help="Set hypervisor_type.")
    ] = None
    latest_property: Annotated[
        bool | None, typer.Option("--latest-property/--no-latest-property", help="Set latest=true on the newest.")
    ] = None
    disk_format: Annotated[
        str | None,
        typer.Option(metavar="FORMAT", help="Let the service convert disks to this, by its plugin image_conversion."),
    ] = None
    via: Annotated[
        Via | None, typer.Option("--via", help="upload: the data passes here. web-download: the service fetches it.")
    ] = None

    def said(self) -> dict[str, Any]:
        """Return what was said, by the names of ``SyncTerms``."""
        named = {
            ("name" if each.name == "name_template" else each.name): getattr(self, each.name) for each in fields(self)
        }
        named["filters"] = tuple(self.filters) if self.filters else None
        named["properties"] = None if self.properties is None else _pairs(self.properties)
        return given(**named)


taking_terms = taking(TermOptions, "terms")


NAMES = frozenset(SyncTerms.model_fields)


def given(**values: Any) -> dict[str, Any]:
    """Return what was said of all these."""
    return {name: value for name, value in values.items() if value is not None}


def terms_of(said: dict[str, Any]) -> SyncTerms:
    """Return the terms.

    Raises:
        SettingsError: One of them is wrong.
    """
    try:
        return SyncTerms.model_validate(said)
    except ValidationError as error:
        raise SettingsError(problem_of(error)) from error


def _pairs(given: Iterable[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for each in given:
        name, separator, text = each.partition("=")
        if not separator or not name:
            raise SettingsError(f"--property {each[:80]!r}: write NAME=TEMPLATE")
        pairs[name] = text
    return pairs

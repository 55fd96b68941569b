"""Section ``[retention]``: which images grow old, and what becomes of them."""

from __future__ import annotations

import string
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from headwater.config import Section
from headwater.images.retention.names import NAME, dated

PLACES = ("name", "date")  # what names are made of


class RetentionRule(Section):
    """Section ``[retention.rules.NAME]``: the first rule that an image is under decides about it."""

    projects: Annotated[tuple[str, ...], Field(description="Only images that these projects own; none: of any.")] = ()
    names: Annotated[
        tuple[str, ...],
        Field(
            description="Only images whose name, whole or without the date at its end, is like one of these: `*` "
            "stands for anything, `?` for one character, `[ab]` for one of these."
        ),
    ] = ()
    properties: Annotated[
        dict[str, str],
        Field(
            description='Only images whose properties are like these: `{ os_distro = "ubuntu" }`, with `*` as in names.'
        ),
    ] = {}  # noqa: RUF012 - pydantic copies it for each rule
    visibility: Annotated[
        tuple[Literal["public", "community", "shared", "private"], ...],
        Field(description="Only images of these visibilities; none: of any."),
    ] = ()
    family: Annotated[
        tuple[str, ...],
        Field(
            description="Images of one owner in which these are equal follow each other: properties, and `name`, "
            "without the date at its end. An image that lacks one of them is in no family; what ends with `?` may be "
            "absent.",
            min_length=1,
        ),
    ] = (NAME, "architecture?")
    newest_name: Annotated[
        str, Field(description="What the newest is called: text with {name} and {date}. Empty: as it is.")
    ] = ""
    older_name: Annotated[
        str,
        Field(
            description="What the others are called whose name has no date yet, such as `{name} ({date})`. Empty: as "
            "they are."
        ),
    ] = ""
    hide_after_days: Annotated[
        int | None, Field(description="Hide an image so long after a newer one came; 0: at once.", ge=0, le=36500)
    ] = None
    community_after_days: Annotated[
        int | None,
        Field(description="Make a public image a community image so long after a newer one came.", ge=0, le=36500),
    ] = None
    delete_unused_days: Annotated[
        int | None, Field(description="Delete an image that nobody has used for so long.", ge=1, le=36500)
    ] = None
    rotate: Annotated[
        bool,
        Field(description="Delete all but the newest `keep`, used or not: as Nova rotates the backups of a server."),
    ] = False
    keep: Annotated[
        int,
        Field(
            description="How many of the newest are never deleted; 0: the newest goes too when nobody uses it.",
            ge=0,
            le=10000,
        ),
    ] = 3

    @field_validator("newest_name", "older_name")
    @classmethod
    def _template(cls, value: str) -> str:
        try:
            parts = [part for part in string.Formatter().parse(value) if part[1] is not None]
        except ValueError as error:
            raise ValueError(f"{value!r} is no text with {{name}} and {{date}}: {error}") from None
        if any(form or conversion for _, _, form, conversion in parts):
            raise ValueError(f"a place in {value!r} has a form of its own; write {{name}} or {{date}}")
        wrong = [str(field) for _, field, _, _ in parts if field not in PLACES]
        if wrong:
            raise ValueError(
                f"there is no {{{wrong[0]}}} in names; there is {', '.join(f'{{{each}}}' for each in PLACES)}"
            )
        return value

    @field_validator("newest_name", "older_name")
    @classmethod
    def _goes_back(cls, value: str, info: ValidationInfo) -> str:
        """Refuse a name by which an image would leave its family, and one that grows with each run."""
        if not value:
            return value
        made = [dated(value.format(name="image", date=day)) for day in ("20260705", "20260705.2")]
        if any(each.name != "image" or (info.field_name == "older_name" and each.day is None) for each in made):
            right = "{name} ({date})" if info.field_name == "older_name" else "{name}"
            raise ValueError(
                f"an image that is called {value!r} is not known as one of its family: write {{name}}, and after it at "
                f"most the date, as in {right!r}"
            )
        return value

    @model_validator(mode="after")
    def _selects(self) -> RetentionRule:
        if self.does_something and not (self.projects or self.names or self.properties):
            raise ValueError(
                "the rule says what becomes of images, and not of which: give projects, names or properties; "
                'names = ["*"] is all of them'
            )
        if self.community_after_days is not None and "public" in self.visibility and "community" not in self.visibility:
            raise ValueError(
                "an image that becomes a community image is not under the rule any more: add community to visibility"
            )
        return self

    @property
    def does_something(self) -> bool:
        """Whether anything could become of an image under this rule."""
        days = (self.hide_after_days, self.community_after_days, self.delete_unused_days)
        return bool(self.newest_name or self.older_name or self.rotate) or any(each is not None for each in days)


class RetentionSettings(Section):
    """Section ``[retention]``."""

    every_h: Annotated[
        int,
        Field(
            description="Do what the rules say every so many hours; 0: only when `headwater image retention apply` is "
            "run.",
            ge=0,
            le=8760,
        ),
    ] = 0
    rules: Annotated[
        dict[str, RetentionRule], Field(description="The rules, in the order of the file: one table for each.")
    ] = {}  # noqa: RUF012 - pydantic copies it for each Settings

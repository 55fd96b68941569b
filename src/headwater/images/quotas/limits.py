"""What projects may use: sections ``[quotas]``, and where else limits come from.

The names are those of OpenStack's unified limits, which Glance uses too. Sizes are MiB in settings and in Keystone,
and bytes from here on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import BeforeValidator, Field, model_validator

from headwater.config import Section
from headwater.identity.settings import KeystoneSettings, UnifiedLimitsSettings

if TYPE_CHECKING:
    from headwater.identity.keystone.unified_limits import UnifiedLimits

MIB = 1 << 20

# In the order in which Glance tells of them.
RESOURCES = ("image_size_total", "image_stage_total", "image_count_total", "image_count_uploading")
SIZES = frozenset({"image_size_total", "image_stage_total"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one project may use; ``None``: any amount."""

    image_size_total: int | None = None  # bytes in all stores, each copy counted
    image_stage_total: int | None = None  # bytes that wait for their import
    image_count_total: int | None = None
    image_count_uploading: int | None = None


NO_LIMITS = Limits()

LimitsOf = Callable[[str], Limits]  # of a project, by its id


class LimitSource(Protocol):
    """Knows what projects may use."""

    def read(self) -> LimitsOf:
        """Return what holds now, for every project.

        An outside system may be asked here, and is not by what is returned: that may be called inside a transaction.

        Raises:
            Unavailable: The limits are not known.
        """


# --- From the settings ---------------------------------------------------------------------------

_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}


def _bytes(value: Any) -> Any:
    """Read a number of bytes with or without its unit, as Glance's ``user_storage_quota`` is written."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*([0-9]{1,18})\s*(?:([kmgt]?)(?:i?b)?)?\s*", value, re.IGNORECASE)
    if match is None:
        raise ValueError('give a number of bytes, or one with a unit: B, KB, MB, GB or TB, as in "10 GB"')
    return int(match[1]) << _UNITS[(match[2] or "").lower()]


_Bytes = Annotated[int, BeforeValidator(_bytes)]


class ProjectQuotas(Section):
    """Section ``[quotas.projects.PROJECT_ID]``: what one project may use. What is not given here is as for all."""

    image_count_total: Annotated[
        int | None, Field(description="Most images of this project; -1: no limit. Default: as for all.", ge=-1)
    ] = None
    image_size_total: Annotated[
        int | None,
        Field(
            description="Most MiB that its images take, each copy counted; -1: no limit. Default: as for all.", ge=-1
        ),
    ] = None
    image_count_uploading: Annotated[
        int | None,
        Field(
            description="Most of its images that are on their way at once; -1: no limit. Default: as for all.", ge=-1
        ),
    ] = None
    image_stage_total: Annotated[
        int | None,
        Field(description="Most MiB that wait for their import; -1: no limit. Default: as for all.", ge=-1),
    ] = None
    user_storage_quota: Annotated[
        _Bytes | None,
        Field(
            description="As in [quotas]. This or image_size_total, given here, takes the place of both there. "
            "Default: as for all.",
            ge=0,
        ),
    ] = None


class QuotasSettings(Section):
    """Section ``[quotas]``: what every project may use."""

    image_count_total: Annotated[int, Field(description="Most images of one project; -1: no limit.", ge=-1)] = -1
    image_size_total: Annotated[
        int, Field(description="Most MiB that the images of one project take, each copy counted; -1: no limit.", ge=-1)
    ] = -1
    image_count_uploading: Annotated[
        int, Field(description="Most images of one project that are uploaded or imported at once; -1: no limit.", ge=-1)
    ] = -1
    image_stage_total: Annotated[
        int,
        Field(description="Most MiB of one project that are staged and wait for their import; -1: no limit.", ge=-1),
    ] = -1
    user_storage_quota: Annotated[
        _Bytes,
        Field(
            description='Most that the images of one project take, in bytes or as "10 GB" (units of 1024); '
            "0: no limit. With image_size_total beside it, the lesser counts.",
            ge=0,
        ),
    ] = 0
    projects: Annotated[
        Mapping[str, ProjectQuotas], Field(description="Projects that may use more or less: one table for each.")
    ] = {}
    use_keystone_limits: Annotated[
        bool,
        Field(
            description="Take the limits from Keystone (unified limits), where image_size_total, image_stage_total, "
            "image_count_total and image_count_uploading must be registered."
        ),
    ] = False
    keystone: UnifiedLimitsSettings = UnifiedLimitsSettings()

    @model_validator(mode="after")
    def _one_source(self) -> QuotasSettings:
        ours = sorted(self.model_fields_set & {*RESOURCES, "user_storage_quota", "projects"})
        if self.use_keystone_limits and ours:
            raise ValueError(
                f"section [quotas] has 'use_keystone_limits' and beside it {', '.join(ours)}: "
                "the limits are Keystone's or those of this file, not both"
            )
        return self


class SettingsLimits:
    """The limits that the operator's settings name."""

    def __init__(self, settings: QuotasSettings) -> None:
        self._for_all = _limits(settings)
        self._of_projects = {name: _limits(own, settings) for name, own in settings.projects.items()}

    @property
    def limit_nothing(self) -> bool:
        """Whether no project has any limit."""
        return all(limits == NO_LIMITS for limits in (self._for_all, *self._of_projects.values()))

    def read(self) -> LimitsOf:
        """Return what the settings say."""
        return lambda project_id: self._of_projects.get(project_id, self._for_all)


def _limits(own: QuotasSettings | ProjectQuotas, for_all: QuotasSettings | None = None) -> Limits:
    def given(name: str) -> int | None:
        value: int | None = getattr(own, name)
        return _limit(name, getattr(for_all, name) if value is None else value)

    says_size = own.image_size_total is not None or own.user_storage_quota is not None
    return Limits(
        image_size_total=_size(own if says_size or for_all is None else for_all),
        image_stage_total=given("image_stage_total"),
        image_count_total=given("image_count_total"),
        image_count_uploading=given("image_count_uploading"),
    )


def _size(section: QuotasSettings | ProjectQuotas) -> int | None:
    """Return the lesser of the two limits on bytes; each has its own word for none."""
    total = None if section.image_size_total is None else _limit("image_size_total", section.image_size_total)
    found = [each for each in (total, section.user_storage_quota or None) if each is not None]
    return min(found) if found else None


def _limit(resource: str, number: int) -> int | None:
    """Return the limit that ``number`` means for a resource, sizes in bytes; ``None`` for a negative one."""
    if number < 0:
        return None
    return number * MIB if resource in SIZES else number


# --- From Keystone -------------------------------------------------------------------------------


class KeystoneLimits:
    """The unified limits that Keystone keeps."""

    def __init__(self, limits: UnifiedLimits) -> None:
        self._limits = limits

    def read(self) -> LimitsOf:
        """Return what Keystone says, or last said."""
        known = self._limits.read()
        return lambda project_id: Limits(**{name: _limit(name, known.of(project_id, name)) for name in RESOURCES})


def open_limits(settings: QuotasSettings, keystone: KeystoneSettings) -> LimitSource | None:
    """Return what knows the limits that the settings speak of; ``None`` when no project has any.

    Raises:
        SettingsError: It cannot work with these settings. Keystone is not asked yet: it may start later.
    """
    if settings.use_keystone_limits:
        # Its libraries take a while to import.
        from headwater.identity.keystone.unified_limits import Questions, UnifiedLimits  # noqa: PLC0415 - only what is used

        ask = Questions(keystone, settings.keystone, RESOURCES)
        return KeystoneLimits(UnifiedLimits(ask, settings.keystone.cache_s))
    named = SettingsLimits(settings)
    return None if named.limit_nothing else named

"""Give properties of the operator's choice to images that users import.

Source: Glance 33 (inject_image_metadata): they replace what the user has set, no property protection is asked, and
whoever has one of ``ignore_user_roles`` is left alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field, field_validator

from headwater.config import Section
from headwater.images.imports.plugins.plugin import Data, PluginType, Work

NAME = "inject_image_metadata"


class InjectionSettings(Section):
    """Section ``[import_plugins.inject_image_metadata]``."""

    inject: Annotated[dict[str, str], Field(description="Properties that every imported image gets.")] = {}  # noqa: RUF012 - pydantic copies it
    ignore_user_roles: Annotated[
        tuple[str, ...], Field(description="Images of who has one of these roles get none of them.")
    ] = ("admin",)

    @field_validator("inject")
    @classmethod
    def _named(cls, inject: dict[str, str]) -> dict[str, str]:
        for name in inject:
            if not 0 < len(name) <= 255 or name.startswith("os_glance_"):
                raise ValueError(f"{name!r} is no name of a property: 1 to 255 characters, not os_glance_…")
        return inject


class Injection:
    """The plugin."""

    def __init__(self, settings: InjectionSettings) -> None:
        self._inject = dict(settings.inject)
        self._ignored = frozenset(settings.ignore_user_roles)

    def wants(self, data: Data, work: Work) -> bool:
        """Return that it never reads data."""
        return False

    def apply(self, data: Data, work: Work) -> Data:
        """Return the same data with more properties."""
        if work.roles & self._ignored:
            return data
        return replace(data, properties={**data.properties, **self._inject})


PLUGIN = PluginType(NAME, InjectionSettings, Injection)

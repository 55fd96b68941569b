"""Which import plugins there are, and those that the settings choose, opened.

They are found by the entry points of installed packages, ours like those of others; only what the settings name is
imported.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from pydantic import ValidationError

from headwater.config import Section
from headwater.errors import SettingsError
from headwater.images.imports.plugins.plugin import Data, Plugin, PluginType, Work
from headwater.images.imports.plugins.settings import ImportPluginsSettings

GROUP = "headwater.import_plugins"


class NoImportPlugin(SettingsError):
    """The settings name a plugin that cannot be had."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"section [import_plugins], key 'use': the plugin {name!r} {reason}")
        self.name = name


class NoOp:
    """A plugin that does nothing. Source: Glance has one of this name."""

    def wants(self, data: Data, work: Work) -> bool:
        """Return that it does not."""
        return False

    def apply(self, data: Data, work: Work) -> Data:
        """Return the same."""
        return data


class NoSettings(Section):
    """A section without keys."""


NO_OP = PluginType("no_op", NoSettings, lambda _: NoOp())


def open_plugins(settings: ImportPluginsSettings) -> list[Plugin]:
    """Return the plugins that the settings choose, in their order.

    Raises:
        SettingsError: One of them cannot be had, or not with these settings.
    """
    return [_opened(name, settings) for name in settings.use]


def plugin_names() -> list[str]:
    """Return the names of all plugins that packages offer."""
    return sorted({each.name for each in entry_points(group=GROUP)})


def _opened(name: str, settings: ImportPluginsSettings) -> Plugin:
    kind = _plugin_type(name)
    own = getattr(settings, name, None)
    if isinstance(own, kind.settings):
        return kind.open(own)
    try:
        return kind.open(kind.settings.model_validate(settings.others.get(name, {})))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"section [import_plugins.others.{name}], key {where!r}: {first['msg']}") from None


def _plugin_type(name: str) -> PluginType[Any]:
    offers = list({each.value: each for each in entry_points(group=GROUP, name=name)}.values())
    if not offers:
        raise NoImportPlugin(name, f"is offered by no package; there are: {', '.join(plugin_names())}")
    if len(offers) > 1:
        raise NoImportPlugin(name, f"is offered several times: {', '.join(sorted(each.value for each in offers))}")
    try:
        found = offers[0].load()
    except Exception as error:  # what a package of others does at its import is not known
        raise NoImportPlugin(name, f"cannot be used: {type(error).__name__}: {error}") from error
    if not isinstance(found, PluginType) or found.name != name:
        raise NoImportPlugin(name, f"cannot be used: {offers[0].value} is not a PluginType of that name")
    return found

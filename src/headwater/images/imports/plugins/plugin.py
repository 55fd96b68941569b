"""The contract of import plugins: what may be made of data, and of what its image says, on the way to the stores.

The settings name plugins in an order (``[images] import_plugins``); each is applied to what the one before made. It
gets the image as it is and a source of bytes that was not opened yet, and gives both back, as they were or others:

* One that unpacks gives a source that reads the one it got: pieces in, pieces out.
* One that needs all of the data at once gives a source whose ``open`` reads what it got into a file of its own, and
  whose ``close`` removes it.
* One that adds properties gives another image, and the same source.

What comes out is hashed, inspected by the formats of the image that comes out, and written, once, to all stores. Of
the image, its formats and properties become what the last plugin says. While the source is the one that came in, staged
data is not read. A copy of an image to further stores changes nothing, so no plugin sees it.

A package offers a plugin as an entry point of the group ``headwater.import_plugins``, which names a ``PluginType``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Protocol

from headwater.errors import SettingsError
from headwater.images.imports.sources import Source
from headwater.images.model import Image
from headwater.images.settings import ImagesSettings

GROUP = "headwater.import_plugins"


class PluginUnusable(SettingsError):
    """The settings name a plugin that no package offers, or that is none."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"section [images], key 'import_plugins': {name[:64]!r} {reason}")
        self.name = name


@dataclass(frozen=True, slots=True)
class Brought:
    """What an import brings: an image as it will be, and where its bytes come from."""

    image: Image
    source: Source


class Plugin(Protocol):
    """One plugin; safe to use from several threads."""

    def applied(self, brought: Brought) -> Brought:
        """Return what this makes of it; it reads nothing yet.

        Raises:
            HeadwaterError: The import fails; its task tells the message.
        """


@dataclass(frozen=True, slots=True)
class PluginType:
    """What a package offers."""

    name: str
    open: Callable[[ImagesSettings], Plugin]  # raises SettingsError where it cannot work


def open_plugins(settings: ImagesSettings) -> tuple[Plugin, ...]:
    """Return the plugins that the settings name, in their order.

    Raises:
        PluginUnusable: One of them is not there.
        SettingsError: One of them cannot work with these settings.
    """
    return tuple(_type(name).open(settings) for name in settings.import_plugins)


def applied(plugins: Sequence[Plugin], brought: Brought) -> Brought:
    """Return what all of them make of it."""
    for plugin in plugins:
        brought = plugin.applied(brought)
    return brought


def _type(name: str) -> PluginType:
    offers = [each for each in entry_points(group=GROUP) if each.name == name]
    if len({each.value for each in offers}) != 1:
        known = ", ".join(sorted(entry_points(group=GROUP).names)) or "none"
        raise PluginUnusable(name, f"is to be offered by one installed package; there are: {known}")
    try:
        found = offers[0].load()
    except Exception as error:  # what a package of others does at its import is not known
        raise PluginUnusable(name, f"cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(found, PluginType):
        raise PluginUnusable(name, f"is no PluginType, but {offers[0].value}")
    return found

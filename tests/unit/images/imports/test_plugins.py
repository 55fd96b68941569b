"""What plugins make of data and of images on the way, and which plugins there are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from functional.killed_import import ADMIN, DATA, bring, opened, run_jobs
from headwater.images.imports.plugins import plugin
from headwater.images.imports.plugins.plugin import Brought, PluginType, PluginUnusable, open_plugins
from headwater.images.imports.sources import Source
from headwater.images.model import Image, Status
from headwater.images.settings import ImagesSettings
from templates import sqlite_catalogue


class Reversed:
    """Gives each byte's complement."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def size(self) -> int | None:
        return self._source.size

    def open(self) -> None:
        self._source.open()

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._source:
            yield bytes(255 - byte for byte in piece)

    def close(self) -> None:
        self._source.close()


class Inverting:
    """Makes other data, and says so."""

    def applied(self, brought: Brought) -> Brought:
        properties = {**brought.image.properties, "made": "other"}
        return Brought(replace(brought.image, properties=properties, container_format="ovf"), Reversed(brought.source))


class Injecting:
    """Adds a property, and takes one away."""

    def applied(self, brought: Brought) -> Brought:
        properties = {n: v for n, v in brought.image.properties.items() if n != "gone"}
        return replace(brought, image=replace(brought.image, properties={**properties, "added": "yes"}))


INVERTING = PluginType("invert", lambda _settings: Inverting())
INJECTING = PluginType("inject", lambda _settings: Injecting())
NONE = "no plugin"


@pytest.fixture(autouse=True)
def offers(monkeypatch: pytest.MonkeyPatch) -> None:
    here = f"{__name__}:"
    made = [
        EntryPoint("invert", f"{here}INVERTING", plugin.GROUP),
        EntryPoint("inject", f"{here}INJECTING", plugin.GROUP),
        EntryPoint("none", f"{here}NONE", plugin.GROUP),
        EntryPoint("broken", "no.such.module:X", plugin.GROUP),
        EntryPoint("twice", f"{here}INVERTING", plugin.GROUP),
        EntryPoint("twice", f"{here}INJECTING", plugin.GROUP),
    ]
    monkeypatch.setattr(plugin, "entry_points", lambda group: EntryPoints(made).select(group=group))


def imported(directory: Path, *names: str, **fields: Any) -> tuple[Image, dict[str, Any], bytes]:
    """Return an image whose staged data was imported, its task, and what it has."""
    sqlite_catalogue(directory / "catalogue.db")
    with opened(directory, plugins=names) as (service, database):
        document = {"disk_format": "raw", "container_format": "bare", "gone": "soon", **fields}
        image_id = service.images.create(ADMIN, document).id
        bring(service.staging.begin(ADMIN, image_id))
        service.imports.begin(ADMIN, image_id, {"method": {"name": "glance-direct"}})
        before = {file.name for file in (directory / "fast" / "objects").rglob("*") if file.is_file()}
        run_jobs(service, database)
        (task,) = service.image_tasks.of_image(image_id)
        (file,) = (file for file in (directory / "fast" / "objects").rglob("*") if file.is_file())
        told = {"message": task.message, "moved": {file.name} != before}
        return service.catalogue.get(image_id), told, file.read_bytes()


def test_what_a_plugin_makes_becomes_the_images(tmp_path: Path) -> None:
    image, told, data = imported(tmp_path, "invert", "inject")
    assert (image.status, told["message"]) == (Status.ACTIVE, "")
    assert data == bytes(255 - byte for byte in DATA)
    assert image.checksum == hashlib.md5(data).hexdigest()
    assert (image.container_format, image.properties["made"], image.properties["added"]) == ("ovf", "other", "yes")
    assert "gone" not in image.properties
    assert "os_glance_import_task" not in image.properties


def test_data_that_no_plugin_changes_stays_where_it_is_staged(tmp_path: Path) -> None:
    image, told, data = imported(tmp_path, "inject")
    assert (image.status, image.properties["added"], told["moved"]) == (Status.ACTIVE, "yes", False)
    assert data == DATA


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("unheard-of", "there are: broken, inject, invert, none, twice"),
        ("twice", "one installed package"),
        ("none", "is no PluginType"),
        ("broken", "cannot be loaded: ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_used_stops_the_start(name: str, reason: str) -> None:
    with pytest.raises(PluginUnusable, match=reason) as unusable:
        open_plugins(ImagesSettings(import_plugins=("inject", name)))
    assert unusable.value.name == name

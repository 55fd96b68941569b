"""Plugins are what packages offer and the settings choose, in their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from headwater.config import Section
from headwater.errors import SettingsError
from headwater.images.data.session import ImageTooLarge
from headwater.images.imports.plugins import registry
from headwater.images.imports.plugins.conversion import Conversion
from headwater.images.imports.plugins.decompression import Decompression
from headwater.images.imports.plugins.plugin import Data, PluginFailed, PluginType, Work
from headwater.images.imports.plugins.processing import Plugins, Scratch
from headwater.images.imports.plugins.properties import Injection, InjectionSettings
from headwater.images.imports.plugins.registry import NoImportPlugin, NoOp, open_plugins
from headwater.images.imports.plugins.settings import ImportPluginsSettings
from headwater.images.inspection.inspect import Rules

Offer = Callable[..., None]


class TagSettings(Section):
    text: str


class Tag(NoOp):
    """A plugin of another package."""

    def __init__(self, settings: TagSettings) -> None:
        self._text = settings.text

    def apply(self, data: Data, work: Work) -> Data:
        return replace(data, properties={**data.properties, "tag": self._text})


TAG = PluginType("tag", TagSettings, Tag)
NOT_A_PLUGIN = object()


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(
        scratch=tmp_path,
        size_cap=1 << 20,
        rules=Rules(),
        roles=frozenset({"member"}),
        is_signed=False,
        advance=lambda done, total: None,
    )


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Offer a plugin as an installed package does."""
    offered: list[EntryPoint] = []

    def entry_points(**asked: str) -> list[EntryPoint]:
        name = asked.get("name")
        return [*metadata.entry_points(**asked), *(each for each in offered if name in (None, each.name))]

    monkeypatch.setattr(registry, "entry_points", entry_points)

    def offer(name: str, value: str) -> None:
        offered.append(EntryPoint(name, f"{__name__}:{value}", registry.GROUP))

    return offer


def data(**properties: str) -> Data:
    return Data(disk_format="raw", container_format="bare", properties=properties, pieces=iter(()))


def test_they_are_opened_in_the_order_of_the_settings() -> None:
    settings = ImportPluginsSettings(use=("image_conversion", "no_op", "image_decompression"))
    assert [type(each) for each in open_plugins(settings)] == [Conversion, NoOp, Decompression]
    assert open_plugins(ImportPluginsSettings()) == []


def test_a_name_that_nobody_offers_is_refused_with_those_that_are_there() -> None:
    with pytest.raises(NoImportPlugin, match=r"'image_conversoin' is offered by no package; there are: .*image_conv"):
        open_plugins(ImportPluginsSettings(use=("image_conversoin",)))


def test_a_plugin_of_another_package_has_its_own_settings(offer: Offer, work: Work) -> None:
    offer("tag", "TAG")
    (plugin,) = open_plugins(ImportPluginsSettings(use=("tag",), others={"tag": {"text": "hello"}}))
    assert plugin.apply(data(), work).properties == {"tag": "hello"}
    with pytest.raises(SettingsError, match=r"section \[import_plugins.others.tag\], key 'text': Field required"):
        open_plugins(ImportPluginsSettings(use=("tag",)))


@pytest.mark.parametrize("value", ["NOT_A_PLUGIN", "TAG", "nothing_of_this_name"])
def test_what_is_no_plugin_of_that_name_is_refused(value: str, offer: Offer) -> None:
    offer("other", value)
    with pytest.raises(NoImportPlugin, match="cannot be used"):
        open_plugins(ImportPluginsSettings(use=("other",)))


def test_a_name_that_two_packages_offer_is_refused(offer: Offer) -> None:
    offer("no_op", "TAG")
    with pytest.raises(NoImportPlugin, match="offered several times"):
        open_plugins(ImportPluginsSettings(use=("no_op",)))


def test_a_full_scratch_directory_is_told(work: Work) -> None:
    class Full(NoOp):
        def apply(self, data: Data, work: Work) -> Data:
            raise OSError(28, "No space left on device")

    with pytest.raises(PluginFailed, match="scratch_dir: No space left on device"):
        Plugins([Full()], work.scratch).apply(data(), work)


def test_a_file_that_is_larger_than_an_image_may_be_is_not_written_to_its_end(work: Work) -> None:
    large = data().holding(bytes(1 << 20) for _ in range(9))
    with pytest.raises(ImageTooLarge):
        work.spooled(large, "disk")
    assert (work.scratch / "disk").stat().st_size == 1 << 20


# --- Injection ----------------------------------------------------------------------------------------


def test_properties_are_injected_whatever_the_user_has_set(work: Work) -> None:
    plugin = Injection(InjectionSettings(inject={"a": "1", "b": "2"}))
    assert plugin.apply(data(a="0", c="3"), work).properties == {"a": "1", "b": "2", "c": "3"}
    assert not plugin.wants(data(), work)


def test_who_has_an_ignored_role_is_left_alone(work: Work) -> None:
    plugin = Injection(InjectionSettings(inject={"a": "1"}))
    assert plugin.apply(data(), replace(work, roles=frozenset({"member", "admin"}))).properties == {}


@pytest.mark.parametrize("name", ["", "x" * 256, "os_glance_import_task"])
def test_names_that_no_property_may_have_are_not_injected(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a property"):
        InjectionSettings(inject={name: "1"})


# --- Scratch directories ------------------------------------------------------------------------------


def test_a_scratch_directory_is_for_its_owner_and_goes_with_its_import(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "scratch")
    path = scratch.make()
    assert (path.stat().st_mode & 0o777, (tmp_path / "scratch").stat().st_mode & 0o777) == (0o700, 0o700)
    (path / "source").write_bytes(b"1")
    scratch.remove()
    scratch.remove()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_what_a_killed_process_left_goes_and_what_others_use_stays(tmp_path: Path) -> None:
    (tmp_path / "import-left").mkdir()
    (tmp_path / "import-left" / "source").write_bytes(b"1")
    (tmp_path / "of somebody else").write_bytes(b"2")
    one, other = Scratch(tmp_path), Scratch(tmp_path)
    used = {one.make().name, other.make().name}
    assert {each.name for each in tmp_path.iterdir()} == {*used, "of somebody else"}


def test_where_no_scratch_directory_can_be_made_the_task_is_told_why(tmp_path: Path) -> None:
    (tmp_path / "scratch").write_bytes(b"is a file")
    with pytest.raises(PluginFailed, match=r"scratch_dir: .*\[import_plugins\]"):
        Scratch(tmp_path / "scratch").make()

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from headwater.cli.commands.sample import sample_entries
from headwater.cli.main import app
from headwater.config import load
from headwater.errors import SettingsError
from headwater.fetching.fetcher import Fetcher, FetchSettings
from headwater.server.settings import Settings
from headwater.stores import registry
from headwater.stores.file import FileStore
from headwater.stores.layers.deadline import PromptStore
from headwater.stores.layers.layer import Direction, Layer, Operation
from headwater.stores.layers.limit import LimitedStore
from headwater.stores.layers.metrics import CountedStore, Tally
from headwater.stores.layers.rest import RestingStore
from headwater.stores.layers.retry import RetriedStore
from headwater.stores.registry import NoStoreType, open_stores, store_type, type_names
from headwater.stores.store_type import Surroundings
from headwater.testing.object_store import content, marked, put
from packages import SHELF, package

Install = Callable[[str, str, Mapping[str, str]], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs packages for as long as the test runs."""

    def forget() -> None:
        registry._offers.cache_clear()
        registry.store_type.cache_clear()

    def add(name: str, code: str, stores: Mapping[str, str]) -> None:
        monkeypatch.syspath_prepend(package(tmp_path / f"packages-{name}", name, code, stores))
        forget()

    forget()
    yield add
    monkeypatch.undo()
    forget()


def settings(toml: str, tmp_path: Path) -> Settings:
    file = tmp_path / "headwater.toml"
    file.write_text(toml)
    return load(Settings, file=file).settings


def test_what_headwater_has_is_offered_like_what_others_have(install: Install) -> None:
    assert set(type_names()) >= {"file", "http", "memory"}
    install("outside_shelf", SHELF, {"shelf": "SHELF"})
    assert "shelf" in type_names()
    assert {store_type(name).name for name in type_names()} == set(type_names())


def test_a_type_of_another_package_is_used_like_ours(install: Install, tmp_path: Path) -> None:
    install("outside_shelf", SHELF, {"shelf": "SHELF"})
    found = settings('[stores.s]\ntype = "shelf"\nlabel = "third"\nfsync = false\n', tmp_path)
    stores = open_stores(found.stores, Surroundings(tmp_path, Fetcher(FetchSettings())))
    put(marked(stores["s"]), "k", b"bytes")
    assert content(stores["s"], "k") == b"bytes"
    assert stores["s"].name == "s"
    assert (tmp_path / "third" / "objects").is_dir()


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('type = "shelf"\nlabel = "a"\nlable = "b"', ("section [stores.s], key 'lable' is unknown", "mean 'label'?")),
        ('type = "shelf"\nlabel = "a"\nrot = "/x"', ("section [stores.s], key 'rot'", "mean 'root'?")),
        ('type = "shelf"', ("section [stores.s], key 'label' is missing",)),
        ('type = "shelf"\nlabel = 5', ("section [stores.s], key 'label'", "string")),
        ('type = "memory"\ncapacty = 5', ("section [stores.s], key 'capacty' is unknown", "mean 'capacity'?")),
        ('type = "memory"\nroot = "/x"', ("section [stores.s], key 'root' is unknown", "known here: capacity, ")),
        ('type = "self"', ("section [stores], key 's'", "no type of store 'self'", "'file'", "'http'", "'shelf'")),
        ("type = 5", ("section [stores], key 's'", "no type of store '5'")),
        ('label = "a"', ("section [stores], key 's'", "no 'type'", '"file"', '"shelf"')),
    ],
)
def test_a_mistake_in_a_store_is_named_with_what_its_type_knows(
    install: Install, tmp_path: Path, toml: str, words: tuple[str, ...]
) -> None:
    install("outside_shelf", SHELF, {"shelf": "SHELF"})
    with pytest.raises(SettingsError) as caught:
        settings(f"[stores.s]\n{toml}\n", tmp_path)
    for word in (str(tmp_path / "headwater.toml"), *words):
        assert word in str(caught.value)


def test_a_store_that_is_no_section_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"section \[stores\], key 's'.*a section with keys of its own"):
        settings('[stores]\ns = "file"\n', tmp_path)


@pytest.mark.parametrize(
    ("code", "where", "reason"),
    [
        ("import a_library_that_is_not_there", "TYPE", "ModuleNotFoundError: No module named 'a_library_that_is_not"),
        ("raise RuntimeError('not on this machine')", "TYPE", "RuntimeError: not on this machine"),
        ("", "TYPE", "AttributeError"),
        ("TYPE = 5", "TYPE", "broken:TYPE is not a StoreType"),
        ("raise RuntimeError('on this machine:\\n  nothing')", "TYPE", "RuntimeError: on this machine: nothing"),
        (
            "from headwater.stores.store_type import *\nTYPE = StoreType('tape', StoreSettings, print)",
            "TYPE",
            "TypeError: StoreSettings does not say its abilities",
        ),
        (SHELF, "SHELF", "broken:SHELF is not a StoreType of that name"),
    ],
)
def test_a_package_that_is_broken_is_named_where_it_is_used_and_harms_nobody_else(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, where: str, reason: str
) -> None:
    install("broken", code, {"tape": where})
    monkeypatch.delitem(sys.modules, "broken", raising=False)
    assert settings('[stores.f]\ntype = "file"\n', tmp_path).stores["f"].type == "file"
    with pytest.raises(SettingsError) as caught:
        settings('[stores.t]\ntype = "tape"\n', tmp_path)
    for word in ("headwater.toml", "key 't'", "type of store 'tape'", "the package broken", reason):
        assert word in str(caught.value)
    sample = CliRunner().invoke(app, ["config", "sample"])
    assert (sample.exit_code, reason in sample.stdout) == (0, True)
    assert [line for line in sample.stdout.splitlines() if line and not line.startswith("#")] == []


def test_a_name_that_two_packages_offer_is_refused(install: Install, tmp_path: Path) -> None:
    install("one_shelf", SHELF, {"shelf": "SHELF"})
    install("other_shelf", SHELF, {"shelf": "SHELF"})
    with pytest.raises(SettingsError, match="the package other_shelf and the package one_shelf"):
        settings('[stores.s]\ntype = "shelf"\nlabel = "a"\n', tmp_path)


def test_without_any_package_the_message_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_offers", dict)
    with pytest.raises(NoStoreType, match="no type of store 'file'; there are none: install Headwater again"):
        store_type.__wrapped__("file")


def test_the_sample_as_json_says_which_type_of_store_a_key_is_of() -> None:
    of_stores = {entry["key"]: entry["store_type"] for entry in sample_entries() if entry["key"].startswith("stores.")}
    assert (of_stores["stores.file.root"], of_stores["stores.NAME.capacity"]) == ("file", "memory")


def test_the_sample_has_the_keys_of_every_type(install: Install) -> None:
    install("outside_shelf", SHELF, {"shelf": "SHELF"})
    lines = CliRunner().invoke(app, ["config", "sample"]).stdout.splitlines()
    assert lines[lines.index("#[stores.file]") + 2] == '#type = "file"'
    assert '#   type = "shelf"' in lines
    assert lines[lines.index("#   label =") - 1] == "#   # What is written on the shelf."
    assert "#   capacity = 1073741824" in lines


class Nobody:
    """Counts nothing."""

    def worked(self, store: str, operation: Operation, seconds: float, *, failed: bool) -> None: ...

    def passed(self, store: str, direction: Direction, count: int) -> None: ...


def layers(toml: str, tmp_path: Path, tally: Tally | None = None) -> list[type]:
    """Return what lies around the store of one section, the store itself at last."""
    found = settings(f"[server]\nworkers = 1\n[stores.s]\n{toml}\n", tmp_path)
    store = open_stores(found.stores, Surroundings(tmp_path, Fetcher(FetchSettings())), tally=tally)["s"]
    types = [type(store)]
    while isinstance(store, Layer):
        store = store.below
        types.append(type(store))
    return types


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        ("", [RestingStore, FileStore]),
        ("deadline_s = 5", [PromptStore, FileStore]),
        ("max_concurrency = 5", [RestingStore, LimitedStore, FileStore]),
        ("max_read_mib_s = 5", [RestingStore, LimitedStore, FileStore]),
        ("max_write_mib_s = 0.5", [RestingStore, LimitedStore, FileStore]),
        ("retries = 5", [RestingStore, RetriedStore, FileStore]),
        ("retries = 1\nmax_concurrency = 5\ndeadline_s = 5", [RetriedStore, LimitedStore, PromptStore, FileStore]),
    ],
)
def test_around_a_store_lies_what_its_section_asks_for(tmp_path: Path, toml: str, expected: list[type]) -> None:
    assert layers(f'type = "file"\n{toml}', tmp_path) == expected
    assert layers(f'type = "file"\n{toml}', tmp_path, Nobody()) == [CountedStore, *expected]


@pytest.mark.parametrize("wrong", ["deadline_s = 0", "max_concurrency = 0", "max_read_mib_s = -1", "retries = 11"])
def test_a_limit_that_is_none_is_refused(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(SettingsError, match=rf"section \[stores\.s\], key '{wrong.split(maxsplit=1)[0]}'"):
        layers(f'type = "file"\n{wrong}', tmp_path)


def test_a_speed_is_in_mib_a_second(tmp_path: Path) -> None:
    found = settings('[stores.s]\ntype = "file"\nmax_write_mib_s = 16\n', tmp_path)
    store = marked(open_stores(found.stores, Surroundings(tmp_path, Fetcher(FetchSettings())))["s"])
    began = time.monotonic()
    put(store, "k", bytes(8 << 20))
    assert 0.4 <= time.monotonic() - began < 10


def test_what_has_to_be_given_stands_in_the_sample_without_a_value() -> None:
    sample = CliRunner().invoke(app, ["config", "sample"]).stdout
    assert "PydanticUndefined" not in sample
    assert "#   bind =\n" in sample

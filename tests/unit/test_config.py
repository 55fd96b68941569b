from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, SecretStr, ValidationError

from headwater import config
from headwater.config import Section, environment_variable, fields, load, secret_free
from headwater.errors import SettingsError


class Inner(Section):
    """Section ``[inner]``."""

    port: Annotated[int, Field(ge=1, le=65535)] = 80
    names: tuple[str, ...] = ("a",)
    password: SecretStr | None = None


class Entry(Section):
    """Section ``[table.NAME]``."""

    root: Path | None = None
    size: int


class Outer(Section):
    """Everything."""

    title: str = "default title"
    inner: Inner = Inner()
    table: dict[str, Entry] = {}  # noqa: RUF012 - pydantic copies it


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "headwater.toml"


def test_variables_that_commands_ask_for_are_no_settings() -> None:
    source = Path(config.__file__).parent
    named = {
        each
        for file in source.rglob("*.py")
        for each in re.findall(r"\"(HEADWATER_[A-Z]+(?:_[A-Z]+)*_?)\"", file.read_text(encoding="utf-8"))
    }
    asked_for = {f"{name}NAME" if name.endswith("_") else name for name in named - {config.ENVIRONMENT_PREFIX}}
    assert {"HEADWATER_KEY_PASSPHRASE", "HEADWATER_SIGNING_KEY_PASSWORD", "HEADWATER_SYNC_NAME"} <= asked_for
    assert load(Outer, environment=dict.fromkeys(asked_for, "x")).settings == Outer()


def test_without_any_source_everything_is_default() -> None:
    loaded = load(Outer)
    assert loaded.settings == Outer()
    assert loaded.origin(("inner", "port")) == "default"


def test_the_command_line_goes_over_environment_over_file_over_default(file: Path) -> None:
    file.write_text('title = "file"\n[inner]\nport = 1\nnames = ["file"]\n')
    environment = {"HEADWATER_INNER__PORT": "2", "HEADWATER_TITLE": "environment", "OTHER_TITLE": "x"}
    loaded = load(Outer, file=file, environment=environment, options={("inner", "port"): 3, ("title",): None})
    assert (loaded.settings.inner.port, loaded.settings.title, loaded.settings.inner.names) == (
        3,
        "environment",
        ("file",),
    )
    assert loaded.origin(("inner", "port")) == "command line"
    assert loaded.origin(("title",)) == "environment HEADWATER_TITLE"
    assert loaded.origin(("inner", "names")) == f"file {file}"
    assert loaded.origin(("inner", "password")) == "default"


def test_an_option_that_is_false_or_zero_counts_as_given() -> None:
    assert load(Outer, options={("title",): ""}).settings.title == ""


def test_lists_and_tables_of_the_environment_are_json(file: Path) -> None:
    environment = {
        "HEADWATER_INNER__NAMES": '["x", "y"]',
        "HEADWATER_TABLE__FAST__SIZE": "5",
        "HEADWATER_TABLE__SLOW": '{"size": 6, "root": "/x"}',
    }
    settings = load(Outer, environment=environment).settings
    assert settings.inner.names == ("x", "y")
    assert settings.table == {"fast": Entry(size=5), "slow": Entry(size=6, root=Path("/x"))}


def test_a_text_that_only_looks_like_json_stays_a_text() -> None:
    assert load(Outer, environment={"HEADWATER_TITLE": "[draft"}).settings.title == "[draft"


def test_a_table_that_says_a_key_twice_is_refused() -> None:
    environment = {"HEADWATER_TABLE__SLOW": '{"size": 6, "size": 7}', "HEADWATER_TITLE": "[" * 100_000}
    with pytest.raises(SettingsError, match=r"^HEADWATER_TABLE__SLOW: an object has the key 'size' twice"):
        load(Outer, environment=environment)
    assert load(Outer, environment={"HEADWATER_TITLE": "[" * 100_000}).settings.title == "[" * 100_000


def test_sources_are_merged_key_by_key(file: Path) -> None:
    file.write_text('[table.one]\nsize = 1\nroot = "/one"\n[table.two]\nsize = 2\n')
    settings = load(Outer, file=file, environment={"HEADWATER_TABLE__ONE__SIZE": "9"}).settings
    assert settings.table == {"one": Entry(size=9, root=Path("/one")), "two": Entry(size=2)}


def test_the_variable_that_names_the_file_is_no_setting() -> None:
    assert load(Outer, environment={"HEADWATER_CONFIG": "/etc/x"}).settings == Outer()


def test_settings_cannot_be_changed() -> None:
    settings = load(Outer).settings
    with pytest.raises(ValidationError):
        settings.title = "x"
    with pytest.raises(ValidationError):
        settings.inner.port = 5


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        pytest.param("port = ", ("is not TOML", "Invalid value"), id="not TOML"),
        pytest.param("tilte = 'x'", ("'tilte' is unknown", "did you mean 'title'?"), id="unknown key"),
        pytest.param(
            "[inner]\nprot = 5",
            ("section [inner], key 'prot' is unknown", "did you mean 'port'?"),
            id="unknown in section",
        ),
        pytest.param("[inner]\nzzz = 5", ("known here: names, password, port",), id="unknown, and nothing like it"),
        pytest.param("[iner]\nport = 5", ("'iner' is unknown", "did you mean 'inner'?"), id="unknown section"),
        pytest.param("[inner]\nport = 'x'", ("section [inner], key 'port'", "valid integer"), id="wrong type"),
        pytest.param("[inner]\nport = 70000", ("key 'port'", "less than or equal to 65535"), id="out of range"),
        pytest.param("[inner]\nnames = 5", ("section [inner], key 'names'",), id="no list"),
        pytest.param("[inner]\nnames = [5]", ("section [inner.names], key '0'", "valid string"), id="wrong in a list"),
        pytest.param("inner = 5", ("'inner'",), id="a value for a section"),
        pytest.param("[table.x]", ("table",), id="an empty table"),
        pytest.param("[table.x]\nroot = '/x'", ("section [table.x], key 'size' is missing",), id="missing"),
        pytest.param("[table.x]\nsize = 1\nroof = 2", ("section [table.x]", "did you mean 'root'?"), id="in a table"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_place(file: Path, toml: str, words: tuple[str, ...]) -> None:
    file.write_text(toml)
    with pytest.raises(SettingsError) as caught:
        load(Outer, file=file)
    for word in (str(file), *words):
        assert word in str(caught.value)


def test_every_mistake_is_named_at_once(file: Path) -> None:
    file.write_text("titel = 1\n[inner]\nport = 0\n")
    with pytest.raises(SettingsError, match=r"port.*; .*titel|titel.*; .*port"):
        load(Outer, file=file)


def test_a_mistake_in_the_environment_is_named_with_its_variable() -> None:
    with pytest.raises(SettingsError, match=r"environment HEADWATER_INNER__PORT: section \[inner\], key 'port'"):
        load(Outer, environment={"HEADWATER_INNER__PORT": "many"})
    with pytest.raises(SettingsError, match=r"environment HEADWATER_INNR__PORT: 'innr' is unknown"):
        load(Outer, environment={"HEADWATER_INNR__PORT": "5"})


def test_a_mistake_on_the_command_line_is_named_as_such() -> None:
    with pytest.raises(SettingsError, match=r"command line: section \[inner\], key 'port'"):
        load(Outer, options={("inner", "port"): 0})


def test_a_file_may_be_as_windows_writes_it(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbftitle = 'x'\r\n[inner]\r\nport = 5\r\n")
    settings = load(Outer, file=file).settings
    assert (settings.title, settings.inner.port) == ("x", 5)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for make, words in (
        (lambda _path: None, "No such file"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "not UTF-8"),
    ):
        path = tmp_path / words.replace(" ", "-")
        make(path)
        with pytest.raises(SettingsError, match=words) as caught:
            load(Outer, file=path)
        assert str(path) in str(caught.value)


def test_a_secret_appears_in_no_message_and_in_no_print(file: Path) -> None:
    file.write_text("[inner]\npassword = 'hunter2'\nport = 'hunter3'\n")
    with pytest.raises(SettingsError) as caught:
        load(Outer, file=file)
    assert "hunter" not in str(caught.value)
    settings = load(Outer, options={("inner", "password"): "hunter2"}).settings
    assert "hunter2" not in str(settings)
    assert secret_free(settings) == {
        "title": "default title",
        "inner": {"port": 80, "names": ["a"], "password": "***"},
        "table": {},
    }


def test_every_key_has_its_path_and_variable() -> None:
    paths = [path for path, _ in fields(Outer)]
    assert paths == [
        ("title",),
        ("inner",),
        ("inner", "port"),
        ("inner", "names"),
        ("inner", "password"),
        ("table",),
        ("table", "entries", "root"),
        ("table", "entries", "size"),
    ]
    assert environment_variable(("inner", "port")) == "HEADWATER_INNER__PORT"


_toml_value = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.lists(st.integers(), max_size=2), st.just({})
)


@given(
    st.dictionaries(
        st.sampled_from([("title",), ("inner",), ("inner", "port"), ("inner", "x", "y"), ("table",), ("table", "a")]),
        _toml_value,
        max_size=4,
    )
)
def test_any_options_are_settings_or_one_clear_error(options: dict[tuple[str, ...], object]) -> None:
    try:
        load(Outer, options=options)
    except SettingsError as error:
        assert "command line" in str(error)

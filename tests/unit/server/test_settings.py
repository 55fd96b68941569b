from __future__ import annotations

from pathlib import Path

import pytest

from headwater.config import load
from headwater.errors import SettingsError
from headwater.server.settings import Settings, address
from headwater.stores.file import FileStoreSettings
from headwater.stores.memory import MemoryStoreSettings

BARBICAN = '[signatures]\ncertificates = "barbican"\n[signatures.barbican]\nendpoint = "http://b"\n'


def settings(toml: str, tmp_path: Path) -> Settings:
    file = tmp_path / "headwater.toml"
    file.write_text(toml)
    return load(Settings, file=file).settings


def test_the_default_is_one_file_store_and_sqlite_in_the_data_directory() -> None:
    default = load(Settings, options={("data_dir",): "/srv/headwater"}).settings
    assert default.database_url == "sqlite:////srv/headwater/headwater.db"
    assert default.stores == {"file": FileStoreSettings()}
    assert 1 <= default.workers <= 4
    assert (default.server.bind, default.server.metadata_bind) == ("127.0.0.1:9292", "127.0.0.1:8775")


def test_stores_are_chosen_by_their_type(tmp_path: Path) -> None:
    found = settings('[server]\nworkers = 1\n[stores.a]\ntype = "memory"\n[stores.b]\ntype = "file"\n', tmp_path)
    assert found.stores == {"a": MemoryStoreSettings(type="memory"), "b": FileStoreSettings()}


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        pytest.param('[server]\nbind = "9292"', ("[server]", "'bind'", "HOST:PORT"), id="no host"),
        pytest.param('[server]\nbind = "h:70000"', ("'bind'", "HOST:PORT"), id="no such port"),
        pytest.param("[server]\nworkers = 0", ("[server]", "'workers'", "greater than or equal to 1"), id="no workers"),
        pytest.param('[log]\nlevel = "loud"', ("[log]", "'level'", "debug"), id="no such level"),
        pytest.param('[stores.w]\ntype = "http"', ("takes uploads",), id="no store that writes"),
        pytest.param(
            '[stores.f]\ntype = "file"\n[stores.w]\ntype = "http"\n[images]\nstore = "w"',
            ("[images]", "'w' takes no uploads", "give one of f"),
            id="uploads into a store of others",
        ),
        pytest.param('[stores.x]\ntype = "tape"', ("stores", "'tape'", "'file'"), id="no such type of store"),
        pytest.param('[stores."a/b"]\ntype = "file"', ("store's name", "'a/b'"), id="no name for a store"),
        pytest.param('[stores.x]\ntype = "file"\nrot = "/x"', ("'rot'", "unknown"), id="unknown key of a store"),
        pytest.param('[images]\nstore = "fast"', ("[images]", "'store'", "'fast'", "file"), id="no such store"),
        pytest.param('[images]\nstaging_store = "fast"', ("'staging_store'", "'fast'", "file"), id="nowhere to stage"),
        pytest.param(
            '[stores.f]\ntype = "file"\n[stores.w]\ntype = "http"\n[images]\nstaging_store = "w"',
            ("'staging_store'", "'w' takes no uploads", "give one of f"),
            id="staged in a store of others",
        ),
        pytest.param(
            '[images]\nimport_methods = ["ftp"]', ("images.import_methods", "glance-direct"), id="no such method"
        ),
        pytest.param(
            '[server]\nworkers = 2\n[stores.m]\ntype = "memory"', ("memory", "'workers' to 1"), id="memory and workers"
        ),
        pytest.param('[images]\nhash_algorithm = "md5"', ("'hash_algorithm'", "sha512"), id="a weak hash"),
        pytest.param("[images]\nsize_cap = 0", ("'size_cap'",), id="no bytes"),
        pytest.param('[signatures]\ncertificates = "directory"', ("[signatures]", "'directory'"), id="no directory"),
        pytest.param(
            '[signatures]\ncertificates = "barbican"', ("[signatures.barbican]", "'endpoint'"), id="no endpoint"
        ),
        pytest.param(BARBICAN, ("[signatures.barbican]", "'ask_as'", '"service"'), id="no caller has a token"),
        pytest.param(
            BARBICAN + 'ask_as = "service"', ("[auth.keystone]", "auth_url, username, password"), id="no service user"
        ),
        pytest.param('[databse]\nurl = "x"', ("'databse' is unknown", "'database'"), id="unknown section"),
    ],
)
def test_a_mistake_is_named_with_what_would_do(tmp_path: Path, toml: str, words: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(toml, tmp_path)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        ("[::1]:9292", ("::1", 9292)),
        ("localhost:0", ("localhost", 0)),
        ("0.0.0.0:65535", ("0.0.0.0", 65535)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, parts: tuple[str, int]) -> None:
    assert address(text) == parts


@pytest.mark.parametrize(
    "text", ["", ":", "host", "host:", ":80", "::1:80", "[::1]", "h:65536", "h:-1", "h:8٠", "a:b:1"]
)
def test_anything_else_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        address(text)

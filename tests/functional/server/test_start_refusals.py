"""What stands in the way of a start is one sentence on standard error, and exit code 2."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
from pathlib import Path

import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, run_headwater
from functional.program import program
from headwater.server.edge.listener import held, listening
from servers.ports import free_ports

PASSWORD = "hunter2-and-more"


def serve(
    directory: Path,
    *options: str | Path,
    toml: str | None = None,
    env: dict[str, str] | None = None,
    global_options: tuple[str | Path, ...] = (),
    anew: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Try to start; ports are free ones unless ``options`` or the settings give others."""
    if toml is not None:
        (directory / "settings.toml").write_text(toml)
        global_options = ("--config", "settings.toml", *global_options)
    binds: list[str] = []
    if "bind" not in (toml or ""):
        first, second = free_ports(2)
        binds = ["--bind", f"127.0.0.1:{first}", "--metadata-bind", f"127.0.0.1:{second}"]
    words = (*global_options, "serve", *binds, *options)
    return run_headwater(*words, directory=directory, env=env, timeout_s=30, anew=anew)


def refused(done: subprocess.CompletedProcess[str], *parts: str, code: int = 2) -> None:
    """Demand one sentence that has all these parts in their order, no secret, and nothing else."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("headwater: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    rest = done.stderr
    for part in parts:
        assert part in rest, (part, done.stderr)
        rest = rest.partition(part)[2]
    assert PASSWORD not in done.stderr


@pytest.mark.parametrize(
    ("toml", "parts"),
    [
        ("[server]\nwokers = 2", ["[server]", "'wokers' is unknown", "did you mean 'workers'"]),
        ("[sever]\nworkers = 2", ["'sever' is unknown", "did you mean 'server'"]),
        ("nothing_like_it = 2", ["'nothing_like_it' is unknown", "data_dir", "server"]),
        ('[server]\nworkers = "many"', ["[server]", "'workers'", "integer"]),
        ('[metadata.networks."a.b"]\nbind = "[::1]:80"', ["[metadata]", "'networks'", "'a.b'"]),
        ("[server]\nworkers = 0", ["[server]", "'workers'", "greater than or equal to 1"]),
        ("[server]\nworkers = [1]", ["[server]", "'workers'", "integer"]),
        ('[server]\nbind = "here"', ["[server]", "'bind'", "127.0.0.1:9292"]),
        ('[server]\nbind = "127.0.0.1:70000"', ["[server]", "'bind'", "127.0.0.1:9292"]),
        ("[server]\nbind = 9292", ["[server]", "'bind'", "string"]),
        ('[log]\nlevel = "loud"', ["[log]", "'level'", "'debug', 'info', 'warning' or 'error'"]),
        ("[images]\nsize_cap = true\nlimit_max = -1", ["[images]", "'limit_max'"]),
        ('[stores.fast]\ntype = "floppy"', ["[stores]", "'fast'", "'floppy'", "'file', 'http', 'memory'"]),
        ('[stores.fast]\ntype = "file"\nrot = "x"', ["[stores.fast]", "'rot' is unknown", "did you mean 'root'"]),
        (
            '[stores.fast]\nroot = "x"',
            ["[stores]", "'fast'", "has no 'type'", '"file", "http", "memory", "rbd", "s3" or "swift"'],
        ),
        ("[quotas]\nimage_count_total = -2", ["[quotas]", "'image_count_total'", "greater than or equal to -1"]),
        ('[quotas]\nuser_storage_quota = "much"', ["[quotas]", "'user_storage_quota'", '"10 GB"']),
        ("[quotas.projects.p]\nimages = 3", ["[quotas.projects.p]", "'images' is unknown", "image_count_total"]),
        ("[quotas]\nuse_keystone_limits = true\nimage_count_total = 1", ["image_count_total", "not both"]),
        ("server = 5", ["'server' is a section", "[server]"]),
        ("[server\n", ["is not TOML", "line 1"]),
        ('data_dir = "a"\ndata_dir = "b"\n', ["is not TOML", "Cannot overwrite a value", "line 2"]),
    ],
)
def test_a_wrong_settings_file(tmp_path: Path, toml: str, parts: list[str]) -> None:
    refused(serve(tmp_path, toml=toml), "settings.toml", *parts)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("not a database, and longer than the sixteen bytes of a header" * 20)
    refused(serve(tmp_path, toml='[database]\nurl = "sqlite:///notes.db"'), "notes.db", "not a database", code=1)


def test_a_database_in_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    toml = '[database]\nurl = "sqlite:///file/below/headwater.db"'
    refused(serve(tmp_path, toml=toml), "[database]", "'url'", "cannot make the directory")


def test_a_settings_file_that_is_not_there(tmp_path: Path) -> None:
    refused(serve(tmp_path, global_options=("--config", "none.toml")), "none.toml", "No such file or directory")


def test_a_settings_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    refused(serve(tmp_path, global_options=("--config", "binary.toml")), "binary.toml", "not UTF-8")


@pytest.mark.parametrize(
    ("name", "value", "parts"),
    [
        ("HEADWATER_SERVER__WOKERS", "2", ["'wokers' is unknown", "did you mean 'workers'"]),
        ("HEADWATER_SEVER__WORKERS", "2", ["'sever' is unknown", "did you mean 'server'"]),
        ("HEADWATER_PORT", "2", ["'port' is unknown"]),
        ("HEADWATER_SERVER__STOP_TIMEOUT_S", "soon", ["[server]", "'stop_timeout_s'", "integer"]),
        ("HEADWATER_CONFIG", "none.toml", ["No such file"]),
    ],
)
def test_a_wrong_variable(tmp_path: Path, name: str, value: str, parts: list[str]) -> None:
    named = "none.toml" if name == "HEADWATER_CONFIG" else name
    refused(serve(tmp_path, env={name: value}), named, *parts)


@pytest.mark.parametrize("anew", [True, False])
def test_a_wrong_option(tmp_path: Path, *, anew: bool) -> None:
    done = serve(tmp_path, "--workers", "0", anew=anew)
    refused(done, "command line", "'workers'", "greater than or equal to 1")


@pytest.mark.parametrize("path", ["file", "file/below"])
def test_a_data_directory_that_cannot_be_written(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("not a directory")
    refused(serve(tmp_path, global_options=("--data-dir", path)), "'data_dir'", path, "--data-dir")
    for words in ("db upgrade", "db check", "instance list", "config-drive build web1 -o web1.iso"):
        done = run_headwater("--data-dir", path, *words.split(), directory=tmp_path)
        refused(done, "'data_dir'", path, "--data-dir")


@pytest.mark.parametrize("key", ["bind", "metadata-bind"])
def test_a_port_that_another_headwater_has(tmp_path: Path, headwater: HeadwaterProcess, key: str) -> None:
    bind = headwater.images_url.removeprefix("http://")
    named = f"[server], key '{key.replace('-', '_')}': cannot listen on {bind}: address already in use"
    refused(serve(tmp_path, f"--{key}", bind), named)
    assert headwater.is_running()


def test_of_two_that_start_in_the_same_moment_one_has_the_port_before_it_listens() -> None:
    (port,) = free_ports(1)
    with held("127.0.0.1", port):
        with pytest.raises(OSError, match="in use"):
            held("127.0.0.1", port)
        with listening("127.0.0.1", port), listening("127.0.0.1", port):  # workers, which share it
            for _ in range(8):
                socket.create_connection(("127.0.0.1", port), 10).close()
            with pytest.raises(OSError, match="in use"):
                held("127.0.0.1", port)
        with pytest.raises(OSError, match="in use"):
            held("127.0.0.1", port)
    held("127.0.0.1", port).close()


def test_one_port_for_both_listeners(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    both = f"127.0.0.1:{port}"
    done = serve(tmp_path, "--bind", both, "--metadata-bind", both)
    refused(done, "key 'metadata_bind'", f"cannot listen on {both}", "give another HOST:PORT")


def test_limits_of_keystone_for_projects_that_are_not_keystones(tmp_path: Path) -> None:
    done = serve(tmp_path, toml="[quotas]\nuse_keystone_limits = true\n")
    refused(done, "[quotas]", "'use_keystone_limits'", "[auth]", "'mode'", '"keystone"')


def test_a_plugin_of_imports_that_no_package_offers(tmp_path: Path) -> None:
    done = serve(tmp_path, toml='[import_plugins]\nuse = ["unpack"]\n')
    refused(done, "[import_plugins]", "'use'", "'unpack'", "image_decompression")


def test_an_address_of_another_machine(tmp_path: Path) -> None:
    toml = "[auth]\nallow_none_beyond_loopback = true\n"
    done = serve(tmp_path, "--bind", "192.0.2.1:9292", toml=toml)
    refused(done, "key 'bind'", "cannot listen on 192.0.2.1:9292")


def test_a_catalogue_of_a_newer_version(tmp_path: Path, fresh_headwater: FreshHeadwater) -> None:
    first, second = free_ports(2)
    toml = f'[server]\nbind = "127.0.0.1:{first}"\nmetadata_bind = "127.0.0.1:{second}"\n'
    service = fresh_headwater(toml=toml, start=False)
    assert service.command("db", "upgrade").returncode == 0
    with sqlite3.connect(service.data_dir / "headwater.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    for words in (["serve"], ["db", "check"], ["db", "upgrade"], ["instance", "list"]):
        refused(service.command(*words), "headwater.db", "schema 9999", "start the newer Headwater")


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        (f"oracle://user:{PASSWORD}@db/glance", ["[database]", "'url'", "postgresql://USER:PASSWORD@HOST/NAME"]),
        (PASSWORD, ["[database]", "'url'", "sqlite:///FILE"]),
    ],
)
def test_a_database_url_that_is_none(tmp_path: Path, url: str, parts: list[str]) -> None:
    refused(serve(tmp_path, toml=f'[database]\nurl = "{url}"'), *parts)


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_database_that_does_not_answer(tmp_path: Path, kind: str) -> None:
    (port,) = free_ports(1)
    done = serve(tmp_path, toml=f'[database]\nurl = "{kind}://user:{PASSWORD}@127.0.0.1:{port}/glance"')
    refused(done, f"user:***@127.0.0.1:{port}/glance does not work", "refused", code=1)


def test_a_signing_key_that_is_missing(tmp_path: Path) -> None:
    refused(serve(tmp_path, toml='[streams]\nsigning_key = "none.asc"'), "signing key none.asc", "No such file")


def test_a_signing_key_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "key.asc").write_text("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n-----END PGP PUBLIC KEY BLOCK-----\n")
    toml = f'[streams]\nsigning_key = "key.asc"\nsigning_key_password = "{PASSWORD}"'
    refused(serve(tmp_path, toml=toml), "signing key key.asc")


def test_a_password_without_a_signing_key(tmp_path: Path) -> None:
    toml = f'[streams]\nsigning_key_password = "{PASSWORD}"'
    refused(serve(tmp_path, toml=toml), "signing_key_password is set and signing_key is not")


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ('url = "site"\npull_through = "https://images.example"', "give one of both"),
        ("", "give one of both"),
        ('url = "https://images.example"', "served by pull_through"),
        ('pull_through = "images.example"', "not the root of a feed"),
        ('pull_through = "https://me:secret@images.example"', "without a user name"),
        ('pull_through = "https://images.example/streams/v1/index.json"', "the path above streams/v1"),
        ('pull_through = "https://images.example"\nkeyring = "none.gpg"', "none.gpg"),
        ('pull_through = "https://images.example"\nresign = true', "signing_key"),
        ('pull_through = "https://images.example"\ndirectory = "/proc/none"', "cannot keep anything in /proc/none"),
        ('url = "site"\nmax_age_s = 5', "only a tree with 'pull_through' has that"),
        ('url = "swift://container"', "OS_AUTH_URL is not set"),
        ('url = "s3://"', "name a bucket"),
        ('url = "/"', "holds the directory of data"),
        ('pull_through = "https://images.example"\nauthorization = "secret\\nHost: x"', "one line of printable"),
    ],
)
def test_a_tree_that_cannot_be_served(tmp_path: Path, section: str, said: str) -> None:
    done = serve(tmp_path, toml=f"[streams.trees.site]\n{section}")
    refused(done, said)
    assert "secret" not in done.stderr


def test_a_tree_with_a_name_that_no_path_has(tmp_path: Path) -> None:
    refused(serve(tmp_path, toml='[streams.trees."../x"]\nurl = "site"'), "a tree's name is lower-case letters")


def test_a_network_that_begins_nowhere(tmp_path: Path) -> None:
    toml = '[metadata.networks.blue]\nbind = "br0:80"'
    refused(serve(tmp_path, toml=toml), "[metadata.networks.blue]", "'bind'", "ADDRESS:PORT")


def test_a_memory_store_with_several_workers(tmp_path: Path) -> None:
    toml = '[stores.quick]\ntype = "memory"\n'
    refused(serve(tmp_path, "--workers", "2", toml=toml), "memory", "[server], key 'workers' to 1")


def test_a_store_for_uploads_that_is_not_there(tmp_path: Path) -> None:
    refused(serve(tmp_path, toml='[images]\nstore = "fast"'), "[images], key 'store'", "no store 'fast'", "file")


def test_no_command_prints_a_secret(tmp_path: Path) -> None:
    (tmp_path / "headwater.toml").write_text(
        f'[database]\nurl = "postgresql://user:{PASSWORD}@db/glance"\n'
        f'[streams]\nsigning_key = "key.asc"\nsigning_key_password = "{PASSWORD}"\n'
    )
    for words in (["config", "show"], ["config", "show", "--json"], ["config", "check"], ["serve"], ["db", "check"]):
        done = run_headwater(*words, directory=tmp_path, timeout_s=30)
        assert PASSWORD not in done.stdout + done.stderr, words
    rows = json.loads(run_headwater("config", "show", "--json", directory=tmp_path).stdout)
    values = {row["key"]: (row["value"], row["from"]) for row in rows}
    assert values["database.url"] == ("postgresql://user:***@db/glance", "file headwater.toml")
    assert values["streams.signing_key_password"] == ("***", "file headwater.toml")
    assert values["server.bind"] == ("127.0.0.1:9292", "default")


def test_the_sample_is_a_right_settings_file_as_it_is_and_with_every_key_switched_on(tmp_path: Path) -> None:
    sample = run_headwater("config", "sample", directory=tmp_path)
    assert sample.returncode == 0
    switched_on = [
        line.removeprefix("#")
        for line in sample.stdout.splitlines()
        if line.startswith("#") and not line.startswith("# ") and not line.endswith("=")
    ]
    assert len(switched_on) > 20
    for text in (sample.stdout, "\n".join(switched_on)):
        (tmp_path / "settings.toml").write_text(text)
        done = run_headwater("--config", "settings.toml", "config", "check", directory=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), text


def test_a_catalogue_whose_secrets_another_key_sealed_stops_the_start_until_they_are_given_up(tmp_path: Path) -> None:
    def command(*words: str) -> subprocess.CompletedProcess[str]:
        return run_headwater("--config", "settings.toml", *words, directory=tmp_path, timeout_s=30)

    missing = tmp_path / "metadata.key"
    toml = f'[metadata]\nkey_file = "{missing}"\n'
    refused(serve(tmp_path, toml=toml), "section [metadata], key 'key_file'", "cannot read", "openssl rand")
    (tmp_path / "settings.toml").write_text("")
    for rotation in ("rotate-identity-keys", "rotate-tokens"):
        assert command("instance", rotation).returncode == 0
    own = tmp_path / "data" / "headwater.db-key"
    assert own.stat().st_mode & 0o777 == 0o600
    own.unlink()
    refused(serve(tmp_path, toml=""), "the identity key", "is encrypted with the key", "--revoke", code=1)
    assert command("instance", "rotate-identity-keys").returncode == 1
    assert command("instance", "rotate-identity-keys", "--revoke").returncode == 0
    refused(serve(tmp_path, toml=""), "the token secret", "is encrypted with the key", "--revoke", code=1)
    assert command("instance", "rotate-tokens", "--revoke").returncode == 0
    assert command("instance", "rotate-tokens").returncode == 0


@pytest.mark.parametrize("words", [("serve",), ("worker",)], ids=["serve", "worker"])
def test_too_few_open_files_are_told_with_what_is_needed(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = subprocess.run(
        ["sh", "-c", 'ulimit -n 24; exec "$0" "$@"', program(), "--data-dir", tmp_path / "data", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    refused(done, "this system lets a process open 24 files", "needs 1", "ulimit -Hn", "LimitNOFILE=")
    assert not (tmp_path / "data" / "headwater.db").exists()


def test_a_soft_limit_of_open_files_is_raised_to_what_may_be_had(tmp_path: Path) -> None:
    images, metadata = free_ports(2)
    binds = ("--bind", f"127.0.0.1:{images}", "--metadata-bind", f"127.0.0.1:{metadata}")
    command = ("sh", "-c", 'ulimit -Sn 24; exec "$0" "$@"', program(), "--data-dir", tmp_path, "serve", *binds)
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            assert "Headwater is ready" in process.stdout.readline()
            limits = Path(f"/proc/{process.pid}/limits").read_text()
            line = next(each for each in limits.splitlines() if each.startswith("Max open files"))
            soft, hard = line.split()[3:5]
            assert soft == hard
        finally:
            process.terminate()

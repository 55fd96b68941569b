from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from headwater.cli.commands.instances import app as instance
from headwater.cli.commands.instances.app import ArgumentWrong, FileArgumentUnreadable
from headwater.cli.commands.media import arguments, config_drive
from headwater.database.engine import Database
from headwater.errors import HeadwaterError, Invalid, NotFound
from headwater.instances.errors import InstanceExists, InstanceInvalid, InstanceNotFound, UserDataTooLarge
from headwater.instances.lists.rows import InstanceLists
from headwater.instances.media.writing import iso
from headwater.instances.media.writing.file import DriveExists
from templates import sqlite_catalogue

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6/Vd6bZLg2P6nTYxKGBSSmOF0hbnOdCxUZcmNBYxCG user@host"
IMAGE = ("70a599e0-31e7-49b7-b260-868f441e862b", "noble")


class OneImage:
    """All the images that there are."""

    def __init__(self, _database: Database) -> None:
        pass

    def find(self, id_or_name: str) -> tuple[str, str]:
        if id_or_name not in IMAGE:
            raise NotFound(f"no image {id_or_name}")
        return IMAGE

    def used(self, image_id: str) -> None:
        assert image_id == IMAGE[0]


def test_a_file_that_does_not_end_is_not_read_to_its_end() -> None:
    with pytest.raises(
        FileArgumentUnreadable, match=r"^--user-data: cannot read the file '/dev/zero': it has more than"
    ):
        instance.bytes_of("--user-data", "@/dev/zero")


class Commands:
    """The commands on a catalogue of their own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.opened = 0

    @contextmanager
    def open(self, *, writes: bool = False) -> Iterator[Database]:
        self.opened += 1
        database = Database(self.url)
        yield database
        database.close()

    def run(self, *arguments: str) -> str:
        result = CliRunner().invoke(instance.app, arguments)
        if result.exception is not None:
            raise result.exception
        return result.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json"))

    def build(self, *arguments: str) -> str:
        result: Result = CliRunner().invoke(config_drive.app, ["build", *arguments])
        if result.exception is not None:
            raise result.exception
        return result.stdout


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Commands]:
    commands = Commands(sqlite_catalogue(tmp_path / "catalogue.db"))
    monkeypatch.setattr(instance, "opened", commands.open)
    monkeypatch.setattr(config_drive, "opened", commands.open)
    monkeypatch.setattr(arguments, "opened", commands.open)
    monkeypatch.setattr(instance, "ImagesByName", OneImage)
    monkeypatch.chdir(tmp_path)
    yield commands


def test_a_machine_is_registered_with_all_that_is_given(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(f"{KEY}\n")
    (tmp_path / "user-data").write_bytes(b"\x1f\x8b\x00\xff")
    (tmp_path / "vendor.json").write_text('{"cloud-init": "#cloud-config\\n"}')
    added = commands.json(
        *("add", "--name", "web1", "--address", "127.0.0.1", "--address", "::FFFF:10.0.0.5"),
        *("--ssh-key", "@key.pub", "--ssh-key", KEY, "--user-data", "@user-data", "--image", "noble"),
        *("--id", "B65CEE2F-8C69-4AEB-BE2F-F79742548FC2", "--hostname", "web1.example", "--meta", "role=web=1"),
        *("--meta", "empty=", "--availability-zone", "az1", "--instance-type", "m1.small", "--project-id", "p"),
        *("--vendor-data", "@vendor.json", "--network-data", '{"links": [], "networks": [], "services": []}'),
    )
    assert added["id"] == "b65cee2f-8c69-4aeb-be2f-f79742548fc2"
    assert added["addresses"] == ["127.0.0.1", "10.0.0.5"]
    assert added["ssh_keys"] == [KEY, KEY]
    assert added["user_data_base64"] == "H4sA/w=="
    assert (added["image"], added["image_name"]) == IMAGE
    assert (added["revision"], added["created_at"]) == (0, added["updated_at"])
    assert added["meta"] == {"role": "web=1", "empty": ""}
    assert added["vendor_data"] == {"cloud-init": "#cloud-config\n"}
    assert (added["hostname"], added["availability_zone"], added["instance_type"]) == (
        "web1.example",
        "az1",
        "m1.small",
    )
    assert commands.json("show", "web1") == added
    assert commands.json("show", added["id"].upper()) == added
    assert commands.json("list") == [added]


def test_files_are_added_replaced_and_taken_away(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "motd").write_bytes(b"hello \xff\n")
    (tmp_path / "a=b").write_bytes(b"")
    added = commands.json("add", "--name", "w", "--file", "/etc/motd=motd", "--file", "/z=a=b")
    motd, empty = {"path": "/etc/motd", "content_base64": "aGVsbG8g/wo="}, {"path": "/z", "content_base64": ""}
    assert added["files"] == [motd, empty]
    assert "/etc/motd (8 bytes), /z (0 bytes)" in commands.run("show", "w")
    assert commands.json("set", "w", "--meta", "a=1")["files"] == [motd, empty]
    changed = commands.json("set", "w", "--file", "/etc/motd=a=b", "--file", "/a=motd")
    assert changed["files"] == [{**motd, "content_base64": ""}, empty, {**motd, "path": "/a"}]
    with pytest.raises(ArgumentWrong, match=r"^--unset: the machine has no file '/etc/other'; nothing was changed$"):
        commands.run("set", "w", "--unset", "files./etc/other")
    assert commands.json("set", "w", "--unset", "files./z")["files"] == [
        {**motd, "content_base64": ""},
        {**motd, "path": "/a"},
    ]
    assert commands.json("set", "w", "--unset", "files", "--file", "/z=motd")["files"] == [{**motd, "path": "/z"}]
    assert commands.json("set", "w", "--unset", "files")["files"] == []
    assert commands.json("show", "w")["files"] == []


def test_a_medium_has_files_of_a_machine_or_of_nobody_and_nocloud_none(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "motd").write_bytes(b"only in this file")
    commands.build("-o", "plain.iso", "--file", "/etc/motd=motd")
    assert commands.opened == 0
    commands.run("add", "--name", "web1", "--file", "/etc/motd=motd")
    commands.build("web1", "-o", "web1.iso")
    for name in ("plain.iso", "web1.iso"):
        assert b"only in this file" in (tmp_path / name).read_bytes()
    result = CliRunner().invoke(config_drive.app, ["build", "web1", "-o", "seed.iso", "--layout", "nocloud"])
    assert result.exit_code == 0
    assert "NoCloud has no files: /etc/motd are not on the medium" in result.stderr
    assert b"only in this file" not in (tmp_path / "seed.iso").read_bytes()
    with pytest.raises(InstanceInvalid, match=r"^files: NoCloud has none"):
        commands.build("-o", "other.iso", "--layout", "nocloud", "--file", "/etc/motd=motd")
    with pytest.raises(config_drive.SourceUnclear):
        commands.build("web1", "-o", "other.iso", "--file", "/etc/motd=motd")
    assert not (tmp_path / "other.iso").exists()


def test_text_that_is_given_in_place_is_taken_as_it_is(commands: Commands) -> None:
    added = commands.json("add", "--name", "a", "--user-data", "#cloud-config ☃")
    assert added["user_data_base64"] == "I2Nsb3VkLWNvbmZpZyDimIM="


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16", "utf-8"])
def test_files_that_windows_wrote_are_read_and_user_data_stays_as_it_is(
    commands: Commands, tmp_path: Path, coding: str
) -> None:
    texts = {"key": f"{KEY}\r\n", "network": '{"links": [],\r\n"networks": [], "services": []}', "vendor": '"#!sh"'}
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text.encode(coding))
    data = "#cloud-config\r\n".encode(coding)
    (tmp_path / "user").write_bytes(data)
    added = commands.json(
        *("add", "--name", "w", "--ssh-key", "@key", "--network-data", "@network", "--vendor-data", "@vendor"),
        *("--user-data", "@user"),
    )
    assert added["ssh_keys"] == [KEY]
    assert added["network_data"] == {"links": [], "networks": [], "services": []}
    assert added["vendor_data"] == "#!sh"
    assert base64.b64decode(added["user_data_base64"]) == data


def test_tables_say_who_is_there_and_hide_user_data(commands: Commands) -> None:
    commands.run("add", "--name", "[red]web1", "--address", "10.0.0.5", "--user-data", "password: hunter2")
    listed = commands.run("list")
    assert "[red]web1" in listed
    assert "10.0.0.5" in listed
    shown = commands.run("show", "[red]web1")
    assert "17 bytes" in shown
    assert "hunter2" not in shown


def test_the_list_goes_over_all_pages(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InstanceLists.page, "__kwdefaults__", {"after": None, "limit": 1})
    for number in range(3):
        commands.run("add", "--name", f"web{number}")
    assert [found["name"] for found in commands.json("list")] == ["web0", "web1", "web2"]


def test_the_table_goes_over_all_pages_and_reads_no_user_data(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        commands.run("add", "--name", f"web{number}", "--address", f"10.0.0.{number}", "--user-data", "secret")
    monkeypatch.setattr(InstanceLists, "page", None)
    monkeypatch.setattr(InstanceLists.heads, "__kwdefaults__", {"after": None, "limit": 2})
    lines = commands.run("list").splitlines()
    assert [line.split()[0] for line in lines] == ["NAME", "web0", "web1", "web2", "web3", "web4"]
    assert lines[5].split()[1:3] == ["web4", "10.0.0.4"]


def test_a_list_shows_what_is_asked_for(commands: Commands) -> None:
    commands.run("add", "--name", "a", "--project-id", "p1", "--address", "::FFFF:10.0.0.5", "--image", "noble")
    commands.run("add", "--name", "b", "--project-id", "p1")
    commands.run("add", "--name", "c")

    def names(*options: str) -> list[str]:
        shown = [each["name"] for each in commands.json("list", *options)]
        assert [line.split()[0] for line in commands.run("list", *options).splitlines()[1:]] == shown
        return shown

    assert names("--project", "p1") == ["a", "b"]
    assert names("--image", "noble") == names("--image", IMAGE[0].upper()) == ["a"]
    assert names("--address", "10.0.0.5") == names("--name", "a") == ["a"]
    assert names("--image", "00000000-1111-4111-8111-111111111111") == names("--project", "p") == []
    assert names("--limit", "2") == ["a", "b"]
    assert names("--limit", "1", "--marker", "a") == ["b"]


def test_an_empty_list_has_its_heading(commands: Commands) -> None:
    assert commands.run("list").split()[0] == "NAME"
    assert commands.json("list") == []


def test_a_list_is_printed_while_it_is_read(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """All machines with their user data may be more than fits into memory."""
    monkeypatch.setattr(InstanceLists.page, "__kwdefaults__", {"after": None, "limit": 1})
    for number in range(3):
        commands.run("add", "--name", f"web{number}", "--user-data", "a\nb")
    order: list[str] = []
    page, echo = InstanceLists.page, typer.echo

    def read(*given: Any, **named: Any) -> Any:
        order.append("read")
        return page(*given, **{**named, "limit": 1})

    def told(*given: Any, **named: Any) -> None:
        order.append("print")
        echo(*given, **named)

    monkeypatch.setattr(InstanceLists, "page", read)
    monkeypatch.setattr(typer, "echo", told)
    printed = commands.run("list", "--json")
    assert order == [*["read", "print"] * 3, "print"]
    assert printed == json.dumps(json.loads(printed), indent=2) + "\n"


def test_a_removed_machine_is_gone(commands: Commands) -> None:
    commands.run("add", "--name", "web1", "--address", "10.0.0.5")
    assert "removed web1" in commands.run("remove", "web1")
    with pytest.raises(InstanceNotFound, match="'web1'"):
        commands.run("show", "web1")
    assert commands.json("list") == []


@pytest.mark.parametrize("option", ["--user-data", "--ssh-key", "--vendor-data", "--network-data"])
def test_a_missing_file_is_named_with_its_option_and_changes_nothing(commands: Commands, option: str) -> None:
    with pytest.raises(FileArgumentUnreadable) as caught:
        commands.run("add", "--name", "web1", option, "@nope")
    assert str(caught.value) == f"{option}: cannot read the file 'nope': No such file or directory; nothing was changed"
    assert commands.opened == 0


@pytest.mark.parametrize(
    ("arguments", "kind", "names"),
    [
        (["--meta", "x"], ArgumentWrong, "--meta: 'x'"),
        (["--meta", "=x"], ArgumentWrong, "--meta"),
        (["--meta", "a=1", "--meta", "a=2"], ArgumentWrong, "'a' is given twice"),
        (["--vendor-data", "{"], ArgumentWrong, "--vendor-data: it is not JSON"),
        (["--vendor-data", '{"a": 1, "a": 2}'], ArgumentWrong, "--vendor-data: an object has the key 'a' twice"),
        (["--network-data", '{"links": [{"id": 1, "id": 1}]}'], ArgumentWrong, "the key 'id' twice"),
        (["--vendor-data", "[" * 100_000], ArgumentWrong, "--vendor-data: it is not JSON"),
        (["--vendor-data", "@latin1"], ArgumentWrong, "--vendor-data: it is not UTF-8"),
        (["--network-data", "[]"], InstanceInvalid, "network data"),
        (["--address", "web1"], InstanceInvalid, "'web1' is no IPv4 or IPv6 address"),
        (["--address", "10.0.0.5", "--address", "::ffff:10.0.0.5"], InstanceInvalid, "given twice"),
        (["--ssh-key", "hello"], InstanceInvalid, "ssh key"),
        (["--file", "/a"], ArgumentWrong, "--file: '/a' is not of the form GUEST_PATH=LOCAL_FILE; nothing was changed"),
        (["--file", "=latin1"], ArgumentWrong, "--file: '=latin1' is not of the form"),
        (["--file", "/a="], ArgumentWrong, "--file: '/a=' is not of the form"),
        (["--file", "/a=latin1", "--file", "/a=latin1"], ArgumentWrong, "--file: the path '/a' is given twice"),
        (["--file", "/a=nope"], FileArgumentUnreadable, "--file: cannot read the file 'nope': No such file"),
        (["--file", "a=latin1"], InstanceInvalid, "file path: 'a' must begin with '/'"),
        (["--file", "/a=large"], InstanceInvalid, "file '/a': 10241 bytes are more than the 10240"),
        (["--ssh-key", "@."], FileArgumentUnreadable, "Is a directory"),
        (["--id", "7"], InstanceInvalid, "'7' is no UUID"),
        (["--hostname", "a_b"], InstanceInvalid, "hostname"),
        (["--image", "nope"], NotFound, "no image nope"),
        (["--user-data", "x" * 65537], UserDataTooLarge, "65537 bytes"),
    ],
)
def test_a_wrong_argument_is_named_and_changes_nothing(
    commands: Commands, tmp_path: Path, arguments: list[str], kind: type[HeadwaterError], names: str
) -> None:
    (tmp_path / "latin1").write_bytes(b'"\xe9"')
    (tmp_path / "large").write_bytes(bytes(10241))
    with pytest.raises(kind, match=names):
        commands.run("add", "--name", "web1", *arguments)
    assert commands.json("list") == []


def test_a_name_is_needed(commands: Commands) -> None:
    with pytest.raises(SystemExit) as caught:
        commands.run("add")
    assert caught.value.code == 2
    with pytest.raises(Invalid):
        commands.run("add", "--name", "")


def test_a_taken_address_names_its_owner(commands: Commands) -> None:
    commands.run("add", "--name", "web1", "--address", "10.0.0.5")
    with pytest.raises(InstanceExists, match=r"10\.0\.0\.5 belongs to the instance 'web1'"):
        commands.run("add", "--name", "web2", "--address", "::ffff:10.0.0.5")


def test_a_config_drive_is_written_once_and_again_when_forced(commands: Commands, tmp_path: Path) -> None:
    commands.run("add", "--name", "web1")
    assert "wrote web1.iso" in commands.build("web1", "-o", "web1.iso")
    drive = tmp_path / "web1.iso"
    size = drive.stat().st_size
    assert drive.read_bytes()[32769:32774] == b"CD001"
    with pytest.raises(DriveExists, match="--force"):
        commands.build("web1", "-o", "web1.iso")
    built = json.loads(commands.build("web1", "-o", "web1.iso", "--force", "--json"))
    assert (built["path"], built["size"]) == ("web1.iso", size)


def test_a_config_drive_of_an_unknown_machine_is_not_written(commands: Commands, tmp_path: Path) -> None:
    with pytest.raises(InstanceNotFound):
        commands.build("web1", "-o", "web1.iso")
    assert not (tmp_path / "web1.iso").exists()


def test_media_of_plain_files_need_no_catalogue(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(f"{KEY}\n")
    (tmp_path / "user-data").write_bytes(b"#cloud-config\n")
    words = ("-o", "seed.img", "--layout", "nocloud", "--format", "vfat", "--ssh-key", "@key.pub")
    commands.build(*words, "--user-data", "user-data", "--hostname", "web1")
    assert b"cidata" in (tmp_path / "seed.img").read_bytes()[:512]
    assert commands.opened == 0
    with pytest.raises(config_drive.PlainFileUnreadable, match="--meta-data: cannot read the file 'missing'"):
        commands.build("-o", "other.img", "--meta-data", "missing")
    with pytest.raises(config_drive.SourceUnclear):
        commands.build("-o", "other.img")
    with pytest.raises(config_drive.SourceUnclear):
        commands.build("web1", "-o", "other.img", "--hostname", "web1")
    assert not (tmp_path / "other.img").exists()


def test_the_arguments_for_a_hypervisor_name_files_that_are_there(commands: Commands, tmp_path: Path) -> None:
    added = commands.json("add", "--name", "web1", "--ssh-key", KEY, "--user-data", "#cloud-config")
    said = commands.json("arguments", "web1")
    assert said["arguments"][:2] == ["-uuid", added["id"]]
    assert said["files"]
    for file in map(Path, said["files"]):
        assert file.parent == tmp_path / f"{added['id']}.d"
        assert file.stat().st_mode & 0o777 == 0o600
    assert any("the user data" in note for note in said["notes"])
    xml = commands.run("arguments", "web1", "--for", "libvirt", "--directory", "elsewhere")
    assert f'file="{tmp_path}/elsewhere/fw_cfg-io.systemd.credentials-system.hostname"' in xml
    assert KEY.split()[1] not in xml


def test_a_medium_is_shown_without_what_its_files_hold(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "user-data").write_bytes(b"#cloud-config\npassword: secret\n")
    commands.build("-o", "seed.iso", "--layout", "nocloud", "--hostname", "web1", "--user-data", "user-data")
    result = CliRunner().invoke(config_drive.app, ["inspect", "seed.iso"])
    assert "ISO 9660, label 'cidata'" in result.stdout
    assert "user-data" in result.stdout
    assert "secret" not in result.stdout
    said = json.loads(CliRunner().invoke(config_drive.app, ["inspect", "seed.iso", "--json"]).stdout)
    assert said["files"]["user-data"] == 31
    assert {each["consumer"]: each["takes"] for each in said["consumers"]}["cloud-init, NoCloud"]


def test_names_on_a_medium_do_nothing_to_a_terminal(commands: Commands, tmp_path: Path) -> None:
    del commands
    (tmp_path / "seed.iso").write_bytes(iso.image({"a\x1b[2J\nb": b""}, "cidata", 0))
    printed = CliRunner().invoke(config_drive.app, ["inspect", "seed.iso"]).stdout
    assert "a\\x1b[2J\\nb" in printed
    assert "\x1b" not in printed

"""Commands that change a signed feed: with a key in a file, in a keyring or of gpg's agent; keyrings of readers."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from functional.streams.gnupg import GnuPG
from headwater.cli.main import app

WHERE = ("--region", "R", "--endpoint", "http://keystone/v3")
Words = list[str | Path]


@pytest.fixture(scope="module")
def gnupg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GnuPG]:
    made = GnuPG(tmp_path_factory.mktemp("gnupg"))
    made.make_key("old", "ed25519")
    made.make_key("new", "nistp256")
    yield made
    made.attempt("gpgconf", "--kill", "gpg-agent")


def streams(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["streams", *map(str, words)])


def fingerprint(gnupg: GnuPG, name: str) -> str:
    listing = gnupg.gpg("--with-colons", "--list-keys", f"<{name}@example.test>").decode().splitlines()
    return next(line.split(":")[9] for line in listing if line.startswith("fpr:"))


def signers_of(file: Path, keyring: Path) -> set[str]:
    done = streams("verify", file, "--keyring", keyring, "--json")
    assert done.exit_code == 0, done.stdout
    return {by["fingerprint"] for each in json.loads(done.stdout)["documents"] for by in each["signed_by"]}


def require_good(gnupg: GnuPG, feed: Path, keyring: Path) -> None:
    done = streams("verify", feed, "--keyring", keyring, "--json")
    assert done.exit_code == 0, done.stdout
    inline = list(feed.glob("streams/v1/*.sjson"))
    assert inline
    for file in inline:
        taken = gnupg.attempt("gpgv", "--keyring", str(keyring), str(file))
        assert taken.returncode == 0, taken.stderr.decode()
    for file in feed.glob("streams/v1/*.json.gpg"):
        taken = gnupg.attempt("gpgv", "--keyring", str(keyring), str(file), str(file.with_suffix("")))
        assert taken.returncode == 0, taken.stderr.decode()


def ways_to_name(gnupg: GnuPG, name: str) -> dict[str, Words]:
    ring = gnupg.home / "ring.sec.gpg"
    ring.write_bytes(gnupg.gpg("--passphrase", "", "--export-secret-keys"))
    return {
        "a file": ["--key", gnupg.secret_key(name)],
        "a keyring": ["--keyring", ring, "--fingerprint", fingerprint(gnupg, name)],
        "the agent": ["--gpg-key", fingerprint(gnupg, name)],
    }


def content(feed: Path) -> dict[str, bytes]:
    return {str(file.relative_to(feed)): file.read_bytes() for file in feed.rglob("*") if file.is_file()}


def agent(directory: Path) -> Words:
    file = directory / "juju-3.6.1-ubuntu-amd64.tgz"
    file.write_bytes(gzip.compress(b"an agent"))
    return [file]


def boot(directory: Path) -> Words:
    words: Words = ["--os", "ubuntu", "--release", "noble", "--version", "24.04"]
    for option in ("manifest", "kernel", "initrd", "squashfs"):
        (directory / option).write_bytes(option.encode())
        words += [f"--{option}", directory / option]
    return words


def other_file(directory: Path) -> Words:
    (directory / "file").write_bytes(b"a file")
    return [directory / "file", "--product", "p", "--ftype", "notes"]


CHANGES: dict[str, Callable[[Path], Words]] = {
    "add-image": lambda _: ["an-id", *WHERE, "--version", "24.04"],
    "add-agent": agent,
    "add-boot-image": boot,
    "add-file": other_file,
    "remove": lambda _: ["first"],
    "prune": lambda _: ["--keep", "1"],
}


@pytest.mark.parametrize("command", CHANGES)
@pytest.mark.parametrize("way", ["a file", "a keyring", "the agent"])
def test_every_command_that_changes_a_feed_signs_with_a_key_named_in_each_way(
    gnupg: GnuPG, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, way: str
) -> None:
    monkeypatch.setenv("GNUPGHOME", str(gnupg.home))
    feed, key = tmp_path / "feed", ways_to_name(gnupg, "new")[way]
    for day, image in (("20260101", "first"), ("20260102", "second")):
        first = streams("add-image", feed, image, *WHERE, "--version", "22.04", "--version-name", day, *key)
        assert first.exit_code == 0, first.exception
    unsigned = streams(command, feed, *CHANGES[command](tmp_path))
    assert type(unsigned.exception).__name__ == "FeedSigned"
    done = streams(command, feed, *CHANGES[command](tmp_path), *key, "--json")
    assert done.exit_code == 0, done.exception
    require_good(gnupg, feed, gnupg.keyring("new"))


@pytest.mark.parametrize("command", CHANGES)
def test_every_command_that_changes_a_feed_signs_with_a_second_key_too(
    gnupg: GnuPG, tmp_path: Path, command: str
) -> None:
    feed = tmp_path / "feed"
    keys: Words = ["--key", gnupg.secret_key("old"), "--also-key", gnupg.secret_key("new")]
    for day, image in (("20260101", "first"), ("20260102", "second")):
        first = streams("add-image", feed, image, *WHERE, "--version", "22.04", "--version-name", day, *keys)
        assert first.exit_code == 0, first.exception
    done = streams(command, feed, *CHANGES[command](tmp_path), *keys, "--json")
    assert done.exit_code == 0, done.exception
    both = tmp_path / "both.gpg"
    both.write_bytes(gnupg.keyring("old").read_bytes() + gnupg.keyring("new").read_bytes())
    require_good(gnupg, feed, both)
    for file in feed.glob("streams/v1/*.sjson"):
        assert signers_of(file, both) == {fingerprint(gnupg, "old"), fingerprint(gnupg, "new")}
    for name in ("old", "new"):
        assert streams("verify", feed, "--keyring", gnupg.keyring(name)).exit_code == 0


def test_without_the_second_key_its_signatures_go(gnupg: GnuPG, tmp_path: Path) -> None:
    feed, old = tmp_path / "feed", ("--key", gnupg.secret_key("old"))
    both = (*old, "--also-key", gnupg.secret_key("new"))
    assert streams("add-image", feed, "an-id", *WHERE, "--version", "24.04", *both).exit_code == 0
    assert streams("sign", feed, *both).exit_code == 0  # also the signatures beside
    done = streams("add-image", feed, "an-id", *WHERE, "--version", "24.04", "--content-id", "other:one", *old)
    assert done.exit_code == 0, done.exception
    require_good(gnupg, feed, gnupg.keyring("old"))


@pytest.mark.parametrize("command", ["add-image", "sign"])
def test_a_key_that_signs_already_is_no_second_key(gnupg: GnuPG, tmp_path: Path, command: str) -> None:
    key = gnupg.secret_key("old")
    words: Words = ["an-id", *WHERE, "--version", "24.04"] if command == "add-image" else []
    refused = streams(command, tmp_path, *words, "--key", key, "--also-key", key)
    assert "which signs already" in str(refused.exception)
    assert content(tmp_path) == {}


def test_a_key_that_readers_do_not_have_yet_changes_nothing(gnupg: GnuPG, tmp_path: Path) -> None:
    feed = tmp_path / "feed"
    old, new = gnupg.secret_key("old"), gnupg.secret_key("new")
    image = ("an-id", *WHERE, "--version", "24.04")
    assert streams("add-image", feed, "first", *WHERE, "--version", "22.04", "--key", old).exit_code == 0
    before = content(feed)
    both = tmp_path / "both.gpg"
    both.write_bytes(gnupg.keyring("old").read_bytes() + gnupg.keyring("new").read_bytes())

    refused = streams("add-image", feed, *image, "--key", new, "--old-keyring", gnupg.keyring("old"))
    assert "is refused by readers with" in str(refused.exception)
    assert "Nothing was replaced" in str(refused.exception)
    assert content(feed) == before

    done = streams(
        "add-image", feed, *image, "--key", new, "--old-keyring", both, "--new-keyring", gnupg.keyring("new")
    )
    assert done.exit_code == 0, done.exception
    require_good(gnupg, feed, gnupg.keyring("new"))


def test_with_a_new_key_also_what_did_not_change_is_signed_by_it(gnupg: GnuPG, tmp_path: Path) -> None:
    feed = tmp_path / "feed"
    old, new = (("--key", gnupg.secret_key(name)) for name in ("old", "new"))
    assert streams("add-image", feed, "an-id", *WHERE, "--version", "24.04", *old).exit_code == 0
    assert streams("sign", feed, *old).exit_code == 0  # also the signatures beside
    done = streams("add-image", feed, "an-id", *WHERE, "--version", "24.04", "--content-id", "other:one", *new)
    assert done.exit_code == 0, done.exception
    assert len(list(feed.glob("streams/v1/*.json.gpg"))) == 5
    require_good(gnupg, feed, gnupg.keyring("new"))


def test_mirrors_that_a_signed_document_names_are_signed_ones(gnupg: GnuPG, tmp_path: Path) -> None:
    feed, key = tmp_path / "feed", ("--key", gnupg.secret_key("new"))
    assert streams("add-image", feed, "an-id", *WHERE, "--version", "24.04", *key).exit_code == 0
    mirrors = {"mirrors": {"c": [{"datatype": "content-download", "path": "streams/v1/cpc-mirrors.json"}]}}
    (feed / "streams/v1/mirrors.json").write_text(json.dumps(mirrors))
    (feed / "streams/v1/cpc-mirrors.json").write_text(json.dumps({"format": "mirrors:1.0", "mirrors": {"c": []}}))
    assert streams("add-image", feed, "two", *WHERE, "--version", "22.04", *key).exit_code == 0
    assert "streams/v1/cpc-mirrors.sjson" in (feed / "streams/v1/mirrors.sjson").read_text()
    require_good(gnupg, feed, gnupg.keyring("new"))


def test_no_key_where_keyrings_of_readers_are_named_is_refused(gnupg: GnuPG, tmp_path: Path) -> None:
    image = ("an-id", *WHERE, "--version", "24.04")
    refused = streams("add-image", tmp_path, *image, "--old-keyring", gnupg.keyring("old"))
    assert "name the key that signs as well" in str(refused.exception)
    also = streams("add-image", tmp_path, *image, "--also-key", gnupg.secret_key("old"))
    assert "name the key that signs as well" in str(also.exception)
    two = streams("add-image", tmp_path, *image, "--gpg-key", "A" * 40, "--key", gnupg.secret_key("old"))
    assert "name one key" in str(two.exception)
    assert content(tmp_path) == {}


JUJU: dict[str, tuple[str, Words]] = {
    "generate-image": ("images", ["-i", "second", "-r", "R", "-u", "http://keystone/v3", "--virt-type", "kvm"]),
    "add-image": ("images", ["second", "-r", "R", "-u", "http://keystone/v3", "--base", "ubuntu@22.04"]),
    "delete-image": ("images", ["first"]),
    "generate-agents": ("tools", ["--public"]),
}


@pytest.mark.parametrize("command", JUJU)
def test_juju_s_commands_leave_no_signature_that_does_not_hold(gnupg: GnuPG, tmp_path: Path, command: str) -> None:
    tree, words = JUJU[command]
    feed, key = tmp_path / tree, ["--key", str(gnupg.secret_key("new"))]
    (tmp_path / "tools/released").mkdir(parents=True)
    agent(tmp_path / "tools/released")

    def juju(*words: str | Path) -> Result:
        return CliRunner().invoke(app, ["juju-metadata", *map(str, words)])

    for made in (["generate-image", "-i", "first", "-r", "R", "-u", "http://keystone/v3"], ["generate-agents"]):
        assert juju(*made, "-d", tmp_path, *key).exit_code == 0
    assert streams("sign", feed, *key).exit_code == 0  # also the signatures beside
    before = content(tmp_path)
    refused = juju(command, *words, "-d", tmp_path)
    assert (refused.exit_code, content(tmp_path)) == (1, before)
    assert refused.stderr.startswith("ERROR ")
    assert "the feed is signed (streams/v1/index2.sjson), and readers prefer that; name the key" in refused.stderr
    done = juju(command, *words, "-d", tmp_path, *key)
    assert done.exit_code == 0, done.stderr
    assert content(tmp_path) != before
    require_good(gnupg, feed, gnupg.keyring("new"))
    if command == "generate-agents":
        assert "streams/v1/cpc-mirrors.sjson" in (feed / "streams/v1/mirrors.sjson").read_text()


@pytest.mark.parametrize("command", ["add-image", "delete-image"])
def test_a_key_signs_no_record_of_the_catalogue(
    gnupg: GnuPG, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["an-id", "--key", str(gnupg.secret_key("new")), *(["--base", "ubuntu@24.04"] * (command == "add-image"))]
    refused = CliRunner().invoke(app, ["juju-metadata", command, *words])
    assert (refused.exit_code, content(tmp_path)) == (2, {})
    assert refused.stderr.startswith("ERROR a key signs the feed in a directory, which -d names")


def test_juju_s_commands_refuse_a_key_that_is_named_in_part(tmp_path: Path) -> None:
    words = ["-i", "an-id", "-r", "R", "-u", "http://keystone/v3", "-d", str(tmp_path), "--fingerprint", "A" * 40]
    refused = CliRunner().invoke(app, ["juju-metadata", "generate-image", *words])
    assert (refused.exit_code, content(tmp_path)) == (2, {})
    assert refused.stderr == "ERROR name the key that signs as well: --key, --keyring or --gpg-key\n"

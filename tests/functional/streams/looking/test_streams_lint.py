"""The linter says of the simplestreams tools what they do themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx2 as httpx
import pytest

from functional.clients import Client
from functional.conftest import FreshHeadwater
from functional.image_requests import an_image, upload
from functional.program import program
from headwater.streams.signing.signer import Signer
from needs import client
from unit.streams.keys import OpenKey, open_key
from unit.streams.lint.feeds import INDEX, Change, Documents, image_files, written
from unit.streams.lint.sstream_feeds import (
    FAILS,
    SIGNED_INDEX,
    SPOILT,
    TAKEN,
    signed,
    signed_below,
    unsigned_below,
)


@pytest.fixture(scope="module")
def key() -> OpenKey:
    return open_key()


def rows(directory: Path, feed: Documents, start: str = INDEX, *options: str | Path) -> int | None:
    """Return how many items ``sstream-query`` lists of a feed; ``None``: it fails."""
    written(directory / "feed", feed)
    ran = Client(client("sstream-query"), directory).attempt("--json", *options, directory / "feed" / start)
    return len(json.loads(ran.stdout)) if ran.returncode == 0 else None


@pytest.mark.parametrize("change", [row[1] for row in FAILS], ids=[row[0] for row in FAILS])
def test_the_tools_stop_at_what_ends_them_for_the_linter(tmp_path: Path, change: Change) -> None:
    feed = image_files()
    change(feed)
    assert rows(tmp_path, feed) is None


@pytest.mark.parametrize("change", [row[1] for row in TAKEN], ids=[row[0] for row in TAKEN])
def test_the_tools_read_what_the_linter_lets_them(tmp_path: Path, change: Change) -> None:
    feed = image_files()
    change(feed)
    assert (rows(tmp_path, feed) or 0) >= 4


@pytest.mark.parametrize("spoil", [row[1] for row in SPOILT], ids=[row[0] for row in SPOILT])
def test_the_tools_stop_at_spoilt_frames(tmp_path: Path, key: OpenKey, spoil: Callable[[bytes], bytes]) -> None:
    feed = image_files()
    signed(feed, key.signer, spoil)
    assert rows(tmp_path, feed, SIGNED_INDEX, "--keyring", keyring(tmp_path, key)) is None


def test_the_tools_read_a_signed_feed(tmp_path: Path, key: OpenKey) -> None:
    feed = image_files()
    signed(feed, key.signer)
    assert rows(tmp_path, feed, SIGNED_INDEX, "--keyring", keyring(tmp_path, key)) == 4


@pytest.mark.parametrize(("mix", "start"), [(unsigned_below, SIGNED_INDEX), (signed_below, INDEX)])
def test_the_tools_stop_where_signed_and_unsigned_mix(
    tmp_path: Path, key: OpenKey, mix: Callable[[Documents, Signer], None], start: str
) -> None:
    feed = image_files()
    mix(feed, key.signer)
    assert rows(tmp_path, feed, start, "--keyring", keyring(tmp_path, key)) is None


def test_the_tools_pass_over_an_entry_of_another_format(tmp_path: Path) -> None:
    feed = image_files()
    feed[INDEX]["index"]["images"].pop("format")
    assert rows(tmp_path, feed) == 0


IS_NOBLE = {"os_distro": "ubuntu", "os_version": "24.04", "architecture": "x86_64"}
CLOUDS = """
[[streams.clouds]]
region = "One"
endpoint = "https://one.example/v3"
"""


def test_the_feed_of_a_running_service_has_no_fault_for_its_readers(
    fresh_headwater: FreshHeadwater, tmp_path: Path
) -> None:
    images_url = fresh_headwater(toml=CLOUDS).images_url
    with httpx.Client(base_url=images_url) as http:
        image_id = an_image(http, IS_NOBLE, visibility="public")
        upload(http, image_id, b"some bytes").raise_for_status()
    headwater = Client(program(), tmp_path)
    report = json.loads(headwater("streams", "lint", f"{images_url}/simplestreams/images", "--json"))
    seen = {each["consumer"]: each["images_seen"] for each in report["consumers"]}
    assert [seen[name] for name in ("juju-2.9", "juju-3.6", "juju-4", "sstream")] == [1, 1, 1, 1]
    assert [each for each in report["findings"] if each["level"] != "note"] == []

    elsewhere = headwater.attempt("streams", "lint", f"{images_url}/healthcheck")
    assert elsewhere.returncode == 1
    assert "error index-missing" in elsewhere.stdout


def keyring(directory: Path, key: OpenKey) -> Path:
    file = directory / "keyring.gpg"
    file.write_bytes(bytes(key.certificate))
    return file

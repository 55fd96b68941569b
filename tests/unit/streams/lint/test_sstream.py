"""What the simplestreams tools stop at; ``functional/streams/looking/test_streams_lint.py`` lets them read the same."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from headwater.findings import Level
from headwater.streams.signing import clearsign
from headwater.streams.signing.signer import Signer
from unit.streams.keys import open_key
from unit.streams.lint.feeds import Change, image_files, report_of, rules_of, verdict_of
from unit.streams.lint.sstream_feeds import FAILS, SIGNED_INDEX, SPOILT, TAKEN, signed, signed_below, unsigned_below


@pytest.fixture(scope="module")
def signer() -> Signer:
    return open_key().signer


@pytest.mark.parametrize(("change", "rule"), [row[1:] for row in FAILS], ids=[row[0] for row in FAILS])
def test_what_ends_the_tools_is_told(tmp_path: Path, change: Change, rule: str) -> None:
    feed = image_files()
    change(feed)
    report = report_of(tmp_path, feed)
    assert rule in rules_of(report, "sstream", Level.ERROR)
    assert verdict_of(report, "sstream").sees.total() == 0


@pytest.mark.parametrize("change", [row[1] for row in TAKEN], ids=[row[0] for row in TAKEN])
def test_what_the_tools_take_is_no_fault_of_theirs(tmp_path: Path, change: Change) -> None:
    feed = image_files()
    change(feed)
    report = report_of(tmp_path, feed)
    assert not {each for each in rules_of(report, "sstream", Level.ERROR) if not each.startswith("feed-")}
    assert verdict_of(report, "sstream").sees.total() >= 4


def test_a_signed_feed_is_read_by_its_signed_index(tmp_path: Path, signer: Signer) -> None:
    feed = image_files()
    signed(feed, signer)
    report = report_of(tmp_path, feed, "sstream")
    assert not rules_of(report, "sstream")
    assert verdict_of(report, "sstream").sees.total() == 4


@pytest.mark.parametrize("spoil", [row[1] for row in SPOILT], ids=[row[0] for row in SPOILT])
def test_what_breaks_the_frame_of_a_signed_text_is_told(
    tmp_path: Path, signer: Signer, spoil: Callable[[bytes], bytes]
) -> None:
    feed = image_files()
    signed(feed, signer, spoil)
    assert "sstream-signature" in rules_of(report_of(tmp_path, feed), "sstream", Level.ERROR)


def test_a_signed_index_that_names_an_unsigned_document_is_told(tmp_path: Path, signer: Signer) -> None:
    feed = image_files()
    unsigned_below(feed, signer)
    assert "sstream-unsigned-products" in rules_of(report_of(tmp_path, feed), "sstream", Level.ERROR)


def test_an_unsigned_index_that_names_a_signed_document_is_told(tmp_path: Path, signer: Signer) -> None:
    feed = image_files()
    signed_below(feed, signer)
    assert "sstream-signed-products" in rules_of(report_of(tmp_path, feed), "sstream", Level.ERROR)


def test_line_ends_of_python_in_a_signed_text_are_told(tmp_path: Path, signer: Signer) -> None:
    feed = image_files()
    signed(feed, signer, lambda text: text.replace(b'"updated"', '"a": "\u2028",\n "updated"'.encode(), 1))
    assert "sstream-line-ends" in rules_of(report_of(tmp_path, feed), "sstream", Level.ERROR)


def test_an_entry_of_another_format_is_not_followed(tmp_path: Path) -> None:
    feed = image_files()
    feed["streams/v1/index.json"]["index"]["images"].pop("format")
    report = report_of(tmp_path, feed)
    assert "sstream-entry-format" in rules_of(report, "sstream", Level.ERROR)
    assert verdict_of(report, "sstream").to_dict()["images_missed"] == 4


def test_several_signatures_and_damaged_ones_are_told(tmp_path: Path, signer: Signer) -> None:
    feed = image_files()
    signed(feed, signer)
    text, _, armor = feed[SIGNED_INDEX].partition(clearsign.BEGIN_SIGNATURE)
    lines = [line for line in armor.split(b"\n") if line and not line.startswith((b"-", b"=")) and b": " not in line]
    packet = base64.b64decode(b"".join(lines))

    def rules_with(packets: bytes) -> set[str]:
        armored = [clearsign.BEGIN_SIGNATURE, b"", base64.encodebytes(packets).strip(), clearsign.END_SIGNATURE, b""]
        feed[SIGNED_INDEX] = text + b"\n".join(armored)
        return rules_of(report_of(tmp_path, feed), "sstream")

    assert rules_with(packet) == set()
    assert rules_with(packet + packet) == {"sstream-several-signatures"}
    assert rules_with(packet[:20]) == {"sstream-signature"}

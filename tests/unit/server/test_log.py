"""What logs show of what others wrote."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from http import HTTPStatus

import pytest
import structlog

from headwater.errors import UnsupportedMedia
from headwater.images.inspection.inspect import Inspection
from headwater.server import log
from unit.images.inspection.disk_images import vmdk, vmdk_text

HARMFUL = "\x1b[2J\x07\r\n\x7f\x9b31m\u202e\u2066\u200f\u2028"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("headwater")
    audit = logging.getLogger(log.AUDIT)
    before = list(root.handlers), root.level, ours.level, audit.level, audit.propagate
    yield
    root.handlers[:], audit.propagate = before[0], before[4]
    for logger, level in zip((root, ours, audit), before[1:4], strict=True):
        logger.setLevel(level)
    structlog.reset_defaults()
    logging.getLogger("oslo_utils.imageutils").setLevel(logging.NOTSET)


@pytest.mark.parametrize("form", ["text", "json"])
def test_nothing_that_a_terminal_obeys_gets_into_a_line(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(form, "info")
    structlog.get_logger().info(HARMFUL, path=HARMFUL, **{HARMFUL: "x"}, several=[HARMFUL])
    logging.getLogger("headwater.test").warning(HARMFUL, extra={"path": HARMFUL, "several": {HARMFUL: HARMFUL}})
    written = capsys.readouterr().err
    assert written.isascii() or form == "text"
    assert len(written.splitlines()) == written.count("\n") == 2
    assert not set(HARMFUL) - set("[2J31m\n") & set(written)
    if form == "json":
        assert json.loads(written.splitlines()[0])["path"] == HARMFUL


def test_a_traceback_keeps_its_lines_and_shows_what_it_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("text", "info")
    try:
        raise ValueError(HARMFUL)
    except ValueError:
        structlog.get_logger().exception("failed")
    written = capsys.readouterr().err
    assert "Traceback" in written
    assert written.count("\n") > 3
    assert not set(HARMFUL) - set("[2J31m\n") & set(written)


def test_a_status_is_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("text", "info")
    structlog.get_logger().info("request", status=HTTPStatus.NOT_FOUND)
    logging.getLogger("headwater.test").warning("x", extra={"status": HTTPStatus.NOT_FOUND})
    written = capsys.readouterr().err
    assert written.count("status=404") == 2  # and a time may hold these digits
    assert "HTTPStatus" not in written


@pytest.mark.parametrize("level", ["debug", "info", "error"])
@pytest.mark.parametrize(
    "data",
    [
        vmdk(extent=""),
        vmdk(extent="no line of such a text"),
        vmdk("unknownKind"),
        vmdk_text(),
        vmdk_text().replace(b"more", b"\xff", 1),
    ],
    ids=["no-extent", "no-line", "unknown-kind", "text", "no-ascii"],
)
def test_what_a_library_says_of_a_clients_bad_disk_is_no_error_of_ours(
    capsys: pytest.CaptureFixture[str], level: str, data: bytes
) -> None:
    log.configure("json", level)
    with pytest.raises(UnsupportedMedia):
        looking = Inspection("vmdk")
        looking.feed(memoryview(data))
        looking.finish()
    assert capsys.readouterr().err == ""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from contracts.image_catalogue import NOON
from headwater.activity.journal import Journal
from headwater.errors import Conflict
from headwater.identity.caller import Caller
from headwater.images.events.audit import Audit, changed_names
from headwater.images.model import Image, ImageProtected, Status

ID = "11111111-1111-4111-8111-111111111111"
IMAGE = Image(id=ID, created_at=NOON, updated_at=NOON, name="noble", owner="lovelace", properties={"a": "1", "b": "2"})
ADA = Caller(user_id="ada", project_id="lovelace", roles=frozenset({"reader", "member"}), token="s3cret", address="::1")


@pytest.fixture
def written(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the last record says."""
    # Libraries that configure logging (import-linter does, in another test) switch off every logger that is there.
    monkeypatch.setattr(logging.getLogger("headwater.audit"), "disabled", False)
    caplog.set_level(logging.INFO, "headwater.audit")
    return lambda: vars(caplog.records[-1])


def test_names_of_what_changed_and_no_values() -> None:
    after = replace(IMAGE, name="s3cret", updated_at=NOON + 1, revision=7, properties={"a": "s3cret", "c": "s3cret"})
    assert changed_names(IMAGE, after) == ["name", "a", "b", "c"]
    assert changed_names(None, IMAGE) == changed_names(IMAGE, None) == changed_names(IMAGE, IMAGE) == []


@pytest.mark.parametrize(
    ("error", "outcome", "said"),
    [
        (ImageProtected(ID), "denied", "ImageProtected"),
        (Conflict("s3cret"), "failed", "Conflict"),
        (ValueError("s3cret"), "failed", "internal error"),
    ],
)
def test_an_entry_that_failed_says_how_and_not_with_what_words(
    written: Any, error: Exception, outcome: str, said: str
) -> None:
    with pytest.raises(type(error)), Journal([Audit()]).entry(ADA, "image.delete", ID) as entry:
        entry.image = IMAGE
        raise error
    record = written()
    assert (record["outcome"], record["error"], record["image"], record["image_name"]) == (outcome, said, ID, "noble")
    assert (record["user"], record["roles"], record["client"]) == ("ada", ["member", "reader"], "::1")
    assert "s3cret" not in str(record)


def test_what_headwater_does_itself_is_recorded_as_such(written: Any) -> None:
    with Journal([Audit()]).entry(None, "image.update", ID) as entry:
        entry.before, entry.after = IMAGE, replace(IMAGE, status=Status.KILLED)
    record = written()
    assert (record["by"], record["user"], record["changed"], record["msg"]) == (
        "headwater",
        None,
        ["status"],
        "image.update",
    )


def test_what_a_caller_sends_makes_no_record_large(written: Any) -> None:
    caller = replace(ADA, user_id="u" * 10_000, roles=frozenset(f"r{number}" for number in range(5000)))
    after = replace(IMAGE, name="n" * 10_000, properties={"p" * 100_000 + str(number): "x" for number in range(2000)})
    with Journal([Audit()]).entry(caller, "image.update", "i" * 10_000) as entry:
        entry.before, entry.after = IMAGE, after
    record = written()
    assert record["image_name"] == "n" * 255 + "…"
    assert len(record["roles"]) == len(record["changed"]) == 257
    assert record["changed"][-1] == "… and 1747 more"
    assert len(str(record)) < 100_000
    with Journal([Audit()]).entry(ADA, "image.delete", "i" * 10_000):
        pass
    assert written()["image"] == "i" * 255 + "…"

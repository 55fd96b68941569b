"""How a source is shown to people."""

from __future__ import annotations

import pytest

from headwater.cli.commands.streams.syncing.sources import _say


def test_what_the_last_run_did_is_words_and_no_document(capsys: pytest.CaptureFixture[str]) -> None:
    report = {"counts": {"created": 3}, "problems": ["a", "b"], "images": [{"name": "noble"}, {"name": "jammy"}]}
    _say({"name": "ubuntu", "terms": {}, "state": {"outcome": "done", "report": report}}, as_json=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert "counts=created=3" in shown
    assert "{" not in shown
    assert "[" not in shown

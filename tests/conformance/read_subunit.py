"""Turn a subunit stream on standard input into lines of JSON; runs in ``.venv-conformance``, which has the library."""

from __future__ import annotations

import json
import sys
from typing import Any

import subunit
import testtools

_OUTCOMES = {"success": "passed", "skip": "skipped"}  # all else failed: an error, and a test that never ended


def _print(test: dict[str, Any]) -> None:
    details = {
        name: content.as_text() for name, content in test["details"].items() if content.content_type.type == "text"
    }
    told = [text for name, text in details.items() if name == "reason" or "traceback" in name]
    started, ended = test["timestamps"]
    line = {
        "name": test["id"],
        "outcome": _OUTCOMES.get(test["status"], "failed"),
        "says": "" if test["status"] == "success" else "\n".join(told).strip() or test["status"],
        "seconds": (ended - started).total_seconds() if started and ended else 0,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    result = testtools.StreamToDict(_print)
    result.startTestRun()
    subunit.ByteStreamToStreamResult(sys.stdin.buffer, non_subunit_name="stdout").run(result)
    result.stopTestRun()

"""The real program against requests made up from its own OpenAPI document: no request of any kind is answered with
a failure of the server, or with what the document does not say.

The run is bounded and always the same. To look for longer, and somewhere else each time:
``HEADWATER_FUZZ_SECONDS=600 make test-fuzzing``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fuzzing.fuzzer import require_answers

SECONDS = int(os.environ.get("HEADWATER_FUZZ_SECONDS", "0"))
AMOUNT = ("--max-time", str(SECONDS)) if SECONDS else ("--seed", "1", "--max-examples", "5")  # of operation and phase
LIMIT_S = 420  # the bounded run takes a tenth of it on idle cores


@pytest.mark.slow
@pytest.mark.timeout(SECONDS * 2 + LIMIT_S + 60)
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ("sqlite", "postgresql")]
)
def test_no_request_makes_it_fail_or_say_what_it_has_not_promised(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url: str = request.getfixturevalue(f"{kind}_url")
    assert require_answers(url, tmp_path, AMOUNT, SECONDS * 2 + LIMIT_S) > 1000

"""The short form of ``make test-fuzzing``: one request of each operation, and no more phases than one."""

from __future__ import annotations

from pathlib import Path

from fuzzing.fuzzer import require_answers


def test_a_made_up_request_of_each_operation_is_answered_as_the_document_says(sqlite_url: str, tmp_path: Path) -> None:
    amount = ("--seed", "1", "--max-examples", "1", "--phases", "fuzzing")
    assert require_answers(sqlite_url, tmp_path, amount, 240) > 50

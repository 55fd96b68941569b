from __future__ import annotations

import pytest

from headwater.http.answers import content_answer, part_headers


def test_a_part_says_which_it_is_and_how_long() -> None:
    assert part_headers(range(3, 7), 10) == {"Content-Range": "bytes 3-6/10", "Content-Length": "4"}


@pytest.mark.parametrize(
    ("wanted", "status", "body", "content_range"),
    [(None, 200, b"0123456789", None), (range(3, 7), 206, b"3456", "bytes 3-6/10")],
    ids=["whole", "part"],
)
def test_bytes_at_hand_are_answered_whole_or_in_part(
    wanted: range | None, status: int, body: bytes, content_range: str | None
) -> None:
    given = {"ETag": '"a"'}
    answer = content_answer(b"0123456789", wanted, given, "application/json")
    assert (answer.status_code, bytes(answer.body)) == (status, body)
    assert (answer.headers.get("content-range"), answer.headers["content-length"]) == (content_range, str(len(body)))
    assert (answer.headers["etag"], answer.headers["content-type"]) == ('"a"', "application/json")
    assert given == {"ETag": '"a"'}  # of who asked, and left alone

"""Creations that are tried again, over HTTP and through two workers."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess


def test_requests_with_one_key_at_all_workers_make_one_image(headwater: HeadwaterProcess, http: httpx.Client) -> None:
    headers = {"Idempotency-Key": f'"{uuid.uuid4()}"'}

    def create(_: int) -> httpx.Response:
        with httpx.Client(base_url=headwater.images_url, timeout=60) as client:  # another connection, another worker
            return client.post("/v2/images", json={"name": headers["Idempotency-Key"]}, headers=headers)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(create, range(24)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({(answer.json()["id"], answer.headers["Location"]) for answer in answers}) == 1
    image_id = answers[0].json()["id"]
    other = http.post("/v2/images", json={"name": "other"}, headers=headers)
    assert (other.status_code, "needs a new key" in other.text) == (422, True)
    http.delete(f"/v2/images/{image_id}").raise_for_status()
    gone = create(0)
    assert (gone.status_code, image_id in gone.text) == (410, True)


@pytest.mark.parametrize("bad", ["", '"', '""', "a b", '"x", "y"'])
def test_what_is_no_key_is_refused(http: httpx.Client, bad: str) -> None:
    answer = http.post("/v2/images", json={}, headers={"Idempotency-Key": bad})
    assert (answer.status_code, "Idempotency-Key" in answer.text) == (400, True)

"""Digests of RFC 9530 on uploads and downloads, over a real connection."""

from __future__ import annotations

import base64
import hashlib

import httpx2 as httpx
import pytest

from functional.conftest import NewImage
from functional.headwater_process import HeadwaterProcess
from functional.image_requests import OCTETS, status
from functional.raw_http import HalfRequest

DATA = b"data of an image" * 1000


def field(algorithm: str, data: bytes = DATA) -> str:
    digest = hashlib.new(algorithm.replace("-", ""), data).digest()
    return f"{algorithm}=:{base64.b64encode(digest).decode()}:"


@pytest.mark.parametrize("name", ["Repr-Digest", "Content-Digest"])
@pytest.mark.parametrize("algorithm", ["sha-256", "sha-512", "md5"])
def test_an_upload_is_held_to_its_digest(http: httpx.Client, new_image: NewImage, name: str, algorithm: str) -> None:
    path = f"/v2/images/{new_image()['id']}/file"
    refused = http.put(path, content=DATA, headers={**OCTETS, name: field(algorithm, b"other")})
    assert refused.status_code == 400
    assert "Digest mismatch" in refused.text
    assert http.get(path.removesuffix("/file")).json()["status"] == "queued"
    assert http.put(path, content=DATA, headers={**OCTETS, name: field(algorithm)}).status_code == 204
    assert http.get(path).content == DATA


@pytest.mark.parametrize("name", ["Repr-Digest", "Content-Digest"])
def test_staged_data_is_held_to_its_digest(http: httpx.Client, new_image: NewImage, name: str) -> None:
    image = f"/v2/images/{new_image()['id']}"
    refused = http.put(f"{image}/stage", content=DATA, headers={**OCTETS, name: field("sha-256", b"other")})
    assert refused.status_code == 400
    assert "Digest mismatch" in refused.text
    assert http.get(image).json()["status"] == "queued"
    assert http.put(f"{image}/stage", content=DATA, headers={**OCTETS, name: field("sha-256")}).status_code == 204
    assert http.get(image).json()["status"] == "uploading"


@pytest.mark.parametrize("announced", ["Repr-Digest", "X-Other, repr-digest"])
def test_a_trailer_tells_the_digest_too(
    headwater: HeadwaterProcess, http: httpx.Client, new_image: NewImage, announced: str
) -> None:
    image_id = new_image()["id"]
    for digest, expected in ((field("sha-256", b"other"), 400), ("sha-256=:x:", 400), (field("sha-256"), 204)):
        headers = {"Trailer": announced}
        with HalfRequest(
            headwater.images_url, "PUT", f"/v2/images/{image_id}/file", length=None, headers=headers
        ) as put:
            put.send(DATA)
            put.end(f"Repr-Digest: {digest}")
            assert put.status() == expected
        assert status(http, image_id) == ("active" if expected == 204 else "queued")


def test_a_trailer_that_nobody_announced_is_never_passed_over(
    headwater: HeadwaterProcess, http: httpx.Client, new_image: NewImage
) -> None:
    image_id = new_image()["id"]
    for digest, expected in ((field("sha-256"), 400), (field("sha-512", b"other"), 400), (field("sha-512"), 204)):
        with HalfRequest(headwater.images_url, "PUT", f"/v2/images/{image_id}/file", length=None) as put:
            put.send(DATA)
            put.end(f"Content-Digest: {digest}")
            assert put.status() == expected
        assert status(http, image_id) == ("active" if expected == 204 else "queued")


def test_a_digest_that_cannot_be_read_is_refused_before_any_data(
    headwater: HeadwaterProcess, new_image: NewImage
) -> None:
    headers = {"Repr-Digest": "sha-256=x", "Expect": "100-continue"}
    path = f"/v2/images/{new_image()['id']}/file"
    with HalfRequest(headwater.images_url, "PUT", path, length=1 << 30, headers=headers) as put:
        answer = put.answer()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"want-repr-digest: sha-512=10, sha-256=9" in answer.lower()


def test_a_download_tells_its_digest(http: httpx.Client, new_image: NewImage) -> None:
    path = f"/v2/images/{new_image(DATA)['id']}/file"
    for answer in (http.get(path), http.head(path), http.get(path, headers={"Range": "bytes=0-9"})):
        assert answer.headers["Repr-Digest"] == field("sha-512")
        assert "Content-Digest" not in answer.headers
    wants = {"Want-Repr-Digest": "md5=3, sha-256=10", "Want-Content-Digest": "sha-512=1"}
    answer = http.get(path, headers=wants)
    assert (answer.headers["Repr-Digest"], answer.headers["Content-Digest"]) == (field("md5"), field("sha-512"))
    assert "Content-Digest" not in http.get(path, headers={**wants, "Range": "bytes=0-9"}).headers
    assert "Repr-Digest" not in http.get(path, headers={"Want-Repr-Digest": "sha-512=0"}).headers

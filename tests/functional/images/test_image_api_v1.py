"""Data by the API v1: what breaks off kills the image, and nothing of it is left."""

from __future__ import annotations

import base64
import hashlib
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess, wait_until
from functional.image_requests import OCTETS
from functional.raw_http import HalfRequest

MIB = 1 << 20
BLOB = random.Random(20261121).randbytes(9 * MIB + 17)
MD5 = hashlib.md5(BLOB).hexdigest()
META = "x-image-meta-"
FORMATS = {f"{META}disk_format": "raw", f"{META}container_format": "bare"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    process = HeadwaterProcess(tmp_path_factory.mktemp("v1"), toml="[images]\napi_v1 = true\n", workers=2)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def http(service: HeadwaterProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.images_url, timeout=60) as client:
        yield client


def stored(service: HeadwaterProcess) -> list[str]:
    return [
        file.name
        for file in service.data_dir.glob("stores/file/*/**/*")
        if file.is_file() and not file.name.startswith(".probe")
    ]


def status(http: httpx.Client, image_id: str) -> str:
    return http.head(f"/v1/images/{image_id}").headers[f"{META}status"]


def new(http: httpx.Client, **said: str) -> str:
    headers = {**FORMATS, **{META + name: value for name, value in said.items()}}
    answer = http.post("/v1/images", headers=headers)
    assert answer.status_code == 201, answer.text
    image_id: str = answer.json()["image"]["id"]
    return image_id


@pytest.mark.parametrize("way", ["with length", "chunked"])
def test_an_image_comes_and_goes_in_one_request_each(http: httpx.Client, way: str) -> None:
    body: Any = BLOB if way == "with length" else iter([BLOB[at : at + MIB] for at in range(0, len(BLOB), MIB)])
    said = {f"{META}size": str(len(BLOB)), f"{META}checksum": MD5}
    answer = http.post("/v1/images", content=body, headers={**FORMATS, **OCTETS, **said})
    assert answer.status_code == 201, answer.text
    image = answer.json()["image"]
    assert (image["status"], image["size"], image["checksum"]) == ("active", len(BLOB), MD5)
    assert answer.headers["etag"] == MD5
    given = http.get(f"/v1/images/{image['id']}")
    assert given.content == BLOB
    assert (given.headers["content-length"], given.headers[f"{META}checksum"]) == (str(len(BLOB)), MD5)
    # The same image by the other API, with what only that has.
    shown = http.get(f"/v2/images/{image['id']}").json()
    assert shown["os_hash_value"] == hashlib.sha512(BLOB).hexdigest()
    assert http.delete(f"/v1/images/{image['id']}").status_code == 200


@pytest.mark.parametrize("length", [len(BLOB), None], ids=["with length", "chunked"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_client_that_leaves_kills_its_image_and_leaves_no_bytes(
    service: HeadwaterProcess, http: httpx.Client, method: str, length: int | None
) -> None:
    image_id = f"00000000-0000-4000-8000-{random.randrange(1 << 48):012x}"
    path, said = "/v1/images", {**FORMATS, f"{META}id": image_id}
    if method == "PUT":
        assert new(http, id=image_id) == image_id
        path, said = f"/v1/images/{image_id}", {}
    with HalfRequest(service.images_url, method, path, length=length, headers=said) as half:
        half.send(BLOB[: 5 * MIB])
        wait_until(
            lambda: http.head(f"/v1/images/{image_id}").headers.get(f"{META}status") == "saving", "the data comes"
        )
        half.leave(rudely=True)
    wait_until(lambda: status(http, image_id) == "killed", "the image is killed")
    wait_until(lambda: not [name for name in stored(service) if image_id in name], "its bytes are gone")
    # Only deletion is left to it.
    assert http.put(f"/v1/images/{image_id}", content=BLOB, headers=OCTETS).status_code == 409
    assert http.get(f"/v1/images/{image_id}").status_code == 404
    assert http.delete(f"/v1/images/{image_id}").status_code == 200


def test_an_image_that_is_deleted_while_its_data_comes_answers_412_and_leaves_no_bytes(
    service: HeadwaterProcess, http: httpx.Client
) -> None:
    image_id = new(http)
    with HalfRequest(service.images_url, "PUT", f"/v1/images/{image_id}", length=6 * MIB) as half:
        half.send(BLOB[: 5 * MIB])
        wait_until(lambda: status(http, image_id) == "saving", "the data comes")
        assert http.delete(f"/v1/images/{image_id}").status_code == 200
        half.send(BLOB[5 * MIB : 6 * MIB])
        assert half.status() == 412
    wait_until(lambda: not [name for name in stored(service) if image_id in name], "its bytes are gone")


def test_of_data_for_one_image_at_once_one_wins_and_the_other_kills_nothing(http: httpx.Client) -> None:
    image_id = new(http)
    answers = []

    def bring() -> None:
        answers.append(http.put(f"/v1/images/{image_id}", content=BLOB, headers=OCTETS).status_code)

    threads = [threading.Thread(target=bring) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 409, 409]
    assert http.get(f"/v1/images/{image_id}").content == BLOB


def test_a_refusal_before_the_data_leaves_no_image(service: HeadwaterProcess, http: httpx.Client) -> None:
    name = f"refused-{random.randrange(1 << 30)}"
    for said in ({f"{META}foo": "x"}, {f"{META}disk_format": "floppy"}, {f"{META}store": "nowhere"}):
        headers = {**FORMATS, **OCTETS, f"{META}name": name, **said}
        assert http.post("/v1/images", content=BLOB, headers=headers).status_code == 400
    assert http.get("/v1/images", params={"name": name, "is_public": "None"}).json() == {"images": []}


@pytest.mark.parametrize(
    ("name", "value"),
    [("Upload-Complete", "?0"), ("Upload-Incomplete", "?1"), ("Upload-Length", "10"), ("Repr-Digest", "sha-256=:AA:")],
)
def test_a_part_of_the_data_leaves_no_image_and_kills_none(http: httpx.Client, name: str, value: str) -> None:
    headers, image_name = {**OCTETS, name: value}, f"part-{random.randrange(1 << 30)}"
    described = {**FORMATS, **headers, f"{META}name": image_name}
    assert http.post("/v1/images", content=b"12345", headers=described).status_code == 400
    assert http.get("/v1/images", params={"name": image_name, "is_public": "None"}).json() == {"images": []}
    image_id = new(http)
    assert http.put(f"/v1/images/{image_id}", content=b"12345", headers=headers).status_code == 400
    assert status(http, image_id) == "queued"


def test_data_is_held_to_its_digest(http: httpx.Client) -> None:
    for data, expected, after in ((b"other", 400, "killed"), (b"12345", 200, "active")):
        image_id = new(http)
        digest = base64.b64encode(hashlib.sha256(b"12345").digest()).decode()
        headers = {**OCTETS, "Repr-Digest": f"sha-256=:{digest}:"}
        assert http.put(f"/v1/images/{image_id}", content=data, headers=headers).status_code == expected
        assert status(http, image_id) == after


def test_data_is_held_to_the_digest_behind_it(service: HeadwaterProcess, http: httpx.Client) -> None:
    digest = base64.b64encode(hashlib.sha256(b"12345").digest()).decode()
    for data, expected, after in ((b"other", 400, "killed"), (b"12345", 200, "active")):
        image_id = new(http)
        headers = {"Trailer": "Repr-Digest"}
        with HalfRequest(service.images_url, "PUT", f"/v1/images/{image_id}", length=None, headers=headers) as put:
            put.send(data)
            put.end(f"Repr-Digest: sha-256=:{digest}:")
            assert put.status() == expected
        assert status(http, image_id) == after


def test_what_the_data_is_not_kills_the_image(service: HeadwaterProcess, http: httpx.Client) -> None:
    name = f"mismatch-{random.randrange(1 << 30)}"
    headers = {**FORMATS, **OCTETS, f"{META}name": name, f"{META}disk_format": "qcow2"}
    assert http.post("/v1/images", content=BLOB, headers=headers).status_code == 415
    (image,) = http.get("/v1/images/detail", params={"name": name, "is_public": "None", "status": "killed"}).json()[
        "images"
    ]
    assert (image["size"], image["checksum"]) == (0, None)
    wait_until(lambda: not [each for each in stored(service) if image["id"] in each], "its bytes are gone")


def test_callers_prove_who_they_are_and_share_what_is_theirs(tmp_path: Path) -> None:
    users = tmp_path / "users"
    lines = (("ann", "pa", "member"), ("bob", "pb", "member"), ("root", "pr", "admin"))
    users.write_text(
        "".join(
            f"{name}:{bcrypt.hashpw(b'x', bcrypt.gensalt(4)).decode()}:{project}:{role}\n"
            for name, project, role in lines
        )
    )
    toml = f'[images]\napi_v1 = true\n[auth]\nmode = "basic"\nhtpasswd_file = "{users}"\n'
    service = HeadwaterProcess(tmp_path, toml=toml)
    service.start()
    try:
        for path in ("/v1/images", "/v1.0/images", "/v1.1/images/detail", "/v1/nothing"):
            answer = httpx.get(service.images_url + path)
            assert (answer.status_code, "www-authenticate" in answer.headers) == (401, True), path
        ann, bob, root = (
            httpx.Client(base_url=service.images_url, auth=(name, "x"), timeout=60) for name, _, _ in lines
        )
        with ann, bob, root:
            image_id = new(ann, name="hers", owner="pb")
            shown = ann.head(f"/v1/images/{image_id}").headers
            assert (shown[f"{META}owner"], shown[f"{META}is_public"]) == ("pa", "False")
            for answer in (
                bob.head(f"/v1/images/{image_id}"),
                bob.put(f"/v1/images/{image_id}", headers={f"{META}name": "his"}),
                bob.delete(f"/v1/images/{image_id}"),
                bob.put(f"/v1/images/{image_id}/members/pb"),
            ):
                assert answer.status_code == 404
            assert ann.put(f"/v1/images/{image_id}/members/pb").status_code == 204
            assert [image["id"] for image in bob.get("/v1/images").json()["images"]] == [image_id]
            assert bob.put(f"/v1/images/{image_id}", headers={f"{META}name": "his"}).status_code == 403
            assert ann.put(f"/v1/images/{image_id}", headers={f"{META}is_public": "True"}).status_code == 403
            assert root.put(f"/v1/images/{image_id}", headers={f"{META}is_public": "True"}).status_code == 200
            assert ann.get("/v2/tasks").status_code == 403
            assert root.get("/v2/tasks").status_code == 200
    finally:
        service.kill()


@pytest.mark.parametrize("what", ["file", "stage"])
def test_data_that_is_to_replace_other_data_is_refused_before_any_of_it_is_read(
    service: HeadwaterProcess, http: httpx.Client, what: str
) -> None:
    image_id = new(http)
    path = f"/v2/images/{image_id}/{what}"
    for expected in ("*", '"abc"', 'W/"abc"'):
        said = {**OCTETS, "If-Match": expected}
        with HalfRequest(service.images_url, "PUT", path, length=len(BLOB), headers=said) as half:
            assert half.status() == 412  # not a byte was sent
        assert status(http, image_id) == "queued"
    unseen = f"/v2/images/00000000-0000-4000-8000-000000000000/{what}"
    assert http.put(unseen, content=b"x", headers={**OCTETS, "If-Match": "*"}).status_code == 404
    for expected in ("*", '"abc"'):
        other = new(http)
        said = {**OCTETS, "If-None-Match": expected}
        assert http.put(f"/v2/images/{other}/{what}", content=BLOB, headers=said).status_code == 204
        # What is refused whatever is expected is told as that. Source: RFC 9110, 13.2.1.
        again = {**OCTETS, "If-Match": '"abc"'}
        assert http.put(f"/v2/images/{other}/{what}", content=b"x", headers=again).status_code == 409


def test_changes_by_the_api_v1_keep_to_what_is_expected(http: httpx.Client) -> None:
    image_id = http.post("/v1/images", content=BLOB, headers={**FORMATS, **OCTETS}).json()["image"]["id"]
    path, name = f"/v1/images/{image_id}", f"{META}name"
    for said in ({"If-Match": "abc"}, {"If-Match": '"abc"'}, {"If-None-Match": f'"{MD5}"'}, {"If-None-Match": "*"}):
        assert http.put(path, headers={name: "new", **said}).status_code == 412, said
        assert http.delete(path, headers=said).status_code == 412, said
    assert http.head(path).headers.get(name) != "new"
    for said in ({"If-Match": MD5}, {"If-Match": f'"{MD5}"'}, {"If-Match": "*"}, {"If-None-Match": '"abc"'}):
        assert http.put(path, headers={name: "new", **said}).status_code == 200, said
    assert http.put(path, content=b"x", headers={**OCTETS, "If-Match": "abc"}).status_code == 409
    assert http.delete(path, headers={"If-Match": MD5}).status_code == 200

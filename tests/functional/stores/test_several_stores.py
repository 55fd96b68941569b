"""Several stores, as clients and operators see them."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from functional import clients
from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess
from functional.image_requests import OCTETS
from functional.users import proof, users_file

DATA = random.Random(0).randbytes(9 << 20)
TOML = """
[images]
show_multiple_locations = true
show_image_direct_url = true
[stores.fast]
type = "file"
description = "New and fast"
[stores.cheap]
type = "file"
weight = 300
[stores.web]
type = "http"
"""


@pytest.fixture
def service(fresh_headwater: FreshHeadwater) -> HeadwaterProcess:
    return fresh_headwater(toml=TOML)


@pytest.fixture
def api(service: HeadwaterProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{service.images_url}/v2", trust_env=False) as client:
        yield client


def queued(api: httpx.Client) -> str:
    """Return the id of a new image."""
    made: str = api.post("/images", json={"disk_format": "raw", "container_format": "bare"}).json()["id"]
    return made


def uploaded(api: httpx.Client, store: str | None = None, data: bytes = DATA) -> str:
    """Return the id of a new image with data."""
    image_id = queued(api)
    headers = OCTETS if store is None else {**OCTETS, "X-Image-Meta-Store": store}
    assert api.put(f"/images/{image_id}/file", content=data, headers=headers).status_code == 204
    return image_id


def object_of(service: HeadwaterProcess, store: str, image_id: str) -> Path:
    """Return the file that holds the data of an image."""
    (found,) = (service.data_dir / "stores" / store).glob(f"objects/*/{image_id}.*")
    return found


def copied(service: HeadwaterProcess, image_id: str, source: str, target: str) -> Path:
    """Give the data of an image a second place, and return the file that holds it there."""
    found = object_of(service, source, image_id)
    copy = service.data_dir / "stores" / target / found.relative_to(service.data_dir / "stores" / source)
    copy.parent.mkdir(exist_ok=True)
    shutil.copy(found, copy)
    with sqlite3.connect(service.data_dir / "headwater.db") as catalogue:
        catalogue.execute(
            "insert into image_locations (image_id, position, store, object_key, metadata) "
            "select image_id, 1, ?, object_key, '{}' from image_locations where image_id = ?",
            (target, image_id),
        )
    return copy


@pytest.mark.parametrize("part", [None, range(4_999_999, 9_000_000)])
def test_where_a_file_fails_in_the_middle_the_next_store_goes_on(
    service: HeadwaterProcess, api: httpx.Client, part: range | None
) -> None:
    image_id = uploaded(api, "cheap")
    file = object_of(service, "cheap", image_id)
    copied(service, image_id, "cheap", "fast")
    os.truncate(file, 5_000_003)
    headers = {} if part is None else {"Range": f"bytes={part.start}-{part.stop - 1}"}
    wanted = DATA if part is None else DATA[part.start : part.stop]
    for _ in range(2):
        answer = api.get(f"/images/{image_id}/file", headers=headers)
        assert (answer.status_code, answer.content == wanted) == (200 if part is None else 206, True)
    metrics = httpx.get(f"{service.images_url}/metrics", trust_env=False).text
    assert 'headwater_wrong_data_total{store="cheap"} 1.0' in metrics  # the second answer came from the other one
    object_of(service, "fast", image_id).unlink()
    lost = api.get(f"/images/{image_id}/file", headers=headers)  # half is never taken for the whole
    assert (lost.status_code, f"The data of image {image_id} is " in lost.text) == (410, True)


def test_a_byte_that_was_changed_in_a_file_is_noticed_by_who_reads_it(
    service: HeadwaterProcess, api: httpx.Client
) -> None:
    image_id = uploaded(api, "cheap")
    file = object_of(service, "cheap", image_id)
    with file.open("r+b") as opened:
        opened.seek(1000)
        opened.write(bytes([DATA[1000] ^ 1]))
    with pytest.raises(httpx.TransportError):
        api.get(f"/images/{image_id}/file")
    for headers in ({}, {"Range": "bytes=5-9"}):
        assert api.get(f"/images/{image_id}/file", headers=headers).status_code == 410
    metrics = httpx.get(f"{service.images_url}/metrics", trust_env=False).text
    assert 'headwater_wrong_data_total{store="cheap"} 1.0' in metrics
    assert any(event["event"] == "data of an image is wrong" for event in service.logs())
    checked = service.command("store", "check", "cheap")
    assert (checked.returncode, f"damaged: {file.name} of image {image_id}" in checked.stdout) == (1, True)
    file.write_bytes(DATA)
    assert api.get(f"/images/{image_id}/file").content == DATA
    assert service.command("store", "check", "cheap").returncode == 0


def test_of_two_copies_the_right_one_is_read_after_the_changed_one_was_noticed(
    service: HeadwaterProcess, api: httpx.Client
) -> None:
    image_id = uploaded(api, "cheap")
    file = object_of(service, "cheap", image_id)
    copied(service, image_id, "cheap", "fast")
    file.write_bytes(DATA[:-1] + bytes([DATA[-1] ^ 1]))
    with pytest.raises(httpx.TransportError):
        api.get(f"/images/{image_id}/file")
    for _ in range(2):
        assert api.get(f"/images/{image_id}/file").content == DATA
    assert api.get(f"/images/{image_id}/file", headers={"Range": "bytes=-9"}).content == DATA[-9:]


@pytest.mark.parametrize("part", [{}, {"Range": "bytes=5-9"}, {"Range": "bytes=-1"}])
def test_data_that_is_missing_comes_from_another_store_and_is_gone_where_there_is_none(
    service: HeadwaterProcess, api: httpx.Client, part: dict[str, str]
) -> None:
    image_id = uploaded(api, "cheap")
    file = object_of(service, "cheap", image_id)
    copy = copied(service, image_id, "cheap", "fast")
    file.unlink()
    assert api.get(f"/images/{image_id}/file", headers=part).status_code == (206 if part else 200)
    assert api.head(f"/images/{image_id}/file").status_code == 200
    copy.unlink()
    for method in ("GET", "HEAD"):
        lost = api.request(method, f"/images/{image_id}/file", headers=part)
        assert lost.status_code == 410
        assert (f"The data of image {image_id} is lost" in lost.text) == (method == "GET")
    metrics = httpx.get(f"{service.images_url}/metrics", trust_env=False).text
    assert 'headwater_missing_data_total{store="cheap"}' in metrics
    told = [event["error"] for event in service.logs() if event["event"] == "data of an image is missing"]
    assert any(f"image {image_id} is missing from store cheap: restore the object" in each for each in told)
    checked = service.command("store", "check", "cheap")
    assert (checked.returncode, "missing" in checked.stdout) == (1, True)


def test_clients_learn_which_stores_there_are(service: HeadwaterProcess, api: httpx.Client) -> None:
    fast = {"id": "fast", "description": "New and fast", "default": "true"}
    assert api.get("/info/stores").json() == {"stores": [fast, {"id": "cheap"}, {"id": "web", "read-only": "true"}]}
    detail = {each["id"]: each for each in api.get("/info/stores/detail").json()["stores"]}
    directory = str(service.data_dir / "stores" / "fast")
    properties = {"data_dir": directory, "chunk_size": 262144, "thin_provisioning": False}
    assert detail["fast"] == {**fast, "type": "file", "weight": 0, "properties": properties, "status": "up"}
    assert detail["cheap"]["weight"] == 300
    assert detail["web"] == {"id": "web", "read-only": "true", "type": "http", "weight": 0, "properties": {}}
    assert api.post("/images", json={}).headers["OpenStack-image-store-ids"] == "fast,cheap"


def test_where_one_store_takes_data_clients_have_no_choice(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(toml='[stores.one]\ntype = "file"\n[stores.web]\ntype = "http"')
    with httpx.Client(base_url=f"{service.images_url}/v2", trust_env=False) as api:
        for path in ("/info/stores", "/info/stores/detail"):
            refused = api.get(path, headers={"Accept": "application/json"})
            assert (refused.status_code, refused.json()["message"]) == (
                404,
                "Multi backend is not supported at this site.",
            )
        image_id = uploaded(api, "nowhere", b"some data")  # the header says nothing
        assert "stores" not in api.get(f"/images/{image_id}").json()
        assert "OpenStack-image-store-ids" not in api.post("/images", json={}).headers
        assert api.delete(f"/stores/one/{image_id}").status_code == 404
        assert api.get(f"/images/{image_id}/file?prefer=one").status_code == 400
        assert api.get(f"/images/{image_id}/file").content == b"some data"


def test_an_upload_goes_where_its_header_says(service: HeadwaterProcess, api: httpx.Client) -> None:
    assert api.get(f"/images/{uploaded(api, data=b'1')}").json()["stores"] == "fast"
    cheap = uploaded(api, "cheap", b"2")
    assert api.get(f"/images/{cheap}").json()["stores"] == "cheap"
    assert object_of(service, "cheap", cheap).read_bytes() == b"2"
    waiting = queued(api)
    for name in ("nowhere", "web"):
        headers = {**OCTETS, "Accept": "application/json", "X-Image-Meta-Store": name}
        refused = api.put(f"/images/{waiting}/file", content=b"3", headers=headers)
        assert refused.status_code == 400
        assert f"'{name}'" in refused.json()["message"]
    shown = api.get(f"/images/{waiting}").json()
    assert (shown["status"], "stores" in shown) == ("queued", False)


def test_all_follows_the_weights_of_the_stores(service: HeadwaterProcess, api: httpx.Client) -> None:
    image_id = uploaded(api, "fast", b"the data")
    cheap = copied(service, image_id, "fast", "cheap")
    cheap.write_bytes(b"THE DATA")  # so that answers tell where they come from,
    shutil.copystat(object_of(service, "fast", image_id), cheap)  # and nothing shows that it was changed
    for shown in (api.get(f"/images/{image_id}").json(), api.get("/images").json()["images"][0]):
        assert shown["stores"] == "cheap,fast"
        assert [each["metadata"]["store"] for each in shown["locations"]] == ["cheap", "fast"]
        assert shown["direct_url"] == shown["locations"][0]["url"]
    listed = api.get(f"/images/{image_id}/locations").json()
    assert [each["metadata"]["store"] for each in listed] == ["cheap", "fast"]
    assert api.get(f"/images/{image_id}/file").content == b"THE DATA"
    assert api.get(f"/images/{image_id}/file?prefer=fast").content == b"the data"
    assert api.get(f"/images/{image_id}/file?prefer=web,fast,cheap").content == b"the data"
    assert api.get(f"/images/{image_id}/file?prefer=fast,nowhere").status_code == 400
    # The order that is shown is the one that a patch counts in.
    removal = [{"op": "remove", "path": "/locations/0"}]
    headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    after = api.patch(f"/images/{image_id}", content=json.dumps(removal), headers=headers).json()
    assert after["stores"] == "fast"
    assert not cheap.exists()


def test_one_copy_is_deleted_and_the_last_one_stays(service: HeadwaterProcess, api: httpx.Client) -> None:
    image_id = uploaded(api, "fast", b"data")
    assert api.delete(f"/stores/fast/{image_id}").status_code == 403
    cheap = copied(service, image_id, "fast", "cheap")
    assert api.delete(f"/stores/nowhere/{image_id}").status_code == 409
    assert api.delete(f"/stores/web/{image_id}").status_code == 404
    assert api.delete(f"/stores/fast/{uuid.uuid4()}").status_code == 404
    assert api.delete(f"/stores/fast/{queued(api)}").status_code == 409
    assert api.delete(f"/stores/cheap/{image_id.upper()}").status_code == 204
    assert not cheap.exists()
    shown = api.get(f"/images/{image_id}").json()
    assert (shown["stores"], shown["status"]) == ("fast", "active")
    assert api.delete(f"/stores/fast/{image_id}").status_code == 403
    assert api.get(f"/images/{image_id}/file").content == b"data"


def test_members_are_told_less_and_delete_no_copies(fresh_headwater: FreshHeadwater, tmp_path: Path) -> None:
    users = users_file(tmp_path, root=("infra", "admin"), mia=("p1", "member,reader"))
    service = fresh_headwater(toml=users + TOML)
    with httpx.Client(base_url=f"{service.images_url}/v2", trust_env=False, headers=proof("mia")) as api:
        assert api.get("/info/stores").status_code == 200
        assert api.get("/info/stores/detail").status_code == 403
        image_id = uploaded(api, "fast", b"data")
        copied(service, image_id, "fast", "cheap")
        assert api.get(f"/images/{image_id}").json()["stores"] == "cheap,fast"
        assert api.get(f"/images/{image_id}/file?prefer=fast").status_code == 200
        assert api.delete(f"/stores/fast/{image_id}").status_code == 403
        assert api.post(f"/images/{image_id}/actions/deactivate").status_code == 204
        assert "stores" not in api.get(f"/images/{image_id}").json()
        assert api.get(f"/images/{image_id}", headers=proof("root")).json()["stores"] == "cheap,fast"
        assert api.get("/info/stores/detail", headers=proof("root")).status_code == 200
        assert httpx.get(f"{service.images_url}/v2/info/stores", trust_env=False).status_code == 401


# --- Clients -----------------------------------------------------------------------------------------


def test_glance_names_stores(service: HeadwaterProcess, api: httpx.Client, glance_client: Path, tmp_path: Path) -> None:
    glance = clients.glance(glance_client, tmp_path, service.images_url)
    assert "New and fast" in glance("stores-info")
    assert "thin_provisioning" in glance("stores-info", "--detail")
    (tmp_path / "data").write_bytes(b"some data")
    words = ["image-create", "--disk-format", "raw", "--container-format", "bare", "--store", "cheap", "--file", "data"]
    image_id = re.search(r"\| id +\| (\S+)", glance(*words))[1]  # type: ignore[index]
    assert api.get(f"/images/{image_id}").json()["stores"] == "cheap"
    copied(service, image_id, "cheap", "fast")
    glance("stores-delete", "--store", "cheap", image_id)
    assert api.get(f"/images/{image_id}").json()["stores"] == "fast"
    glance("image-download", "--file", "saved", image_id)
    assert (tmp_path / "saved").read_bytes() == b"some data"


def test_openstack_lists_stores(service: HeadwaterProcess, openstack_client: Path, tmp_path: Path) -> None:
    openstack = clients.openstack(openstack_client, tmp_path, service.images_url)
    assert [each["ID"] for each in openstack.json("image", "stores", "list")] == ["fast", "cheap", "web"]

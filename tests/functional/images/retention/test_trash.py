"""Deleted images that come back, and what goes, beside a running service."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional import image_requests as images
from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, wait_until

DATA = bytes(range(256)) * 500
STORES = '[stores.files]\ntype = "file"\nroot = "{one}"\n[stores.more]\ntype = "file"\nroot = "{two}"\n'


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "one", tmp_path / "two"


def settings(roots: tuple[Path, Path], kept_s: int, more: str = "") -> str:
    stores = STORES.format(one=roots[0], two=roots[1])
    return f"{stores}[images]\napi_v1 = true\ndelayed_delete_s = {kept_s}\n{more}"


@pytest.fixture
def service(fresh_headwater: FreshHeadwater, roots: tuple[Path, Path], tmp_path: Path) -> HeadwaterProcess:
    """A service that keeps the data of deleted images for an hour."""
    audit = f'[audit]\nfile = "{tmp_path / "audit.jsonl"}"\n'
    return fresh_headwater(toml=settings(roots, 3600, audit))


def an_image(service: HeadwaterProcess, *stores: str, **fields: Any) -> str:
    image_id = images.an_image(service, **fields)
    there = {"X-Image-Meta-Store": (stores or ("files",))[0]}
    images.upload(service, image_id, DATA, headers=there).raise_for_status()
    for store in stores[1:]:
        order = {"method": {"name": "copy-image"}, "stores": [store]}
        call(service, "POST", f"/v2/images/{image_id}/import", json=order).raise_for_status()
        wait_until(lambda: shown(service, image_id)["stores"] == ",".join(sorted(stores)), "it is copied")
    return image_id


def call(service: HeadwaterProcess, method: str, path: str, **more: Any) -> httpx.Response:
    return httpx.request(method, f"{service.images_url}{path}", timeout=60, **more)


def shown(service: HeadwaterProcess, image_id: str) -> dict[str, Any]:
    found = images.show(service, image_id)
    return {**found, "stores": ",".join(sorted(found["stores"].split(",")))}


def delete(service: HeadwaterProcess, image_id: str) -> None:
    assert call(service, "DELETE", f"/v2/images/{image_id}").status_code == 204


def trash(service: HeadwaterProcess, *words: str, code: int = 0) -> Any:
    """Return what the command says."""
    ended = service.command("trash", *words, "--json")
    assert ended.returncode == code, ended.stderr
    return json.loads(ended.stdout or ended.stderr)


def objects(root: Path) -> list[str]:
    return [file.name for file in root.glob("objects/*/*")]


def test_a_deleted_image_is_gone_for_clients_and_comes_back_as_it_was(
    service: HeadwaterProcess, roots: tuple[Path, Path], tmp_path: Path
) -> None:
    image_id = an_image(service, "files", "more", name="web", tags=["a"], os_distro="debian")
    call(service, "POST", f"/v2/images/{image_id}/members", json={"member": "friend"}).raise_for_status()
    before = shown(service, image_id)
    delete(service, image_id)
    for method, path in [("GET", ""), ("GET", "/file"), ("DELETE", ""), ("GET", "/members"), ("PUT", "/tags/x")]:
        assert call(service, method, f"/v2/images/{image_id}{path}").status_code == 404
    for query in ("", "?status=pending_delete", "?os_hidden=true", f"?id={image_id}"):
        assert call(service, "GET", f"/v2/images{query}").json()["images"] == []
    assert call(service, "POST", "/v2/images", json={"id": image_id}).status_code == 409
    # Source: of Glance's v1, the registry showed admins deleted images, and the API refused to delete one again.
    head = call(service, "HEAD", f"/v1/images/{image_id}").headers
    assert (head["x-image-meta-status"], head["x-image-meta-deleted"]) == ("pending_delete", "True")
    assert call(service, "DELETE", f"/v1/images/{image_id}").status_code == 403
    assert [len(objects(root)) for root in roots] == [1, 1]
    assert service.command("store", "check", "--grace", "0").returncode == 0

    (found,) = trash(service, "list")
    assert (found["id"], found["name"], found["size"]) == (image_id, "web", len(DATA))
    assert (found["status"], found["stores"], found["stored_size"]) == ("active", ["files", "more"], 2 * len(DATA))
    assert image_id in service.command("trash", "list").stdout
    assert trash(service, "list", "--project", "nobody") == []
    (restored,) = trash(service, "restore", image_id)
    assert (restored["status"], restored["gone"], restored["unseen"]) == ("active", [], [])
    used = json.loads(service.command("image", "retention", "used", "--json").stdout)
    assert [each["id"] for each in used] == [image_id], "who restores an image needs it"
    after = shown(service, image_id)
    assert {**after, "updated_at": ""} == {**before, "updated_at": ""}
    members = call(service, "GET", f"/v2/images/{image_id}/members").json()["members"]
    assert [each["member_id"] for each in members] == ["friend"]
    assert call(service, "GET", f"/v2/images/{image_id}/file").content == DATA
    assert trash(service, "restore", image_id, code=1) == []
    records = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    (record,) = [each for each in records if each["event"] == "image.restore" and each["outcome"] == "success"]
    assert (record["image"], record["image_name"], record["changed"]) == (image_id, "web", ["status"])


def test_an_image_is_restored_by_a_name_that_no_other_deleted_one_has(service: HeadwaterProcess) -> None:
    web, *twins = (an_image(service, name=name) for name in ("Web", "twin", "twin"))
    for image_id in (web, *twins):
        delete(service, image_id)
    assert [each["id"] for each in trash(service, "restore", "Web")] == [web]
    ended = service.command("trash", "restore", "twin")
    assert ended.returncode == 1
    assert "several images are named 'twin'" in ended.stderr
    assert all(image_id in ended.stderr for image_id in twins)
    assert "no deleted image Web can be restored" in service.command("trash", "restore", "Web").stderr
    assert trash(service, "empty", "twin", "--yes", code=1)["error"]["type"] == "AmbiguousImage"


def test_of_several_to_restore_one_that_is_gone_keeps_no_other(service: HeadwaterProcess) -> None:
    image_id = an_image(service)
    delete(service, image_id)
    ended = service.command("trash", "restore", "no-such-image", image_id.upper())
    assert ended.returncode == 1
    assert f"image {image_id} (no name) is active again" in ended.stdout
    assert "no-such-image" in ended.stderr


def test_the_trash_is_emptied_on_request_and_not_without_a_yes(
    service: HeadwaterProcess, roots: tuple[Path, Path]
) -> None:
    kept, first, second = an_image(service), an_image(service), an_image(service, "more")
    for image_id in (kept, first, second):
        delete(service, image_id)
    refused = trash(service, "empty", code=2)["error"]
    assert (refused["type"], refused["images"], refused["size"]) == ("NotConfirmed", 3, 3 * len(DATA))
    assert trash(service, "empty", "--project", "nobody", "--yes")["images"] == 0
    assert trash(service, "empty", "no-such-image", "--yes", code=1)["error"]["type"] == "NotPending"
    assert len(trash(service, "list")) == 3
    assert trash(service, "empty", first, "--yes") == {"images": 1, "removed": 1, "stays": 0, "stores": []}
    assert trash(service, "restore", kept)
    assert trash(service, "empty", "--yes")["images"] == 1
    assert [len(objects(root)) for root in roots] == [1, 0]
    assert call(service, "GET", f"/v2/images/{kept}/file").content == DATA
    assert trash(service, "empty", "--yes") == {"images": 0, "removed": 0, "stays": 0, "stores": []}


def test_data_goes_by_itself_when_its_time_is_over(fresh_headwater: FreshHeadwater, roots: tuple[Path, Path]) -> None:
    service = fresh_headwater(toml=settings(roots, 1))
    image_id = an_image(service, "files", "more")
    delete(service, image_id)
    wait_until(lambda: not any(map(objects, roots)), "the data is gone", timeout_s=60)
    assert trash(service, "list") == []
    assert trash(service, "objects") == []
    head = call(service, "HEAD", f"/v1/images/{image_id}").headers
    assert (head["x-image-meta-status"], head["x-image-meta-deleted"]) == ("deleted", "True")
    assert call(service, "DELETE", f"/v1/images/{image_id}").status_code == 404
    assert trash(service, "restore", image_id, code=1) == []


def test_a_store_that_is_away_keeps_nobody_and_forgets_nothing(
    service: HeadwaterProcess, roots: tuple[Path, Path]
) -> None:
    image_id = an_image(service, "files", "more")
    mark = roots[1] / "store-id"
    mark.rename(roots[1] / "hidden")  # as if it were not mounted
    delete(service, image_id)
    (restored,) = trash(service, "restore", image_id)
    assert (restored["gone"], restored["unseen"]) == ([], ["more"])
    delete(service, image_id)
    said = trash(service, "empty", "--yes", code=1)
    assert (said["images"], said["removed"], said["stays"]) == (1, 1, 1)
    assert [each["store"] for each in said["stores"]] == ["more"]
    assert [len(objects(root)) for root in roots] == [0, 1]
    (left,) = trash(service, "objects")
    assert (left["store"], left["image_id"], left["object_key"]) == ("more", image_id, objects(roots[1])[0])
    assert left["attempts"] >= 1
    assert "more" in left["error"]
    assert "more" in service.command("trash", "objects").stdout
    (roots[1] / "hidden").rename(mark)
    assert trash(service, "scrub")["stays"] == 0
    assert [len(objects(root)) for root in roots] == [0, 0]


def test_one_copy_that_is_removed_goes_at_once_and_does_not_come_back(
    service: HeadwaterProcess, roots: tuple[Path, Path]
) -> None:
    image_id = an_image(service, "files", "more")
    assert call(service, "DELETE", f"/v2/stores/files/{image_id}").status_code == 204
    assert [len(objects(root)) for root in roots] == [0, 1]
    assert trash(service, "list") == []
    delete(service, image_id)
    assert trash(service, "restore", image_id)
    assert shown(service, image_id)["stores"] == "more"


def test_an_image_whose_data_is_gone_is_not_restored(service: HeadwaterProcess, roots: tuple[Path, Path]) -> None:
    image_id = an_image(service)
    delete(service, image_id)
    (file,) = roots[0].glob("objects/*/*")
    file.unlink()
    ended = service.command("trash", "restore", image_id)
    assert ended.returncode == 1
    assert "its data is gone from files" in ended.stderr
    assert trash(service, "empty", "--yes")["stays"] == 0  # what is gone is removed


def test_a_project_at_its_limit_gets_no_image_back(fresh_headwater: FreshHeadwater, roots: tuple[Path, Path]) -> None:
    service = fresh_headwater(toml=settings(roots, 3600, "[quotas]\nimage_count_total = 1\n"))
    image_id = an_image(service, owner="p")
    delete(service, image_id)
    refused = call(service, "POST", "/v2/images", json={"owner": "p"})
    assert refused.status_code == 413  # it counts as long as it can be restored
    config = service.config_file.read_text()
    service.config_file.write_text(config.replace("image_count_total = 1", "image_count_total = 0"))
    ended = service.command("trash", "restore", image_id)
    assert ended.returncode == 1
    assert "Project p would exceed its limit image_count_total of 0 images" in ended.stderr
    service.config_file.write_text(config)
    assert trash(service, "restore", image_id)


def test_what_can_be_restored_is_measured(service: HeadwaterProcess) -> None:
    delete(service, an_image(service))

    def measured() -> dict[str, float]:
        text = httpx.get(f"{service.images_url}/metrics").text
        return {
            name: float(value) for name, value in re.findall(r"^(headwater_pending_\w+)(?:{.*})? (\S+)$", text, re.M)
        }

    wait_until(lambda: measured().get("headwater_pending_deletes") == 1, "it is counted", timeout_s=60)
    found = measured()
    assert found["headwater_pending_delete_bytes"] == len(DATA)
    assert found["headwater_pending_delete_oldest_seconds"] > 0

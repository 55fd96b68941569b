"""``headwater image retention`` beside a service, and as its own standing job."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2 as httpx

from functional import image_requests as images
from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, wait_until
from needs import program

DATA = bytes(range(256)) * 50
DAY = 86_400_000_000
RULES = """
[retention.rules.distributions]
names = ["Ubuntu *"]
visibility = ["public", "community"]
older_name = "{name} ({date})"
hide_after_days = 0
delete_unused_days = 30
keep = 1
"""


def an_image(service: HeadwaterProcess, days_old: int, **fields: Any) -> str:
    image_id = images.an_image(service, **{"name": "Ubuntu 24.04", "visibility": "public", **fields})
    put = images.upload(service, image_id, DATA)
    assert put.status_code == 204
    _written(service, "UPDATE images SET created_at = created_at - ? WHERE id = ?", days_old * DAY, image_id)
    return image_id


def _written(service: HeadwaterProcess, statement: str, *values: object) -> None:
    with sqlite3.connect(service.data_dir / "headwater.db", timeout=30) as database:
        database.execute(statement, values)
    database.close()


def uses_are_noted_for_long(service: HeadwaterProcess) -> None:

    def are_noted() -> bool:
        with sqlite3.connect(service.data_dir / "headwater.db", timeout=30) as database:
            statement = "UPDATE catalogue_revisions SET revision = 0 WHERE scope = 'uses since'"
            changed = database.execute(statement).rowcount
        database.close()
        return changed == 1

    wait_until(are_noted, "the service notes uses")


def said(service: HeadwaterProcess, *words: str) -> list[dict[str, Any]]:
    ended = service.command("image", "retention", *words, "--json")
    assert ended.returncode == 0, ended.stderr
    found: list[dict[str, Any]] = json.loads(ended.stdout)
    return found


def shown(service: HeadwaterProcess, image_id: str) -> httpx.Response:
    return httpx.get(f"{service.images_url}/v2/images/{image_id}")


def test_old_images_go_down_the_ladder_and_their_bytes_go_too(fresh_headwater: FreshHeadwater, tmp_path: Path) -> None:
    audit = tmp_path / "audit.log"
    service = fresh_headwater(
        toml=f'[audit]\nfile = "{audit}"\n[stores.files]\ntype = "file"\nroot = "{tmp_path / "images"}"\n'
        f"[streams]\ndeleted_files_s = 0\n{RULES}"
    )
    oldest, used, older, newest = (an_image(service, age) for age in (300, 200, 100, 1))
    other = an_image(service, 500, name="Debian 13")
    uses_are_noted_for_long(service)
    assert httpx.get(f"{service.images_url}/v2/images/{used}/file").content == DATA
    wait_until(lambda: any(each["last_used"] for each in said(service, "used")), "the use is noted", timeout_s=60)

    plan = {each["id"]: each for each in said(service, "plan")}
    assert {each: plan[each]["steps"] for each in plan} == {
        oldest: ["delete"],
        used: ["rename", "hide"],
        older: ["rename", "hide"],
        newest: [],
    }
    assert plan[used]["last_used"] is not None
    assert [shown(service, each).status_code for each in (oldest, used, older, newest)] == [200] * 4

    assert {each["id"]: each["error"] for each in said(service, "apply")} == dict.fromkeys(plan)
    assert [shown(service, each).status_code for each in (oldest, used, older, newest, other)] == [
        404,
        200,
        200,
        200,
        200,
    ]
    assert shown(service, older).json()["name"].startswith("Ubuntu 24.04 (2")
    listed = httpx.get(f"{service.images_url}/v2/images").json()["images"]
    assert {each["id"] for each in listed} == {newest, other}
    wait_until(lambda: len(list((tmp_path / "images").glob("objects/*/*.*"))) == 4, "the bytes are gone")
    records = [json.loads(line) for line in audit.read_text().splitlines()]
    mine = [(each["event"], each["image"]) for each in records if each.get("user") == "headwater-retention"]
    assert sorted(mine) == sorted([("image.delete", oldest), ("image.update", used), ("image.update", older)])

    again = service.command("image", "retention", "apply")
    assert again.returncode == 0
    assert "3 images under a rule: 0 were changed, 0 were deleted (0 bytes)" in again.stdout


def test_the_service_does_it_by_itself_where_a_setting_says_so(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(toml=f"[retention]\nevery_h = 1\n{RULES}", start=False)
    service.start()
    older, newest = an_image(service, 100), an_image(service, 1)
    service.stop()
    _written(service, "UPDATE jobs SET run_at = 0 WHERE kind = 'retention'")
    service.start()
    wait_until(lambda: shown(service, older).json()["os_hidden"], "the older one is hidden", timeout_s=60)
    assert not shown(service, newest).json()["os_hidden"]


def test_without_rules_or_with_a_wrong_one_the_command_says_what_to_do(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater()
    ended = service.command("image", "retention", "plan")
    assert (ended.returncode, "section [retention.rules] has no rule" in ended.stderr) == (2, True)


def test_one_url_leads_to_the_newest_and_clients_follow_it(headwater: HeadwaterProcess, tmp_path: Path) -> None:
    name = f"Noble {tmp_path.name}"
    made = {"visibility": "public", "disk_format": "raw", "container_format": "bare"}
    ids = []
    with httpx.Client(base_url=headwater.images_url) as http:
        for day, data in (("20260705", b"new"), ("20260101", b"old")):
            ids.append(http.post("/v2/images", json={"name": f"{name} ({day})", **made}).json()["id"])
            http.put(f"/v2/images/{ids[-1]}/file", content=data, headers={"Content-Type": "application/octet-stream"})
        answer = http.get("/v2/images/newest", params={"name": name})
        assert (answer.status_code, answer.headers["Location"]) == (307, f"{headwater.images_url}/v2/images/{ids[0]}")
        assert http.head("/v2.9/images/newest/file", params={"name": name}).status_code == 307
        assert http.get("/v2/images/newest", params={"name": name}, follow_redirects=True).json()["id"] == ids[0]
        assert http.get("/v2/images/newest", params={"name": "nobody"}).status_code == 404
        assert http.get("/v2/images/newest").status_code == 400
        assert http.delete("/v2/images/newest", params={"name": name}).status_code == 405
    url = f"{headwater.images_url}/v2/images/newest/file?{urlencode({'name': name})}"
    assert subprocess.run([program("curl"), "-sSLf", url], capture_output=True, check=True).stdout == b"new"
    there = headwater.command("image", "download", "--newest", name, tmp_path / "disk", "--url", headwater.images_url)
    assert (there.returncode, (tmp_path / "disk").read_bytes()) == (0, b"new")
    shows = headwater.command("image", "show", "--newest", name, "--url", headwater.images_url, "--json")
    assert json.loads(shows.stdout)["id"] == ids[0]
    absent = headwater.command("image", "show", "--newest", "nobody", "--url", headwater.images_url)
    assert (absent.returncode, absent.stderr) == (1, "headwater: there is no image 'nobody'\n")


def test_lint_says_what_public_images_lack_and_how_it_ends(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater()
    raw = {"disk_format": "raw", "container_format": "bare"}
    right = {"min_disk": 1, "min_ram": 512, "architecture": "x86_64", "os_distro": "ubuntu", "os_version": "24.04"}
    right |= {"hw_disk_bus": "virtio", "replace_frequency": "never", "provided_until": "none", "uuid_validity": "none"}
    right |= {"image_source": "private", "image_description": "x", "image_original_user": "none"}
    right |= {"image_build_date": "2026-01-01"}
    made = {"name": "public", "visibility": "public", **raw, **right}
    image = httpx.post(f"{service.images_url}/v2/images", json=made).raise_for_status().json()
    httpx.post(f"{service.images_url}/v2/images", json={"name": "private", "visibility": "private", **raw})

    def linted(*words: str) -> tuple[int, dict[str, Any]]:
        ended = service.command("image", "lint", "--url", service.images_url, "--json", *words)
        return ended.returncode, json.loads(ended.stdout or ended.stderr)

    code, said = linted()
    assert (code, said["images"], {each["level"] for each in said["findings"]}) == (0, 1, {"advice"})
    assert linted("--profile", "scs-0102-v2")[0] == 1
    code, said = linted("private")
    assert (code, said["images"]) == (1, 1)
    lacks = {each["property"] for each in said["findings"] if each["level"] == "error"}
    assert {"architecture", "min_disk", "image_source"} <= lacks
    patch = [{"op": "replace", "path": "/architecture", "value": "amd64"}]
    patched = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    httpx.patch(f"{service.images_url}/v2/images/{image['id']}", json=patch, headers=patched).raise_for_status()
    ended = service.command("image", "lint", "--url", service.images_url)
    assert ended.returncode == 1
    assert f"'public' ({image['id']}): error: architecture is 'amd64'; allowed: x86_64, aarch64" in ended.stdout
    assert linted("nobody")[0] == 1
    assert linted("--profile", "none")[0] == 2

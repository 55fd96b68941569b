"""The API of instances: projects with their own, an admin with all, guests answered by what was changed."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess, wait_until
from functional.users import proof, users_file
from servers.http.webhook import SECRET, WebhookReceiver
from servers.openstack.keystone import Keystone

PATH = "/instances/v1/instances"
MERGE = {"Content-Type": "application/merge-patch+json"}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6/Vd6bZLg2P6nTYxKGBSSmOF0hbnOdCxUZcmNBYxCG user@host"
USERS = {
    "ann": ("a", "member,reader"),
    "rod": ("a", "reader"),
    "bob": ("b", "member,reader"),
    "root": ("ops", "admin,member,reader"),
}


class Site:
    """A service with users of three projects, and what it tells of what they do."""

    def __init__(self, process: HeadwaterProcess, audit: Path, receiver: WebhookReceiver) -> None:
        self.process, self.receiver, self._audit = process, receiver, audit
        self.http = httpx.Client(base_url=process.images_url, timeout=30, trust_env=False)

    def ask(self, user: str, method: str, path: str = PATH, **more: Any) -> httpx.Response:
        headers = {"Accept": "application/json", **proof(user), **more.pop("headers", {})}
        return self.http.request(method, path, headers=headers, **more)

    def add(self, user: str, **said: Any) -> dict[str, Any]:
        document = {"name": f"web-{uuid.uuid4().hex[:8]}", **said}
        made: dict[str, Any] = self.ask(user, "POST", json=document).raise_for_status().json()
        return made

    def change(self, user: str, name: str, patch: Any, **headers: str) -> httpx.Response:
        headers = {**MERGE, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.ask(user, "PATCH", f"{PATH}/{name}", headers=headers, content=json.dumps(patch))

    def records(self, instance: str) -> list[dict[str, Any]]:
        found = map(json.loads, self._audit.read_text().splitlines())
        return [record for record in found if record.get("instance") == instance]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("instances")
    receiver = WebhookReceiver()
    receiver.start()
    audit = directory / "audit.log"
    toml = f'[notifications]\nwebhook_url = "{receiver.url}"\nwebhook_secret = "{SECRET}"\n[audit]\nfile = "{audit}"\n'
    process = HeadwaterProcess(directory, toml=toml + users_file(directory, **USERS))
    process.start()
    found = Site(process, audit, receiver)
    yield found
    found.http.close()
    process.stop()
    receiver.stop()


def test_what_is_registered_is_shown_and_may_be_registered_again(site: Site) -> None:
    image = {"name": "noble-of-a", "disk_format": "raw", "container_format": "bare"}
    image_id = site.ask("ann", "POST", "/v2/images", json=image).raise_for_status().json()["id"]
    document = {
        "name": "db ☃/1",
        "ssh_keys": [KEY],
        "user_data": "#cloud-config\n☃",
        "vendor_data": {"cloud-init": "#cloud-config\n", "nested": [1, None]},
        "network_data": {"links": [], "networks": [], "services": []},
        "meta": {"role": "db"},
        "image": "noble-of-a",
        "instance_type": "m1.small",
        "tokens": "required",
        "hop_limit": 1,
        "files": [{"path": "/z", "content_base64": "/w=="}, {"path": "/a", "content_base64": ""}],
    }
    answer = site.ask("ann", "POST", json=document)
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["location"] == f"{site.process.images_url}{PATH}/{made['id']}"
    text = document.pop("user_data")
    assert made == {
        **document,
        "id": made["id"],
        "hostname": "db-1",
        "project_id": "a",
        "addresses": [],
        "serial": None,
        "public_ipv4": None,
        "user_data_base64": base64.b64encode(text.encode()).decode(),  # type: ignore[attr-defined]
        "availability_zone": "nova",
        "image": image_id,
        "image_name": "noble-of-a",
        "revision": 0,
        "created_at": made["created_at"],
        "updated_at": made["created_at"],
        "source": "registry",
        "told_at": None,
    }
    for name in (made["id"], made["id"].upper(), "db%20%E2%98%83%2F1", "db ☃/1"):
        assert site.ask("rod", "GET", f"{PATH}/{name}").json() == made
    site.ask("ann", "DELETE", f"{PATH}/{made['id']}").raise_for_status()
    said_by_nobody = ("revision", "image_name", "created_at", "updated_at", "source", "told_at")
    again = {name: made[name] for name in made if name not in said_by_nobody}
    assert site.ask("ann", "POST", json=again).json() | {"created_at": 0, "updated_at": 0} == {
        **made,
        "created_at": 0,
        "updated_at": 0,
    }


def test_what_is_of_another_project_is_as_if_it_were_not_there(site: Site) -> None:
    hidden, absent = site.add("ann"), str(uuid.uuid4())
    for wanted, missing in ((hidden["id"], absent), (hidden["name"], "web-nothing")):
        for method in ("GET", "HEAD", "PATCH", "DELETE"):
            for headers in ({}, {"If-Match": '"x"'}, {"If-Match": "*"}, {"If-None-Match": "*"}):
                given = {"headers": {**MERGE, **headers}, "content": "{}" if method == "PATCH" else None}
                one, other = (site.ask("bob", method, f"{PATH}/{name}", **given) for name in (wanted, missing))
                assert one.status_code == other.status_code == 404
                assert one.text.replace(wanted, missing) == other.text
    seen = site.ask("bob", "GET").json()["instances"]
    assert hidden["id"] not in {each["id"] for each in seen}
    assert site.ask("bob", "GET", f"{PATH}?project_id=a").json() == {"instances": []}
    assert site.ask("bob", "GET", f"{PATH}?name={hidden['name']}").json() == {"instances": []}


def test_a_name_and_an_id_of_another_project_are_taken_and_nothing_is_told_of_whose(site: Site) -> None:
    theirs = site.add("root", project_id="a", addresses=["10.9.0.1"])
    for said in ({"name": theirs["name"]}, {"name": "other", "id": theirs["id"]}):
        answer = site.ask("bob", "POST", json=said)
        assert answer.status_code == 409
        told = answer.json()["message"]
        assert "belongs to another instance already" in told
        assert {theirs["name"], theirs["id"]} & set(told.split()) <= set(said.values())
    mine = site.add("bob")
    assert site.change("bob", mine["id"], {"name": theirs["name"]}).status_code == 409
    taken = site.ask("root", "POST", json={"name": "third", "addresses": ["::ffff:10.9.0.1"]})
    assert (taken.status_code, theirs["name"] in taken.text, theirs["id"] in taken.text) == (409, False, False)


def test_a_project_may_not_say_which_addresses_its_machines_have(site: Site) -> None:
    refused = site.ask("ann", "POST", json={"name": "thief", "addresses": ["10.9.1.1"]})
    assert refused.status_code == 403
    assert "set_instance_addresses" in refused.json()["message"]
    mine = site.add("ann")
    assert site.ask("ann", "POST", json={"name": "thief", "serial": "S-1"}).status_code == 403
    for claim in ({"addresses": ["10.9.1.1"]}, {"serial": "S-1"}):
        assert site.change("ann", mine["id"], claim).status_code == 403
    given = site.change("root", mine["id"], {"addresses": ["10.9.1.1", "2001:DB8::1"]})
    assert given.json()["addresses"] == ["10.9.1.1", "2001:db8::1"]
    kept = site.change("ann", mine["id"], {"addresses": ["2001:db8:0::1", "10.9.1.1"], "meta": {"a": "b"}})
    assert kept.status_code == 200
    assert site.change("ann", mine["id"], {"addresses": None}).status_code == 403
    assert site.ask("ann", "DELETE", f"{PATH}/{mine['id']}").status_code == 204


def test_whose_an_instance_is_only_an_admin_says(site: Site) -> None:
    assert site.ask("ann", "POST", json={"name": "gift", "project_id": "b"}).status_code == 403
    mine = site.add("ann")
    for other in ("b", None):
        assert site.change("ann", mine["id"], {"project_id": other}).status_code == 403
    assert site.change("root", mine["id"], {"project_id": "b"}).json()["project_id"] == "b"
    assert site.ask("ann", "GET", f"{PATH}/{mine['id']}").status_code == 404
    assert site.ask("bob", "GET", f"{PATH}/{mine['id']}").status_code == 200
    assert site.add("root")["project_id"] == "ops"


def test_readers_see_and_change_nothing(site: Site) -> None:
    theirs = site.add("ann")
    assert site.ask("rod", "GET", f"{PATH}/{theirs['id']}").status_code == 200
    assert site.ask("rod", "POST", json={"name": "x"}).status_code == 403
    assert site.change("rod", theirs["id"], {"meta": {}}).status_code == 403
    assert site.ask("rod", "DELETE", f"{PATH}/{theirs['id']}").status_code == 403
    assert site.http.get(PATH).status_code == site.http.get(f"{PATH}/x/y").status_code == 401


def test_an_image_that_the_caller_does_not_see_is_none(site: Site) -> None:
    image = {"name": "secret-of-b", "visibility": "private"}
    image_id = site.ask("bob", "POST", "/v2/images", json=image).raise_for_status().json()["id"]
    for wanted in (image_id, "secret-of-b", str(uuid.uuid4()), "\0"):
        answer = site.ask("ann", "POST", json={"name": "x", "image": wanted})
        assert answer.status_code == 400
        assert "is no image that you see" in answer.json()["message"]
    mine = site.add("bob", image=image_id)
    assert site.change("bob", mine["id"], {"image": None}).json()["image_name"] is None


def test_a_merge_patch_changes_what_it_names(site: Site) -> None:
    mine = site.add("ann", user_data_base64="AAEC", meta={"a": "1", "b": "2"}, vendor_data={"x": {"y": 1, "z": 2}})
    patch = {"meta": {"a": None, "c": "3"}, "vendor_data": {"x": {"y": None}}, "user_data": "text", "hop_limit": 2}
    changed = site.change("ann", mine["name"], patch).json()
    assert changed["meta"] == {"b": "2", "c": "3"}
    assert changed["vendor_data"] == {"x": {"z": 2}}
    assert base64.b64decode(changed["user_data_base64"]) == b"text"
    assert (changed["hop_limit"], changed["revision"]) == (2, 1)
    changed = site.change("ann", mine["id"], {"user_data_base64": None, "meta": None, "availability_zone": None}).json()
    assert (changed["user_data_base64"], changed["meta"], changed["availability_zone"]) == (None, {}, None)
    files = [{"path": "/etc/motd", "content": "text"}, {"path": "/a", "content_base64": "/w=="}]
    changed = site.change("ann", mine["id"], {"files": files}).json()
    assert changed["files"] == [{"path": "/etc/motd", "content_base64": "dGV4dA=="}, files[1]]
    assert site.change("ann", mine["id"], {"files": files[1:]}).json()["files"] == files[1:]
    assert site.change("ann", mine["id"], {"files": None}).json()["files"] == []
    changed = site.change("ann", mine["id"], {"files": files}).json()
    same = site.change("ann", mine["id"], changed)
    assert same.json() == changed
    refused: tuple[Any, ...] = (
        {"name": None},
        {"hostname": None},
        {"name": "a\nb"},
        {"no_such": 1},
        {"no_such": None},
        {"revision": "2"},
        {"id": str(uuid.uuid4())},
        {"created_at": "2000-01-01T00:00:00Z"},
        {"user_data": "a", "user_data_base64": "AAEC"},
        {"user_data_base64": "?"},
        {"vendor_data": 10**30},
        {"meta": {"a": 1}},
        {"ssh_keys": ["x"]},
        {"files": {}},
        {"files": [{"path": "/a"}]},
        {"files": [{"path": "a", "content": ""}]},
        {"files": [{"path": "/a", "content": "", "mode": "0600"}]},
        {"files": [{"path": f"/{number}", "content": ""} for number in range(6)]},
        {"files": [{"path": "/a", "content": "x" * 10241}]},
        [],
    )
    for wrong in refused:
        assert site.change("ann", mine["id"], wrong).status_code == 400, wrong
    assert site.ask("ann", "PATCH", f"{PATH}/{mine['id']}", content="{}").status_code == 415
    assert site.ask("ann", "GET", f"{PATH}/{mine['id']}").json() == changed


def test_conditions_hold_or_nothing_is_done(site: Site) -> None:
    mine = site.add("ann")
    path = f"{PATH}/{mine['id']}"
    etag = site.ask("ann", "GET", path).headers["etag"]
    assert site.ask("ann", "GET", path, headers={"If-None-Match": etag}).status_code == 304
    changed = site.change("ann", mine["id"], {"revision": 0, "meta": {"a": "1"}}, If_Match=etag)
    assert (changed.status_code, changed.json()["revision"]) == (200, 1)
    assert changed.headers["etag"] != etag
    assert site.change("ann", mine["id"], {"meta": {}}, If_Match=etag).status_code == 412
    assert site.change("ann", mine["id"], {"meta": {}}, If_None_Match="*").status_code == 412
    assert site.ask("ann", "DELETE", path, headers={"If-Match": etag}).status_code == 412
    outdated = site.change("ann", mine["id"], {"revision": 0, "meta": {"a": "2"}})
    assert (outdated.status_code, "at revision 1, not 0" in outdated.json()["message"]) == (409, True)
    assert site.ask("ann", "GET", path, headers={"If-None-Match": etag}).json() == changed.json()
    assert site.ask("ann", "DELETE", path, headers={"If-Match": changed.headers["etag"]}).status_code == 204
    assert site.ask("ann", "GET", path).status_code == 404


def test_lists_are_filtered_and_come_in_pages(site: Site) -> None:
    project = uuid.uuid4().hex
    image_id = site.ask("root", "POST", "/v2/images", json={"name": project}).json()["id"]
    for n in range(5):
        more = {"image": image_id, "addresses": [f"10.9.2.{n}"]} if n % 2 else {}
        site.add("root", name=f"{project} {n}", project_id=project, user_data="secret", **more)

    def names(query: str) -> list[str]:
        answer = site.ask("root", "GET", f"{PATH}?{query}").raise_for_status()
        assert "user_data" not in answer.text
        return [each["name"].removeprefix(f"{project} ") for each in answer.json()["instances"]]

    assert names(f"project_id={project}") == ["0", "1", "2", "3", "4"]
    assert names(f"image={image_id.upper()}") == names(f"image={image_id}&project_id={project}") == ["1", "3"]
    assert names("address=::ffff:10.9.2.3") == names(f"name={project}%203") == ["3"]
    assert names(f"project_id={project}&limit=0") == []
    pages, path = [], f"{PATH}?project_id={project}&limit=2"
    while path:
        page = site.ask("root", "GET", path).json()
        pages.append([each["name"][-1] for each in page["instances"]])
        path = page.get("next")
    assert pages == [["0", "1"], ["2", "3"], ["4"]]
    for wrong in ("limit=x", "limit=-1", "address=x", "sort=name", "name=a&name=b"):
        assert site.ask("root", "GET", f"{PATH}?{wrong}").status_code == 400, wrong
    assert names("name=a%00b") == names("marker=a%00b") == []


def test_a_field_that_is_not_known_is_told_with_the_one_that_is_meant_and_all_there_are(site: Site) -> None:
    mine = site.add("ann")
    for answer in (
        site.ask("ann", "POST", json={"name": "known", "flavour": "x"}),
        site.change("ann", mine["id"], {"flavour": None}),
        site.change("ann", mine["id"], {"flavour": "x"}),
    ):
        assert answer.status_code == 400
        assert (
            "the instance: there is no field 'flavour'; instance_type may be meant (a record has name, id,"
            in (answer.json()["message"])
        )
    many = site.ask("ann", "POST", json={"name": "many", "ssh_keys": [KEY] * 1001})
    assert (many.status_code, "more than the 1000" in many.json()["message"]) == (400, True)
    twice = site.ask("ann", "POST", content='{"name": "a", "meta": {"a": "b", "a": "c"}}')
    assert (twice.status_code, "an object has the key 'a' twice" in twice.json()["message"]) == (400, True)


def test_what_is_done_is_told_without_what_a_guest_is_told(site: Site) -> None:
    mine = site.add("ann", user_data="hunter2", meta={"password": "hunter2"})
    site.change("ann", mine["id"], {"hostname": "other", "user_data": "hunter3"})
    assert site.change("rod", mine["id"], {"hostname": "no"}).status_code == 403
    assert site.ask("bob", "DELETE", f"{PATH}/{mine['id']}").status_code == 404
    site.ask("ann", "DELETE", f"{PATH}/{mine['id']}").raise_for_status()
    wait_until(lambda: len(site.receiver.types(mine["id"])) == 3, "events")
    assert site.receiver.types(mine["id"]) == ["instance.create", "instance.update", "instance.delete"]
    told = [str(event.get_data()) for event in site.receiver.events if event.get_subject() == mine["id"]]
    records = site.records(mine["id"])
    assert [(each["event"], each["user"], each["outcome"]) for each in records] == [
        ("instance.create", "ann", "success"),
        ("instance.update", "ann", "success"),
        ("instance.update", "rod", "denied"),
        ("instance.delete", "bob", "failed"),
        ("instance.delete", "ann", "success"),
    ]
    assert records[1]["changed"] == ["hostname", "user_data"]
    assert records[1]["owner"] == "a"
    assert "hunter" not in str(records) + str(told)


def test_other_paths_and_methods_are_answered_as_everywhere(site: Site) -> None:
    assert site.ask("ann", "GET", "/instances").status_code == 404
    assert site.ask("ann", "GET", "/instances/v2").status_code == 404
    refused = site.ask("ann", "PUT", json={})
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, POST")
    assert site.ask("ann", "POST", content="{").status_code == 400
    assert site.ask("ann", "POST", content=b"[" * 5_000_000).status_code == 413
    large = site.ask("ann", "POST", json={"name": "large", "user_data": "x" * 70_000})
    assert (large.status_code, "70000 bytes" in large.json()["message"]) == (413, True)


def test_a_guest_is_answered_by_what_was_changed(tmp_path: Path) -> None:
    """Where nobody has to prove anything."""
    process = HeadwaterProcess(tmp_path)
    process.start()
    try:
        api = f"{process.images_url}{PATH}"
        guest = f"{process.metadata_url}/latest/meta-data/hostname"
        with httpx.Client(timeout=30, trust_env=False) as http:
            assert http.get(guest).status_code == 404
            made = http.post(api, json={"name": "web1", "addresses": ["127.0.0.1"]}).raise_for_status().json()
            assert made["project_id"] is None
            assert http.get(guest).text == "web1"
            http.patch(f"{api}/web1", json={"hostname": "web1.example"}).raise_for_status()
            assert http.get(guest).text == "web1.example"
            http.delete(f"{api}/{made['id']}").raise_for_status()
            assert http.get(guest).status_code == 404
    finally:
        process.stop()


def test_projects_of_keystone_have_their_own(keystone: Keystone, tmp_path: Path) -> None:
    projects = [keystone.project() for _ in range(2)]
    users = [keystone.user(project, "member") for project in projects]
    service = keystone.user(keystone.project("service"), "service", "admin")
    settings = f'auth_url = "{keystone.url}"\nusername = "{service.name}"\npassword = "{service.password}"\n'
    process = HeadwaterProcess(tmp_path, toml=f'[auth]\nmode = "keystone"\n[auth.keystone]\n{settings}')
    process.start()
    try:
        tokens = [keystone.token(user, project) for user, project in zip(users, projects, strict=True)]
        one, other = (
            httpx.Client(base_url=process.images_url, headers={"X-Auth-Token": token}, timeout=30, trust_env=False)
            for token in tokens
        )
        with one, other:
            made = one.post(PATH, json={"name": "web1"}).raise_for_status().json()
            assert made["project_id"] == projects[0]
            assert [each["name"] for each in one.get(PATH).json()["instances"]] == ["web1"]
            assert other.get(PATH).json() == {"instances": []}
            assert other.get(f"{PATH}/{made['id']}").status_code == 404
            assert other.post(PATH, json={"name": "web1"}).status_code == 409
            assert one.post(PATH, json={"name": "web2", "addresses": ["10.0.0.1"]}).status_code == 403
    finally:
        process.stop()

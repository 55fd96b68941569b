"""Two projects of a real Keystone, and what each sees and may do with the other's images."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess
from servers.openstack.keystone import Keystone

DATA = bytes(range(256)) * 8
PATCH = "application/openstack-images-v2.1-json-patch"


class Person:
    """Somebody with a token, and the requests they send."""

    def __init__(self, url: str, token: str, project: str) -> None:
        self.project = project
        self._http = httpx.Client(
            base_url=f"{url}/v2",
            headers={"X-Auth-Token": token, "Accept": "application/json"},
            timeout=30,
            trust_env=False,
        )

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        return self._http.get(path, params=parameters or None)

    def post(self, path: str, document: Any = None) -> httpx.Response:
        return self._http.post(path, json=document)

    def put(self, path: str, document: Any = None) -> httpx.Response:
        return self._http.put(path, json=document)

    def delete(self, path: str) -> httpx.Response:
        return self._http.delete(path)

    def patch(self, path: str, name: str, value: Any) -> httpx.Response:
        operations = [{"op": "add", "path": f"/{name}", "value": value}]
        return self._http.patch(path, json=operations, headers={"Content-Type": PATCH})

    def upload(self, path: str, data: bytes = DATA) -> httpx.Response:
        headers = {"Content-Type": "application/octet-stream"}
        return self._http.put(f"{path}/file", content=data, headers=headers)

    def make(self, *, data: bool = False, **document: Any) -> str:
        """Make an image, and return its path."""
        made = self.post("/images", {"disk_format": "raw", "container_format": "bare", **document})
        assert made.status_code == 201, made.text
        path = f"/images/{made.json()['id']}"
        if data:
            assert self.upload(path).status_code == 204
        return path

    def lists(self, path: str, **parameters: Any) -> bool:
        """Say whether a list shows the image."""
        answer = self.get("/images", limit=1000, **parameters)
        assert answer.status_code == 200, answer.text
        return path.rpartition("/")[2] in [image["id"] for image in answer.json()["images"]]

    def close(self) -> None:
        self._http.close()


class People:
    """A project with a member and a reader, another with a member and a reader, and an admin of neither."""

    def __init__(self, url: str, keystone: Keystone) -> None:
        first, other, third = (keystone.project() for _ in range(3))

        def person(project: str, role: str) -> Person:
            return Person(url, keystone.token(keystone.user(project, role), project), project)

        self.owner, self.reader = person(first, "member"), person(first, "reader")
        self.other, self.other_reader = person(other, "member"), person(other, "reader")
        self.third = person(third, "member")
        self.admin = Person(url, keystone.token(keystone.admin, keystone.admin_project), keystone.admin_project)


@pytest.fixture(scope="module")
def people(keystone: Keystone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    services = f"services-{uuid.uuid4().hex[:8]}"
    service = keystone.user(keystone.project(services), "service", "admin")
    settings = f"""
[auth]
mode = "keystone"
[auth.keystone]
auth_url = "{keystone.url}"
username = "{service.name}"
password = "{service.password}"
project_name = "{services}"
[images]
member_quota = 3
"""
    process = HeadwaterProcess(tmp_path_factory.mktemp("sharing"), toml=settings)
    process.start()
    found = People(process.images_url, keystone)
    yield found
    for person in vars(found).values():
        person.close()
    process.stop()


def attempts(person: Person, path: str) -> dict[str, int]:
    """Try everything with an image that is active; what fails leaves it as it is."""
    return {
        "show": person.get(path).status_code,
        "download": person.get(f"{path}/file").status_code,
        "patch": person.patch(path, "name", "changed").status_code,
        "tag": person.put(f"{path}/tags/t").status_code,
        "untag": person.delete(f"{path}/tags/absent").status_code,
        "upload": person.upload(path).status_code,
        "deactivate": person.post(f"{path}/actions/deactivate").status_code,
        "reactivate": person.post(f"{path}/actions/reactivate").status_code,
        "share": person.post(f"{path}/members", {"member": uuid.uuid4().hex}).status_code,
        "delete": person.delete(path).status_code,
    }


def everything(status: int, **but: int) -> dict[str, int]:
    """Say what ``attempts`` give."""
    names = ("show", "download", "patch", "tag", "untag", "upload", "deactivate", "reactivate", "share", "delete")
    return {**dict.fromkeys(names, status), **but}


@pytest.mark.parametrize("visibility", ["private", "shared"])
def test_what_is_not_seen_is_not_there(visibility: str, people: People) -> None:
    image = people.owner.make(data=True, visibility=visibility, name="mine")
    before = people.owner.get(image).json()
    for stranger in (people.other, people.other_reader):
        assert attempts(stranger, image) == everything(404)
        assert stranger.get(f"{image}/members").status_code == 404
        assert not stranger.lists(image, visibility="all", member_status="all")
        assert not stranger.lists(image, owner=people.owner.project)
        assert not stranger.lists(image, name="mine")
        assert not stranger.lists(image, id=image.rpartition("/")[2])
    assert people.owner.get(image).json() == before


@pytest.mark.parametrize("visibility", ["community", "public"])
def test_what_is_seen_is_not_to_be_changed(visibility: str, people: People) -> None:
    image = people.owner.make(data=True)
    whose = people.admin if visibility == "public" else people.owner
    assert whose.patch(image, "visibility", visibility).status_code == 200
    before = people.owner.get(image).json()
    assert attempts(people.other, image) == everything(403, show=200, download=200)
    assert attempts(people.other_reader, image) == everything(403, show=200)
    assert people.owner.get(image).json() == before
    assert people.other.get(f"{image}/file").content == DATA


def test_a_reader_of_the_project_looks_and_no_more(people: People) -> None:
    image = people.owner.make(data=True, visibility="private")
    assert attempts(people.reader, image) == everything(403, show=200)
    assert people.reader.lists(image)
    refused = people.reader.post("/images", {"name": "n"})
    assert refused.status_code == 403
    assert "You are not authorized to complete add_image action." in refused.text


def test_an_owner_and_an_admin_may_do_everything(people: People) -> None:
    for person in (people.owner, people.admin):
        image = people.owner.make(data=True, visibility="private")
        assert person.get(f"{image}/file").content == DATA
        assert person.patch(image, "visibility", "shared").status_code == 200
        wanted = everything(204, show=200, download=200, patch=200, untag=404, upload=409, share=200)
        assert attempts(person, image) == wanted
        assert person.get(image).status_code == 404


def test_a_shared_image_is_seen_at_once_and_listed_when_accepted(people: People) -> None:
    image = people.owner.make(data=True)
    assert people.owner.get(image).json()["visibility"] == "shared"
    me = people.other.project
    mine = f"{image}/members/{me}"
    assert people.other.put(mine, {"status": "accepted"}).status_code == 404
    shared = people.owner.post(f"{image}/members", {"member": me})
    assert shared.status_code == 200
    assert shared.json().keys() == {"member_id", "image_id", "status", "created_at", "updated_at", "schema"}
    assert (shared.json()["status"], shared.json()["schema"]) == ("pending", "/v2/schemas/member")

    assert people.other.get(image).status_code == 200
    assert people.other.get(f"{image}/file").content == DATA
    assert people.other_reader.get(f"{image}/file").status_code == 403
    assert not people.other.lists(image)
    assert people.other.lists(image, member_status="pending")
    assert people.other.lists(image, member_status="all", visibility="shared")
    assert people.third.get(image).status_code == 404

    assert people.owner.put(mine, {"status": "accepted"}).status_code == 403
    assert people.other_reader.put(mine, {"status": "accepted"}).status_code == 403
    assert people.third.put(mine, {"status": "accepted"}).status_code == 404
    wrong = people.other.put(mine, {"status": "maybe"})
    assert wrong.status_code == 400
    assert 'Incorrect request: Status must be \\"pending\\", \\"accepted\\" or \\"rejected\\".' in wrong.text
    assert people.other.put(mine, {"status": "accepted"}).json()["status"] == "accepted"
    assert people.other.lists(image)
    assert people.other.lists(image, visibility="shared")
    assert not people.other.lists(image, visibility="private")
    assert people.other.put(mine, {"status": "rejected"}).status_code == 200
    assert not people.other.lists(image)
    assert attempts(people.other, image) == everything(403, show=200, download=200)

    assert people.other.delete(mine).status_code == 403
    assert people.owner.patch(image, "visibility", "private").status_code == 200
    assert attempts(people.other, image) == everything(404)
    assert people.owner.patch(image, "visibility", "shared").status_code == 200
    assert people.other.get(image).status_code == 200
    assert people.owner.delete(mine).status_code == 204
    assert people.other.get(image).status_code == 404
    assert people.owner.delete(mine).status_code == 404


def test_the_members_of_an_image_are_the_owners_to_know(people: People) -> None:
    image = people.owner.make()
    members = f"{image}/members"
    for person in (people.other, people.third):
        assert people.owner.post(members, {"member": person.project}).status_code == 200

    def known(person: Person) -> list[str]:
        answer = person.get(members).json()
        assert answer["schema"] == "/v2/schemas/members"
        return [each["member_id"] for each in answer["members"]]

    everybody = [people.other.project, people.third.project]
    assert known(people.owner) == known(people.reader) == known(people.admin) == everybody
    assert known(people.other) == known(people.other_reader) == everybody[:1]
    accepted = {"status": "accepted"}
    for somebody in (people.third.project, uuid.uuid4().hex):
        assert people.other.get(f"{members}/{somebody}").status_code == 404
        assert people.other.put(f"{members}/{somebody}", accepted).status_code == 404
        assert people.other.delete(f"{members}/{somebody}").status_code == 403
    assert people.owner.get(f"{members}/{people.third.project}").status_code == 200
    assert people.owner.get(f"{members}/nobody").status_code == 404
    assert people.owner.put(f"{members}/nobody", accepted).status_code == 404
    assert people.admin.put(f"{members}/{people.third.project}", accepted).json()["status"] == "accepted"


def test_odd_members_are_refused(people: People) -> None:
    image = people.owner.make()
    members = f"{image}/members"
    odd_documents: list[Any] = [{}, {"member": None}, {"member": 7}, {"member": ""}, {"member": "a\0b"}, [], "x"]
    for document in odd_documents:
        assert people.owner.post(members, document).status_code == 400, document
    assert "Member to be added not specified" in people.owner.post(members, {}).text
    for odd in ("a%00b", "%ff", "x" * 400):
        assert people.owner.get(f"{members}/{odd}").status_code in (400, 404), odd
        assert people.owner.put(f"{members}/{odd}", {"status": "accepted"}).status_code in (400, 404), odd
        assert people.owner.delete(f"{members}/{odd}").status_code in (400, 404), odd
    for name in ("one", "two", "three"):
        assert people.owner.post(members, {"member": name}).status_code == 200
    assert people.owner.post(members, {"member": "three"}).status_code == 409
    assert people.owner.post(members, {"member": "four"}).status_code == 413
    private = people.owner.make(visibility="private")
    assert people.owner.post(f"{private}/members", {"member": "one"}).status_code == 403
    assert people.owner.get(f"{private}/members").status_code == 403
    assert people.owner.get(f"{private}/members/one").status_code == 404


def test_a_community_image_is_listed_when_asked_for(people: People) -> None:
    image = people.owner.make(visibility="community")
    assert people.owner.lists(image)
    assert not people.other.lists(image)
    assert people.other.lists(image, visibility="community")
    assert people.other.lists(image, visibility="all")
    assert not people.admin.lists(image)
    assert people.admin.lists(image, visibility="community")


def test_only_admins_publish_and_give_away(people: People) -> None:
    assert people.owner.post("/images", {"visibility": "public"}).status_code == 403
    assert people.owner.post("/images", {"owner": people.other.project}).status_code == 403
    assert people.owner.post("/images", {"owner": None}).status_code == 403
    image = people.owner.make()
    assert people.owner.patch(image, "visibility", "public").status_code == 403
    assert people.owner.patch(image, "owner", people.other.project).status_code == 403
    assert people.owner.get(image).json()["visibility"] == "shared"
    assert people.admin.patch(image, "visibility", "public").status_code == 200
    assert people.other.lists(image)
    assert people.other.lists(image, visibility="public")
    assert people.admin.patch(image, "owner", people.other.project).status_code == 200
    assert people.owner.patch(image, "name", "n").status_code == 403
    assert people.other.patch(image, "name", "n").status_code == 200
    given = people.admin.post("/images", {"owner": people.other.project, "visibility": "private"}).json()
    assert given["owner"] == people.other.project
    assert people.owner.get(f"/images/{given['id']}").status_code == 404
    assert people.other.get(f"/images/{given['id']}").status_code == 200


def test_the_data_of_a_deactivated_image_is_the_admins_only(people: People) -> None:
    image = people.owner.make(data=True)
    people.owner.post(f"{image}/members", {"member": people.other.project})
    for _ in range(2):
        assert people.owner.post(f"{image}/actions/deactivate").status_code == 204
    for person in (people.owner, people.reader, people.other):
        assert person.get(f"{image}/file").status_code == 403
    assert people.third.get(f"{image}/file").status_code == 404
    answer = people.admin.get(f"{image}/file")
    assert (answer.status_code, answer.content) == (200, DATA)
    assert people.owner.post(f"{image}/actions/reactivate").status_code == 204
    assert people.other.get(f"{image}/file").status_code == 200


def test_an_image_of_others_and_one_that_never_was_are_answered_alike(people: People) -> None:
    secret = people.owner.make(data=True, visibility="private").rpartition("/")[2]
    unknown = str(uuid.uuid4())
    me = people.other.project

    def answers(image: str) -> list[tuple[int, str, list[str]]]:
        path = f"/images/{image}"
        given = [
            people.other.get("/images", marker=image),
            people.other.get("/images", marker=image, limit=0),
            people.other.get("/images", id=image),
            people.other.get(path),
            people.other.get(f"{path}/file"),
            people.other.patch(path, "name", "x"),
            people.other.patch(path, "status", "x"),
            people.other.delete(path),
            people.other.upload(path),
            people.other.post(f"{path}/actions/deactivate"),
            people.other.put(f"{path}/tags/t"),
            people.other.delete(f"{path}/tags/t"),
            people.other.get(f"{path}/members"),
            people.other.post(f"{path}/members", {"member": me}),
            people.other.get(f"{path}/members/{me}"),
            people.other.put(f"{path}/members/{me}", {"status": "accepted"}),
            people.other.delete(f"{path}/members/{me}"),
        ]
        return [(each.status_code, each.text.replace(image, "ID"), sorted(each.headers)) for each in given]

    of_others, of_nobody = answers(secret), answers(unknown)
    assert of_others == of_nobody
    assert [status for status, _, _ in of_others] == [400, 400, 200] + [404] * 14
    assert "No image found with ID ID" in of_others[0][1]


def test_pages_one_by_one_show_what_one_list_shows(people: People) -> None:
    for number in range(3):
        for person in (people.owner, people.other):
            person.make(visibility=("private", "shared", "community")[number], name=f"page-{number}")
        accepted = people.owner.make(name="page-s")
        people.owner.post(f"{accepted}/members", {"member": people.other.project})
        people.other.put(f"{accepted}/members/{people.other.project}", {"status": "accepted"})
    for visibility in (None, "all", "shared"):
        asked = {"sort": "name:asc", **({"visibility": visibility} if visibility else {})}
        whole = [image["id"] for image in people.other.get("/images", limit=1000, **asked).json()["images"]]
        found: list[str] = []
        answer = people.other.get("/images", limit=1, **asked).json()
        while answer["images"]:
            found += [image["id"] for image in answer["images"]]
            answer = people.other.get(answer["next"].removeprefix("/v2")).json()
        assert found == whole, visibility
        assert len(whole) >= 3

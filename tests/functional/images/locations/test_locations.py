"""Images whose data lies on a web server, the old way: PATCH of locations; and how it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess
from functional.images.locations.location_requests import DATA, MD5, PATCH, SHA512, WEB, Api, served
from headwater.testing.object_store import some_bytes
from servers.http.web import Asked, SendBytes, WebServer, content, redirect
from unit.images.inspection.disk_images import qcow2

# --- PATCH ----------------------------------------------------------------------------------------


def test_a_location_makes_a_queued_image_active_and_its_data_readable(api: Api, web: WebServer) -> None:
    path = api.make()
    assert api.image(path)["locations"] == []
    assert "direct_url" not in api.image(path)
    url = web.url("/data") + "#new"
    answer = api.patch(path, "add", "/locations/-", {"url": url, "metadata": {"foo": "bar"}})
    assert answer.status_code == 200, answer.text
    image = api.image(path)
    assert image == answer.json()
    assert (image["status"], image["size"], image["direct_url"]) == ("active", len(DATA), url)
    assert [image[name] for name in ("checksum", "os_hash_algo", "os_hash_value", "virtual_size")] == [None] * 4
    assert image["locations"] == [{"url": url, "metadata": {"foo": "bar", "store": "web"}}]
    assert [each for each in api.http.get("/images").json()["images"] if each["id"] == image["id"]] == [image]
    assert api.http.get(f"{path}/locations").json() == image["locations"]

    assert api.http.get(f"{path}/file").content == DATA
    part = api.http.get(f"{path}/file", headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, DATA[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(DATA)}"
    assert (
        api.http.put(f"{path}/file", content=b"x", headers={"Content-Type": "application/octet-stream"}).status_code
        == 409
    )


def test_the_older_media_type_and_a_name_that_leads_to_an_allowed_loopback(api: Api, web: WebServer) -> None:
    path, url = api.make(), web.url("/data", "localhost")
    headers = {"Content-Type": PATCH.replace("v2.1", "v2.0")}
    added = api.http.patch(path, json=[{"add": "/locations/-", "value": {"url": url, "metadata": {}}}], headers=headers)
    assert added.status_code == 200, added.text
    assert api.http.get(f"{path}/file").content == DATA


def test_deleting_an_image_leaves_what_belongs_to_others(api: Api, web: WebServer) -> None:
    path = api.located(web.url("/data"))
    assert api.http.delete(path).status_code == 204
    assert api.http.get(path).status_code == 404
    assert {asked.method for asked in web.asked} == {"HEAD"}


def test_validation_data_becomes_the_hashes_and_is_told_once(api: Api, web: WebServer) -> None:
    path = api.make()
    validation = {"checksum": MD5, "os_hash_algo": "sha512", "os_hash_value": SHA512}
    answer = api.add(path, web.url("/data"), validation_data=validation)
    assert answer.json()["locations"][0]["validation_data"] == validation
    image = api.image(path)
    assert (image["checksum"], image["os_hash_algo"], image["os_hash_value"]) == (MD5, "sha512", SHA512)
    assert "validation_data" not in image["locations"][0]
    assert api.add(path, web.url("/same"), validation_data=validation).status_code == 200
    wrong = {**validation, "os_hash_value": SHA512[::-1]}
    assert api.add(path, web.url("/data?3"), validation_data=wrong).status_code == 409
    other = {**validation, "os_hash_algo": "sha256"}
    assert api.add(path, web.url("/data?4"), validation_data=other).status_code == 409
    assert len(api.image(path)["locations"]) == 2


@pytest.mark.parametrize(
    "validation",
    [
        {"os_hash_algo": "sha512"},
        {"os_hash_value": SHA512},
        {"checksum": MD5},
        {"os_hash_algo": "sha256", "os_hash_value": "0" * 64},
        {"os_hash_algo": "sha512", "os_hash_value": "0" * 64},
        {"os_hash_algo": "sha512", "os_hash_value": "g" * 128},
        {"os_hash_algo": "sha512", "os_hash_value": SHA512, "checksum": "0" * 31},
        {"os_hash_algo": "sha512", "os_hash_value": SHA512, "more": "x"},
        None,
    ],
)
def test_validation_data_that_cannot_be_is_refused(api: Api, web: WebServer, validation: Any) -> None:
    path = api.make()
    assert api.add(path, web.url("/data"), validation_data=validation).status_code == 400
    assert (api.image(path)["status"], web.connections) == ("queued", 0)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "filesystem:///etc/passwd",
        "swift+config://ref/container/object",
        "memory://x/y",
        "ftp://127.0.0.1/x",
        "foo",
        "",
        "http://127.1/data",
        "http://0x7f000001/data",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:127.0.0.1]/data",
        "http://user:hunter2@127.0.0.1/data",
        "http://127.0.0.1:1/refused",
    ],
)
def test_a_url_that_is_not_for_callers_is_refused(api: Api, url: str) -> None:
    path = api.make()
    answer = api.add(path, url)
    assert answer.status_code == 400, answer.text
    assert "Invalid location" in answer.text
    assert "hunter2" not in answer.text
    assert (api.image(path)["status"], api.image(path)["locations"]) == ("queued", [])


def test_redirects_do_not_lead_around_the_filter(api: Api, web: WebServer) -> None:
    web.pages["/away"] = redirect("http://169.254.169.254/latest/meta-data")
    assert api.add(api.make(), web.url("/away")).status_code == 400


def test_a_location_without_data_is_refused(api: Api, web: WebServer) -> None:
    web.pages["/unsized"] = lambda _asked, send: send(b"HTTP/1.1 200 OK\r\n\r\nabc")
    for name in ("/absent", "/unsized"):
        assert api.add(api.make(), web.url(name)).status_code == 400


def test_the_list_of_locations_keeps_its_order_and_its_rules(api: Api, web: WebServer) -> None:
    path = api.located(web.url("/data"))
    assert api.add(path, web.url("/same"), "0").status_code == 200
    assert api.add(path, web.url("/data?2"), "99").status_code == 200
    urls = [web.url(name) for name in ("/same", "/data", "/data?2")]
    held = api.image(path)["locations"]
    assert [each["url"] for each in held] == urls

    assert api.add(path, urls[1]).status_code == 400, "it is there already"
    assert "has 1024000" in api.add(path, web.url("/small")).text, "it is other data"
    for pointer in ("x", "-1", "1.0", "٣"):
        assert api.add(path, web.url("/other"), pointer).status_code == 400
    assert api.patch(path, "add", "/locations", held).status_code == 400
    assert api.patch(path, "replace", "/locations/0", held[0]).status_code == 400

    reordered = [{**held[2], "metadata": {"a": 1}}, held[0], held[1]]
    assert api.patch(path, "replace", "/locations", reordered).status_code == 200
    assert [each["url"] for each in api.image(path)["locations"]] == [urls[2], urls[0], urls[1]]
    assert api.image(path)["locations"][0]["metadata"] == {"a": 1, "store": "web"}
    for wrong in (held[:2], [*held, {"url": web.url("/other"), "metadata": {}}], [held[0]] * 3):
        assert api.patch(path, "replace", "/locations", wrong).status_code == 400
    assert api.patch(path, "replace", "/locations", []).status_code == 403

    assert api.patch(path, "remove", "/locations/0").status_code == 200
    assert api.patch(path, "remove", "/locations/-").status_code == 200
    last = api.patch(path, "remove", "/locations/0")
    assert (last.status_code, "last location" in last.text) == (403, True)
    image = api.image(path)
    assert ([each["url"] for each in image["locations"]], image["status"]) == ([urls[0]], "active")


def test_replace_fills_an_empty_list_with_several_at_once(api: Api, web: WebServer) -> None:
    path = api.make()
    both = [{"url": web.url(name), "metadata": {}} for name in ("/data", "/same")]
    assert api.patch(path, "replace", "/locations", [both[0], both[0]]).status_code == 400
    assert (
        api.patch(path, "replace", "/locations", [both[0], {"url": web.url("/small"), "metadata": {}}]).status_code
        == 400
    )
    assert api.image(path)["status"] == "queued"
    assert api.patch(path, "replace", "/locations", both).status_code == 200
    assert (len(api.image(path)["locations"]), api.image(path)["size"]) == (2, len(DATA))


def test_ten_locations_and_no_more(api: Api, web: WebServer) -> None:
    path = api.make()
    ten = [{"url": web.url(f"/data?{number}"), "metadata": {}} for number in range(10)]
    assert api.patch(path, "replace", "/locations", ten).status_code == 200
    asked = web.connections
    assert api.add(path, web.url("/same")).status_code == 413
    assert web.connections == asked


@pytest.mark.parametrize("status", ["deactivated", "queued"])
def test_the_status_decides_which_changes_are_allowed(api: Api, web: WebServer, status: str) -> None:
    path = api.make()
    if status == "deactivated":
        api.add(path, web.url("/data"))
        assert api.http.post(f"{path}/actions/deactivate").status_code == 204
        assert api.add(path, web.url("/same")).status_code == 409
        assert api.patch(path, "replace", "/locations", []).status_code == 409
    assert api.patch(path, "remove", "/locations/0").status_code == 409


def test_other_changes_of_the_same_patch_are_made_or_none(api: Api, web: WebServer) -> None:
    made = api.http.post("/images", json={}).json()
    path = f"/images/{made['id']}"
    assert "disk_format" in api.add(path, web.url("/data")).text
    operations = [
        {"op": "add", "path": "/locations/-", "value": {"url": web.url("/data"), "metadata": {}}},
        {"op": "replace", "path": "/disk_format", "value": "raw"},
        {"op": "replace", "path": "/container_format", "value": "bare"},
        {"op": "replace", "path": "/absent", "value": "x"},
    ]
    headers = {"Content-Type": PATCH}
    assert api.http.patch(path, json=operations, headers=headers).status_code == 409
    assert api.image(path)["status"] == "queued"
    assert api.http.patch(path, json=operations[:3], headers=headers).status_code == 200
    assert (api.image(path)["status"], api.image(path)["disk_format"]) == ("active", "raw")


def test_our_own_bytes_are_read_first_and_removed_with_their_location(
    api: Api, web: WebServer, service: HeadwaterProcess
) -> None:
    path = api.make()
    assert api.upload(path, DATA).status_code == 204
    (own,) = api.image(path)["locations"]
    file = Path(own["url"].removeprefix("file://"))
    assert (own["metadata"], file.read_bytes()) == ({"store": "file"}, DATA)
    assert file.is_relative_to(service.data_dir)
    assert api.add(path, web.url("/data"), "0").status_code == 200
    asked = web.connections
    assert api.http.get(f"{path}/file").content == DATA
    assert web.connections == asked
    assert api.patch(path, "remove", "/locations/1").status_code == 200
    assert not file.exists()
    assert api.http.get(f"{path}/file").content == DATA
    assert web.connections == asked + 1


def test_a_place_that_fails_makes_way_for_the_next_and_the_last_is_told(api: Api, web: WebServer) -> None:
    path = api.located(web.url("/data?signature=secret"))
    assert api.add(path, web.url("/same")).status_code == 200
    web.pages["/data"] = lambda _asked, send: send(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")
    assert api.http.get(f"{path}/file").content == DATA
    assert api.http.get(f"{path}/file", headers={"Range": "bytes=5-9"}).content == DATA[5:10]
    for status in (b"404 Not Found", b"500 Oh", b"403 No"):
        answer = lambda _asked, send, status=status: send(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % status)  # noqa: E731
        web.pages |= {"/data": answer, "/same": answer}
        told = api.http.get(f"{path}/file")
        assert told.status_code == 503, told.text
        assert "/same" in told.text
        assert "secret" not in told.text


def test_data_that_breaks_off_is_no_whole_answer(api: Api, web: WebServer) -> None:
    web.pages["/large"] = content(large := some_bytes(3 << 20))
    path = api.located(web.url("/large"))

    def short(_asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(large) + large[: 2 << 20])

    web.pages["/large"] = short
    # The connection is reset, which a client may notice before or after it has read what came.
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        api.http.get(f"{path}/file")
    web.pages["/large"] = content(large[: 2 << 20])  # whole, and not what it was
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        api.http.get(f"{path}/file")


def test_data_that_breaks_off_in_its_first_mib_is_no_answer_at_all(api: Api, web: WebServer) -> None:
    path = api.located(web.url("/data"))

    def short(_asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(DATA) + DATA[:1000])

    web.pages["/data"] = short
    assert api.http.get(f"{path}/file").status_code == 503
    web.pages["/data"] = content(DATA[:1000])  # whole, and not what it was
    assert api.http.get(f"{path}/file").status_code == 410


def test_locations_that_are_not_shown_cannot_be_changed(tmp_path: Path, web: WebServer) -> None:
    with served(tmp_path, WEB.replace("show_multiple_locations = true", "")) as (_process, api):
        path = api.make()
        for answer in (
            api.add(path, web.url("/data")),
            api.patch(path, "replace", "/locations", []),
            api.patch(path, "remove", "/locations/0"),
        ):
            assert (answer.status_code, "locations are invisible" in answer.text) == (403, True)
        assert "locations" not in api.image(path)
        assert api.ask_for(path, web.url("/data")).status_code == 202, "the new way does not depend on it"
        assert "locations" not in api.wait(path, "status", "active")


# --- Reading -----------------------------------------------------------------------------------------


def test_parts_are_given_once_all_was_read_and_found_right(api: Api, web: WebServer) -> None:
    path = api.make()
    assert api.add(path, web.url("/data")).status_code == 200
    part = {"Range": "bytes=1000-1999"}
    unread = api.http.get(f"{path}/file", headers=part)
    assert (unread.status_code, unread.content) == (200, DATA)  # all of it, as a server may answer
    read = api.http.get(f"{path}/file", headers=part)
    assert (read.status_code, read.content) == (206, DATA[1000:2000])


def test_nobody_gets_from_a_location_what_no_upload_could_bring(api: Api, web: WebServer) -> None:
    web.pages["/unsafe"] = content(qcow2(backing="/etc/passwd"))
    path = api.make(disk_format="qcow2")
    assert api.add(path, web.url("/unsafe")).status_code == 200
    refused = api.http.get(f"{path}/file")
    assert (refused.status_code, "safety check" in refused.json()["message"]) == (403, True)
    before = web.connections
    assert api.http.get(f"{path}/file", headers={"Range": "bytes=0-9"}).status_code == 403
    assert web.connections == before

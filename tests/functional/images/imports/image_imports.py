"""What tests of imports bring in, how they ask for it, and what is to come of it."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import httpx2 as httpx

from functional.headwater_process import HeadwaterProcess, wait_until
from functional.image_requests import show, upload
from functional.import_requests import make

MIB = 1 << 20
BLOB = random.Random(9).randbytes(12 * MIB + 5)
MD5, SHA256 = hashlib.md5(BLOB).hexdigest(), hashlib.sha256(BLOB).hexdigest()
V21 = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
TOML = """\
[images]
size_cap = 41943040
show_multiple_locations = true
http_retries = 1
[stores.fast]
type = "file"
[stores.cheap]
type = "file"
[stores.web]
type = "http"
[fetch]
allowed_hosts = ["127.0.0.1"]
allowed_ports = []
read_timeout_s = 2
"""


def bring(http: httpx.Client, image_id: str, name: str = "glance-direct", **more: Any) -> httpx.Response:
    method = {"name": name} | {
        each: more.pop(each) for each in ("uri", "os_hash_algo", "os_hash_value") if each in more
    }
    return http.post(f"/v2/images/{image_id}/import", json={"method": method, **more})


def lying(service: HeadwaterProcess, image_id: str) -> dict[str, list[bytes]]:
    """Return what of an image lies in each store, whole or not."""
    found: dict[str, list[bytes]] = {}
    for file in service.data_dir.glob(f"stores/*/*/**/{image_id}.*"):
        found.setdefault(file.relative_to(service.data_dir).parts[1], []).append(file.read_bytes())
    return found


def require_active(http: httpx.Client, service: HeadwaterProcess, image_id: str, *stores: str) -> None:
    image = show(http, image_id)
    assert (image["status"], image["size"], image["checksum"]) == ("active", len(BLOB), MD5)
    assert image["os_hash_value"] == hashlib.sha512(BLOB).hexdigest()
    assert (image["os_glance_importing_to_stores"], image["os_glance_failed_import"]) == ("", "")
    assert "os_glance_import_task" not in image
    assert http.get(f"/v2/images/{image_id}/file").content == BLOB
    assert lying(service, image_id) == {name: [BLOB] for name in stores}


def require_queued(http: httpx.Client, service: HeadwaterProcess, image_id: str) -> dict[str, Any]:
    image = show(http, image_id)
    assert (image["status"], image["size"], image["checksum"], image["virtual_size"]) == ("queued", None, None, None)
    assert image["os_glance_importing_to_stores"] == ""
    assert "os_glance_import_task" not in image
    wait_until(lambda: lying(service, image_id) == {}, "no byte of it is in a store")
    return image


def uploaded(http: httpx.Client) -> str:
    image_id = make(http)
    assert upload(http, image_id, BLOB).status_code == 204
    return image_id

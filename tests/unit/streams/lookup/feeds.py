"""Small feeds of images and agents, for tables of what Juju finds."""

from __future__ import annotations

from typing import Any

KEYSTONE = "https://k.example:5000/v3"
INDEX2, INDEX = "streams/v1/index2.json", "streams/v1/index.json"
SIGNED2, SIGNED = "streams/v1/index2.sjson", "streams/v1/index.sjson"
MIRRORS, SIGNED_MIRRORS = "streams/v1/mirrors.json", "streams/v1/mirrors.sjson"
IMAGES, AGENTS = "streams/v1/images.json", "streams/v1/agents.json"
JAMMY = "com.ubuntu.cloud:server:22.04:amd64"
NOBLE = "com.ubuntu.cloud:server:24.04:amd64"
UBUNTU = "com.ubuntu.juju:ubuntu:amd64"


def item(image: str = "an-id", region: str = "RegionOne", **more: Any) -> dict[str, Any]:
    return {"id": image, "region": region, "endpoint": KEYSTONE, **more}


def version(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**more, "items": {f"{place}-{each.get('id', '')}": each for place, each in enumerate(items)}}


def product(name: str = JAMMY, versions: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return a product by its name; its only version has one item unless ``versions`` says otherwise."""
    _, _, release, arch = name.split(":")
    inside = {"20260101": version(item())} if versions is None else versions
    return {name: {"version": release, "arch": arch, "versions": inside, **more}}


def images(products: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"format": "products:1.0", **more, "products": product() if products is None else products}


def entry(*products: str, **more: Any) -> dict[str, Any]:
    clouds = [{"region": "RegionOne", "endpoint": KEYSTONE}]
    return {"path": IMAGES, "datatype": "image-ids", "clouds": clouds, "products": list(products or (JAMMY,)), **more}


def index(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    inside = {f"entry-{place}": each for place, each in enumerate(entries or (entry(),))}
    return {"format": "index:1.0", "index": inside, **more}


def clouds(*pairs: tuple[str, str]) -> dict[str, Any]:
    """Return an index whose only entry is for these clouds."""
    return index(entry(clouds=[{"region": region, "endpoint": endpoint} for region, endpoint in pairs]))


def agent(version: str = "3.6.27", os: str = "ubuntu", arch: str = "amd64", **more: Any) -> dict[str, Any]:
    path = f"released/juju-{version}-{os}-{arch}.tgz"
    return {"release": os, "version": version, "arch": arch, "path": path, "size": 7, "sha256": "ab", **more}


def agents(*found: dict[str, Any], name: str = UBUNTU, at: str = "20260101") -> dict[str, Any]:
    items = {f"{place}-{each.get('version')}": each for place, each in enumerate(found or (agent(),))}
    return {"format": "products:1.0", "products": {name: {"versions": {at: {"items": items}}}}}


def agent_index(stream: str = "released", *products: str, **more: Any) -> dict[str, Any]:
    inside = {"path": AGENTS, "datatype": "content-download", "products": list(products or (UBUNTU,)), **more}
    return {"format": "index:1.0", "index": {f"com.ubuntu.juju:{stream}:agents": inside}}

"""Feeds in the shapes of real ones, made for tests, written as others write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

UPDATED = "Thu, 01 Jan 2026 00:00:00 +0000"


def image_ids(versions: int = 3) -> dict[str, Any]:
    """Return products as those of a public cloud: regions by alias, one item for each kind of disk."""
    regions = ("usee1", "euwe2", "apno1")
    return {
        "_aliases": {
            "crsn": {
                f"{region}pe": {"region": f"{region}-long", "endpoint": f"https://{region}.example"}
                for region in regions
            }
        },
        "content_id": "com.example:released:cloud",
        "datatype": "image-ids",
        "format": "products:1.0",
        "license": "https://example.test/licence",
        "updated": UPDATED,
        "products": {
            f"com.example:server:{version}:{arch}": {
                "aliases": f"{version},{version[0]}",
                "arch": arch,
                "os": "example",
                "supported": version != "9.10",
                "version": version,
                "versions": {
                    f"202501{day:02d}": {
                        "label": "release",
                        "pubname": f"example-{version}-{arch}-202501{day:02d}",
                        "items": {
                            f"{region}{disk[0]}": {
                                "id": f"ami-{version}-{arch}-{day}-{region}-{disk}",
                                "crsn": f"{region}pe",
                                "root_store": disk,
                                "virt": "hvm",
                            }
                            for region in regions
                            for disk in ("ssd", "instance")
                        },
                    }
                    for day in range(1, versions + 1)
                },
            }
            for version in ("9.10", "10.04", "24.04")
            for arch in ("amd64", "arm64")
        },
    }


def containers() -> dict[str, Any]:
    """Return products as those of a server of container images: files, requirements, names that are no dates."""
    files = {"incus.tar.xz": 648, "root.squashfs": 123456, "disk.qcow2": 7654321}
    return {
        "content_id": "images",
        "datatype": "image-downloads",
        "format": "products:1.0",
        "products": {
            f"example:{release}:amd64:default": {
                "aliases": f"example/{release}/default,example/{release}",
                "arch": "amd64",
                "os": "Example",
                "release": release,
                "release_title": release.title(),
                "requirements": {"secureboot": "false"},
                "versions": {
                    name: {
                        "items": {
                            file: {
                                "ftype": file,
                                "path": f"images/{release}/{name}/{file}",
                                "sha256": f"{size:064x}",
                                "size": size,
                            }
                            for file, size in files.items()
                        }
                    }
                    for name in ("20240622_01", "20230421_23:27", "16.04-LTS")
                },
            }
            for release in ("one", "two")
        },
    }


def boot_files() -> dict[str, Any]:
    """Return products as those of a server of network boots: facts at every level, and one with nothing in it."""
    item = {"ftype": "boot-kernel", "kpackage": "linux", "path": "boot/k", "sha256": "0" * 64, "size": 5}
    return {
        "content_id": "com.example.boot:v3:download",
        "datatype": "image-ids",
        "format": "products:1.0",
        "updated": UPDATED,
        "products": {
            "com.example.boot:v3:24.04:amd64": {
                "arch": "amd64",
                "label": "stable",
                "subarches": "generic,hwe",
                "support_eol": "2034-04-25",
                "versions": {
                    "20250101": {"items": {"boot-kernel": item}, "krel": 1.5, "label": "candidate", "note": None},
                    "20250101.1": {"items": {"boot-kernel": {**item, "arch": "any"}}},
                },
            },
            "com.example.boot:v3:empty": {"versions": {}},
        },
    }


def write(directory: Path, **documents: dict[str, Any]) -> Path:
    """Write a feed of these products documents by name, and return its index."""
    streams = directory / "streams" / "v1"
    streams.mkdir(parents=True, exist_ok=True)
    for name, document in documents.items():
        (streams / f"{name}.json").write_text(json.dumps(document, indent=1))
    entries = {
        name: {"format": "products:1.0", "datatype": document["datatype"], "path": f"streams/v1/{name}.json"}
        for name, document in documents.items()
    }
    index = streams / "index.json"
    index.write_text(json.dumps({"format": "index:1.0", "index": entries, "updated": UPDATED}))
    return index

"""A feed of disk images as a distribution publishes it, made for tests, of which a test chooses what it has."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headwater.testing.object_store import some_bytes

UPDATED = "Thu, 01 Jan 2026 00:00:00 +0000"
SOURCE_ID = "com.example.cloud:released:download"
RELEASES = {"22.04": "jammy", "24.04": "noble"}


def product_name(version: str, arch: str = "amd64") -> str:
    return f"com.example.cloud:server:{version}:{arch}"


def data_of(version: str, serial: str, arch: str = "amd64") -> bytes:
    """Return a small qcow2 disk, another one for each version."""
    return qcow2(f"{version} {serial} {arch}".encode())


def qcow2(about: bytes) -> bytes:
    """Return a disk of 1 MiB that is empty but for what it says about itself at its end."""
    header = b"QFI\xfb" + (2).to_bytes(4, "big") + bytes(12) + (16).to_bytes(4, "big") + (1 << 20).to_bytes(8, "big")
    header += bytes(4) + (1).to_bytes(4, "big") + (1 << 16).to_bytes(8, "big")
    tables = bytes(1 << 16)
    return header.ljust(1 << 16, b"\0") + tables + some_bytes(40_000) + about


class CloudFeed:
    """What a server has; ``documents`` and ``files`` are by path."""

    def __init__(self, serials: Mapping[str, list[str]], arches: tuple[str, ...] = ("amd64",)) -> None:
        """Make it.

        Args:
            serials: The names of the versions of each release.
        """
        self.files: dict[str, bytes] = {}
        self.products: dict[str, Any] = {}
        for version, names in serials.items():
            for arch in arches:
                self._add(version, names, arch)

    def _add(self, version: str, serials: list[str], arch: str) -> None:
        release = RELEASES.get(version, f"release-{version}")
        versions = {}
        for serial in serials:
            data = data_of(version, serial, arch)
            path = f"server/{release}/{serial}/server-{arch}.img"
            self.files[path] = data
            manifest = b"a package\n"
            self.files[f"{path}.manifest"] = manifest
            versions[serial] = {
                "label": "release",
                "pubname": f"example-{release}-{version}-{arch}-server-{serial}",
                "items": {
                    "disk1.img": {"ftype": "disk1.img", "path": path, "size": len(data), **hashes_of(data)},
                    "manifest": {"ftype": "manifest", "path": f"{path}.manifest", "size": 10, **hashes_of(manifest)},
                },
            }
        self.products[product_name(version, arch)] = {
            "aliases": f"{version},{release}",
            "arch": arch,
            "os": "example",
            "release": release,
            "supported": True,
            "version": version,
            "versions": versions,
        }

    def item(self, version: str, serial: str, arch: str = "amd64") -> dict[str, Any]:
        """Return what the feed says of one disk, to be changed."""
        found: dict[str, Any] = self.products[product_name(version, arch)]["versions"][serial]["items"]["disk1.img"]
        return found

    @property
    def documents(self) -> dict[str, bytes]:
        path = "streams/v1/com.example.cloud-released-download.json"
        index = {
            "format": "index:1.0",
            "updated": UPDATED,
            "index": {
                SOURCE_ID: {
                    "datatype": "image-downloads",
                    "format": "products:1.0",
                    "path": path,
                    "products": sorted(self.products),
                    "updated": UPDATED,
                },
                # Nobody who wants files has to fetch it.
                "com.example.cloud:released:ids": {
                    "datatype": "image-ids",
                    "format": "products:1.0",
                    "path": "streams/v1/missing.json",
                    "products": [],
                    "updated": UPDATED,
                },
            },
        }
        products = {
            "content_id": SOURCE_ID,
            "datatype": "image-downloads",
            "format": "products:1.0",
            "updated": UPDATED,
            "products": self.products,
        }
        return {
            "streams/v1/index.json": json.dumps(index, indent=1).encode(),
            path: json.dumps(products, indent=1).encode(),
        }

    def write(self, directory: Path) -> Path:
        """Write it into a directory, and return that."""
        for path, body in {**self.documents, **self.files}.items():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_bytes(body)
        return directory


def hashes_of(data: bytes) -> dict[str, str]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "md5": hashlib.md5(data, usedforsecurity=False).hexdigest()}

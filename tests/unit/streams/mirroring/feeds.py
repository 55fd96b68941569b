"""Feeds with files, made for tests of mirrors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headwater.streams.format.layout import INDEX
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.tree import Tree

IMAGES = "streams/v1/images.json"
UPDATED = "Thu, 01 Jan 2026 00:00:00 +0000"
LATER = "Fri, 02 Jan 2026 00:00:00 +0000"

# Content by product, version and name of the item.
Contents = Mapping[str, Mapping[str, Mapping[str, bytes]]]


def data(text: str, size: int = 2000) -> bytes:
    return (text.encode() + b"\n") * (size // (len(text) + 1) + 1)


def two_releases() -> dict[str, dict[str, dict[str, bytes]]]:
    """Return two products with two versions of two files."""
    return {
        f"example:{release}:amd64": {
            version: {name: data(f"{release} {version} {name}") for name in ("meta.tar.xz", "root.squashfs")}
            for version in ("20260101", "20260102")
        }
        for release in ("one", "two")
    }


def path_of(product: str, version: str, name: str) -> str:
    return f"images/{product.replace(':', '/')}/{version}/{name}"


def item(path: str, content: bytes, **more: object) -> dict[str, Any]:
    return {
        "ftype": path.rpartition("/")[2],
        "path": path,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        **more,
    }


def products(contents: Contents, updated: str = UPDATED) -> dict[str, Any]:
    return {
        "content_id": "images",
        "datatype": "image-downloads",
        "format": "products:1.0",
        "updated": updated,
        "products": {
            product: {
                "arch": "amd64",
                "release": product.split(":")[1],
                "versions": {
                    version: {
                        "items": {name: item(path_of(product, version, name), body) for name, body in files.items()}
                    }
                    for version, files in versions.items()
                },
            }
            for product, versions in contents.items()
        },
    }


def index(document: Mapping[str, Any], path: str = IMAGES) -> dict[str, Any]:
    entry = {
        "datatype": document.get("datatype"),
        "format": "products:1.0",
        "path": path,
        "products": sorted(document["products"]),
        "updated": document.get("updated"),
    }
    return {"format": "index:1.0", "index": {"images": entry}, "updated": document.get("updated")}


def to_bytes(document: object) -> bytes:
    return json.dumps(document, indent=1).encode() + b"\n"


def put(tree: Tree, contents: Contents, updated: str = UPDATED) -> None:
    """Write a feed as others write theirs: with ``index.json`` alone."""
    for product, versions in contents.items():
        for version, files in versions.items():
            for name, body in files.items():
                tree.write(path_of(product, version, name), body)
    document = products(contents, updated)
    tree.write(IMAGES, to_bytes(document))
    tree.write(INDEX, to_bytes(index(document)))


def said(tree: Tree, path: str = IMAGES) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(tree.read(path).body)
    return found


def versions(tree: Tree, path: str = IMAGES) -> dict[str, list[str]]:
    """Return what readers of a tree find, by product."""
    return {name: list(product["versions"]) for name, product in said(tree, path)["products"].items()}


def require_whole(tree: Tree) -> None:
    """Require that a reader who takes the index finds all that it leads to."""
    for entry in said(tree, INDEX)["index"].values():
        document = said(tree, entry["path"])
        for product in document["products"].values():
            for version in product["versions"].values():
                for each in version["items"].values():
                    body = tree.read(each["path"]).body
                    assert hashlib.sha256(body).hexdigest() == each["sha256"], each["path"]


def files(tree: DirectoryTree) -> list[str]:
    """Return the files that no document and no state is."""
    return [each.path for each in tree.list() if each.path.startswith("images/")]


def trees(directory: Path) -> tuple[DirectoryTree, DirectoryTree]:
    return DirectoryTree(directory / "source"), DirectoryTree(directory / "target")

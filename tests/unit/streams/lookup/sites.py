"""Sites that answer as web servers do, made of documents, without a network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from headwater.streams.lookup.source import Source
from headwater.streams.trees.tree import Document, PathNotFound, Tree, TreeRefused, TreeUnavailable

URL = "https://feeds.example/images"

Answer = bytes | int | Mapping[str, Any]  # a body, a status, or what is written as JSON


@dataclass
class Site:
    """What stands at one URL, and what was asked of it."""

    files: Mapping[str, Answer]
    requests: list[str] = field(default_factory=list)

    def get(self, path: str) -> tuple[int, bytes]:
        self.requests.append(path)
        answer = self.files.get(path, 404)
        if isinstance(answer, int):
            return answer, b""
        return 200, answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    def tree(self) -> Tree:
        return cast(Tree, _SiteTree(self))


class _SiteTree:
    """The part of a tree that readers use, with the errors of a web tree."""

    place = URL

    def __init__(self, site: Site) -> None:
        self._site = site

    def read(self, path: str) -> Document:
        status, body = self._site.get(path)
        if status in (404, 410):
            raise PathNotFound(URL, path, status)
        if status != 200:
            kind = TreeUnavailable if status >= 500 else TreeRefused
            raise kind(URL, f"{path}: the server answered {status}", status)
        return Document(body, "tag")

    def close(self) -> None:
        pass


def source_of(site: Site, **more: Any) -> Source:
    """Return the site as a source; its mirrors are at the same site."""
    return Source(**{"description": "a site", "url": URL, "open_tree": lambda _: site.tree(), **more})

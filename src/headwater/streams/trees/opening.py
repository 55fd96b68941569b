"""From what somebody wrote to the tree that it names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from headwater.errors import SettingsError
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.tree import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How trees are reached that are not on this machine."""

    cafile: Path | None = None  # certificates (PEM) that prove servers
    verify: bool = True  # whether a web server has to prove itself
    authorization: str | None = None  # of requests to a web server
    timeout_s: float = 60


def opened(name: str, access: Access | None = None, environment: Mapping[str, str] | None = None) -> Tree:
    """Return the tree that ``name`` names.

    Args:
        name: A directory, also as ``file:///…``; ``http://…`` or ``https://…``; ``s3://BUCKET/PREFIX``;
            ``swift://CONTAINER/PREFIX``.
        environment: ``AWS_…`` says who asks S3, ``OS_…`` who asks Swift. Default: that of the process.

    Raises:
        SettingsError: It names no tree, or what it needs is missing.
    """
    access, environment = access or Access(), os.environ if environment is None else environment
    scheme, separator, rest = name.partition("://")
    if not separator:
        return DirectoryTree(Path(name or "."))
    if scheme == "file":
        parts = urlsplit(name)
        if parts.netloc not in ("", "localhost"):
            raise SettingsError(f"{name}: a file URL has three slashes before its path: file:///directory")
        return DirectoryTree(Path(unquote(parts.path)))
    if scheme in ("http", "https"):
        from headwater.streams.trees.web import WebTree  # noqa: PLC0415 - each brings libraries that others do without

        return WebTree(
            name,
            authorization=access.authorization,
            cafile=access.cafile,
            verify=access.verify,
            timeout_s=access.timeout_s,
        )
    place, _, prefix = rest.partition("/")
    if scheme in ("s3", "swift") and not place:
        raise SettingsError(f"{name}: name a {'bucket' if scheme == 's3' else 'container'}: {scheme}://NAME/PREFIX")
    if scheme == "s3":
        return _s3(place, prefix, access, environment)
    if scheme == "swift":
        return _swift(place, prefix, access, environment)
    from headwater.fetching.url_filter import redacted  # noqa: PLC0415 - as above

    raise SettingsError(
        f"{redacted(name)}: a tree is a directory, file:///…, http://…, https://…, s3://BUCKET/… or swift://CONTAINER/…"
    )


def _s3(bucket: str, prefix: str, access: Access, environment: Mapping[str, str]) -> Tree:
    from headwater.streams.trees.s3 import S3Tree  # noqa: PLC0415 - as above

    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    return S3Tree(bucket, prefix, endpoint=endpoint, region=region, cafile=access.cafile, timeout_s=access.timeout_s)


def _swift(container: str, prefix: str, access: Access, environment: Mapping[str, str]) -> Tree:
    from headwater.client.keystone import keystone_session  # noqa: PLC0415 - as above
    from headwater.streams.trees.swift import SwiftTree  # noqa: PLC0415 - as above

    return SwiftTree(
        keystone_session(environment),
        container,
        prefix,
        region=environment.get("OS_REGION_NAME"),
        interface=environment.get("OS_INTERFACE", "public"),
        storage_url=environment.get("OS_STORAGE_URL"),
        cafile=environment.get("OS_CACERT"),
        timeout_s=access.timeout_s,
    )

"""``headwater streams add-file``: disks and file systems for LXD and Incus, and files of any other kind."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import output
from headwater.cli.commands.streams.options import (
    Grace,
    KeyOptions,
    TreeName,
    signing,
    signing_command,
    tree_of,
)
from headwater.cli.output import AsJson
from headwater.errors import SettingsError
from headwater.streams.writing import deletions, deltas, image_files, image_metadata
from headwater.streams.writing import feed as feeds
from headwater.streams.writing.feed import Feed
from headwater.streams.writing.files import Content, FileUnusable
from headwater.streams.writing.image_files import Added, ImageDescription, Root
from headwater.streams.writing.merging import Place

FileArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="FILE...", help="A squashfs, root.tar.xz, qcow2, a tarball of metadata, or one of everything (.tar.gz)."
    ),
]


@signing_command
def add_file(
    tree: TreeName,
    files: FileArgument = None,
    *,
    os_name: Annotated[str, typer.Option("--os", help="Such as Ubuntu.")] = "",
    release: Annotated[str, typer.Option(help="Such as noble.")] = "",
    arch: Annotated[str, typer.Option(help="Such as amd64 or arm64.")] = "amd64",
    variant: Annotated[str, typer.Option(help="Such as default or cloud.")] = "default",
    alias: Annotated[
        list[str] | None, typer.Option(help="Name to launch it by; again for more. Default: OS/RELEASE, for one.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Name of the release for people.")] = None,
    version: Annotated[str | None, typer.Option(help="Of the operating system, such as 24.04.")] = None,
    requirement: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Such as secureboot=false; again for more.")
    ] = None,
    image_property: Annotated[
        list[str] | None,
        typer.Option("--property", metavar="NAME=VALUE", help="More of what the metadata says."),
    ] = None,
    support_eol: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="Until when it is kept up.")] = None,
    metadata: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Tarball with metadata.yaml. Default: one is made.")
    ] = None,
    ftype: Annotated[
        str | None, typer.Option(help="What one FILE is, if not what its first bytes say, such as disk1.img.")
    ] = None,
    product: Annotated[
        str | None,
        typer.Option(help="Put one FILE of any --ftype into this product, for other readers than LXD and Incus."),
    ] = None,
    delta: Annotated[
        list[str] | None,
        typer.Option(metavar="VERSION=FILE", help="A vcdiff that makes FILE of that of a version; again for more."),
    ] = None,
    delta_from: Annotated[
        list[str] | None,
        typer.Option(metavar="VERSION", help="Make such a vcdiff with xdelta3; again for more versions."),
    ] = None,
    version_name: Annotated[
        str | None, typer.Option(help="Begins with a date and sorts as text. Default: YYYYMMDD_HHMM now, in UTC.")
    ] = None,
    content_id: Annotated[str, typer.Option(help="Of the products file that it stands in.")] = image_files.CONTENT_ID,
    grace: Grace = deletions.GRACE_S,
    keys: KeyOptions,
    as_json: AsJson = False,
) -> None:
    """Put disks and root file systems into a feed, as images that LXD and Incus launch."""
    if product is not None:
        said = {"os": os_name, "release": release, "arch": arch, "version": version, "release_title": title}
        facts = {name: value for name, value in said.items() if value} | pairs("--property", image_property)
        other = _Other(product, ftype, version_name, facts, content_id)
        _add_other(tree, files or [], other, grace=grace, keys=keys, as_json=as_json)
        return
    described = ImageDescription(
        os=os_name,
        release=release,
        arch=arch,
        variant=variant,
        aliases=tuple(alias) if alias else None,
        release_title=title,
        version=version,
        support_eol=support_eol,
        requirements=pairs("--requirement", requirement),
        properties=pairs("--property", image_property),
    )
    with (
        output.progress("read", None) as shown,
        tempfile.TemporaryDirectory() as scratch,
        tree_of(tree) as opened,
        signing(keys) as signs,
    ):
        contents = [Content.of_file(file) for file in files or ()]
        shown(sum(each.size for each in contents))
        about = Content.of_file(metadata) if metadata else _metadata_of(contents, ftype)
        roots = [_root(each, ftype) for each in contents if each is not about]
        roots += [_delta(roots, base, Path(file)) for base, file in pairs("--delta", delta).items()]
        for base in delta_from or ():
            root = _only(roots)
            old = image_files.base_of(feeds.read(opened).products(content_id), described.product, base, root.ftype)
            made = deltas.made(opened, old, root.content, Path(scratch))
            roots.append(Root(content=made, ftype=root.ftype, base=base))

        def change(feed: Feed) -> Added:
            return image_files.add(feed, described, roots, metadata=about, version=version_name, content_id=content_id)

        added, gone = deletions.edit(opened, change, purpose="headwater streams add-file", grace_s=grace, **signs)
        _say(opened.place, added, gone, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Other:
    """Where a file stands that is no image for LXD and Incus."""

    product: str
    ftype: str | None
    version: str | None
    facts: dict[str, str]
    content_id: str


def _add_other(tree: str, files: list[Path], other: _Other, *, grace: int, keys: KeyOptions, as_json: bool) -> None:
    if other.ftype is None or len(files) != 1:
        raise SettingsError("--product takes one FILE, and --ftype says what it is")
    content = Content.of_file(files[0])
    version = other.version or datetime.now(UTC).strftime("%Y%m%d")
    place = Place(other.product, version, content.name)
    ftype = other.ftype

    def change(feed: Feed) -> Added:
        return image_files.add_other(feed, content, place, ftype, content_id=other.content_id, facts=other.facts)

    with tree_of(tree) as opened, signing(keys) as signs:
        added, gone = deletions.edit(opened, change, purpose="headwater streams add-file", grace_s=grace, **signs)
        _say(opened.place, added, gone, as_json=as_json)


def _say(place: str, added: Added, gone: list[str], *, as_json: bool) -> None:
    if as_json:
        facts = {"product": added.product, "version": added.version, "items": list(added.items)}
        output.say_json({"tree": place, **facts, "fingerprints": dict(added.fingerprints), "deleted": gone})
        return
    output.say(f"{place}: {', '.join(added.items)} of {added.product}, version {added.version}")
    for kind, fingerprint in added.fingerprints.items():
        output.say(f"- image of the {kind}: fingerprint {fingerprint}")


def pairs(option: str, given: list[str] | None) -> dict[str, str]:
    """Return what was given as NAME=VALUE."""
    found = {}
    for each in given or ():
        name, separator, value = each.partition("=")
        if not name or not separator:
            raise SettingsError(f"{option} {each}: write it as NAME=VALUE")
        found[name] = value
    return found


def _metadata_of(contents: list[Content], ftype: str | None) -> Content | None:
    """Return the tarball of metadata among what was given, as people name it beside its root."""
    small = (each for each in contents if ftype is None and each.size <= image_files.METADATA_LIMIT)
    packed = (each for each in small if image_files.ftype_of(each) == "root.tar.xz")
    return next((each for each in packed if image_metadata.is_metadata(each)), None)


def _root(content: Content, ftype: str | None) -> Root:
    found = image_files.ftype_of(content)
    if ftype is None and found in (None, "vcdiff"):
        problem = "a vcdiff is given as --delta VERSION=FILE" if found else "it is none of these kinds"
        raise FileUnusable(content.file or Path(content.name), f"{problem}; --ftype says what else it is")
    return Root(content=content, ftype=ftype or found or "")


def _only(roots: list[Root]) -> Root:
    whole = [root for root in roots if root.base is None]
    if len(whole) != 1:
        raise SettingsError("a delta belongs to one FILE: add a container and a virtual machine with a command each")
    return whole[0]


def _delta(roots: list[Root], base: str, file: Path) -> Root:
    content = Content.of_file(file)
    if image_files.ftype_of(content) != "vcdiff":
        raise FileUnusable(file, "it is no vcdiff, as xdelta3 makes them")
    return Root(content=content, ftype=_only(roots).ftype, base=base)

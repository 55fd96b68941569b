"""``headwater streams add-boot-image``: what MAAS boots and installs machines from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import output
from headwater.cli.commands.streams import told_of_maas
from headwater.cli.commands.streams.files import pairs
from headwater.cli.commands.streams.options import (
    Grace,
    KeyOptions,
    TreeName,
    signing,
    signing_command,
    tree_of,
)
from headwater.cli.output import AsJson
from headwater.streams.writing import boot_images, deletions
from headwater.streams.writing.boot_images import BootDescription
from headwater.streams.writing.feed import Feed
from headwater.streams.writing.files import Content
from headwater.streams.writing.image_files import Added


@signing_command
def add_boot_image(
    tree: TreeName,
    *,
    os_name: Annotated[str, typer.Option("--os", help="Such as ubuntu.")],
    release: Annotated[str, typer.Option(help="Such as noble.")],
    version: Annotated[str, typer.Option(help="Of the operating system, such as 24.04.")],
    manifest: Annotated[Path | None, typer.Option(metavar="FILE", help="List of the packages in it.")] = None,
    kernel: Annotated[Path | None, typer.Option(metavar="FILE", help="The kernel (boot-kernel).")] = None,
    initrd: Annotated[Path | None, typer.Option(metavar="FILE", help="What it begins with (boot-initrd).")] = None,
    squashfs: Annotated[Path | None, typer.Option(metavar="FILE", help="The root file system.")] = None,
    root_tgz: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The root file system of an image without a kernel.")
    ] = None,
    arch: Annotated[str, typer.Option(help="Such as amd64 or arm64.")] = "amd64",
    subarch: Annotated[str, typer.Option(help="Such as generic or ga-24.04.")] = "generic",
    subarches: Annotated[str, typer.Option(help="Others that it serves, with commas.")] = "",
    label: Annotated[str, typer.Option(help="Such as stable or candidate.")] = "stable",
    title: Annotated[str | None, typer.Option(help="Name of the release for people.")] = None,
    kernel_package: Annotated[str | None, typer.Option(help="Such as linux-generic.")] = None,
    fact: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="More of the product, such as kflavor=generic.")
    ] = None,
    version_name: Annotated[str | None, typer.Option(help="A date. Default: today's, in UTC.")] = None,
    grace: Grace = deletions.GRACE_S,
    keys: KeyOptions,
    as_json: AsJson = False,
) -> None:
    """Put a kernel with its root file system, or a tarball of one, into a feed, for MAAS."""
    described = BootDescription(
        os=os_name,
        release=release,
        version=version,
        arch=arch,
        label=label,
        subarch=subarch,
        subarches=tuple(each for each in subarches.split(",") if each),
        release_title=title,
        extra=tuple(pairs("--fact", fact).items()),
    )
    given = {
        "boot-kernel": kernel,
        "boot-initrd": initrd,
        "squashfs": squashfs,
        "root-tgz": root_tgz,
        "manifest": manifest,
    }
    with output.progress("read", None) as shown, tree_of(tree) as opened, signing(keys) as signs:
        files = {ftype: Content.of_file(file) for ftype, file in given.items() if file is not None}
        shown(sum(content.size for content in files.values()))

        def change(feed: Feed) -> tuple[Added, told_of_maas.Warnings]:
            added = boot_images.add(feed, described, files, kernel_package=kernel_package, version=version_name)
            return added, told_of_maas.warnings_of(feed)

        (added, warnings), gone = deletions.edit(
            opened, change, purpose="headwater streams add-boot-image", grace_s=grace, **signs
        )
        place = opened.place
    if as_json:
        facts = {"product": added.product, "version": added.version, "items": list(added.items)}
        output.say_json({"tree": place, **facts, "deleted": gone, "warnings": warnings})
    else:
        output.say(f"{place}: {', '.join(added.items)} of {added.product}, version {added.version}")
        told_of_maas.say(warnings)

"""Convert images to the one format that an operator wants, with ``qemu-img``.

What is converted is inspected before: data that refers to other files is refused, and so is data that is not of the
image's ``disk_format``. ``qemu-img`` is told the format and does not guess one; it is confined (``confined.py``). What
it writes is inspected again by the import, as an upload is.
Source: OSSA-2015-014, OSSA-2016-012, OSSA-2023-002, OSSA-2024-001, OSSA-2024-003.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from headwater.config import Section
from headwater.images.imports.plugins import confined
from headwater.images.imports.plugins.confined import Bounds, ProgramFailed
from headwater.images.imports.plugins.plugin import Data, PluginFailed, PluginType, Work, read
from headwater.images.inspection.inspect import Finding, Inspection

NAME = "image_conversion"
Format = Literal["raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx"]

# Names of the Image API, and those of QEMU. An ISO is a disk to boot from as it is, and stays one, as with Glance.
_OF_QEMU = {"raw": "raw", "qcow2": "qcow2", "vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc", "vhdx": "vhdx"}
_OPTIONS = {"vmdk": ("-o", "subformat=streamOptimized"), "vhd": ("-o", "force_size=on")}
_RAW = frozenset({"raw", "gpt"})  # what raw data is found to be
_PROGRESS = re.compile(r"\((\d+\.\d+)/100%\)")


class ConversionSettings(Section):
    """Section ``[import_plugins.image_conversion]``."""

    output_format: Annotated[
        Format, Field(description="The disk_format that imported disks get; Ceph clones raw ones only.")
    ] = "raw"
    uploads: Annotated[
        bool,
        Field(
            description="Convert uploads too: a disk of another format is staged and imported, and is `importing` "
            "for a while after the answer. Needs glance-direct among import_methods, and image_conversion in use."
        ),
    ] = False
    memory: Annotated[
        int, Field(description="The most memory of qemu-img, in bytes of address space.", ge=256 << 20)
    ] = 1 << 30
    processor_s: Annotated[int, Field(description="The most processor time of one conversion, in seconds.", ge=1)] = (
        3600
    )
    time_s: Annotated[float, Field(description="How long one conversion may take, in seconds.", ge=1, le=86400)] = 14400


class Conversion:
    """The plugin."""

    def __init__(self, settings: ConversionSettings) -> None:
        self._settings = settings

    def wants(self, data: Data, work: Work) -> bool:
        """Return whether it is a disk of another format."""
        return not work.is_signed and is_converted(data.disk_format, data.container_format, self._settings)

    def apply(self, data: Data, work: Work) -> Data:
        """Return the converted disk."""
        if not self.wants(data, work):
            return data
        data, source = work.spooled(data, "source")
        target = work.scratch / "converted"
        finding = inspected(source, data, work)
        if finding.virtual_size is not None and finding.virtual_size > work.size_cap:
            raise PluginFailed(NAME, f"the disk has {finding.virtual_size} bytes, and an image {work.size_cap} at most")
        to = self._settings.output_format
        bounds = Bounds(
            memory=self._settings.memory,
            processor_s=self._settings.processor_s,
            time_s=self._settings.time_s,
            file_size=work.size_cap,
        )
        command = ["qemu-img", "convert", "-p", "-W", "-f", _OF_QEMU[data.disk_format], "-O", _OF_QEMU[to]]
        source.chmod(0o400)
        try:
            confined.run(
                [*command, *_OPTIONS.get(to, ()), str(source), str(target)],
                work.scratch,
                bounds,
                _progress(work, finding.virtual_size),
            )
        except ProgramFailed as error:
            raise PluginFailed(NAME, f"from {data.disk_format} to {to}: {_without_paths(str(error), work)}") from error
        source.unlink()
        size = target.stat().st_size
        return replace(data, disk_format=to).holding(read(target), size=size, file=target)


def is_converted(disk_format: str | None, container_format: str | None, settings: ConversionSettings) -> bool:
    """Return whether images of these formats are disks that get another one."""
    return container_format == "bare" and disk_format in _OF_QEMU and disk_format != settings.output_format


def inspected(file: Path, data: Data, work: Work) -> Finding:
    """Return what a file is, which is what the data is said to be.

    Raises:
        ContentMismatch, ContentAmbiguous, ContentUnsafe: It is something else, or could harm a host.
        PluginFailed: It is declared raw, and of a format that would be read as another disk.
    """
    inspection = Inspection(data.disk_format, replace(work.rules, require_match=True))
    for piece in read(file):
        inspection.feed(memoryview(piece))
        work.advance(0, None)
    finding = inspection.finish()
    if data.disk_format == "raw" and finding.format not in (*_RAW, "iso", "luks"):
        raise PluginFailed(
            NAME, f"the disk_format is raw, and the data {finding.format}; set disk_format to {finding.format}"
        )
    return finding


def _progress(work: Work, total: int | None) -> Callable[[str], None]:
    done = 0.0

    def look(said: str) -> None:
        nonlocal done
        done = max([done, *(float(each) for each in _PROGRESS.findall(said))])
        work.advance(math.floor(done / 100 * total) if total else 0, total)

    return look


def _without_paths(reason: str, work: Work) -> str:
    return reason.replace(f"{work.scratch}/", "")


PLUGIN = PluginType(NAME, ConversionSettings, Conversion)

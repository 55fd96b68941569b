"""Section ``[import_plugins]``: what is done with the data of imports on its way into an image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from headwater.config import Section
from headwater.images.imports.plugins.conversion import ConversionSettings
from headwater.images.imports.plugins.decompression import DecompressionSettings
from headwater.images.imports.plugins.guest import GuestSettings
from headwater.images.imports.plugins.properties import InjectionSettings


class ImportPluginsSettings(Section):
    """Section ``[import_plugins]``."""

    use: Annotated[
        tuple[str, ...],
        Field(
            description="The plugins that work on imported data, in this order: image_decompression, image_conversion, "
            "inject_image_metadata, guest_inspection, no_op, and those that other packages offer. None works on "
            "copy-image."
        ),
    ] = ()
    scratch_dir: Annotated[
        Path | None,
        Field(
            description="A directory of this machine for images that plugins need as a file; twice the largest image "
            "should have room in it for each import that runs. Default: scratch in data_dir."
        ),
    ] = None
    image_decompression: DecompressionSettings = DecompressionSettings()
    image_conversion: ConversionSettings = ConversionSettings()
    inject_image_metadata: InjectionSettings = InjectionSettings()
    guest_inspection: GuestSettings = GuestSettings()
    others: Annotated[
        dict[str, Any],
        Field(description="Plugins of other packages: a table for each, with the keys that it knows."),
    ] = {}  # noqa: RUF012 - pydantic copies it for each section

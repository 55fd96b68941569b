"""What can be set of signatures: sections ``[signatures]`` and ``[signatures.barbican]``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from headwater.config import Section


class BarbicanSettings(Section):
    """Section ``[signatures.barbican]``: how certificates are asked for."""

    endpoint: Annotated[
        str | None,
        Field(
            description="URL of Barbican, such as http://barbican:9311. Default: that of the service of type "
            "key-manager in Keystone's catalogue, by region and interface of [auth.keystone].",
            pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$",
        ),
    ] = None
    ask_as: Annotated[
        Literal["caller", "service"],
        Field(
            description='"caller": with the token of whoever uploads, who then has to be allowed to read the '
            'certificate; "service": as the user of [auth.keystone].'
        ),
    ] = "caller"
    timeout_s: Annotated[float, Field(description="How long an answer is waited for, in seconds.", gt=0, le=60)] = 10
    cache_s: Annotated[int, Field(description="How long a certificate is kept, in seconds.", ge=0, le=3600)] = 60
    cafile: Annotated[
        Path | None, Field(description="Certificates (PEM) that prove Barbican's. Default: those of the system.")
    ] = None


class SignaturesSettings(Section):
    """Section ``[signatures]``: where the certificates of signed images come from."""

    certificates: Annotated[
        Literal["none", "directory", "barbican"],
        Field(
            description='"none": an image that names all four properties of a signature is not taken; '
            '"directory": files UUID.pem; "barbican": OpenStack\'s key manager.'
        ),
    ] = "none"
    directory: Annotated[Path | None, Field(description='Directory of the certificates, for "directory".')] = None
    trusted: Annotated[
        Path | None,
        Field(
            description="Certificate authorities (PEM), of which one has to have issued a signer's certificate; "
            "read again when it changes. Default: every certificate of the source counts."
        ),
    ] = None
    barbican: BarbicanSettings = BarbicanSettings()

    @model_validator(mode="after")
    def _complete(self) -> SignaturesSettings:
        if self.certificates == "directory" and self.directory is None:
            raise ValueError(
                "section [signatures], key 'directory' is missing: certificates = \"directory\" reads them there"
            )
        return self

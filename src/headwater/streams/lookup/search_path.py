"""Which sources there are, in Juju's order: the user's URL, the directory of a bootstrap, Keystone, the public one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pysequoia import Cert

from headwater.errors import SettingsError
from headwater.streams.lookup.source import Source
from headwater.streams.lookup.trace import Kind, Step
from headwater.streams.signing.certificates import certificates
from headwater.streams.trees.opening import Access, opened
from headwater.streams.trees.tree import Tree

PUBLIC_IMAGES: Final = "http://cloud-images.ubuntu.com"
PUBLIC_AGENTS: Final = "https://streams.canonical.com/juju/tools"
METADATA_SOURCE: Final = "bootstrap metadata"  # how Juju calls the directory that a bootstrap is given
# Source: Juju's priorities of records.
DEFAULT, SPECIFIC_CLOUD, CUSTOM_CLOUD = 10, 20, 50

Catalogue = Sequence[Mapping[str, Any]]  # the services of a token, as Keystone gives them


class MetadataDirectoryNotFound(SettingsError):
    """There is no such directory of metadata."""

    def __init__(self, directory: Path) -> None:
        super().__init__(f"simplestreams metadata source: {directory} not found")
        self.directory = directory


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPath:
    """What decides where is looked; what is not given is not among it, but for the public source.

    ``keys`` prove the user's own sources, ``public_keys`` the public one; Keystone's sources have none.
    """

    user_url: str = ""
    metadata_source: Path | None = None
    catalogue: Catalogue | None = None
    region: str = ""  # picks the endpoint of the catalogue
    defaults: bool = True  # false: the public source is not asked
    public_url: str = ""
    keys: Sequence[Cert] = ()
    public_keys: Sequence[Cert] = ()
    access: Access = field(default_factory=Access)

    def images(self, stream: str = "") -> tuple[list[Source], list[Step]]:
        """Return the sources of images, and which are left out."""
        return _in_order(
            [
                self._users("image-metadata-url", self.keys),
                self._directory("images"),
                self._keystone("product-streams"),
                self._public(
                    "default ubuntu cloud images",
                    self.public_url or f"{PUBLIC_IMAGES}/{'releases' if stream in ('', 'released') else stream}",
                    "image-metadata-defaults-disabled",
                ),
            ]
        )

    def agents(self) -> tuple[list[Source], list[Step]]:
        """Return the sources of agents, and which are left out."""
        description = "default simplestreams"
        directory = self._directory("tools")
        if isinstance(directory, Source):  # in place of the public one
            default: Source | Step = Source(
                description=description,
                url=directory.url,
                open_tree=self._user_tree,
                keys=self.public_keys,
                priority=DEFAULT,
            )
        else:
            default = self._public(description, self.public_url or PUBLIC_AGENTS, "agent-metadata-defaults-disabled")
        return _in_order([self._users("agent-metadata-url", self.public_keys), self._keystone("juju-tools"), default])

    def _users(self, description: str, keys: Sequence[Cert]) -> Source | Step:
        if not self.user_url:
            return _left_out(description, "not set")
        return Source(
            description=description,
            url=user_url(self.user_url),
            open_tree=self._user_tree,
            keys=keys,
            priority=SPECIFIC_CLOUD,
        )

    def _directory(self, kind: str) -> Source | Step:
        description = METADATA_SOURCE
        if self.metadata_source is None:
            return _left_out(description, "not given")
        directory = metadata_directory(self.metadata_source, kind)
        if directory is None:
            return _left_out(description, f"{self.metadata_source} has no {kind}")
        return Source(
            description=description,
            url=file_url(directory),
            open_tree=self._user_tree,
            keys=self.keys,
            priority=CUSTOM_CLOUD,
        )

    def _keystone(self, kind: str) -> Source | Step:
        description = "keystone catalog"
        if self.catalogue is None:
            return _left_out(description, "Keystone is not asked")
        url = endpoint_of(self.catalogue, kind, self.region)
        if url is None:
            return _left_out(description, f"there is no public endpoint of the type {kind} for {self.region!r}")
        return Source(description=description, url=url, open_tree=self._user_tree, priority=SPECIFIC_CLOUD)

    def _public(self, description: str, url: str, switch: str) -> Source | Step:
        if not self.defaults:
            return _left_out(description, f"{switch} is set")
        return Source(
            description=description,
            url=user_url(url),
            open_tree=self._public_tree,
            keys=self.public_keys,
            requires_signed=True,
            priority=DEFAULT,
        )

    def _user_tree(self, url: str) -> Tree:
        return opened(url, self.access)

    def _public_tree(self, url: str) -> Tree:
        """Open a public source, which has to prove itself, whatever the switch says."""
        return opened(url, Access(cafile=self.access.cafile, timeout_s=self.access.timeout_s))


def keys_in(file: Path | None, default: Path | None = None) -> list[Cert]:
    """Read a keyring; that of ``default`` only if it is there.

    Raises:
        CertificatesUnreadable: It is none.
    """
    if file is None and default is not None and default.is_file():
        file = default
    return [] if file is None else certificates(file)


def user_url(url: str) -> str:
    """Return the URL of what a user gave: a path is a directory."""
    return url if "://" in url else file_url(Path(url).absolute())


def file_url(path: Path) -> str:
    """Return the URL of an absolute path; what would end the path in a URL is escaped, which Juju forgets."""
    return f"file://{str(path).replace('%', '%25').replace('#', '%23').replace('?', '%3F')}"


def metadata_directory(directory: Path, kind: str) -> Path | None:
    """Return where ``images`` or ``tools`` are in a directory of metadata; ``None``: it has none of these.

    Source: a directory that is itself called so is taken as it is, and then has nothing of the other kind.

    Raises:
        MetadataDirectoryNotFound: It is not there.
    """
    directory = directory.absolute()
    if not directory.is_dir():
        raise MetadataDirectoryNotFound(directory)
    if directory.name in ("images", "tools"):
        return directory if directory.name == kind else None
    below = directory / kind
    return below if below.is_dir() else None


def endpoint_of(catalogue: Catalogue, kind: str, region: str) -> str | None:
    """Return the public endpoint of a service type that Juju takes.

    Source: the last service of the type counts, and an endpoint whose region the user's region is or ends with.
    """
    services = [service for service in catalogue if service.get("type") == kind]
    for endpoint in services[-1].get("endpoints", ()) if services else ():
        here = endpoint.get("region_id") or endpoint.get("region") or ""
        if endpoint.get("interface") == "public" and region.endswith(here):
            return str(endpoint["url"])
    return None


def _left_out(description: str, why: str) -> Step:
    return Step(source=description, kind=Kind.SKIPPED, what=description, why=why)


def _in_order(found: Iterable[Source | Step]) -> tuple[list[Source], list[Step]]:
    both = list(found)
    return [each for each in both if isinstance(each, Source)], [each for each in both if isinstance(each, Step)]

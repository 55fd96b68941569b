"""Every path of the Compute API that is about images, and what answers it."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.routing import BaseRoute

from headwater.http.endpoint import Endpoint
from headwater.http.routes import Below, Face, also
from headwater.http.threads import Threads
from headwater.images.compute_proxy.http.faults import FaultyRouter
from headwater.images.compute_proxy.http.images import ImageHandlers, MetadataHandlers
from headwater.images.compute_proxy.http.microversions import IMAGES_END, METADATA_ENDS, Version, require
from headwater.images.compute_proxy.http.places import ROOT, VERSIONS, require_own_project
from headwater.images.compute_proxy.http.spellings import LenientRouter
from headwater.images.compute_proxy.http.versions import VersionHandlers
from headwater.images.compute_proxy.metadata import Metadata
from headwater.images.http.paths import check_path, not_found
from headwater.images.service import Images

# Of the paths that need a caller, and those of them that need none.
BEHIND_CALLERS = tuple(f"{ROOT}/{each}/" for each in VERSIONS)
OPEN = frozenset(BEHIND_CALLERS)


def routes(images: Images, threads: Threads, endpoint: Endpoint) -> list[BaseRoute]:
    """Return what lies at and below ``/compute``."""
    told = VersionHandlers(endpoint, VERSIONS)
    image = ImageHandlers(images, threads.catalogue, endpoint)
    items = MetadataHandlers(Metadata(images), threads.catalogue)
    face = Face()
    below: list[BaseRoute] = []
    for version in VERSIONS:
        of_version = LenientRouter(_of(version, image, items), redirect_slashes=False, default=not_found)
        below += [
            also(face.route(f"/{version}", GET=told.one), [f"/{version}/"]),
            Below(f"/{version}", of_version),
        ]
    refusing = FaultyRouter(below, redirect_slashes=False, default=not_found)
    return [also(face.route(ROOT, GET=told.all), [f"{ROOT}/"]), Below(ROOT, refusing)]


def _of(version: str, image: ImageHandlers, items: MetadataHandlers) -> list[BaseRoute]:
    """Return the routes below one version; old clients name their project before each path."""
    of_images = Face(check=_check("images", IMAGES_END, version))
    of_items = Face(check=_check("metadata of images", METADATA_ENDS, version), names=("key",))
    found: list[BaseRoute] = []
    for project in ("", "/{project_id}"):
        below = f"{project}/images"
        found += [
            of_images.route(below, GET=image.index),
            of_images.route(f"{below}/detail", GET=image.detail),
            of_images.route(f"{below}/{{image_id}}", GET=image.show, DELETE=image.delete),
            of_items.route(f"{below}/{{image_id}}/metadata", GET=items.index, POST=items.merge, PUT=items.replace),
            of_items.route(
                f"{below}/{{image_id}}/metadata/{{key}}", GET=items.show, PUT=items.put, DELETE=items.remove
            ),
        ]
    return found


def _check(what: str, end: Version, version: str) -> Callable[[Request], None]:
    def check(request: Request) -> None:
        check_path(request)
        if version == "v2.1":  # v2 is older than microversions, and does not hear of them
            require(request, what, end)
        require_own_project(request)

    return check

"""Where the images of the Compute API are: their paths, and the links that name them."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from headwater.errors import Invalid
from headwater.http import requests
from headwater.http.endpoint import Endpoint

# Where it lies on the image listener. The Image API has ``/v2`` and ``/v2.1`` for itself.
ROOT = "/compute"
VERSIONS = ("v2.1", "v2")


class WrongProject(Invalid):
    """The path names another project than the caller's."""

    def __init__(self, named: str, project_id: str) -> None:
        super().__init__(
            f"Malformed request URL: URL's project_id '{named[:64]}' doesn't match Context's project_id '{project_id}'"
        )


def require_own_project(request: Request) -> None:
    """Raise ``WrongProject`` when the path names a project that is not the caller's, if the caller has one."""
    named, own = request.path_params.get("project_id"), requests.caller(request).project_id
    if named is not None and own is not None and named != own:
        raise WrongProject(named, own)


@dataclass(frozen=True, slots=True)
class Place:
    """Under which URLs the sender of a request finds things."""

    endpoint: str  # of the whole service
    version: str  # v2.1 or v2
    project: str  # "/PROJECT" where the path has one

    @classmethod
    def of(cls, request: Request, endpoint: Endpoint) -> Place:
        """Return the place of a request to a path below a version."""
        project = request.path_params.get("project_id")
        version = str(request.scope["root_path"]).rpartition("/")[2]
        return cls(endpoint.of(request), version, "" if project is None else f"/{project}")

    def itself(self, kind: str, name: str) -> str:
        """Return the address of a thing in this version: of an image, a server."""
        return f"{self.versioned}/{kind}/{name}"

    def links(self, kind: str, name: str) -> list[dict[str, str]]:
        """Return the links to a thing: in this version, and without one."""
        bookmark = f"{self.endpoint}{ROOT}{self.project}/{kind}/{name}"
        return [{"rel": "self", "href": self.itself(kind, name)}, {"rel": "bookmark", "href": bookmark}]

    def image_links(self, image_id: str) -> list[dict[str, str]]:
        """Return the links to an image: those to every thing, and where the Image API has it."""
        other = f"{self.endpoint}/v2/images/{image_id}"
        alternate = {"rel": "alternate", "type": "application/vnd.openstack.image", "href": other}
        return [*self.links("images", image_id), alternate]

    @property
    def versioned(self) -> str:
        """The address that all of this version begin with."""
        return f"{self.endpoint}{ROOT}/{self.version}{self.project}"

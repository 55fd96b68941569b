"""The versions document of the Compute API: how clients find out that there is one, and up to where."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from headwater.http.answers import json_answer
from headwater.http.endpoint import Endpoint
from headwater.images.compute_proxy.http.microversions import LOWEST, NEWEST, text
from headwater.images.compute_proxy.http.places import ROOT


def document(version: str, endpoint: str) -> dict[str, Any]:
    """Return what is told of ``v2.1`` or ``v2`` to those who reach the service at ``endpoint``."""
    has_microversions = version == "v2.1"
    return {
        "id": "v2.1" if has_microversions else "v2.0",
        "status": "CURRENT" if has_microversions else "SUPPORTED",
        "version": text(NEWEST) if has_microversions else "",
        "min_version": text(LOWEST) if has_microversions else "",
        # Source: Nova's own dates, which clients print.
        "updated": "2013-07-23T11:33:21Z" if has_microversions else "2011-01-21T11:33:21Z",
        "links": [{"rel": "self", "href": f"{endpoint}{ROOT}/{version}/"}],
        "media-types": [
            {
                "base": "application/json",
                "type": f"application/vnd.openstack.compute+json;version={'2.1' if has_microversions else '2'}",
            }
        ],
    }


class VersionHandlers:
    """Requests for what there is, answered; nobody has to say who they are."""

    def __init__(self, endpoint: Endpoint, versions: tuple[str, ...]) -> None:
        self._endpoint = endpoint
        self._versions = versions

    async def all(self, request: Request) -> Response:
        """Answer ``/compute``."""
        endpoint = self._endpoint.of(request)
        found = [document(each, endpoint) for each in sorted(self._versions)]
        listed = [{name: value for name, value in each.items() if name != "media-types"} for each in found]
        return json_answer({"versions": listed})

    async def one(self, request: Request) -> Response:
        """Answer ``/compute/v2.1``."""
        version = request.url.path.rstrip("/").rpartition("/")[2]
        return json_answer({"version": document(version, self._endpoint.of(request))})

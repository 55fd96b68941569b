"""An Image service that is asked over its API: another Headwater, Glance, or any that speaks v2."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import quote

from headwater.client.keystone import Keystone
from headwater.client.proof import NotProved
from headwater.client.service import ImageService, Patience, RequestRefused, Unreachable
from headwater.errors import HeadwaterError
from headwater.streams.syncing.targets.target import Document, ImageBusy, ImageVanished, Pieces, UseUnknown

_OCTETS: Final = "application/octet-stream"
_REPR_DIGESTS: Final = {"sha512": "sha-512", "sha256": "sha-256"}
_KEY_IS_SPENT: Final = frozenset({409, 410, 422})  # it made something else, or an image that is deleted
_GONE: Final = frozenset({404, 410})
_CONFLICT: Final = 409
_UNKNOWN_METHODS: Final = frozenset({403, 404})


class ServiceTarget:
    """One service, and who calls it."""

    def __init__(
        self,
        service: ImageService,
        *,
        proof: object = None,
        region: str | None = None,
        interface: str = "public",
        project: str | None = None,
        patience: Callable[[], Patience] = lambda: Patience(60),
    ) -> None:
        """Take the service.

        Args:
            proof: Who calls it; Keystone also knows the project, and where it can be asked which images servers use.
            project: The caller's own, if it is known and Keystone does not tell.
            patience: Makes how long to ask again when the service does not answer.
        """
        self.place = service.url
        self._service, self._patience = service, patience
        self._keystone = proof if isinstance(proof, Keystone) else None
        self._region, self._interface = region, interface
        self._project = project or (self._keystone.project() if self._keystone is not None else None)

    def images_of(self, content_id: str) -> Iterator[Document]:
        owner = {"owner": self._project} if self._project is not None else {}
        seen = set[str]()  # a list that changes meanwhile may show an image twice
        for hidden in ("false", "true"):
            filters = {"content_id": content_id, "os_hidden": hidden, "limit": "100", **owner}
            for image in self._patience().answered(lambda: list(self._service.images(**filters))):  # noqa: B023 - now
                is_own = self._project in (None, image.get("owner"))
                if image["id"] not in seen and image.get("content_id") == content_id and is_own:
                    seen.add(image["id"])
                    yield image

    def get(self, image_id: str) -> Document | None:
        return self._patience().answered(lambda: self._service.get(image_id))

    def create(self, document: Document, key: str) -> Document:
        for again in ("", "-again"):
            try:
                return self._patience().answered(lambda: self._service.create(document, key + again))  # noqa: B023 - now
            except RequestRefused as refused:
                if refused.status not in _KEY_IS_SPENT or again:
                    if refused.status in _KEY_IS_SPENT:
                        break
                    raise
        return self._service.ask("POST", "/v2/images", document)

    def upload(self, image_id: str, size: int, hashes: Mapping[str, str], pieces: Pieces) -> None:
        digests = [
            f"{name}=:{base64.b64encode(bytes.fromhex(hashes[each])).decode()}:"
            for each, name in _REPR_DIGESTS.items()
            if each in hashes
        ]
        headers = {"Repr-Digest": ", ".join(digests)} if digests else {}
        self._send(image_id, "file", size, pieces, headers)

    def stage(self, image_id: str, size: int, pieces: Pieces) -> None:
        self._send(image_id, "stage", size, pieces, {})

    def _send(self, image_id: str, where: str, size: int, pieces: Pieces, headers: Mapping[str, str]) -> None:
        fields = {"Content-Type": _OCTETS, "Content-Length": str(size), **headers}
        path = f"/v2/images/{image_id}/{where}"
        patience, was_lost = self._patience(), False
        while True:
            try:
                with self._service.answer("PUT", path, headers=fields, content=pieces):
                    return
            except Unreachable as error:
                was_lost = True
                patience.wait(error)
            except RequestRefused as refused:
                if refused.status in _GONE:
                    raise ImageVanished(image_id) from refused
                if refused.status != _CONFLICT:
                    raise
                if not was_lost:
                    raise ImageBusy(image_id, "being uploaded") from refused
                found = self.get(image_id)
                if found is not None and found["status"] == "active" and where == "file":
                    return  # what was lost is the answer
                patience.wait(refused)  # the service has not noticed yet that the connection is gone

    def begin_import(self, image_id: str, method: Document) -> None:
        try:
            self._patience().answered(
                lambda: self._service.ask("POST", f"/v2/images/{image_id}/import", {"method": method})
            )
        except RequestRefused as refused:
            if refused.status == _CONFLICT:
                raise ImageBusy(image_id, "being imported") from refused
            raise

    def why_failed(self, image_id: str) -> str | None:
        try:
            tasks = self._service.ask("GET", f"/v2/images/{image_id}/tasks")["tasks"]
            failed = [each for each in tasks if each.get("status") == "failure"]
            return str(max(failed, key=lambda each: str(each.get("created_at")))["message"]) if failed else None
        except (HeadwaterError, KeyError, TypeError, AttributeError):
            return None

    def methods(self) -> Sequence[str]:
        try:
            found = self._patience().answered(lambda: self._service.ask("GET", "/v2/info/import"))
            return [str(each) for each in found["import-methods"]["value"]]
        except RequestRefused as refused:
            if refused.status not in _UNKNOWN_METHODS:
                raise
            return ()
        except (KeyError, TypeError):
            return ()

    def verifies_fetches(self) -> bool:
        """Return whether it is a Headwater: others do not look at the hash, and do not say so."""
        try:
            told = self._patience().answered(lambda: self._service.ask("GET", "/openapi.json"))
            return str(told["info"]["summary"]).startswith("Headwater ")
        except (HeadwaterError, KeyError, TypeError):
            return False

    def change(self, image_id: str, operations: Sequence[Document]) -> Document:
        try:
            return self._patience().answered(lambda: self._service.change(image_id, operations))
        except RequestRefused as refused:
            if refused.status in _GONE:
                raise ImageVanished(image_id) from refused
            raise

    def deactivate(self, image_id: str) -> None:
        self._patience().answered(lambda: self._service.ask("POST", f"/v2/images/{image_id}/actions/deactivate"))

    def delete(self, image_id: str) -> None:
        try:
            self._patience().answered(lambda: self._service.delete(image_id))
        except RequestRefused as refused:
            if refused.status not in _GONE:
                raise

    def user_of(self, image: Document, used_days: int) -> str | None:
        """Ask Nova, where there is one: an Image service does not know."""
        if self._keystone is None:
            raise UseUnknown("an Image service does not tell which images are used, and there is no Keystone to ask")
        path = f"/servers/detail?all_tenants=1&limit=1&image={quote(str(image['id']), safe='')}"
        try:
            found = self._keystone.document_of("compute", path, self._interface, self._region)
            servers = found["servers"]
            return f"server {servers[0]['id']}" if servers else None
        except NotProved as error:
            raise UseUnknown(str(error)) from error
        except (KeyError, IndexError, TypeError) as error:
            raise UseUnknown("Nova does not answer as it should") from error

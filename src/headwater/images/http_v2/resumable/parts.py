"""What both protocols of uploads that can be resumed read of a request, and how they begin one."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request

from headwater.errors import Invalid
from headwater.http import requests
from headwater.http.context import context
from headwater.http.threads import Threads
from headwater.identity.caller import Caller
from headwater.images.catalogue.resumed.resumable_uploads import ResumableUpload
from headwater.images.data.resumable.errors import UploadUnderWay
from headwater.images.data.resumable.uploads import ResumableUploading
from headwater.images.data.session import Digests
from headwater.images.http_v2.data import DataHandlers

UrlOf = Callable[[Request, str, str], str]  # of an upload, by the ids of its image and its own


class FieldMissing(Invalid):
    """A part of an upload says where it begins and whether it is the last."""

    def __init__(self, name: str, form: str) -> None:
        super().__init__(f"The header {name} is missing, or is not {form}")
        self.name = name


class Parts:
    """How an upload is begun, whatever its protocol."""

    def __init__(self, uploading: ResumableUploading, data: DataHandlers, threads: Threads) -> None:
        self._uploading, self._data, self._threads = uploading, data, threads

    async def begun(
        self, request: Request, length: int | None, digests: Digests, url: UrlOf, *, name: str | None = None
    ) -> ResumableUpload:
        """Begin an upload, or tell where another one of the image is under way."""
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        store = self._data.wanted_store(request)
        try:
            return await self._threads.catalogue.run(
                lambda: self._uploading.begin(caller, image_id, length=length, digests=digests, store=store, name=name)
            )
        except UploadUnderWay as other:
            context(request.scope).told["Location"] = url(request, other.image_id, other.upload_id)
            raise

    def cancelling(self, caller: Caller, upload: ResumableUpload) -> Callable[[], None]:
        """Return what gives an upload up of which its client was not told."""
        return lambda: self._uploading.cancel(caller, upload.image_id, upload.id)


def named(request: Request) -> tuple[Caller, str, str]:
    """Return who calls, and the ids of the image and of its upload."""
    return requests.caller(request), request.path_params["image_id"], request.path_params["upload_id"]


def has_body(request: Request) -> bool:
    """Return whether there is one, which may turn out to be empty."""
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


def ends_at(request: Request, offset: int) -> int | None:
    """Return where the part in a request ends that begins at ``offset``, if the request says so."""
    if not has_body(request):
        return offset
    content = request.headers.get("content-length", "")
    return offset + int(content) if content.isdigit() else None

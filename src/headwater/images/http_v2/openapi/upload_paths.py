"""Uploads, in one request or in several."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headwater.http.openapi.operations import Json, Operation, Path, in_header, in_path, no_content
from headwater.http.values import LARGEST

_OCTETS: Json = {"application/octet-stream": {}}
_PARTIAL: Json = {"application/partial-upload": {}}
_TUS_PART: Json = {"application/offset+octet-stream": {}}
_NUMBER = "^[0-9]+$"
_OF_UPLOAD = (
    in_path("image_id", "Id of the image.", format="uuid"),
    in_path("upload_id", "Id of the upload, from the URL that was told when it was begun."),
)


def _header(description: str, pattern: str) -> Json:
    return {"description": description, "schema": {"type": "string", "pattern": pattern}}


_COMPLETE = _header("Whether all of the data has come.", r"^\?[01]$")
_OFFSET = _header("How many bytes are kept.", _NUMBER)
_TOLD: Json = {
    "Upload-Complete": _COMPLETE,
    "Upload-Offset": _OFFSET,
    "Upload-Length": _header("How many bytes there are in all, if the client has said so.", _NUMBER),
    "Upload-Limit": _header("The most bytes, and for how many seconds the upload waits.", "^max-size="),
}
_DIGEST_SENT = "What the data must hash to; also in a trailer that `Trailer` announces. Unknown algorithms are ignored."
_INTEROP = in_header(
    "Upload-Draft-Interop-Version",
    "The version of the draft on resumable uploads that the client speaks.",
    type="integer",
    examples=[8],
)
_SAID_LENGTH = in_header("Upload-Length", "How many bytes there are in all.", type="integer", minimum=0)


DIGESTS = (
    in_header("Repr-Digest", _DIGEST_SENT, examples=["sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"]),
    in_header("Content-Digest", "The same, of the body as it comes."),
)


def upload() -> Operation:
    """Return the operation that brings the data of an image."""
    return Operation(
        id="uploadImageData",
        tag="data",
        summary="Upload the data of a queued image",
        description="Chunked, or with Content-Length. The image turns active when all of it is kept. With "
        "`Upload-Complete: ?0` more follows, at the URL that `Location` of the answer tells. With `?1` it can be "
        "gone on with at the URL that an interim answer (104) tells, if it breaks off; that comes over HTTP/1.1 to "
        "clients that send `Upload-Draft-Interop-Version: 8`.",
        parameters=(
            in_header("X-OpenStack-Image-Size", "How many bytes will come.", type="integer", minimum=0),
            in_header("X-Image-Meta-Store", "The store that takes it, where there are several."),
            *DIGESTS,
            in_header("Upload-Complete", "Whether this is all of the data.", enum=["?0", "?1"]),
            _INTEROP,
            _SAID_LENGTH,
        ),
        body={"required": True, "content": _OCTETS},
        answers={
            204: no_content("The data is kept."),
            201: {
                "description": "The upload is begun.",
                "headers": {"Location": _header("The URL of the upload.", "/file/uploads/"), **_TOLD},
            },
        },
        fails=(404, 409, 410, 413, 415, 501),
    )


def of_uploads() -> Iterator[Path]:
    """Yield the path of an upload that can be resumed."""
    yield Path(
        "/v2/images/{image_id}/file/uploads/{upload_id}",
        {
            "HEAD": _on_upload("showUpload", "Tell how much of an upload is kept", _TOLD),
            "PATCH": _on_upload(
                "appendToUpload",
                "Bring more of the data, or the last of it",
                _TOLD,
                (413, 415),
                description="A request that breaks off loses nothing of what came. All of the data is hashed and "
                "inspected when the last of it comes.",
                parameters=(
                    in_header(
                        "Upload-Offset", "How many bytes came before.", type="integer", minimum=0, maximum=LARGEST
                    ),
                    in_header("Upload-Complete", "Whether this is the last of it.", enum=["?0", "?1"]),
                    in_header("Repr-Digest", "What all the data must hash to."),
                    in_header("Content-Digest", "What this part must hash to."),
                    _SAID_LENGTH,
                ),
                body={"required": True, "content": _PARTIAL},
            ),
            "DELETE": _on_upload("cancelUpload", "Give an upload up: the image waits for data again", {}),
        },
        _OF_UPLOAD,
    )


_TUS = in_header("Tus-Resumable", "The version of tus.", examples=["1.0.0"])
_TUS_TOLD: Json = {
    "Upload-Offset": _OFFSET,
    "Upload-Length": _TOLD["Upload-Length"],
    "Upload-Expires": _header("Until when the upload waits.", " GMT$"),
    "Tus-Resumable": _header("The version of tus.", r"^1\.0\.0$"),
}


def of_tus() -> Iterator[Path]:
    """Yield the paths of uploads by tus."""
    checksum = in_header(
        "Upload-Checksum", "What this part must hash to.", examples=["sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk="]
    )
    mismatch: Json = {"description": "The part is not what Upload-Checksum says; nothing of it is kept."}
    mismatch["content"] = {"text/plain": {"schema": {"type": "string"}}}
    defers = in_header("Upload-Defer-Length", "That the length is said later.", enum=["1"])
    yield Path(
        "/v2/images/{image_id}/file/tus",
        {
            "POST": Operation(
                id="createTusUpload",
                tag="data",
                summary="Begin an upload by tus 1.0",
                description="The body is the first part, or empty. OPTIONS tells the extensions.",
                parameters=(
                    _TUS,
                    _SAID_LENGTH,
                    defers,
                    DIGESTS[0],
                    checksum,
                    in_header("Upload-Metadata", "Of what is said of the file, its name is kept."),
                ),
                body={"required": False, "content": _TUS_PART},
                answers={
                    201: {
                        "description": "The upload is begun.",
                        "headers": {"Location": _header("The URL of the upload.", "/file/tus/"), **_TUS_TOLD},
                    },
                    460: mismatch,
                },
                fails=(404, 409, 410, 412, 413, 415, 501),
            ),
        },
        (in_path("image_id", "Id of the image.", format="uuid"),),
    )
    offset = in_header("Upload-Offset", "How many bytes came before.", type="integer", minimum=0, maximum=LARGEST)
    more: dict[str, Any] = {
        "fails": (412, 413, 415),
        "description": "The part that reaches the length of all the data is the last one.",
    }
    yield Path(
        "/v2/images/{image_id}/file/tus/{upload_id}",
        {
            "HEAD": _on_upload("showTusUpload", "Tell how much is kept", _TUS_TOLD, parameters=(_TUS,), **more),
            "PATCH": _on_upload(
                "appendToTusUpload",
                "Bring more of the data",
                _TUS_TOLD,
                parameters=(_TUS, offset, _SAID_LENGTH, checksum),
                mismatch=mismatch,
                body={"required": True, "content": _TUS_PART},
                **more,
            ),
            "DELETE": _on_upload("cancelTusUpload", "Give an upload up", {}, (412,), parameters=(_TUS,)),
            "POST": _on_upload(
                "overrideTusMethod",
                "Do what the method in X-HTTP-Method-Override does",
                _TUS_TOLD,
                (405, 412, 413, 415),
                mismatch=mismatch,
                parameters=(
                    _TUS,
                    offset,
                    in_header("X-HTTP-Method-Override", "The method that is meant.", enum=["PATCH", "DELETE", "HEAD"]),
                ),
                body={"required": False, "content": _TUS_PART},
            ),
        },
        _OF_UPLOAD,
    )


def _on_upload(
    name: str, summary: str, headers: Json, fails: tuple[int, ...] = (), *, mismatch: Json | None = None, **more: Any
) -> Operation:
    done: Json = {"description": "Done.", "headers": headers} if headers else no_content("Done.")
    answers = {204: done} if mismatch is None else {204: done, 460: mismatch}
    return Operation(id=name, tag="data", summary=summary, answers=answers, fails=(404, 409, 410, 501, *fails), **more)

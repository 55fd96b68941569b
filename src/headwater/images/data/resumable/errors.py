"""What cannot be done with an upload that comes in several requests; the drafts of HTTP name some of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from headwater.errors import Conflict, Gone, Invalid, NotOffered, ProblemType
from headwater.images.catalogue.resumed.resumable_uploads import ResumableUpload


class NotResumable(NotOffered):
    """The store that takes uploads cannot go on with one."""

    def __init__(self, store: str) -> None:
        super().__init__(f"Uploads to store {store} cannot be resumed: upload the data in one request")
        self.store = store


class OffsetMismatch(Conflict):
    """A part that does not begin where the upload is."""

    def __init__(self, given: int, offset: int, *, is_complete: bool = False) -> None:
        what = "that is all of the data" if is_complete else "go on there"
        super().__init__(f"Upload-Offset is {given}, and {offset} bytes are kept: {what}")
        self.offset = offset
        self.headers = {"Upload-Offset": str(offset), "Upload-Complete": f"?{is_complete:d}"}
        self.problem_type = _problem(
            "mismatching-upload-offset",
            "The offset is not that of the upload",
            {"expected-offset": offset, "provided-offset": given},
        )


class InconsistentLength(Invalid):
    """Another length than was said before."""

    def __init__(self, before: int, given: int) -> None:
        super().__init__(f"The data is {before} bytes long, as was said before or is kept already, and not {given}")
        self.before, self.given = before, given
        self.problem_type = _problem("inconsistent-upload-length", "The lengths of the upload contradict each other")


class InconsistentDigest(Invalid):
    """Another digest of all the data than was said before."""

    def __init__(self, algorithm: str) -> None:
        super().__init__(f"Another digest of all the data by {algorithm} was said before; no data has both")
        self.algorithm = algorithm


class UploadComplete(Conflict):
    """All of the data has come already."""

    def __init__(self, upload: ResumableUpload) -> None:
        super().__init__(f"The upload {upload.id} is complete: image {upload.image_id} has the data")
        self.headers = {"Upload-Offset": str(upload.received), "Upload-Complete": "?1"}
        self.problem_type = _problem("completed-upload", "The upload is complete")


class MoreThanComplete(Invalid):
    """More data for an upload that is complete: its length would be another."""

    def __init__(self, upload: ResumableUpload) -> None:
        super().__init__(f"The upload {upload.id} is complete with {upload.received} bytes, and takes no more")
        self.headers = {"Upload-Offset": str(upload.received), "Upload-Complete": "?1"}
        self.problem_type = _problem("inconsistent-upload-length", "The lengths of the upload contradict each other")


class UploadUnderWay(Conflict):
    """Another upload has begun to bring the image's data."""

    def __init__(self, image_id: str, upload_id: str) -> None:
        super().__init__(
            f"Image {image_id} is saving: an upload of its data is under way, to be gone on with or given up (DELETE)"
        )
        self.image_id, self.upload_id = image_id, upload_id


class UploadStateLost(Gone):
    """The store has less than the client was told to be kept."""

    def __init__(self, upload: ResumableUpload) -> None:
        super().__init__(f"Bytes of the upload {upload.id} are lost: upload the data of image {upload.image_id} again")


def _problem(name: str, title: str, members: Mapping[str, int] = MappingProxyType({})) -> ProblemType:
    return ProblemType(f"https://iana.org/assignments/http-problem-types#{name}", title, members)

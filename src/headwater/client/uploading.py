"""Bring a file to the service, over as many connections as it takes, and as many runs of the command.

What a run has come to is kept in a small file, named by the service and by the file that is uploaded: its path, size
and time of change. The next run of the same command finds it and goes on; a file that has changed is another one.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from headwater.client.resuming import CONFLICT, OVER, rest_from, send_all
from headwater.client.service import Document, ImageService, Patience, RequestRefused, Unreachable
from headwater.errors import Conflict, HeadwaterError

PIECE = 1 << 20  # bytes
_OCTETS = "application/octet-stream"
_NOT_FOUND = 404

Shown = Callable[[int], None]  # is told how many bytes are done


class FileChanged(HeadwaterError):
    """The file is not what it was when the upload began."""

    def __init__(self, file: Path) -> None:
        super().__init__(f"{file} has changed while it was uploaded: run the command again")
        self.file = str(file)


class UploadUnderWay(Conflict):
    """Somebody else, or another run, has begun to bring the image's data."""

    def __init__(self, image_id: str) -> None:
        super().__init__(
            f"an upload of the data of image {image_id} is under way: --resume goes on with it, if it is of this file"
        )
        self.image_id = image_id


@dataclass(slots=True)
class State:
    """What is known of an upload that is not over."""

    key: str  # under which the image is created
    image_id: str | None = None
    upload: str | None = None  # the path of the upload at the service
    digest: str | None = None  # of the file, for the end of an upload that was begun without; see ``_take_up``
    is_made: bool = False  # the image is there for this upload alone
    made_at: str | None = None  # when the service says that it was created; another one may take its id later


class Notebook:
    """The file that keeps the state of one upload from run to run."""

    def __init__(self, directory: Path, service: str, file: Path | None, wanted: Any) -> None:
        """Name it by all that makes it the same upload.

        Args:
            file: What is uploaded, if it is a file.
            wanted: What else the command was told of the image.
        """
        about: list[Any] = [service, wanted]
        if file is not None:
            found = file.stat()
            about = [service, str(file.resolve()), found.st_size, found.st_mtime_ns, wanted]
        self._file = directory / f"{hashlib.sha256(msgspec.json.encode(about)).hexdigest()[:32]}.json"

    @property
    def is_begun(self) -> bool:
        """Whether anything is known of the upload."""
        return self._file.exists()

    def read(self) -> State:
        """Return what is known: of an upload that nobody began, nothing."""
        with contextlib.suppress(FileNotFoundError, msgspec.DecodeError, msgspec.ValidationError):
            return msgspec.json.decode(self._file.read_bytes(), type=State)
        return State(str(uuid.uuid4()))

    def write(self, state: State) -> None:
        """Keep it, whole or not at all."""
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self._file.with_suffix(f".{os.getpid()}")
        part.touch(mode=0o600)
        part.write_bytes(msgspec.json.encode(asdict(state)))
        part.replace(self._file)

    def forget(self) -> None:
        """Forget an upload that is over."""
        self._file.unlink(missing_ok=True)


def cache_directory(environment: dict[str, str]) -> Path:
    """Return where the states of uploads lie."""
    chosen = environment.get("XDG_CACHE_HOME", "")
    return (Path(chosen) if chosen.startswith("/") else Path.home() / ".cache") / "headwater" / "uploads"


def digest_of(file: Path, shown: Shown) -> str:
    """Return the ``Repr-Digest`` of a file."""
    made, done = hashlib.sha512(), 0
    with file.open("rb") as opened:
        while piece := opened.read(PIECE):
            made.update(piece)
            done += len(piece)
            shown(done)
    return f"sha-512=:{base64.b64encode(made.digest()).decode()}:"


class Uploading:
    """One file on its way."""

    def __init__(
        self, service: ImageService, file: Path, notebook: Notebook, patience: Patience, *, takes_up: bool = False
    ) -> None:
        """Take the file and the service.

        Args:
            takes_up: Whether an upload of the image that somebody else has begun is gone on with.
        """
        self._takes_up = takes_up
        self._service, self._file, self._notebook, self._patience = service, file, notebook, patience
        self._found = file.stat()
        self._size = self._found.st_size
        self._state = notebook.read()

    @property
    def goes_on(self) -> bool:
        """Whether an earlier run has begun to send."""
        return self._state.upload is not None

    def create(self, document: Document, image_id: str | None) -> str:
        """Create the image, unless there is one to use or an earlier run has; return its id."""
        if self._state.image_id is None:
            self._notebook.write(self._state)  # the key first: who is cut off here creates no second image
            if image_id is None:
                made = self._patience.answered(lambda: self._service.create(document, self._state.key))
                image_id, self._state.is_made = made["id"], True
            self._state.image_id = image_id
            self._notebook.write(self._state)
        assert self._state.image_id is not None
        return self._state.image_id

    def send(self, digest: Callable[[], str], shown: Shown) -> Document:
        """Bring the data, and return the image that has it.

        Args:
            digest: Returns the digest of the file, which is read for that.
        """
        path = f"/v2/images/{self._state.image_id}"
        try:
            if self._state.upload is None:
                self._begin(f"{path}/file", digest())
            if self._state.upload is None:
                self._send_at_once(f"{path}/file", digest(), shown)
            else:
                upload = self._state.upload
                send_all(self._service, upload, self._patience, lambda offset: self._send_rest(upload, offset, shown))
        except RequestRefused as refused:
            # 409 to the beginning: it was begun, and the answer was lost that told where.
            if refused.status in OVER or (refused.status == CONFLICT and self._state.upload is None):
                self._give_up(path)
            raise
        image = self._patience.answered(lambda: self._service.ask("GET", path))
        self._notebook.forget()
        return image

    def _give_up(self, path: str) -> None:
        """Forget an upload that cannot be gone on with, and the image that was made for it."""
        self._notebook.forget()
        if self._state.is_made:
            with contextlib.suppress(RequestRefused, Unreachable):
                self._service.ask("DELETE", path)

    def _begin(self, path: str, digest: str) -> None:
        """Begin an upload that can be resumed, where the service has such."""
        if not self._patience.answered(lambda: self._service.resumes(path)):
            return
        fields = {
            "Content-Type": _OCTETS,
            "Upload-Complete": "?0",
            "Upload-Length": str(self._size),
            "Repr-Digest": digest,
        }

        def begin() -> str:
            with self._service.answer("PUT", path, headers=fields, content=b"") as answer:
                return str(answer.headers["Location"])

        try:
            location = self._patience.answered(begin)
        except RequestRefused as refused:
            location = self._take_up(refused)
            self._state.digest = digest
        self._state.upload = location[location.index("/v2/images/") :]
        self._notebook.write(self._state)

    def _take_up(self, refused: RequestRefused) -> str:
        """Return where the upload is that is under way already: this one, of which no answer came, or another's."""
        location = refused.headers.get("Location")
        if refused.status != CONFLICT or location is None:
            raise refused
        if not (self._state.is_made or self._takes_up):
            raise UploadUnderWay(str(self._state.image_id)) from refused
        return str(location)

    def _send_at_once(self, path: str, digest: str, shown: Shown) -> None:
        fields = {"Content-Type": _OCTETS, "Repr-Digest": digest, "Content-Length": str(self._size)}
        with self._service.answer("PUT", path, headers=fields, content=lambda: self._pieces(0, shown)):
            shown(self._size)

    def _send_rest(self, upload: str, offset: int, shown: Shown) -> None:
        shown(offset)
        fields = {
            **rest_from(offset, self._size),
            **({"Repr-Digest": self._state.digest} if self._state.digest else {}),
        }
        with self._service.answer("PATCH", upload, headers=fields, content=lambda: self._pieces(offset, shown)):
            shown(self._size)

    def _pieces(self, offset: int, shown: Shown) -> Iterator[bytes]:
        with self._file.open("rb") as opened:
            found = os.fstat(opened.fileno())
            if (found.st_size, found.st_mtime_ns) != (self._size, self._found.st_mtime_ns):
                self._notebook.forget()
                raise FileChanged(self._file)
            opened.seek(offset)
            while piece := opened.read(min(PIECE, self._size - offset)):
                yield piece
                offset += len(piece)
                shown(offset)

"""One image on its way from the source to the target, without a file in between."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Iterator

from headwater.client.downloading import DataDamaged
from headwater.client.replication.metadata import creation, same_data
from headwater.client.replication.reading import Reading, digest_of
from headwater.client.resuming import CONFLICT, OVER, kept, rest_from, send_all
from headwater.client.service import (
    Document,
    ImageService,
    Patience,
    RequestRefused,
    Unreachable,
)
from headwater.client.uploading import Notebook
from headwater.errors import Conflict, HeadwaterError

_OCTETS = "application/octet-stream"
_NOT_WANTED = frozenset({400, 403, 413})  # something of the metadata may be the reason
_REPR_DIGESTS = {"sha512": "sha-512", "sha256": "sha-256"}


class NotOurs(Conflict):
    """The target has something under this id that this command has not made."""

    def __init__(self, image_id: str, what: str) -> None:
        super().__init__(f"the target has {what} with the id {image_id}, which is left as it is")
        self.image_id = image_id


class Copying:
    """The copy of one image."""

    def __init__(
        self,
        target: ImageService,
        image: Document,
        reading: Reading,
        notebook: Notebook,
        patience: Patience,
        *,
        shown: Callable[[int], None],
    ) -> None:
        self._target, self._image, self._reading = target, image, reading
        self._notebook, self._patience, self._shown = notebook, patience, shown
        self._path = f"/v2/images/{image['id']}"
        self._file = f"{self._path}/file"
        self._state = notebook.read()
        self._was_begun = notebook.is_begun
        self._verifying = Reading(target, image, patience)

    def owns(self, found: Document) -> bool:
        """Return whether the image at the target is what this command made, now or in an earlier run."""
        if self._state.is_made:
            return self._state.made_at == found.get("created_at")
        # Asked for, and the answer was lost: as nobody had this id before, it is ours if it is what was asked for.
        return self._was_begun and found["status"] == "queued" and self._is_as_asked(found)

    def _is_as_asked(self, found: Document) -> bool:
        asked = creation(self._image, "", keep_owner=False, smallest=True)
        return all(found.get(key) == value for key, value in asked.items())

    def create(self, mark: str, *, keep_owner: bool) -> None:
        """Create the image at the target.

        Raises:
            NotOurs: Another one has its id.
            RequestRefused: The target does not want it, with whatever metadata.
        """
        if self._was_begun:
            self._notebook.forget()  # what it tells of is not there any more
            self._state, self._was_begun = self._notebook.read(), False
        self._notebook.write(self._state)  # the key first: a lost answer makes no second image
        for smallest in (False, True):
            document = creation(self._image, mark, keep_owner=keep_owner, smallest=smallest)
            try:
                self._keep(self._patience.answered(lambda wanted=document: self._create(wanted)))  # type: ignore[misc]
            except RequestRefused as refused:
                if refused.status in _NOT_WANTED and not smallest:
                    self._state.key = f"{self._state.key[:-1]}s"  # another request has another key
                    continue
                self._notebook.forget()
                raise
            except NotOurs:
                self._notebook.forget()
                raise
            return

    def _create(self, document: Document) -> Document:
        try:
            return self._target.create(document, self._state.key)
        except Unreachable:
            self._was_begun = True
            raise
        except RequestRefused as refused:
            if refused.status != CONFLICT:
                raise
            found = self._target.get(self._image["id"])
            if found is None or not self.owns(found):
                raise NotOurs(
                    self._image["id"],
                    "an image" if found else "an image that you do not see, or had one that was deleted,",
                ) from refused
            return found

    def _keep(self, found: Document) -> None:
        self._state.image_id, self._state.is_made = found["id"], True
        self._state.made_at = found.get("created_at")
        self._notebook.write(self._state)

    def complete(self, found: Document | None) -> tuple[Document, str | None]:
        """Bring the data that the target lacks; return its image, and the digest that proves it, if there is one.

        Args:
            found: The image, where an earlier run has created it.

        Raises:
            DataDamaged: What arrived is not what the source has; the image is deleted again.
            RequestRefused, Unreachable: A service does not do it.
        """
        if found is not None and not self._state.is_made:
            self._keep(found)
        try:
            if found is None or found["status"] in ("queued", "saving"):
                self._send()
            return self._verify()
        except DataDamaged:
            self._drop_damaged()
            raise
        except RequestRefused as refused:
            if refused.status in OVER:
                self._begin_anew()
            raise

    def _drop_damaged(self) -> None:
        """Delete a copy that can be read and is wrong; one without data waits for the next run.

        Glance never gives an id a second time, so that nothing is deleted without need.
        """
        self._begin_anew()
        with contextlib.suppress(HeadwaterError):
            if self._target.ask("GET", self._path)["status"] != "queued":
                self._target.delete(self._image["id"])
                self._notebook.forget()

    def _begin_anew(self) -> None:
        """Let the next try send all of it."""
        self._state.upload = None
        self._notebook.write(self._state)

    def _send(self) -> None:
        if self._state.upload is not None and not self._is_kept(self._state.upload):
            self._begin_anew()
        if self._state.upload is None and self._patience.answered(lambda: self._target.resumes(self._file)):
            self._state.upload = self._patience.answered(self._begin)
            self._notebook.write(self._state)
        if self._state.upload is None:
            self._send_whole()
        else:
            upload = self._state.upload
            send_all(self._target, upload, self._patience, lambda offset: self._send_rest(upload, offset))

    def _is_kept(self, upload: str) -> bool:
        try:
            self._patience.answered(lambda: kept(self._target, upload))
        except RequestRefused as refused:
            if refused.status not in OVER:
                raise
            return False
        return True

    def _begin(self) -> str:
        size, (algorithm, value) = self._image.get("size"), digest_of(self._image)
        fields = {"Content-Type": _OCTETS, "Upload-Complete": "?0"}
        if size is not None:
            fields["Upload-Length"] = str(size)
        if value and algorithm in _REPR_DIGESTS:
            fields["Repr-Digest"] = f"{_REPR_DIGESTS[algorithm]}=:{base64.b64encode(bytes.fromhex(value)).decode()}:"
        try:
            with self._target.answer("PUT", self._file, headers=fields, content=b"") as answer:
                location = answer.headers["Location"]
        except RequestRefused as refused:
            # One is under way, of which no answer came, or it was not written down: the image is this command's.
            if refused.status != CONFLICT or "Location" not in refused.headers:
                raise
            location = refused.headers["Location"]
        return str(location[location.index("/v2/images/") :])

    def _send_rest(self, upload: str, offset: int) -> None:
        fields = rest_from(offset, self._image.get("size"))
        with self._target.answer(
            "PATCH", upload, headers=fields, content=lambda: self._counted(self._reading.pieces(offset), offset)
        ):
            pass

    def _send_whole(self) -> None:
        """Send all of it in one request, and again when that was lost, to an image that has no data yet."""
        fields = {"Content-Type": _OCTETS}
        if self._image.get("size") is not None:
            fields["Content-Length"] = str(self._image["size"])
        while self._status() == "queued":
            try:
                with self._target.answer(
                    "PUT", self._file, headers=fields, content=lambda: self._counted(self._reading.checked(), 0)
                ):
                    return
            except Unreachable as error:
                self._patience.wait(error)

    def _status(self) -> str:
        """Return the status of the copy, once the target has come to an end with what it was sent."""

        def ask() -> str:
            status = str(self._target.ask("GET", self._path)["status"])
            if status in ("saving", "importing"):
                raise Unreachable(self._target.url, f"image {self._image['id']} is {status}")
            return status

        return self._patience.answered(ask)

    def _counted(self, pieces: Iterator[bytes], at: int) -> Iterator[bytes]:
        self._shown(at)
        for piece in pieces:
            yield piece
            at += len(piece)
            self._shown(at)

    def _verify(self) -> tuple[Document, str | None]:
        self._status()
        found = self._patience.answered(lambda: self._target.ask("GET", self._path))
        if found["status"] != "active":
            raise DataDamaged(self._image["id"], "status")
        is_same, algorithm = same_data(self._image, found)
        if not is_same:
            raise DataDamaged(self._image["id"], algorithm or "size")
        own, value = digest_of(self._image)
        if algorithm is None and value:  # the services hash differently: read it back
            for _ in self._verifying.checked():
                pass
            algorithm = own
        return found, algorithm

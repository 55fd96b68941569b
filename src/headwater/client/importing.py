"""Let the service fetch an image's data from a URL, and look on until it is over."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import NoReturn
from urllib.parse import unquote, urlsplit

from headwater.client.service import Document, ImageService, Patience, RequestRefused
from headwater.errors import HeadwaterError, SettingsError

_NOT_FOUND, _NOT_ALLOWED = 404, 405
_LOOK_S = (0.2, 2.0)  # between two looks: at the beginning, and later
_UNTOLD = 5  # looks at an import that goes on, after which nothing will be told of its progress
_PACKED = frozenset({".gz", ".xz", ".bz2", ".zst", ".zip"})


class BadUrl(SettingsError):
    """No service fetches data from there."""


class ImportFailed(HeadwaterError):
    """The service could not bring the data; what it says of the reason is told."""

    def __init__(self, image_id: str, reason: str) -> None:
        super().__init__(f"the import of image {image_id} failed: {reason}")
        self.image_id, self.reason = image_id, reason


def file_named(url: str) -> PurePosixPath:
    """Return the name of the file at a URL, without what says how it is packed.

    Raises:
        BadUrl: It is none, or holds a password.
    """
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_one = False
    if not is_one:
        raise BadUrl("--from-url is no http or https URL")
    if parts.username is not None or parts.password is not None:
        raise BadUrl("--from-url holds a name or a password, which others on this machine could read")
    name = PurePosixPath(unquote(parts.path).rstrip("/").rpartition("/")[2] or str(parts.hostname))
    return name.with_suffix("") if name.suffix.lower() in _PACKED else name


class Importing:
    """One import by ``web-download``."""

    def __init__(
        self, service: ImageService, patience: Patience, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._service, self._patience, self._sleep = service, patience, sleep
        self._image_id, self._is_made = "", False
        self._before: set[str] = set()  # the tasks of earlier imports

    def begin(self, document: Document, image_id: str | None, url: str) -> None:
        """Begin to import, into a new image where there is none to use; one that was made for nothing is deleted."""
        key = str(uuid.uuid4())
        if image_id is None:
            made = self._patience.answered(lambda: self._service.create(document, key))
            image_id, self._is_made = made["id"], True
        self._image_id = image_id
        try:
            self._before = {str(each["id"]) for each in self._tasks()}
            self._service.ask("POST", f"{self._path}/import", {"method": {"name": "web-download", "uri": url}})
        except BaseException:
            self._give_up()
            raise

    def size(self) -> int | None:
        """Return how many bytes will come, once that is known; ``None``: it is over, or the service does not tell."""
        untold = 0
        for pause in self._pauses():
            task = self._task()
            if task is None or task["status"] in ("success", "failure") or untold == _UNTOLD:
                return None
            progress = task.get("progress")
            untold += progress is None and task["status"] != "pending"
            if progress and (progress.get("of") is not None or progress.get("bytes")):
                return None if progress.get("of") is None else int(progress["of"])
            self._sleep(pause)
        return None

    def finish(self, shown: Callable[[int], None]) -> Document:
        """Return the image, once it has the data.

        Args:
            shown: Is told how many bytes have come.

        Raises:
            ImportFailed: It will not have them.
        """
        has_begun = False
        for pause in self._pauses():
            task = self._task()
            if task is not None:
                shown(int((task.get("progress") or {}).get("bytes") or 0))
                if task["status"] == "failure":
                    self._fail(str(task.get("message") or "the service does not say why"))
            image = self._patience.answered(lambda: self._service.get(self._image_id))
            if image is None:
                raise ImportFailed(self._image_id, "the image was deleted")
            if image["status"] == "active" and (task is None or task["status"] == "success"):
                return image
            # A service without tasks, such as an older Glance, lets the image wait again.
            if image["status"] in ("killed", "deleted") or (task is None and has_begun and image["status"] == "queued"):
                self._fail(f"it is {image['status']}")
            has_begun = has_begun or image["status"] != "queued"
            self._sleep(pause)
        raise AssertionError("the pauses never end")

    @property
    def _path(self) -> str:
        return f"/v2/images/{self._image_id}"

    def _task(self) -> Document | None:
        """Return the task of this import; ``None`` where the service tells of none."""
        mine = [each for each in self._patience.answered(self._tasks) if each["id"] not in self._before]
        return mine[-1] if mine else None

    def _tasks(self) -> list[Document]:
        try:
            return list(self._service.ask("GET", f"{self._path}/tasks").get("tasks", ()))
        except RequestRefused as refused:
            if refused.status not in (_NOT_FOUND, _NOT_ALLOWED):
                raise
            return []

    def _pauses(self) -> Iterator[float]:
        first, longest = _LOOK_S
        while True:
            yield first
            first = min(longest, first * 1.5)

    def _fail(self, reason: str) -> NoReturn:
        self._give_up()
        raise ImportFailed(self._image_id, reason)

    def _give_up(self) -> None:
        """Delete the image that was made for this alone."""
        if self._is_made:
            with contextlib.suppress(HeadwaterError):
                self._service.delete(self._image_id)

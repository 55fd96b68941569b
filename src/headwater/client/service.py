"""One image service, asked over HTTP: requests that are answered, and what to make of those that are not.

Redirects are not followed, and what a service calls the URL of an upload is taken for a path of the same service: what
proves who calls goes nowhere else.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import httpx2 as httpx

from headwater import __version__
from headwater.client.proof import Proof
from headwater.errors import HeadwaterError, NotFound, Unavailable

T = TypeVar("T")
Document = dict[str, Any]

TIMEOUT_S = 60
_PATCH = "application/openstack-images-v2.1-json-patch"
PARTIAL_UPLOAD = "application/partial-upload"
_TEMPORARY_REDIRECT, _UNAUTHORIZED, _NOT_FOUND = 307, 401, 404
_NO_OPTIONS = frozenset({_NOT_FOUND, 405, 501})  # Glance answers 405
_OPERATOR = re.compile(r"(in|eq|neq|gt|gte|lt|lte):")  # before the text of a filter, as Glance reads it
_MARKS = re.compile(r"<[A-Za-z/][^<>]{0,20}>")
_MOST_WORDS = 400  # characters
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # the same request may be answered later


class RequestRefused(HeadwaterError):
    """The service answered that it does not do this."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str]) -> None:
        super().__init__(f"the service answered {status}: {reason}")
        self.status = status
        self.headers = headers


class Unreachable(Unavailable):
    """The service did not answer, or says that it cannot now."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"the service at {url} does not answer: {reason}")
        self.url = url


class NoImageService(HeadwaterError):
    """What answers there does not speak the Image API."""

    def __init__(self, url: str) -> None:
        super().__init__(f"what answers at {url} is no image service")
        self.url = url


class ImageUnknown(NotFound):
    """No image has this id or name, or several have the name."""

    def __init__(self, wanted: str, found: Sequence[str]) -> None:
        many = f"{len(found)} images are called {wanted!r}: name one by its id: {', '.join(found)}"
        super().__init__(many if found else f"there is no image {wanted!r}")
        self.wanted = wanted


class Patience:
    """How long to wait for a service that does not answer: pauses that grow, until nothing has moved for long."""

    def __init__(
        self,
        limit_s: float,
        *,
        told: Callable[[str], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what it works with.

        Args:
            told: Hears, once for each time that the service stays away, why it is waited for, and for how long.
        """
        self._limit_s, self._told, self._sleep, self._clock = limit_s, told, sleep, clock
        self._since, self._failures = 0.0, 0  # of those that followed each other, the first's time and their number

    def moved(self) -> None:
        """Say that something was done: the patience is as at the beginning."""
        self._failures = 0

    def wait(self, error: HeadwaterError) -> None:
        """Return when it is time to ask again; raise ``error`` when the patience is over."""
        if not self._failures:
            self._since = self._clock()
        elif self._clock() - self._since >= self._limit_s:
            raise error
        elif self._failures == 1:  # not the first: a connection that is lost and found again is nobody's concern
            self._told(f"{error}; trying again for {self._limit_s:g} s")
        self._sleep(min(30.0, 0.5 * 2 ** min(self._failures, 10)))
        self._failures += 1

    def answered(self, ask: Callable[[], T]) -> T:
        """Return what ``ask`` returns, asked again while the service does not answer."""
        while True:
            try:
                return ask()
            except Unreachable as error:
                self.wait(error)


class ImageService:
    """The Image API v2 of one service; to be closed."""

    def __init__(self, url: str, proof: Proof, *, ca_file: str | None = None) -> None:
        """Name the service; nothing is asked yet.

        Args:
            ca_file: Whose certificates are trusted; ``None``: those that the system trusts.
        """
        self.url = url.rstrip("/").removesuffix("/v2")
        self._proof = proof
        self._http = httpx.Client(
            timeout=TIMEOUT_S,
            verify=ssl.create_default_context(cafile=ca_file),
            headers={"Accept": "application/json", "User-Agent": f"headwater/{__version__}"},
        )

    def close(self) -> None:
        self._http.close()

    def project(self) -> str | None:
        """Return the id of the project that calls, if anything tells it."""
        return self._proof.project()

    @contextmanager
    def answer(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: Callable[[], Iterable[bytes]] | bytes | None = None,
    ) -> Iterator[httpx.Response]:
        """Give the answer to one request, of which the body is not read yet.

        Args:
            content: The body, or what makes it: it is made again where the proof had expired.

        Raises:
            RequestRefused: The answer is that this is not done.
            Unreachable: There is none, or it may be another one later.
        """
        response: httpx.Response | None = None
        try:
            for is_first in (True, False):
                request = self._http.build_request(
                    method,
                    self.url + path,
                    headers={**(headers or {}), **self._proof.headers()},
                    content=content() if callable(content) else content,
                )
                response = self._http.send(request, stream=True)
                if not (is_first and response.status_code == _UNAUTHORIZED and self._proof.renew()):
                    break
                response.close()
            assert response is not None
            self._require_success(response)
            yield response
        except httpx.HTTPError as error:
            raise Unreachable(self.url, str(error) or type(error).__name__) from error
        finally:
            if response is not None:
                response.close()

    def _require_success(self, response: httpx.Response) -> None:
        if response.is_success:
            return
        response.read()
        try:
            reason = _one_line(str(response.json()["message"]))
        except (ValueError, KeyError, TypeError):
            reason = response.reason_phrase or "no reason"
        if response.status_code in _PASSING:
            raise Unreachable(self.url, f"{response.status_code} {reason}")
        raise RequestRefused(response.status_code, reason, response.headers)

    def ask(self, method: str, path: str, document: object = None, **headers: str) -> Document:
        """Return the JSON object that answers a request; an empty one where the answer has no body."""
        fields = {
            "Content-Type": "application/json",
            **{name.replace("_", "-"): each for name, each in headers.items()},
        }
        content = None if document is None else httpx.Request("POST", self.url, json=document).read()
        with self.answer(method, path, headers=fields, content=content) as response:
            body = response.read()
            try:
                found: Document = response.json() if body else {}
            except ValueError as error:
                raise NoImageService(self.url) from error
            return found

    # --- Images --------------------------------------------------------------------------------------

    def images(self, **filters: str) -> Iterator[Document]:
        """Yield all images that the caller sees, newest first, page by page."""
        path: str | None = f"/v2/images?{urlencode(filters)}" if filters else "/v2/images"
        while path is not None:
            page = self.ask("GET", path)
            yield from page["images"]
            path = page.get("next")

    def find(self, wanted: str) -> Document:
        """Return the image of this id, or the one image of exactly this name."""
        if "/" not in wanted and wanted not in ("", ".", ".."):
            try:
                return self.ask("GET", f"/v2/images/{quote(wanted, safe='')}")
            except RequestRefused as refused:
                if refused.status != _NOT_FOUND:
                    raise
        # A service that read the name as something else would give another image.
        found = [each for each in self.images(name=as_text(wanted)) if each.get("name") == wanted]
        if len(found) != 1:
            raise ImageUnknown(wanted, [each["id"] for each in found])
        return found[0]

    def newest(self, name: str) -> Document:
        """Return the newest image of this name, be there a date at the end of its own or not."""
        try:
            self.ask("GET", f"/v2/images/newest?{urlencode({'name': as_text(name)})}")
        except RequestRefused as answer:
            if answer.status == _TEMPORARY_REDIRECT:
                return self.ask("GET", f"/v2/images/{quote(answer.headers['Location'].rpartition('/')[2], safe='')}")
            if answer.status != _NOT_FOUND:
                raise
        raise ImageUnknown(name, [])

    def get(self, image_id: str) -> Document | None:
        """Return the image of this id, if there is one that the caller sees."""
        try:
            return self.ask("GET", f"/v2/images/{image_id}")
        except RequestRefused as refused:
            if refused.status != _NOT_FOUND:
                raise
            return None

    def resumes(self, path: str) -> bool:
        """Return whether an upload to this path can be gone on with (``draft-ietf-httpbis-resumable-upload``)."""
        try:
            with self.answer("OPTIONS", path) as answer:
                return PARTIAL_UPLOAD in answer.headers.get("Accept-Patch", "")
        except RequestRefused as refused:
            if refused.status not in _NO_OPTIONS:
                raise
            return False

    def create(self, document: Document, key: str) -> Document:
        """Create an image; with the same key it is created once."""
        return self.ask("POST", "/v2/images", document, Idempotency_Key=f'"{key}"')

    def change(self, image_id: str, operations: Sequence[Document]) -> Document:
        """Change an image as a JSON patch says."""
        return self.ask("PATCH", f"/v2/images/{image_id}", operations, Content_Type=_PATCH)

    def delete(self, image_id: str) -> None:
        """Delete an image and its data."""
        self.ask("DELETE", f"/v2/images/{image_id}")


def as_text(value: str) -> str:
    """Return a value of a filter that means this text, also where the text begins as an operator does (``in:a,b``)."""
    return f"eq:{value}" if _OPERATOR.match(value) else value


def _one_line(text: str) -> str:
    """Return what a service says as a line for people: Glance adds marks of HTML, and whole schemas, in many lines."""
    plain = _MARKS.sub(" ", text[: 4 * _MOST_WORDS])
    words = " ".join("".join(each if each.isprintable() else " " for each in plain).split())
    return words if len(words) <= _MOST_WORDS else f"{words[: _MOST_WORDS - 1]}…"

from __future__ import annotations

import json
from http import HTTPStatus

import pytest

from headwater import errors
from headwater.database.engine import Database
from headwater.http.errors import UNEXPECTED, answer, status_of
from headwater.http.routes import MethodNotAllowed, UnknownVerb
from headwater.images.attributes import ReadOnlyAttribute
from headwater.images.catalogue.images import ImageExists
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.catalogue.upload_records import ImageGone
from headwater.images.data.resumable.errors import OffsetMismatch
from headwater.images.http_v2.images import PatchMediaType
from headwater.images.locations.reading import DataMissing
from headwater.images.model import StatusConflict
from headwater.stores.store import StoreFull, StoreUnavailable

HOSTILE = "<script>alert('x')</script> & \"quotes\""


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.Invalid("x"), 400),
        (errors.Forbidden("x"), 403),
        (errors.NotFound("x"), 404),
        (errors.Conflict("x"), 409),
        (errors.Gone("x"), 410),
        (errors.TooLarge("x"), 413),
        (errors.UnsupportedMedia("x"), 415),
        (errors.RangeNotSatisfiable("x", 5), 416),
        (errors.Unavailable("x"), 503),
        (errors.HeadwaterError("x"), 500),
        (errors.SettingsError("x"), 500),
        (ReadOnlyAttribute("x"), 403),
        (ImageNotFound("x"), 404),
        (ImageExists("x"), 409),
        (StatusConflict("x", "a", "b"), 409),
        (ImageGone("x"), 410),
        (StoreFull("x"), 413),
        (StoreUnavailable("x", "y"), 503),
        (MethodNotAllowed("PUT", "/", ["GET"]), 405),
        (UnknownVerb("X"), 501),
        (ValueError("x"), 500),
    ],
)
def test_each_kind_of_failure_has_its_status(error: Exception, status: int) -> None:
    assert status_of(error) == status
    assert answer(error, "", "req-1").status_code == status


def test_json_is_an_object_with_three_texts() -> None:
    response = answer(errors.NotFound(HOSTILE), "application/json", "req-1")
    assert response.headers["content-type"] == "application/json"
    assert json.loads(bytes(response.body)) == {"message": HOSTILE, "code": "404 Not Found", "title": "Not Found"}


@pytest.mark.parametrize("accept", ["*/*", "text/html", "text/html,application/xhtml+xml;q=0.9", "image/*, */*;q=0.1"])
def test_html_escapes_what_comes_from_the_caller(accept: str) -> None:
    response = answer(errors.NotFound(HOSTILE), accept, "req-1")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    body = bytes(response.body).decode()
    assert "<h1>404 Not Found</h1>" in body
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; &quot;quotes&quot;<br />" in body
    assert "<script" not in body


@pytest.mark.parametrize("accept", ["", "text/plain", "application/xml", "nonsense"])
def test_all_others_get_plain_text(accept: str) -> None:
    response = answer(errors.Invalid(HOSTILE), accept, "req-1")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert bytes(response.body).decode() == f"400 Bad Request\n\n{HOSTILE}\n\n"


@pytest.mark.parametrize("accept", ["", "*/*", "application/json"])
def test_what_was_not_raised_on_purpose_is_told_without_its_words(accept: str) -> None:
    response = answer(RuntimeError("password=hunter2"), accept, "req-7")
    body = bytes(response.body).decode()
    assert response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    assert UNEXPECTED in body
    assert "req-7" in body
    assert "hunter2" not in body


def test_lost_data_is_gone_and_says_which_image_but_not_where_it_was() -> None:
    from headwater.images.model import Location  # noqa: PLC0415

    error = DataMissing("image-1", Location("fast", "key-1"))
    assert isinstance(error, errors.Lost)
    assert "store fast" in str(error)
    assert "key-1" in str(error)
    response = answer(error, "", "req-1")
    assert response.status_code == 410
    assert b"image-1 is lost" in response.body
    assert b"key-1" not in response.body
    assert b"fast" not in response.body


def test_some_answers_say_more_in_their_headers() -> None:
    assert answer(errors.RangeNotSatisfiable("x", 100), "", "r").headers["content-range"] == "bytes */100"
    assert answer(errors.Unavailable("x"), "", "r").headers["retry-after"] == "5"
    assert answer(MethodNotAllowed("PUT", "/", ["GET", "POST"]), "", "r").headers["allow"] == "GET, POST"
    assert "v2.1-json-patch" in answer(PatchMediaType("x"), "", "r").headers["accept-patch"]


def test_callers_hear_nothing_of_addresses_and_paths() -> None:
    error = Database("postgresql://headwater:secret@db.internal/x")._busy()
    assert "db.internal" in str(error)
    assert b"internal" not in bytes(answer(error, "application/json", "req-1").body)
    store = StoreUnavailable("files", "cannot open /srv/images: Permission denied")
    assert b"/srv" not in bytes(answer(store, "application/json", "req-1").body)
    assert b"The store files does not work" in bytes(answer(store, "application/json", "req-1").body)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "application/problem+json"),
        ("*/*", "application/problem+json"),
        ("application/json", "application/problem+json"),
        ("application/problem+json", "application/problem+json"),
        ("text/html", "text/html; charset=utf-8"),
        ("text/plain", "text/plain; charset=utf-8"),
    ],
)
def test_a_failure_with_a_problem_type_is_told_by_it_where_json_is_taken(accept: str, media_type: str) -> None:
    """Source: RFC 9457, section 3.1."""
    told = answer(OffsetMismatch(5, 7), accept, "req-1")
    assert told.headers["content-type"] == media_type
    if media_type == "application/problem+json":
        assert json.loads(bytes(told.body)) == {
            "type": "https://iana.org/assignments/http-problem-types#mismatching-upload-offset",
            "title": "The offset is not that of the upload",
            "status": 409,
            "detail": "Upload-Offset is 5, and 7 bytes are kept: go on there",
            "message": "Upload-Offset is 5, and 7 bytes are kept: go on there",
            "code": "409 Conflict",
            "expected-offset": 7,
            "provided-offset": 5,
        }

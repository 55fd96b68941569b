from __future__ import annotations

from contextlib import closing

import httpx2 as httpx
import pytest

from headwater.client.proof import Fixed
from headwater.client.service import ImageService, ImageUnknown, RequestRefused

# As Glance words it, with the schema of the image in many lines.
OF_GLANCE = (
    "Provided object does not match schema 'image': 'squashfs' is not one of [None, 'raw']\n\n  Failed<br /><br />\n"
)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (OF_GLANCE, "Provided object does not match schema 'image': 'squashfs' is not one of [None, 'raw'] Failed"),
        ("no \x1b[31mway\x07", "no [31mway"),
        ("size < 5 and > 3", "size < 5 and > 3"),
        ("x" * 10_000, "x" * 399 + "…"),
    ],
    ids=["of glance", "of a terminal", "comparisons", "long"],
)
def test_what_a_service_says_is_one_line(message: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(ImageService("http://images.example", Fixed({}))) as service:
        answer = httpx.Response(400, json={"message": message}, request=httpx.Request("GET", "http://images.example"))
        monkeypatch.setattr(httpx.Client, "send", lambda *_, **__: answer)
        with pytest.raises(RequestRefused) as refused:
            service.ask("GET", "/v2/images")
    assert str(refused.value) == f"the service answered 400: {shown}"


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("noble", "noble"),
        ("debian:12", "debian:12"),
        ("in:a,b", "eq:in:a,b"),
        ('in:"a', 'eq:in:"a'),
        ("gt:5", "eq:gt:5"),
        ("eq:x", "eq:eq:x"),
    ],
)
def test_a_name_is_asked_for_as_a_text_and_nothing_else_is_taken_for_it(
    name: str, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def answer(_client: httpx.Client, request: httpx.Request, **_more: object) -> httpx.Response:
        if request.url.path != "/v2/images":
            return httpx.Response(404, json={"message": "none"}, request=request)
        said.append(request.url.params["name"])
        images = [{"id": "1", "name": "b"}, {"id": "2", "name": name}][: 2 if name != "gt:5" else 1]
        return httpx.Response(200, json={"images": images}, request=request)

    monkeypatch.setattr(httpx.Client, "send", answer)
    with closing(ImageService("http://images.example", Fixed({}))) as service:
        if name == "gt:5":
            with pytest.raises(ImageUnknown):
                service.find(name)
        else:
            assert service.find(name)["id"] == "2"
    assert said == [asked]

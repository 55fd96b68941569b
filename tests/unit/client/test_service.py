from __future__ import annotations

from contextlib import closing

import httpx2 as httpx
import pytest

from headwater.client.proof import Fixed
from headwater.client.service import ImageService, RequestRefused

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

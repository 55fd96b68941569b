"""The store of what lies on web servers; ``tests/functional/stores/test_web_store.py`` lets it ask one."""

from __future__ import annotations

import pytest

from headwater.fetching.fetcher import Fetcher, FetchSettings
from headwater.stores.store import ForeignUrl
from headwater.stores.web import HttpStore


@pytest.fixture
def store() -> HttpStore:
    return HttpStore("web", Fetcher(FetchSettings()))


@pytest.mark.parametrize("url", ["http://example.org/k", "https://example.org/a/b?c=d", "HTTPS://EXAMPLE.org/%20"])
def test_the_key_of_what_lies_on_a_web_server_is_its_url(store: HttpStore, url: str) -> None:
    assert store.key_of(url) == url
    assert store.url_of(store.key_of(url)) == url


@pytest.mark.parametrize(
    "url", ["", "http:/example.org", "file:///etc/passwd", "memory://web/k", "ftp://u:secret@example.org/", "//e/x"]
)
def test_what_lies_elsewhere_is_not_its_own(store: HttpStore, url: str) -> None:
    with pytest.raises(ForeignUrl, match="no object of store web has this URL") as caught:
        store.key_of(url)
    assert "secret" not in str(caught.value)

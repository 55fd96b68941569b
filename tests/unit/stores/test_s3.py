from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from urllib3.exceptions import SSLError

from headwater.stores.s3.bucket import Bucket
from headwater.stores.s3.settings import S3StoreSettings
from headwater.stores.s3.store import S3Store
from headwater.stores.store import ForeignUrl, StoreFull, StoreUnavailable


def settings(**more: object) -> S3StoreSettings:
    given = {"type": "s3", "endpoint": "https://s3.example.org", "bucket": "images"}
    return S3StoreSettings.model_validate(given | {"access_key": "key", "secret_key": "not-for-print"} | more)


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("https://s3.example.org", "s3+https://s3.example.org/images/k"),
        ("https://s3.example.org/", "s3+https://s3.example.org/images/k"),
        ("http://10.0.0.1:8080", "s3://10.0.0.1:8080/images/k"),
    ],
)
def test_a_location_is_written_as_glance_writes_it_without_the_keys(tmp_path: Path, endpoint: str, url: str) -> None:
    store = S3Store("s3", settings(endpoint=endpoint), tmp_path)
    assert store.url_of("k") == url
    assert store.key_of(url) == "k"
    with pytest.raises(ForeignUrl) as foreign:
        store.key_of(url.replace("://", "://key:not-for-print@"))
    assert "not-for-print" not in str(foreign.value)


def test_a_client_is_made_once_for_each_process(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = Bucket("s3", settings())
    mine = bucket.client
    assert bucket.client is mine
    monkeypatch.setattr(os, "getpid", lambda: -1)  # as after a fork
    assert bucket.client is not mine
    bucket.close()


def test_certificates_that_are_missing_are_named(tmp_path: Path) -> None:
    store = S3Store("s3", settings(cafile=tmp_path / "absent.pem"), tmp_path)
    with pytest.raises(StoreUnavailable, match=r"absent.pem, which 'cafile' names"):
        store.stat("k")


def test_more_than_all_parts_can_hold_is_refused_before_the_first_byte(tmp_path: Path) -> None:
    store = S3Store("s3", settings(most_parts=100), tmp_path)
    store.begin("k", 100 * (5 << 30)).abort()
    with pytest.raises(StoreFull):
        store.begin("k", 100 * (5 << 30) + 1)


def test_the_secret_is_not_printed() -> None:
    assert "not-for-print" not in repr(settings()) + str(settings().model_dump())


def test_the_library_is_imported_only_where_a_section_uses_it() -> None:
    program = "import sys, headwater.cli.main, headwater.server.worker; print('boto3' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout == "False\n"


class Broken:
    """A body whose connection ends in the middle of a TLS record, which botocore passes on as urllib3 says it."""

    closed = False

    def read(self, _count: int) -> bytes:
        raise SSLError("decryption failed")

    def close(self) -> None:
        self.closed = True


def test_whatever_breaks_a_connection_is_the_failure_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, body = S3Store("s3", settings(), tmp_path), Broken()
    monkeypatch.setattr(store, "_found", lambda _key, _ask: {"Body": body})
    with pytest.raises(StoreUnavailable, match="broke off: decryption failed"):
        next(store.read("k"))
    assert body.closed

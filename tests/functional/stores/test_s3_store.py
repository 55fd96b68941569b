"""A store in a bucket of a real Swift, which speaks S3: alone, when things go wrong, and in the real program."""

from __future__ import annotations

import contextlib
import json
import threading
import tomllib
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx2 as httpx
import pytest
from botocore.config import Config

from docs.pages import DOCS, blocks
from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, wait_until
from functional.image_requests import OCTETS, an_image, upload
from headwater.errors import SettingsError
from headwater.stores.remote import MARK
from headwater.stores.s3.settings import S3StoreSettings
from headwater.stores.s3.store import S3Store
from headwater.stores.store import ObjectNotFound, Stored, StoreFull, StoreRefusesWrites, StoreUnavailable, WriteLost
from headwater.testing.object_store import content, marked, put, some_bytes
from servers.http.web import Asked, SendBytes, WebServer, web_server
from servers.mortal import MortalServer
from servers.openstack.swift import Swift, s3_settings
from servers.relay import Relay

MIB = 1 << 20
IDENTITY = "0123456789abcdef" * 2


@pytest.fixture
def client(swift: Swift) -> Iterator[Any]:
    """Another one who uses the same service."""
    made = boto3.client(
        "s3",
        endpoint_url=swift.s3_url,
        region_name=swift.region,
        aws_access_key_id=swift.writer.name,
        aws_secret_access_key=swift.writer.key,
        config=Config(request_checksum_calculation="when_required", response_checksum_validation="when_required"),
    )
    yield made
    made.close()


def unfinished(client: Any, store: S3Store) -> list[str]:
    """Return the keys of uploads that nobody ended."""
    return [each["Key"] for each in client.list_multipart_uploads(Bucket=store.settings.bucket).get("Uploads", ())]


def opened(settings: S3StoreSettings, directory: Path) -> contextlib.closing[S3Store]:
    return contextlib.closing(S3Store("s3", settings, directory))


@pytest.fixture
def relayed(swift: Swift) -> Iterator[Relay]:
    """A way to the service that a test can cut."""
    made = Relay(urlsplit(swift.s3_url).port or 0)
    yield made
    made.close()


@pytest.fixture
def store(swift: Swift, tmp_path: Path) -> Iterator[S3Store]:
    """A store whose parts are as small as S3 allows."""
    with opened(s3_settings(swift, swift.container(), part_mib=5), tmp_path) as each:
        yield marked(each)


# --- Parts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_known", [True, False])
def test_a_large_object_goes_in_parts_and_comes_back(store: S3Store, client: Any, is_known: bool) -> None:
    data = some_bytes(17 * MIB + 5)
    pieces = [data[at : at + 3 * MIB] for at in range(0, len(data), 3 * MIB)]
    assert put(store, "k", *pieces, size=len(data) if is_known else None) == Stored("k", len(data))
    assert content(store, "k") == data
    assert content(store, "k", 5 * MIB - 2, 4) == data[5 * MIB - 2 : 5 * MIB + 2]
    assert client.head_object(Bucket=store.settings.bucket, Key="k")["ETag"].endswith('-4"')
    assert unfinished(client, store) == []


def test_an_aborted_upload_leaves_no_part(store: S3Store, client: Any) -> None:
    writer = store.begin("k")
    writer.write(bytes(11 * MIB))
    writer.abort()
    assert unfinished(client, store) == []
    assert list(store.list()) == []


def test_what_a_crash_left_is_removed_with_its_key_and_nothing_else_is(store: S3Store, client: Any) -> None:
    crashed, other = store.begin("k"), store.begin("k2")
    for writer in (crashed, other):
        writer.write(bytes(11 * MIB))
    wait_until(lambda: sorted(unfinished(client, store)) == ["k", "k2"], "both uploads began")
    store.delete("k")
    assert unfinished(client, store) == ["k2"]
    with pytest.raises(WriteLost):
        crashed.commit()
    crashed.abort()
    assert other.commit() == Stored("k2", 11 * MIB)
    assert [each.key for each in store.list()] == ["k2"]


def test_a_list_has_more_than_one_page(store: S3Store, client: Any) -> None:
    store._bucket.client.meta.events.register(  # the service gives a thousand at once
        "before-parameter-build.s3.ListObjectsV2", lambda params, **_: params.update(MaxKeys=2)
    )
    for number in range(5):
        put(store, f"k{number}", b"x")
    assert sorted(each.key for each in store.list()) == [f"k{number}" for number in range(5)]


def test_content_md5_is_sent_where_it_is_asked_for(swift: Swift, tmp_path: Path) -> None:
    sent: list[str] = []
    with opened(s3_settings(swift, swift.container(), content_md5=True, part_mib=5), tmp_path) as store:
        marked(store)
        store._bucket.client.meta.events.register(
            "before-send.s3", lambda request, **_: sent.append(request.headers.get("Content-MD5", b"").decode())
        )
        put(store, "small", b"x")
        assert any(sent)
        put(store, "large", some_bytes(6 * MIB))
        assert len([each for each in sent if each]) == 3
        assert content(store, "large") == some_bytes(6 * MIB)


def test_stores_with_prefixes_share_a_bucket_and_see_nothing_of_each_other(swift: Swift, tmp_path: Path) -> None:
    bucket = swift.container()
    first, second = s3_settings(swift, bucket, prefix="one/"), s3_settings(swift, bucket, prefix="two/")
    with opened(first, tmp_path) as one, opened(second, tmp_path) as two:
        assert (one.mark("1" * 32), two.mark("2" * 32)) == ("1" * 32, "2" * 32)
        put(one, "k", b"one")
        assert list(two.list()) == []
        assert one.url_of("k") == f"{swift.s3_url.replace('http', 's3')}/{bucket}/one/k"
        assert one.key_of(one.url_of("k")) == "k"


def test_an_address_for_clients_is_at_the_public_endpoint_and_signed_for_it(swift: Swift, tmp_path: Path) -> None:
    settings = s3_settings(swift, "images", public_endpoint="https://downloads.example.org")
    with opened(settings, tmp_path) as store:
        address = store.presigned("k", 300)
        assert address.startswith("https://downloads.example.org/images/k?")
        assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in address
        assert "X-Amz-Expires=300" in address
        assert swift.writer.key not in address


# --- Connections that the service gave up ------------------------------------------------------------


@pytest.mark.parametrize("use", ["stat", "read", "list", "delete", "write", "parts"])
def test_the_first_call_on_a_connection_that_died_idle_does_not_fail(
    swift: Swift, tmp_path: Path, relayed: Relay, use: str
) -> None:
    settings = s3_settings(swift, swift.container(), endpoint=f"http://127.0.0.1:{relayed.port}", part_mib=5)
    with opened(settings, tmp_path) as store:
        put(marked(store), "k", b"bytes")
        assert relayed.let_idle_ones_die()
        if use in ("write", "parts"):
            data = some_bytes(11 * MIB if use == "parts" else 100)
            put(store, "new", data)
            assert content(store, "new") == data
        else:
            calls: dict[str, Callable[[], object]] = {
                "stat": lambda: store.stat("k"),
                "read": lambda: content(store, "k"),
                "list": lambda: list(store.list()),
                "delete": lambda: store.delete("k"),
            }
            calls[use]()


def test_a_service_that_ends_every_connection_is_asked_twice_and_not_for_ever(
    swift: Swift, tmp_path: Path, relayed: Relay
) -> None:
    settings = s3_settings(swift, swift.container(), endpoint=f"http://127.0.0.1:{relayed.port}")
    with opened(settings, tmp_path) as store:
        put(marked(store), "k", b"bytes")
        with relayed.cut(), pytest.raises(StoreUnavailable):
            store.stat("k")
        assert content(store, "k") == b"bytes"


# --- What is set wrongly -----------------------------------------------------------------------------


def test_wrong_credentials_are_named_and_not_printed(swift: Swift, tmp_path: Path) -> None:
    bucket = swift.container()
    both: list[tuple[dict[str, Any], tuple[str, ...]]] = [
        ({"secret_key": "not-the-secret"}, ("secret key", swift.writer.name, "'secret_key'")),
        ({"access_key": "images:nobody", "secret_key": "not-the-secret"}, ("images:nobody",)),
    ]
    for wrong, words in both:
        with opened(s3_settings(swift, bucket, **wrong), tmp_path) as store:
            with pytest.raises(SettingsError) as refused:
                store.mark(IDENTITY)
            store.expect(IDENTITY)
            with pytest.raises(StoreUnavailable) as down:
                store.stat("k")
            assert not down.value.may_pass
            for said in (str(refused.value), str(down.value)):
                assert all(word in said for word in words)
                assert "not-the-secret" not in said
            assert "[stores.s3]" in str(refused.value)
            assert "not-the-secret" not in repr(store.settings)


def test_a_bucket_that_is_missing_is_named_or_made(swift: Swift, tmp_path: Path) -> None:
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    with opened(s3_settings(swift, bucket), tmp_path) as store:
        assert store.identity() is None
        with pytest.raises(SettingsError, match=f"no bucket {bucket} at {swift.s3_url}.*create_bucket"):
            store.mark(IDENTITY)
    with opened(s3_settings(swift, bucket, create_bucket=True), tmp_path) as store:
        assert store.mark(IDENTITY) == IDENTITY


def test_who_may_only_read_reads_and_is_told_that_the_store_is_read_only(swift: Swift, tmp_path: Path) -> None:
    bucket = swift.container(X_Container_Read=swift.reader.name)
    with opened(s3_settings(swift, bucket), tmp_path) as store:
        put(marked(store), "k", b"bytes")
    with opened(s3_settings(swift, bucket, swift.reader), tmp_path) as store:
        store.expect(IDENTITY)
        assert content(store, "k") == b"bytes"
        writer = store.begin("k")
        writer.write(b"other")
        for refused in (store.ping, writer.commit):
            with pytest.raises(StoreRefusesWrites) as caught:
                refused()
            assert not caught.value.is_full
        writer.abort()


@pytest.mark.parametrize(
    "address", ["s3.example.org", "ftp://s3.example.org", "https://key:secret@s3.example.org", "https://h/bucket"]
)
def test_an_endpoint_is_an_address_and_nothing_more(swift: Swift, address: str) -> None:
    with pytest.raises(ValueError, match="http:// or https://") as caught:
        s3_settings(swift, "images", endpoint=address)
    assert "secret@" not in str(caught.value)


# --- What goes wrong ---------------------------------------------------------------------------------


def test_a_bucket_that_goes_away_is_no_empty_store(swift: Swift, tmp_path: Path) -> None:
    bucket = swift.container()
    with opened(s3_settings(swift, bucket), tmp_path) as store:
        marked(store)
        swift.ask("DELETE", f"{bucket}/{MARK}")
        for call in (lambda: store.stat("k"), lambda: list(store.list()), lambda: store.delete("k"), store.ping):
            with pytest.raises(StoreUnavailable, match=f"{bucket} has no {MARK}"):
                call()
        swift.ask("DELETE", bucket)
        for call in (lambda: store.stat("k"), lambda: list(store.list()), lambda: store.delete("k"), store.ping):
            with pytest.raises(StoreUnavailable, match=f"no bucket {bucket}"):
                call()


def test_an_object_that_somebody_removed_is_not_found(store: S3Store, swift: Swift) -> None:
    put(store, "k", b"bytes")
    swift.ask("DELETE", f"{store.settings.bucket}/k")
    for call in (store.read, store.stat, store.path):
        with pytest.raises(ObjectNotFound):
            call("k")
    store.delete("k")


@pytest.mark.slow
def test_a_server_that_dies_ends_an_upload_and_a_download_and_is_used_again(
    mortal_swift: tuple[Swift, MortalServer], tmp_path: Path
) -> None:
    swift, mortal = mortal_swift
    with opened(s3_settings(swift, swift.container(), part_mib=5, chunk_size=4096), tmp_path) as store:
        marked(store)
        data = some_bytes(16 * MIB)
        put(store, "k", data)
        pieces = store.read("k")
        read = next(pieces)
        writer = store.begin("new")
        writer.write(data)
        mortal.kill()
        with pytest.raises(StoreUnavailable):
            for piece in pieces:
                read += piece
        assert data.startswith(read)
        with pytest.raises(StoreUnavailable):
            writer.commit()
        with pytest.raises(StoreUnavailable):
            store.read("k")
        writer.abort()
        mortal.start()
        assert content(store, "k") == data
        store.delete("new")
        assert [each.key for each in store.list()] == ["k"]


@pytest.mark.slow
def test_a_part_that_failed_is_sent_again(mortal_swift: tuple[Swift, MortalServer], tmp_path: Path) -> None:
    swift, mortal = mortal_swift
    data = some_bytes(16 * MIB)
    with opened(s3_settings(swift, swift.container(), part_mib=5, retries=10), tmp_path) as store:
        marked(store)
        writer = store.begin("k")
        writer.write(data[: 6 * MIB])
        mortal.kill()
        again = threading.Timer(1, mortal.start)
        again.start()
        writer.write(data[6 * MIB :])
        again.join()
        assert writer.commit() == Stored("k", len(data))
        assert content(store, "k") == data


# --- Services that are not Swift ------------------------------------------------------------------------


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


def error(status: int, code: str) -> bytes:
    body = f"<Error><Code>{code}</Code><Message>said by the service</Message></Error>".encode()
    return b"HTTP/1.1 %d Said\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        len(body),
        body,
    )


def at(web: WebServer, tmp_path: Path, **more: object) -> S3Store:
    keys = {"access_key": "key", "secret_key": "secret"}
    settings = {"type": "s3", "endpoint": web.url(""), "bucket": "images"} | keys | more
    return S3Store("s3", S3StoreSettings.model_validate(settings), tmp_path)


@pytest.mark.parametrize(
    ("status", "code", "expected", "may_pass"),
    [
        (503, "SlowDown", StoreUnavailable, True),
        (500, "InternalError", StoreUnavailable, True),
        (429, "TooManyRequests", StoreUnavailable, True),
        (403, "RequestTimeTooSkewed", StoreUnavailable, False),
        (400, "InvalidBucketName", StoreUnavailable, False),
        (403, "InvalidAccessKeyId", StoreUnavailable, False),
        (403, "AccessDenied", StoreRefusesWrites, False),
        (403, "QuotaExceeded", StoreFull, None),
        (507, "InsufficientStorage", StoreFull, None),
    ],
)
def test_what_a_service_answers_to_a_put_is_an_error_of_the_contract(
    web: WebServer, tmp_path: Path, status: int, code: str, expected: type[Exception], may_pass: bool | None
) -> None:
    web.pages["/images/k"] = lambda _asked, send: send(error(status, code))
    store = at(web, tmp_path)
    with pytest.raises(expected) as caught:
        put(store, "k", b"x")
    assert getattr(caught.value, "may_pass", None) == may_pass
    assert len(web.asked) == 1  # repeating is for others
    store.close()


def test_a_service_that_takes_no_notice_of_the_condition_is_found_out(web: WebServer, tmp_path: Path) -> None:
    held: list[bool] = []

    def mark(asked: Asked, send: SendBytes) -> None:
        if asked.method == "PUT":
            held.append(True)
            send(b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: 0\r\n\r\n')
        elif held:
            send(b"HTTP/1.1 200 OK\r\nContent-Length: 32\r\n\r\n" + IDENTITY.encode())
        else:
            send(error(404, "NoSuchKey"))

    web.pages[f"/images/{MARK}"] = mark
    store = at(web, tmp_path)
    with pytest.raises(SettingsError, match=r"\[stores.s3\].*conditional_put = false"):
        store.mark(IDENTITY)
    store.close()
    held.clear()
    store = at(web, tmp_path, conditional_put=False)
    assert store.mark(IDENTITY) == IDENTITY
    assert len(held) == 1
    store.close()


def test_a_service_that_does_not_know_the_condition_is_told_as_it_says_it(web: WebServer, tmp_path: Path) -> None:
    def mark(asked: Asked, send: SendBytes) -> None:
        send(error(501, "NotImplemented") if asked.method == "PUT" else error(404, "NoSuchKey"))

    web.pages[f"/images/{MARK}"] = mark
    store = at(web, tmp_path)
    with pytest.raises(SettingsError, match="conditional_put = false"):
        store.mark(IDENTITY)
    store.close()


def test_an_object_that_ends_too_early_is_no_object(web: WebServer, tmp_path: Path) -> None:
    web.pages["/images/k"] = lambda _asked, send: send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
    store = at(web, tmp_path)
    with pytest.raises(StoreUnavailable, match="broke off"):
        list(store.read("k"))
    store.close()


def test_nothing_is_sent_that_older_services_do_not_know(web: WebServer, tmp_path: Path) -> None:
    web.pages["/images/k"] = lambda _asked, send: send(b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: 0\r\n\r\n')
    store = at(web, tmp_path)
    put(store, "k", b"bytes")
    store.close()
    (asked,) = web.asked
    assert asked.headers["content-length"] == "5"
    assert not {"transfer-encoding", "x-amz-trailer", "content-encoding", "x-amz-sdk-checksum-algorithm"} & set(
        asked.headers
    )


# --- The real program --------------------------------------------------------------------------------


def as_on_the_page(settings: S3StoreSettings, **more: object) -> str:
    """Return what ``docs/how-to/keep-images-in-s3.md`` shows, with the service of the test in it."""
    shown = next(
        block.text
        for block in blocks((DOCS / "how-to" / "keep-images-in-s3.md").read_text())
        if "[stores.bucket]" in block.text
    )
    section = tomllib.loads(shown)["stores"]["bucket"]
    section |= {"endpoint": settings.endpoint, "bucket": settings.bucket, "access_key": settings.access_key}
    section |= {"secret_key": settings.secret_key.get_secret_value(), **more}
    return "\n".join(["[stores.bucket]", *(f"{key} = {json.dumps(value)}" for key, value in section.items()), ""])


def test_images_live_in_the_bucket(fresh_headwater: FreshHeadwater, swift: Swift, client: Any) -> None:
    settings, data = s3_settings(swift, swift.container()), some_bytes(20 * MIB)
    service = fresh_headwater(toml=as_on_the_page(settings, most_parts=1000), workers=2)
    with httpx.Client(base_url=service.images_url, timeout=60, trust_env=False) as http:
        image_id = an_image(http)
        file = f"/v2/images/{image_id}/file"
        pieces = (data[begin : begin + MIB] for begin in range(0, len(data), MIB))
        http.put(file, content=pieces, headers=OCTETS).raise_for_status()
        assert http.get(file).content == data
        assert http.get(file, headers={"Range": "bytes=8388600-8388615"}).content == data[8388600:8388616]
        service.restart()
        assert http.get(file).content == data
        kept = client.list_objects_v2(Bucket=settings.bucket)["Contents"]
        assert [each["Size"] for each in kept if each["Key"].startswith(image_id)] == [len(data)]
        http.delete(f"/v2/images/{image_id}").raise_for_status()
        wait_until(
            lambda: [each["Key"] for each in client.list_objects_v2(Bucket=settings.bucket)["Contents"]] == [MARK],
            "the object is gone",
        )
        assert swift.ask("GET", f"{settings.bucket}+segments").text == ""  # where Swift keeps its parts


def test_a_service_with_a_wrong_secret_says_so_and_does_not_say_the_secret(
    fresh_headwater: FreshHeadwater, swift: Swift
) -> None:
    service = fresh_headwater(
        toml=as_on_the_page(s3_settings(swift, swift.container(), secret_key="not-the-secret")), workers=1
    )
    assert httpx.get(f"{service.images_url}/healthcheck", trust_env=False).status_code == 503
    assert "Traceback" not in service.stderr()
    assert _uploaded(service)[0] == 503
    for part in ("a store is down", '"store":"bucket"', "'secret_key'"):
        assert part in service.stderr()
    assert "not-the-secret" not in service.stderr()


def _uploaded(service: HeadwaterProcess) -> tuple[int, str]:
    """Return what an upload is answered, and the path of its data."""
    image_id = an_image(service)
    return upload(service, image_id, b"bytes").status_code, f"/v2/images/{image_id}/file"


def test_a_bucket_that_is_made_after_the_start_is_used_from_then_on(
    fresh_headwater: FreshHeadwater, swift: Swift
) -> None:
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    service = fresh_headwater(toml=as_on_the_page(s3_settings(swift, bucket)), workers=2)
    assert _uploaded(service)[0] == 503
    assert f"there is no bucket {bucket} at" in service.stderr()
    assert swift.ask("PUT", bucket).status_code == 201

    def is_up() -> bool:
        return 'headwater_store_up{store="bucket"} 1' in httpx.get(f"{service.images_url}/metrics").text

    wait_until(is_up, "every worker uses the bucket", 60)
    status, file = _uploaded(service)
    assert status == 204
    service.restart()
    assert httpx.get(f"{service.images_url}{file}", trust_env=False).content == b"bytes"


@pytest.mark.parametrize("how", ["cut", "hanging"])
def test_a_service_starts_without_its_object_store_and_goes_on_when_that_answers(
    fresh_headwater: FreshHeadwater, swift: Swift, relayed: Relay, how: str
) -> None:
    settings = s3_settings(swift, swift.container(), endpoint=f"http://127.0.0.1:{relayed.port}")
    service = fresh_headwater(toml=as_on_the_page(settings, timeout_s=5), workers=1)
    status, file = _uploaded(service)
    assert status == 204
    service.stop()
    with getattr(relayed, how)():
        service.start()
        answer = httpx.get(f"{service.images_url}{file}", timeout=60, trust_env=False)
        assert (answer.status_code, "The store bucket does not work" in answer.text) == (503, True)
        assert httpx.get(f"{service.images_url}/v2/images", trust_env=False).status_code == 200
    wait_until(lambda: httpx.get(f"{service.images_url}{file}", trust_env=False).content == b"bytes", "it is back", 60)


def test_a_bucket_that_does_not_answer_takes_no_thread_from_those_who_ask_for_others(
    fresh_headwater: FreshHeadwater, swift: Swift, relayed: Relay
) -> None:
    settings = s3_settings(swift, swift.container(), endpoint=f"http://127.0.0.1:{relayed.port}")
    toml = f"[server]\ncatalogue_threads = 2\n{as_on_the_page(settings, timeout_s=3)}"
    service = fresh_headwater(toml=toml, workers=1)
    _, dead = _uploaded(service)
    service.stop()
    service.config_file.write_text(f'{toml}[stores.near]\ntype = "file"\n[images]\nstore = "near"\n')
    service.start()
    _, near = _uploaded(service)

    def get(file: str) -> int:
        return httpx.get(f"{service.images_url}{file}", timeout=120, trust_env=False).status_code

    with relayed.hanging(), ThreadPoolExecutor(30) as clients:
        waiting = [clients.submit(get, dead) for _ in range(30)]
        assert {get(near) for _ in range(5)} == {200}
        assert {each.result() for each in waiting} == {503}
        assert relayed.clients < 15  # who tries, and who came before it was known: one each would be 30
    assert "a store fails slowly, and rests" in service.stderr()
    wait_until(lambda: get(dead) == 200, "it is used again", 60)


@pytest.mark.parametrize("delivery", ["asked", "always"])
def test_the_service_sends_clients_to_the_bucket_where_they_get_the_data_whole_and_in_parts(
    fresh_headwater: FreshHeadwater, swift: Swift, client: Any, delivery: str
) -> None:
    settings = s3_settings(swift, swift.container(), part_mib=5)
    service = fresh_headwater(toml=f'{as_on_the_page(settings)}\n[images]\ndirect_delivery = "{delivery}"\n')
    _, file = _uploaded(service)
    asks = {"Prefer": "redirect"}
    with httpx.Client(base_url=service.images_url, timeout=60, trust_env=False) as http:
        assert http.get(file).status_code == (307 if delivery == "always" else 200)
        sent = http.get(file, headers=asks)
        assert sent.status_code == 307
        assert sent.headers["location"].startswith(f"{swift.s3_url}/{settings.bucket}/")
        assert http.get(file, headers=asks, follow_redirects=True).content == b"bytes"
        part = http.get(file, headers={**asks, "Range": "bytes=1-3"}, follow_redirects=True)
        assert (part.status_code, part.content) == (206, b"yte")
        for other in (sent.headers["location"].replace("Signature=", "Signature=0"), _of_another(sent)):
            assert httpx.get(other, trust_env=False).status_code == 403
        for each in client.list_objects_v2(Bucket=settings.bucket)["Contents"]:
            if each["Key"] != MARK:
                client.delete_object(Bucket=settings.bucket, Key=each["Key"])
        assert http.get(file, headers=asks).status_code == 410  # and nobody is sent to what is not there
    assert "Signature" not in service.stderr()


def _of_another(sent: httpx.Response) -> str:
    """Return the address of another object with the same signature."""
    location: str = sent.headers["location"]
    path, _, query = location.partition("?")
    return f"{path.rpartition('/')[0]}/{MARK}?{query}"

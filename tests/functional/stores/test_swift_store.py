"""A store in a container of a real Swift: alone, when things go wrong, and in the real program."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import secrets
import tomllib
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest

from docs.pages import DOCS, blocks
from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, wait_until
from functional.image_requests import OCTETS, an_image, upload
from headwater.errors import SettingsError
from headwater.stores.remote import MARK
from headwater.stores.store import (
    ForeignUrl,
    ObjectNotFound,
    Stored,
    StoreFull,
    StoreRefusesWrites,
    StoreUnavailable,
    WriteLost,
)
from headwater.stores.swift import container as container_module
from headwater.stores.swift import upload as upload_module
from headwater.stores.swift.container import Container
from headwater.stores.swift.settings import SwiftStoreSettings
from headwater.stores.swift.store import SwiftStore
from headwater.testing.object_store import content, marked, put, some_bytes
from servers.http.web import Answer, Asked, SendBytes, WebServer, redirect, web_server
from servers.mortal import MortalServer
from servers.openstack.keystone import Keystone
from servers.openstack.swift import Swift, swift_settings
from servers.relay import Relay

MIB = 1 << 20
IDENTITY = "0123456789abcdef" * 2


def opened(settings: SwiftStoreSettings) -> contextlib.closing[SwiftStore]:
    return contextlib.closing(SwiftStore("swift", settings))


@pytest.fixture
def store(swift: Swift) -> Iterator[SwiftStore]:
    """A store whose segments are small."""
    with opened(swift_settings(swift, swift.container(), segment_mib=4)) as each:
        yield marked(each)


def names(swift: Swift, store: SwiftStore) -> list[str]:
    """Return the names of all that the container holds but the mark."""
    return [name for name in swift.ask("GET", store.settings.container).text.split() if name != MARK]


def keys_of_segments(swift: Swift, store: SwiftStore) -> list[str]:
    """Return of which keys segments are there."""
    found = (re.fullmatch(r"\.segments/(.+)/\.\w+/\d{8}", name) for name in names(swift, store))
    return [each[1] for each in found if each]


@pytest.mark.parametrize("use", ["stat", "read", "list", "delete", "write", "segments"])
def test_the_first_call_on_a_connection_that_died_idle_does_not_fail(swift: Swift, use: str) -> None:
    relayed = Relay(urlsplit(swift.url).port or 0)
    by_relay = swift.storage_url.replace(swift.url, f"http://127.0.0.1:{relayed.port}")
    settings = swift_settings(swift, swift.container(), storage_url=by_relay, segment_mib=4)
    with contextlib.closing(relayed), opened(settings) as store:
        put(marked(store), "k", b"bytes")
        assert relayed.let_idle_ones_die()
        if use in ("write", "segments"):
            data = some_bytes(9 * MIB if use == "segments" else 100)
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
        with relayed.cut(), pytest.raises(StoreUnavailable):
            store.stat("new")


# --- Segments ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_known", [True, False])
def test_a_large_object_goes_in_segments_and_comes_back(store: SwiftStore, swift: Swift, is_known: bool) -> None:
    data = some_bytes(17 * MIB + 5)
    pieces = [data[at : at + 3 * MIB] for at in range(0, len(data), 3 * MIB)]
    assert put(store, "k", *pieces, size=len(data) if is_known else None) == Stored("k", len(data))
    assert keys_of_segments(swift, store) == ["k"] * 5
    assert list(store.list()) == [store.stat("k")] == [Stored("k", len(data))]
    assert content(store, "k") == data
    assert content(store, "k", 4 * MIB - 2, 4) == data[4 * MIB - 2 : 4 * MIB + 2]
    assert content(store, "k", len(data)) == b""
    store.delete("k")
    assert names(swift, store) == []


def test_a_small_object_is_put_at_once(store: SwiftStore, swift: Swift) -> None:
    put(store, "k", some_bytes(MIB), some_bytes(3 * MIB))
    assert names(swift, store) == ["k"]


def test_an_aborted_upload_leaves_nothing(store: SwiftStore, swift: Swift) -> None:
    writer = store.begin("k")
    writer.write(bytes(11 * MIB))
    writer.abort()
    assert names(swift, store) == []


def test_what_a_crash_left_is_removed_with_its_key_and_nothing_else_is(store: SwiftStore, swift: Swift) -> None:
    writers = {key: store.begin(key) for key in ("k", "k/x", "k2")}
    for writer in writers.values():
        writer.write(bytes(9 * MIB))
    wait_until(lambda: sorted(set(keys_of_segments(swift, store))) == ["k", "k/x", "k2"], "all have segments")
    store.delete("k")
    assert sorted(set(keys_of_segments(swift, store))) == ["k/x", "k2"]
    with pytest.raises(WriteLost):
        writers["k"].commit()
    writers["k"].abort()
    for key in ("k/x", "k2"):
        assert writers[key].commit() == Stored(key, 9 * MIB)
        assert content(store, key) == bytes(9 * MIB)
    assert sorted(each.key for each in store.list()) == ["k/x", "k2"]
    assert "k" not in keys_of_segments(swift, store)


def test_a_client_that_is_silent_for_long_ends_a_segment_and_not_its_upload(
    store: SwiftStore, swift: Swift, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_module, "_QUIET_S", 0.1)
    data = some_bytes(13 * MIB)
    writer = store.begin("k", len(data))
    for count, (begin, end) in enumerate([(0, 5), (5, 6), (6, 7), (7, 13)]):
        writer.write(data[begin * MIB : end * MIB])
        wait_until(lambda count=count: len(keys_of_segments(swift, store)) >= count + 2, "what came is in segments")  # type: ignore[misc]  # binds this turn's count
    assert writer.commit() == Stored("k", len(data))
    assert content(store, "k") == data
    assert content(store, "k", 5 * MIB - 2, 4) == data[5 * MIB - 2 : 5 * MIB + 2]


def test_a_segment_that_arrived_as_something_else_is_no_part_of_an_object(
    store: SwiftStore, swift: Swift, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Container.put_stream
    monkeypatch.setattr(Container, "put_stream", lambda *given: real(*given) and "0" * 32)
    writer = store.begin("k")
    with pytest.raises(StoreUnavailable, match="arrived with 0000") as caught:
        writer.write(bytes(9 * MIB))
    assert caught.value.may_pass
    writer.abort()
    assert names(swift, store) == []


def test_an_object_may_have_more_segments_than_are_small(swift: Swift) -> None:
    """What the length of an upload will be is not known, and the number of segments is limited."""
    settings = swift_settings(swift, swift.container(), segment_mib=4)
    with opened(settings.model_copy(update={"most_segments": 4})) as store:  # of 4, 4, 8 and 256 MiB
        marked(store)
        data = some_bytes(20 * MIB)
        assert put(store, "k", data) == Stored("k", len(data))
        assert keys_of_segments(swift, store) == ["k"] * 4
        assert content(store, "k") == data


def test_a_list_has_more_than_one_page(store: SwiftStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_module, "_PAGE", 2)
    for number in range(5):
        put(store, f"k{number}", b"x")
    assert sorted(each.key for each in store.list()) == [f"k{number}" for number in range(5)]
    put(store, "large", bytes(17 * MIB))
    store.delete("large")
    assert sorted(each.key for each in store.list("k")) == [f"k{number}" for number in range(5)]


def test_stores_with_prefixes_share_a_container_and_see_nothing_of_each_other(swift: Swift) -> None:
    container = swift.container()
    first = swift_settings(swift, container, prefix="one/", segment_mib=4, reference="ref1")
    second = swift_settings(swift, container, prefix="two/")
    with opened(first) as one, opened(second) as two:
        assert (one.mark("1" * 32), two.mark("2" * 32)) == ("1" * 32, "2" * 32)
        put(one, "k", bytes(9 * MIB))
        assert [each.key for each in one.list()] == ["k"]
        assert list(two.list()) == []
        two.delete("k")
        assert content(one, "k") == bytes(9 * MIB)
        assert one.url_of("k") == f"swift+config://ref1/{container}/one/k"
        assert one.key_of(one.url_of("k")) == "k"
        assert two.url_of("k") == f"swift+config://swift/{container}/two/k"


def test_several_threads_write_and_read_large_objects_at_once(store: SwiftStore) -> None:
    def live(number: int) -> bool:
        data = some_bytes(9 * MIB, number)
        pieces = [data[at : at + 700_000] for at in range(0, len(data), 700_000)]
        return put(store, f"k{number}", *pieces).size == len(data) and content(store, f"k{number}") == data

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(live, range(8)))
    assert sorted(each.key for each in store.list()) == [f"k{number}" for number in range(8)]


@pytest.mark.parametrize(
    "url",
    [
        "swift+config://other/images/k",
        "swift+config://swift/others/k",
        "swift+config://swift/images/.segments/k",
        "swift+config://user:not-told@swift/images/k",
        "swift+https://user:not-told@keystone.example.org/v3/images/k",
        "swift://user:not-told@keystone.example.org/v3/images/k",
    ],
)
def test_what_is_no_object_of_the_store_has_no_key(swift: Swift, url: str) -> None:
    with opened(swift_settings(swift, "images")) as store:
        assert store.key_of("swift+config://swift/images/k") == "k"
        with pytest.raises(ForeignUrl) as refused:
            store.key_of(url)
    assert "not-told" not in str(refused.value)


# --- Addresses for clients -----------------------------------------------------------------------------


def test_an_address_is_good_for_a_large_object_whoever_made_the_container(swift: Swift) -> None:
    container = f"container-{uuid.uuid4().hex[:12]}"
    settings = swift_settings(swift, container, create_container=True, temp_url_key="the-key", segment_mib=4)
    with opened(settings) as store:
        marked(store)
        assert store.abilities.gives_urls
        data = some_bytes(9 * MIB)
        put(store, "k", data)
        address = store.presigned("k", 60)
        assert address is not None
        assert "the-key" not in address
        assert httpx.get(address, trust_env=False, timeout=60).content == data
        part = httpx.get(address, trust_env=False, timeout=60, headers={"Range": "bytes=4194300-4194310"})
        assert part.content == data[4194300:4194311]


def test_an_address_is_at_the_public_endpoint_and_there_is_none_without_a_key(swift: Swift) -> None:
    more: dict[str, Any] = {"temp_url_key": "the-key", "public_endpoint": "https://downloads.example.org"}
    with opened(swift_settings(swift, "images", **more)) as store:
        address = store.presigned("k", 300)
        assert address is not None
        path = swift.storage_url.removeprefix(swift.url)
        assert address.startswith(f"https://downloads.example.org{path}/images/k?temp_url_sig=")
        assert "the-key" not in repr(store.settings)
    with opened(swift_settings(swift, "images")) as store:
        assert not store.abilities.gives_urls
        assert store.presigned("k", 300) is None


# --- What is set wrongly -------------------------------------------------------------------------------


def test_wrong_credentials_are_named_and_not_printed(swift: Swift) -> None:
    both: list[dict[str, Any]] = [
        {"password": "not-the-secret"},
        {"username": "images:nobody", "password": "not-the-secret"},
    ]
    for wrong in both:
        settings = swift_settings(swift, swift.container(), **wrong)
        with opened(settings) as store:
            with pytest.raises(SettingsError) as refused:
                store.mark(IDENTITY)
            store.expect(IDENTITY)
            with pytest.raises(StoreUnavailable) as down:
                store.stat("k")
            assert not down.value.may_pass
            for said in (str(refused.value), str(down.value)):
                assert str(settings.username) in said
                assert swift.auth_url in said
                assert "not-the-secret" not in said
            assert "[stores.swift]" in str(refused.value)
            assert "not-the-secret" not in repr(settings)


def test_a_container_that_is_missing_is_named_or_made(swift: Swift) -> None:
    container = f"container-{uuid.uuid4().hex[:12]}"
    with opened(swift_settings(swift, container)) as store:
        assert store.identity() is None
        with pytest.raises(SettingsError, match=f"no container {container} .*create_container"):
            store.mark(IDENTITY)
    with opened(swift_settings(swift, container, create_container=True)) as store:
        assert store.mark(IDENTITY) == IDENTITY


def test_who_may_only_read_reads_and_is_told_that_the_store_is_read_only(swift: Swift) -> None:
    container = swift.container(X_Container_Read=f"{swift.reader.name},.rlistings")
    with opened(swift_settings(swift, container)) as store:
        put(marked(store), "k", b"bytes")
    with opened(swift_settings(swift, container, swift.reader)) as store:
        store.expect(IDENTITY)
        assert content(store, "k") == b"bytes"
        writer = store.begin("k")
        writer.write(b"other")
        for refused in (store.ping, writer.commit):
            with pytest.raises(StoreRefusesWrites) as caught:
                refused()
            assert not caught.value.is_full
        writer.abort()
        assert content(store, "k") == b"bytes"


def test_who_may_not_even_read_is_named(swift: Swift) -> None:
    settings = swift_settings(swift, swift.container(), swift.reader)
    with opened(settings) as store, pytest.raises(SettingsError, match=f"{swift.reader.name} may not read"):
        store.mark(IDENTITY)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"auth_url": "swift.example.org"}, "http:// or https://"),
        ({"auth_url": "https://user:secret@swift.example.org/auth"}, "http:// or https://"),
        ({"public_endpoint": "https://swift.example.org/v1"}, "the path is that of storage_url"),
        ({"password": None}, "'username' and 'password'"),
        ({"auth": "keystone"}, "'project_name'"),
        ({"application_credential_id": "id", "application_credential_secret": "secret"}, "an application credential"),
    ],
)
def test_settings_that_cannot_work_end_the_start(swift: Swift, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        swift_settings(swift, "images", **wrong)
    assert "secret@" not in str(caught.value)


# --- What goes wrong -----------------------------------------------------------------------------------


def test_a_container_that_goes_away_is_no_empty_store(swift: Swift) -> None:
    container = swift.container()
    with opened(swift_settings(swift, container, segment_mib=4)) as store:
        marked(store)
        writer = store.begin("k")
        writer.write(bytes(3 * MIB))
        swift.ask("DELETE", f"{container}/{MARK}")
        for call in (lambda: store.stat("k"), lambda: list(store.list()), lambda: store.delete("k"), store.ping):
            with pytest.raises(StoreUnavailable, match=f"{container} has no {MARK}"):
                call()
        swift.ask("DELETE", container)
        for call in (lambda: store.stat("k"), lambda: list(store.list()), lambda: store.delete("k"), store.ping):
            with pytest.raises(StoreUnavailable, match=f"no container {container}"):
                call()
        with pytest.raises(StoreUnavailable, match=f"no container {container}"):
            writer.write(bytes(3 * MIB))
        writer.abort()


def test_an_object_that_somebody_removed_is_not_found(store: SwiftStore, swift: Swift) -> None:
    put(store, "k", b"bytes")
    swift.ask("DELETE", f"{store.settings.container}/k")
    for call in (store.read, store.stat, store.path):
        with pytest.raises(ObjectNotFound):
            call("k")
    store.delete("k")


def test_an_object_whose_segment_somebody_removed_breaks_off(store: SwiftStore, swift: Swift) -> None:
    data = some_bytes(9 * MIB)
    put(store, "k", data)
    last = [name for name in names(swift, store) if name.startswith(".segments")][-1]
    swift.ask("DELETE", f"{store.settings.container}/{last}")
    read = b""
    with pytest.raises(StoreUnavailable):
        for piece in store.read("k"):
            read += piece
    assert data.startswith(read)


@pytest.mark.slow
def test_a_server_that_dies_ends_an_upload_and_a_download_and_is_used_again(
    mortal_swift: tuple[Swift, MortalServer],
) -> None:
    swift, mortal = mortal_swift
    with opened(swift_settings(swift, swift.container(), segment_mib=8, chunk_size=4096)) as store:
        marked(store)
        data = some_bytes(32 * MIB)
        put(store, "k", data)
        pieces = store.read("k")
        read = next(pieces)
        writer = store.begin("new")
        writer.write(data[: 12 * MIB])
        mortal.kill()
        with pytest.raises(StoreUnavailable):
            for piece in pieces:
                read += piece
        assert data.startswith(read)
        with pytest.raises(StoreUnavailable):
            writer.write(data)
        with pytest.raises(StoreUnavailable):
            store.read("k")
        writer.abort()
        mortal.start()
        assert content(store, "k") == data
        store.delete("new")
        assert [each.key for each in store.list()] == ["k"]
        assert "new" not in keys_of_segments(swift, store)


@pytest.mark.slow
def test_a_server_that_stands_still_holds_nobody_for_longer_than_is_waited_for_it(
    mortal_swift: tuple[Swift, MortalServer],
) -> None:
    swift, mortal = mortal_swift
    with opened(swift_settings(swift, swift.container(), segment_mib=4)) as store:
        marked(store)
        writer = store.begin("new")
        writer.write(bytes(5 * MIB))
    with opened(store.settings.model_copy(update={"timeout_s": 1.0})) as hasty:
        put(hasty, "k", b"bytes")
        begun = hasty.begin("new2")
        begun.write(bytes(5 * MIB))
        with mortal.standing_still():
            with pytest.raises(StoreUnavailable):
                hasty.stat("k")
            with pytest.raises(StoreUnavailable):
                begun.write(bytes(64 * MIB))
            begun.abort()
        assert content(hasty, "k") == b"bytes"
    writer.abort()


@pytest.mark.slow
def test_a_token_that_is_good_no_more_is_replaced_in_the_middle_of_an_upload(
    mortal_swift: tuple[Swift, MortalServer],
) -> None:
    swift, mortal = mortal_swift
    with opened(swift_settings(swift, swift.container(), segment_mib=4)) as store:
        marked(store)
        data = some_bytes(20 * MIB)
        put(store, "old", data)
        writer = store.begin("k")
        writer.write(data[: 8 * MIB])  # two whole segments
        old = swift.token()
        mortal.kill()
        settings = swift.home / "proxy-server.conf"
        key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        settings.write_text(re.sub(r"(?m)^fernet_key_one = .*$", f"fernet_key_one = {key}", settings.read_text()))
        mortal.start()
        headers = {"X-Auth-Token": old}
        assert httpx.head(swift.storage_url, headers=headers, trust_env=False).status_code == 401
        writer.write(data[8 * MIB :])
        assert writer.commit() == Stored("k", len(data))
        assert content(store, "k") == data == content(store, "old")


# --- Answers that this Swift does not give ---------------------------------------------------------------


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


def answered(status: int, **headers: str) -> Answer:
    headers |= {"Connection": "close", "Content-Length": "0"}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return lambda _asked, send: send(f"HTTP/1.1 {status} Said\r\n{lines}\r\n".encode())


def at(web: WebServer) -> SwiftStore:
    web.pages["/auth"] = answered(200, X_Auth_Token="token", X_Storage_Url=web.url("/v1/a"))
    who = {"auth": "v1", "auth_url": web.url("/auth"), "username": "a:u", "password": "secret"}
    return SwiftStore("swift", SwiftStoreSettings.model_validate({"type": "swift", "container": "images"} | who))


@pytest.mark.parametrize(
    ("status", "expected", "may_pass"),
    [
        (503, StoreUnavailable, True),
        (500, StoreUnavailable, True),
        (429, StoreUnavailable, True),
        (498, StoreUnavailable, True),
        (408, StoreUnavailable, True),
        (422, StoreUnavailable, True),
        (400, StoreUnavailable, False),
        (401, StoreUnavailable, False),
        (404, StoreUnavailable, False),
        (403, StoreRefusesWrites, False),
        (413, StoreFull, None),
        (507, StoreFull, None),
    ],
)
def test_what_swift_answers_to_a_put_is_an_error_of_the_contract(
    web: WebServer, status: int, expected: type[Exception], may_pass: bool | None
) -> None:
    web.pages["/v1/a/images/k"] = answered(status)
    with contextlib.closing(at(web)) as store:
        with pytest.raises(expected) as caught:
            put(store, "k", b"x")
        assert getattr(caught.value, "may_pass", None) == may_pass
        asked = [each.method for each in web.asked if each.path.startswith("/v1")]
        assert asked == ["PUT"] * (2 if status == 401 else 1)  # repeating is for others, but for a new token


def test_a_redirect_takes_no_token_along(web: WebServer) -> None:
    with web_server() as other, contextlib.closing(at(web)) as store:
        other.pages["/k"] = answered(200)
        web.pages["/v1/a/images/k"] = redirect(other.url("/k"))
        with pytest.raises(StoreUnavailable, match="answers 302") as caught:
            store.stat("k")
        assert not caught.value.may_pass
        assert other.asked == []


def test_what_answers_and_is_not_swift_is_told(web: WebServer) -> None:
    page = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/html\r\n\r\n<h1>Welcome</h1>"
    web.pages["/v1/a/images"] = web.pages["/v1/a/images/k"] = lambda _asked, send: send(page)
    with contextlib.closing(at(web)) as store:
        for call in (lambda: list(store.list()), lambda: store.stat("k")):
            with pytest.raises(StoreUnavailable, match="storage_url"):
                call()


def test_an_object_that_ends_too_early_is_no_object(web: WebServer) -> None:
    web.pages["/v1/a/images/k"] = lambda _asked, send: send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
    with contextlib.closing(at(web)) as store, pytest.raises(StoreUnavailable, match="broke off"):
        list(store.read("k"))


def test_a_service_that_gives_no_tokens_is_down_for_now(web: WebServer) -> None:
    with contextlib.closing(at(web)) as store:
        for answer, may_pass in ((answered(503), True), (answered(404), False)):
            web.pages["/auth"] = answer
            with pytest.raises(StoreUnavailable, match="gives no token") as caught:
                store.stat("k")
            assert caught.value.may_pass == may_pass


# --- Keystone --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["password", "application credential"])
def test_keystone_gives_tokens_and_says_where_swift_is(keystone: Keystone, web: WebServer, way: str) -> None:
    name = f"store-{uuid.uuid4().hex[:8]}"
    project = keystone.project(name)
    user = keystone.user(project, "member")
    keystone.endpoint("object-store", "swift", web.url(f"/v1/AUTH_{project}"))
    tokens: list[str] = []

    def answer(asked: Asked, send: SendBytes) -> None:
        tokens.append(asked.headers["x-auth-token"])
        answered(200 if keystone.knows(tokens[-1]) else 401)(asked, send)

    web.pages[f"/v1/AUTH_{project}/images/k"] = answer
    who: dict[str, Any] = {"username": user.name, "password": user.password, "project_name": name}
    if way != "password":
        its_id, secret = keystone.application_credential(user, project)
        who = {"application_credential_id": its_id, "application_credential_secret": secret}
    given = {"type": "swift", "container": "images", "auth_url": keystone.url, "region": keystone.region} | who
    with opened(SwiftStoreSettings.model_validate(given)) as store:
        assert store.stat("k") == store.stat("k") == Stored("k", 0)
        assert len(set(tokens)) == 1
        keystone.revoke(tokens[-1])
        assert store.stat("k") == Stored("k", 0)
        assert len(set(tokens)) == 2
        secret_key = next(key for key in who if key in ("password", "application_credential_secret"))
    wrong = SwiftStoreSettings.model_validate(given | {secret_key: "not-the-secret"})
    with opened(wrong) as store, pytest.raises(SettingsError) as refused:
        store.mark(IDENTITY)
    assert wrong.who in str(refused.value)
    assert "not-the-secret" not in str(refused.value)
    elsewhere = SwiftStoreSettings.model_validate(given | {"region": "nowhere"})
    with (
        opened(elsewhere) as store,
        pytest.raises(SettingsError, match=r"no public address.*region nowhere"),
    ):
        store.mark(IDENTITY)


# --- The real program ------------------------------------------------------------------------------------


def as_on_the_page(settings: SwiftStoreSettings, **more: object) -> str:
    """Return what ``docs/how-to/keep-images-in-swift.md`` shows for v1, with the server of the test in it."""
    shown = next(
        block.text
        for block in blocks((DOCS / "how-to" / "keep-images-in-swift.md").read_text())
        if 'auth = "v1"' in block.text
    )
    section = tomllib.loads(shown)["stores"]["swift"]
    section |= {"auth_url": settings.auth_url, "container": settings.container, "username": settings.username}
    assert settings.password is not None
    section |= {"password": settings.password.get_secret_value(), **more}
    return "\n".join(["[stores.swift]", *(f"{key} = {json.dumps(value)}" for key, value in section.items()), ""])


def test_images_live_in_the_container(fresh_headwater: FreshHeadwater, swift: Swift) -> None:
    settings, data = swift_settings(swift, swift.container()), some_bytes(20 * MIB)
    service = fresh_headwater(toml=as_on_the_page(settings, segment_mib=8), workers=2)
    with httpx.Client(base_url=service.images_url, timeout=60, trust_env=False) as http:
        image_id = an_image(http)
        file = f"/v2/images/{image_id}/file"
        pieces = (data[begin : begin + MIB] for begin in range(0, len(data), MIB))
        http.put(file, content=pieces, headers=OCTETS).raise_for_status()
        assert http.get(file).content == data
        assert http.get(file, headers={"Range": "bytes=8388600-8388615"}).content == data[8388600:8388616]
        service.restart()
        assert http.get(file).content == data
        kept = swift.ask("GET", settings.container).text.split()
        assert len([name for name in kept if name.startswith(".segments/")]) == 3
        assert len([name for name in kept if name.startswith(image_id)]) == 1
        http.delete(f"/v2/images/{image_id}").raise_for_status()
        wait_until(lambda: swift.ask("GET", settings.container).text.split() == [MARK], "all of it is gone")


def test_a_service_with_a_wrong_secret_says_so_and_does_not_say_the_secret(
    fresh_headwater: FreshHeadwater, swift: Swift
) -> None:
    settings = swift_settings(swift, swift.container(), password="not-the-secret")
    service = fresh_headwater(toml=as_on_the_page(settings), workers=1)
    assert httpx.get(f"{service.images_url}/healthcheck", trust_env=False).status_code == 503
    assert "Traceback" not in service.stderr()
    assert _uploaded(service)[0] == 503
    for part in ("a store is down", '"store":"swift"', str(settings.username)):
        assert part in service.stderr()
    assert "not-the-secret" not in service.stderr()


def _uploaded(service: HeadwaterProcess, data: bytes = b"bytes") -> tuple[int, str]:
    """Return what an upload is answered, and the path of its data."""
    image_id = an_image(service)
    return upload(service, image_id, data).status_code, f"/v2/images/{image_id}/file"


def test_a_container_that_is_made_after_the_start_is_used_from_then_on(
    fresh_headwater: FreshHeadwater, swift: Swift
) -> None:
    container = f"images-{uuid.uuid4().hex[:12]}"
    service = fresh_headwater(toml=as_on_the_page(swift_settings(swift, container)), workers=2)
    assert _uploaded(service)[0] == 503
    assert f"there is no container {container}" in service.stderr()
    assert swift.ask("PUT", container).status_code == 201

    def is_up() -> bool:
        return 'headwater_store_up{store="swift"} 1' in httpx.get(f"{service.images_url}/metrics").text

    wait_until(is_up, "every worker uses the container", 60)
    assert _uploaded(service)[0] == 204


def test_the_service_sends_clients_to_swift_where_they_get_the_data_whole_and_in_parts(
    fresh_headwater: FreshHeadwater, swift: Swift
) -> None:
    page = as_on_the_page(
        swift_settings(swift, f"images-{uuid.uuid4().hex[:12]}"),
        create_container=True,
        temp_url_key="a-key-for-urls",
        segment_mib=4,
    )
    service = fresh_headwater(toml=f'{page}\n[images]\ndirect_delivery = "asked"\n')
    data = some_bytes(9 * MIB)
    _, file = _uploaded(service, data)
    asks = {"Prefer": "redirect"}
    with httpx.Client(base_url=service.images_url, timeout=60, trust_env=False) as http:
        assert http.get(file).status_code == 200
        sent = http.get(file, headers=asks)
        assert (sent.status_code, "temp_url_sig" in sent.headers["location"]) == (307, True)
        assert http.get(file, headers=asks, follow_redirects=True).content == data
        part = http.get(file, headers={**asks, "Range": f"bytes={4 * MIB - 2}-{4 * MIB + 1}"}, follow_redirects=True)
        assert (part.status_code, part.content) == (206, data[4 * MIB - 2 : 4 * MIB + 2])
        altered = sent.headers["location"].replace("temp_url_sig=", "temp_url_sig=0")
        assert httpx.get(altered, trust_env=False).status_code == 401
        assert httpx.put(sent.headers["location"], content=b"x", trust_env=False).status_code == 401
    assert "temp_url_sig" not in service.stderr()
    assert "a-key-for-urls" not in service.stderr()

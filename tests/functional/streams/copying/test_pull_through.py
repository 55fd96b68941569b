"""A feed of others served as ours: one fetch for all who want a file, nothing wrong kept or completed, old documents
when there are no newer ones."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, wait_until
from functional.streams.copying.far_feed import INDEX, PRODUCTS, FarFeed, index
from servers.http.web import web_server

MIB = 1 << 20
DATA = os.urandom(3 * MIB + 17)
FILE = "images/noble/root.squashfs"
LATER = "Fri, 02 Jan 2026 00:00:00 +0000"
EARLIER = "Wed, 31 Dec 2025 00:00:00 +0000"


@pytest.fixture
def far() -> Iterator[FarFeed]:
    with web_server() as web:
        made = FarFeed(web)
        made.publish({FILE: DATA})
        yield made
        made.gate.set()


Start = Callable[..., HeadwaterProcess]


@pytest.fixture
def start(fresh_headwater: FreshHeadwater, far: FarFeed, tmp_path: Path) -> Start:
    def started(*, workers: int = 1, more: str = "", url: str = "") -> HeadwaterProcess:
        toml = f"""
            [streams.trees.far]
            pull_through = "{url or far.url}"
            directory = "{tmp_path / "pulled"}"
            {more}
            [streams.trees.far.fetch]
            allowed_hosts = ["127.0.0.1"]
            allowed_ports = []
            answer_timeout_s = 5
        """
        return fresh_headwater(toml=toml, workers=workers)

    return started


def client(service: HeadwaterProcess) -> httpx.Client:
    return httpx.Client(base_url=f"{service.images_url}/trees/far/", timeout=60)


def kept(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "pulled" / "files").iterdir())


def metric(service: HeadwaterProcess, line: str) -> bool:
    return line in httpx.get(f"{service.images_url}/metrics", timeout=60).text


def test_documents_and_files_are_given_as_they_came(start: Start, far: FarFeed, tmp_path: Path) -> None:
    with client(start()) as http:
        found = http.get(INDEX)
        assert found.status_code == 200, found.text
        assert found.content == far.files[INDEX]
        assert found.headers["access-control-allow-origin"] == "*"
        assert http.get(PRODUCTS).content == far.files[PRODUCTS]
        assert http.get(FILE).content == DATA
        assert http.get(FILE, headers={"Range": "bytes=5-9"}).content == DATA[5:10]
        again = http.get(FILE, headers={"If-None-Match": http.head(FILE).headers["etag"]})
        assert again.status_code == 304
    assert far.asked[FILE] == far.asked[PRODUCTS] == far.asked[INDEX] == 1
    wait_until(lambda: [file.read_bytes() for file in kept(tmp_path)] == [DATA], "the file to be kept")


def test_fifty_readers_of_a_cold_file_cost_one_fetch_and_read_while_it_comes(start: Start, far: FarFeed) -> None:
    far.held_at[FILE] = MIB
    with client(start(workers=2)) as http, ThreadPoolExecutor(51) as readers, http.stream("GET", FILE) as first:
        pieces = first.iter_bytes(4096)
        began = next(pieces)  # though its server waits
        others = [readers.submit(lambda: http.get(FILE).content) for _ in range(50)]
        wait_until(lambda: far.asked[FILE] == 1, "the fetch")
        far.gate.set()
        assert began + b"".join(pieces) == DATA
        assert [each.result() == DATA for each in others] == [True] * 50
    assert far.asked[FILE] == 1


@pytest.mark.parametrize("wrong", [DATA[:-1] + b"?", DATA + b"more", DATA[:-5]], ids=["another", "longer", "shorter"])
def test_what_is_not_the_feeds_is_neither_completed_nor_kept(
    start: Start, far: FarFeed, tmp_path: Path, wrong: bytes
) -> None:
    far.gives[FILE] = wrong
    service = start()
    with client(service) as http:
        with pytest.raises(httpx.TransportError):
            http.get(FILE)
        assert kept(tmp_path) == []
        # Nor are parts of it, and its server has peace for a while.
        assert http.get(FILE, headers={"Range": "bytes=0-9"}).status_code == 503
        assert http.get(FILE).status_code == 503
    assert far.asked[FILE] == 1
    assert metric(service, 'headwater_pulled_total{tree="far",what="refused"} 1.0')


def test_a_part_of_a_cold_file_is_given_once_all_is_right(start: Start, far: FarFeed) -> None:
    far.gives[FILE] = DATA[:-1] + b"?"
    with client(start()) as http:
        assert http.get(FILE, headers={"Range": "bytes=100-199"}).status_code == 503
    far.gives.clear()
    far.held_at[FILE] = MIB
    with client(start()) as http, ThreadPoolExecutor(1) as reader:
        part = reader.submit(http.get, FILE, headers={"Range": "bytes=100-199"})
        wait_until(lambda: far.asked[FILE] == 2, "the fetch")
        assert not part.done()
        far.gate.set()
        assert part.result().content == DATA[100:200]


def test_a_transfer_that_breaks_off_goes_on_where_it_broke(start: Start, far: FarFeed) -> None:
    far.breaks_at[FILE] = 2 * MIB
    with client(start()) as http:
        assert http.get(FILE).content == DATA
    (went_on,) = far.ranges
    assert int(went_on.split()[1]) > 0


def test_what_a_kill_left_is_taken_up_and_not_fetched_anew(start: Start, far: FarFeed, tmp_path: Path) -> None:
    far.held_at[FILE] = 2 * MIB
    service = start()
    with client(service) as http, http.stream("GET", FILE) as begun:
        read = 0
        for piece in begun.iter_raw():
            read += len(piece)
            if read >= 2 * MIB - 65536:
                break
        service.kill()
    assert kept(tmp_path) == []
    far.gate.set()
    with client(start()) as http:
        assert http.get(FILE).content == DATA
    (went_on,) = far.ranges
    assert int(went_on.split()[1]) >= MIB
    wait_until(lambda: [file.read_bytes() for file in kept(tmp_path)] == [DATA], "the file to be kept")


def test_what_the_feed_does_not_name_is_not_fetched(start: Start, far: FarFeed) -> None:
    far.files |= {"secret": b"secret", "streams/v1/other.json": b"{}", "streams/v1/mirrors.json": b"{}"}
    with client(start()) as http:
        assert http.get(INDEX).status_code == 200
        for path in (
            "secret",
            "streams/v1/other.json",
            "streams/v1/mirrors.json",
            "streams/v1/../../secret",
            "%2e%2e/secret",
            f"{FILE}?x=1/../secret",
            f"/{FILE}",
            f"{FILE}/",
            "http://127.0.0.1/secret",
            "",
        ):
            answer = http.get(f"{http.base_url}{path}")
            assert answer.status_code in (200, 404), path
            assert answer.status_code == 404 or path.startswith(FILE), path
    assert {path for path in far.asked if not path.endswith(".gpg")} <= {
        INDEX,
        PRODUCTS,
        FILE,
        "streams/v1/index2.json",
        "streams/v1/index2.sjson",
    }


def test_old_documents_are_given_while_the_server_is_dead_and_said_to_be_old(start: Start, far: FarFeed) -> None:
    service = start(more="max_age_s = 1")
    with client(service) as http:
        before = http.get(INDEX)
        http.get(PRODUCTS)
        assert "warning" not in before.headers
        far.status = 500
        time.sleep(1.1)
        after = http.get(INDEX)
        assert (after.status_code, after.content) == (200, before.content)
        assert after.headers["warning"].startswith("111 ")
        assert int(after.headers["age"]) >= 1
        assert http.get(PRODUCTS).content == far.files[PRODUCTS]
    assert metric(service, 'headwater_pulled_total{tree="far",what="stale"}')


def test_documents_that_change_are_followed(start: Start, far: FarFeed) -> None:
    with client(start(more="max_age_s = 1")) as http:
        first = http.get(PRODUCTS)
        other = "images/noble/other"
        far.publish({FILE: DATA, other: b"other"}, LATER)
        assert http.get(PRODUCTS).content == first.content
        assert http.get(other).status_code == 404
        wait_until(lambda: http.get(other).status_code == 200, "the new file")
        assert http.get(PRODUCTS).content == far.files[PRODUCTS]


@pytest.mark.parametrize(
    "bad",
    [b"<html>Log in</html>", b"[]", b"", index(updated=EARLIER), index("../../etc/passwd", LATER)],
    ids=["login page", "list", "nothing", "older", "leaves the tree"],
)
def test_what_is_no_good_document_changes_nothing(start: Start, far: FarFeed, bad: bytes) -> None:
    service = start(more="max_age_s = 0")
    with client(service) as http:
        good = http.get(INDEX).content
        far.gives[INDEX] = bad
        answer = http.get(INDEX)
        assert (answer.status_code, answer.content) == (200, good)
        assert answer.headers["warning"].startswith("111 ")
        assert metric(service, 'headwater_pulled_total{tree="far",what="refused"}')


def test_a_server_that_was_never_reached_is_503_and_asked_again_later(start: Start, far: FarFeed) -> None:
    far.status = 503
    with client(start()) as http:
        answers = [http.get(INDEX) for _ in range(3)]
        assert [each.status_code for each in answers] == [503, 503, 503]
        assert "127.0.0.1" not in answers[0].text
        assert all(each.headers["retry-after"] for each in answers)
    assert far.asked[INDEX] == 1


def test_addresses_that_are_not_public_are_refused_unless_they_are_allowed(
    fresh_headwater: FreshHeadwater, far: FarFeed
) -> None:
    service = fresh_headwater(toml=f'[streams.trees.far]\npull_through = "{far.url}"\n')
    with client(service) as http:
        assert http.get(INDEX).status_code == 503
    assert not far.asked


def test_documents_are_packed_once_for_those_who_take_it(start: Start, far: FarFeed) -> None:
    far.publish({FILE: DATA, **{f"images/{number}": b"%d" % number for number in range(100)}})
    with client(start()) as http:
        with http.stream("GET", PRODUCTS, headers={"Accept-Encoding": "gzip"}) as answer:
            packed = b"".join(answer.iter_raw())
        assert answer.status_code == 200, packed
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["vary"] == "Accept-Encoding"
        assert gzip.decompress(packed) == far.files[PRODUCTS]
        plain = http.get(PRODUCTS, headers={"Accept-Encoding": "identity"})
        assert plain.content == far.files[PRODUCTS]
        assert plain.headers["etag"] != answer.headers["etag"]
        for each in (plain, answer):
            held = {
                "If-None-Match": each.headers["etag"],
                "Accept-Encoding": each.headers.get("content-encoding", "identity"),
            }
            assert http.get(PRODUCTS, headers=held).status_code == 304


def test_what_was_not_read_for_longest_makes_room(start: Start, far: FarFeed, tmp_path: Path) -> None:
    files = {f"images/{number}": os.urandom(1000) for number in range(5)}
    far.publish(files)
    with client(start(more="max_size = 2500")) as http:
        for path, data in files.items():
            assert http.get(path).content == data
            assert len(kept(tmp_path)) <= 2
        assert http.get("images/4").content == files["images/4"]
    assert far.asked["images/4"] == 1


def test_a_file_that_is_larger_than_all_room_is_given_and_not_kept(start: Start, far: FarFeed, tmp_path: Path) -> None:
    with client(start(more="max_size = 1000")) as http:
        answer = http.get(FILE, headers={"Range": "bytes=5-9"})
        assert (answer.status_code, answer.content) == (200, DATA)
        far.gives[FILE] = DATA[:-1] + b"?"
        with pytest.raises(httpx.TransportError):
            http.get(FILE)
    assert kept(tmp_path) == []


def test_a_worker_that_is_killed_while_it_fetches_costs_the_readers_of_others_nothing(
    start: Start, far: FarFeed, tmp_path: Path
) -> None:
    far.held_at[FILE] = MIB
    first, second = start(), start()  # two services on one directory
    with client(first) as one, client(second) as other, ThreadPoolExecutor(1) as reader:
        with one.stream("GET", FILE) as begun:
            next(begun.iter_raw())
            read = reader.submit(lambda: other.get(FILE).content)
            time.sleep(0.5)
            assert far.asked[FILE] == 1
            far.gate.set()
            far.gate.clear()
            far.held_at[FILE] = 2 * MIB
            first.kill()
        far.gate.set()
        assert read.result() == DATA
    wait_until(lambda: [file.read_bytes() for file in kept(tmp_path)] == [DATA], "the file to be kept")


def test_who_was_given_something_else_before_a_kill_is_not_given_the_rest(
    start: Start, far: FarFeed, tmp_path: Path
) -> None:
    far.gives[FILE], far.held_at[FILE] = b"?" + DATA[1:], MIB
    first, second = start(), start()
    with client(first) as one, client(second) as other, one.stream("GET", FILE) as begun:
        next(begun.iter_raw())
        with other.stream("GET", FILE) as followed:
            pieces = followed.iter_raw()
            assert next(pieces)[:1] == b"?"
            for file in (tmp_path / "pulled" / "filling").iterdir():
                file.unlink()
            far.gives.clear()
            far.held_at.clear()
            first.kill()
            with pytest.raises(httpx.TransportError):
                list(pieces)
        assert other.get(FILE).content == DATA


def test_fifty_readers_of_a_cold_document_cost_one_question(start: Start, far: FarFeed) -> None:
    with client(start(workers=2)) as http, ThreadPoolExecutor(50) as readers:
        found = list(readers.map(lambda _: http.get(PRODUCTS).content, range(50)))
    assert found == [far.files[PRODUCTS]] * 50
    assert far.asked[PRODUCTS] == far.asked[INDEX] == 1


def test_the_server_of_a_feed_is_told_who_asks(start: Start, far: FarFeed) -> None:
    far.wants = "Bearer a-token"
    with client(start(more='authorization = "Bearer a-token"')) as http:
        assert http.get(FILE).content == DATA
    with client(start(more='authorization = "Bearer another"', url=f"{far.url}/")) as http:
        assert http.get(FILE).status_code == 200  # it is kept
        assert http.get("streams/v1/index2.json").status_code == 404


def test_the_hash_of_every_answer_is_that_of_the_feed(start: Start, far: FarFeed) -> None:
    with client(start()) as http:
        document = json.loads(http.get(PRODUCTS).content)
        item = document["products"]["test:noble:amd64"]["versions"]["20260101"]["items"]["item0"]
        assert hashlib.sha256(http.get(item["path"]).content).hexdigest() == item["sha256"]


def test_whenever_it_is_killed_what_is_kept_is_right(start: Start, far: FarFeed, tmp_path: Path) -> None:
    files = {f"images/{number}": os.urandom(MIB + number) for number in range(12)}
    far.publish(files)
    names = list(files)
    for turn in range(5):
        service = start(workers=2)
        with client(service) as http, ThreadPoolExecutor(4) as readers:
            reading = [readers.submit(whole, http, path) for path in names[turn:] + names[:turn]]
            time.sleep(0.05 * turn)
            service.kill()
            for each, path in zip(reading, names[turn:] + names[:turn], strict=True):
                assert each.result() in (None, files[path])
        for file in kept(tmp_path):
            assert hashlib.sha256(file.read_bytes()).hexdigest() == file.name.split(".")[2]
    with client(start()) as http:
        assert {path: http.get(path).content for path in files} == files


def whole(http: httpx.Client, path: str) -> bytes | None:
    """Return a file, or nothing when its reading breaks off."""
    try:
        answer = http.get(path)
    except httpx.TransportError:
        return None
    return answer.content if answer.status_code == 200 else None


# --- headwater streams pulled --------------------------------------------------------------------


def test_files_are_fetched_listed_and_removed_by_commands_beside_a_service(
    start: Start, far: FarFeed, tmp_path: Path
) -> None:
    files = {f"images/{name}": os.urandom(3000) for name in ("a", "b", "c")}
    far.publish(files)
    service = start()
    assert service.command("streams", "pulled", "fetch", "far", "images/[ab]").stdout == "far: 2 of 2 files are here\n"
    listed = json.loads(service.command("streams", "pulled", "list", "far", "--json").stdout)
    assert {path for each in listed["files"] for path in each["paths"]} == {"images/a", "images/b"}
    assert {each["path"] for each in listed["documents"]} == {INDEX, PRODUCTS}
    with client(service) as http:
        for path, data in files.items():
            assert http.get(path).content == data
    assert [far.asked[path] for path in files] == [1, 1, 1]

    far.publish({"images/c": files["images/c"]}, LATER)
    assert "has changed" in service.command("streams", "pulled", "refresh", "far").stdout
    assert (
        service.command("streams", "pulled", "prune", "far", "--unnamed").stdout == "far: removed 2 files, 6000 bytes\n"
    )
    assert len(kept(tmp_path)) == 1

    far.gives["images/c"] = b"wrong"
    service.command("streams", "pulled", "prune", "far", "--all")
    failed = service.command("streams", "pulled", "fetch", "far", "--all")
    assert failed.returncode == 1
    assert "images/c has 5 bytes, and 3000 in the feed" in failed.stderr
    assert service.command("streams", "pulled", "fetch", "far", "x*").returncode == 2
    assert service.command("streams", "pulled", "list", "other").returncode == 2


def test_an_older_feed_is_taken_when_somebody_allows_it(start: Start, far: FarFeed) -> None:
    far.publish({FILE: DATA}, LATER)
    service = start()
    with client(service) as http:
        http.get(INDEX)
        far.publish({FILE: DATA}, EARLIER)
        assert service.command("streams", "pulled", "refresh", "far").returncode == 1
        assert http.get(INDEX).content != far.files[INDEX]
        service.command("streams", "pulled", "refresh", "far", "--allow-older")
        assert http.get(INDEX).content == far.files[INDEX]

"""The server of a feed: asked with conditions, gone on with where it broke off, given up when nothing comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from headwater.errors import Unavailable
from headwater.fetching.fetcher import Fetcher, RemoteFailed, RemoteTooLarge
from headwater.fetching.url_filter import UrlRefused
from headwater.streams.format.json_objects import UnsafePath
from headwater.streams.pulling.remote import Asked, RemoteFeed
from headwater.streams.trees.tree import PathNotFound, TreeRefused, TreeUnavailable

URL = "https://far.example/feed"
MIB = 1 << 20


class Answer:
    """Pieces, and then perhaps an error."""

    def __init__(self, pieces: list[bytes], error: Exception | None = None, validator: str | None = None) -> None:
        self.validator = validator
        self._pieces, self._error = pieces, error

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces
        if self._error is not None:
            raise self._error


class Network:
    """Gives one answer after the other, and notes what it was asked."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self.asked: list[tuple[str, int, Mapping[str, str]]] = []
        self._answers = list(answers)

    def open(self, url: str, start: int = 0, **more: Any) -> Answer:
        self.asked.append((url, start, more.get("headers", {})))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def remote(network: Network, **more: Any) -> RemoteFeed:
    return RemoteFeed(URL, cast(Fetcher, network), sleep=lambda _: None, **more)


def broken(status: int | None = None) -> RemoteFailed:
    return RemoteFailed(URL, "the connection broke off", status)


def test_a_document_is_asked_for_with_what_is_known_of_it() -> None:
    network = Network(Answer([b"a", b"b"], validator='"1"'), broken(304), broken(304), Answer([b"c"]))
    far = remote(network, authorization="Bearer x")
    found = far.document("streams/v1/index.json")
    assert found is not None
    assert (found.body, found.tag) == (b"ab", '"1"')
    assert far.document("streams/v1/index.json", '"1"') is None
    assert far.document("streams/v1/index.json", "Thu, 01 Jan 2026 00:00:00 GMT") is None
    proof = {"Authorization": "Bearer x"}
    assert [headers for _, _, headers in network.asked] == [
        proof,
        proof | {"If-None-Match": '"1"'},
        proof | {"If-Modified-Since": "Thu, 01 Jan 2026 00:00:00 GMT"},
    ]
    assert far.document("a b%c") is not None
    assert network.asked[-1][0] == f"{URL}/a%20b%25c"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (broken(404), PathNotFound),
        (broken(410), PathNotFound),
        (broken(403), TreeRefused),
        (broken(304), TreeRefused),
        (broken(500), TreeUnavailable),
        (broken(), TreeUnavailable),
        (UrlRefused(URL, "its host has no address that may be asked"), TreeRefused),
        (RemoteTooLarge(URL, 5), TreeRefused),
    ],
)
def test_what_goes_wrong_is_said_in_the_words_of_trees(error: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        remote(Network(error)).document("index.json")


def test_a_document_that_is_too_large_is_refused_while_it_comes() -> None:
    with pytest.raises(TreeRefused, match="more than the 5 bytes"):
        remote(Network(Answer([b"abc", b"def"]))).document("index.json", limit=5)


@pytest.mark.parametrize("path", ["../x", "/x", "http://other/x", "a/%2e%2e/x", ""])
def test_no_path_leads_out_of_the_feed(path: str) -> None:
    with pytest.raises(UnsafePath):
        remote(Network()).document(path)


def test_a_transfer_goes_on_where_it_broke_off() -> None:
    network = Network(Answer([b"ab"], broken()), broken(503), Answer([b"cd"]))
    assert b"".join(remote(network).pieces("file", 10)) == b"abcd"
    assert [start for _, start, _ in network.asked] == [10, 12, 12]


def test_a_transfer_that_gives_nothing_is_given_up_and_so_is_a_drip() -> None:
    for answers in ([broken() for _ in range(9)], [Answer([b"x"], broken()) for _ in range(9)]):
        network = Network(*answers)
        with pytest.raises(TreeUnavailable):
            list(remote(network).pieces("file", 0))
        assert len(network.asked) == 5


def test_a_bad_line_over_which_much_comes_is_no_drip() -> None:
    network = Network(*(Answer([bytes(MIB)], broken()) for _ in range(20)), Answer([b"end"]))
    assert sum(map(len, remote(network).pieces("file", 0))) == 20 * MIB + 3


def test_a_file_that_is_gone_is_not_asked_for_again() -> None:
    network = Network(broken(404))
    with pytest.raises(PathNotFound):
        list(remote(network).pieces("file", 0))


def test_a_process_that_stops_does_not_wait_for_a_server() -> None:
    network = Network(broken(), Answer([b"x"]))
    far = remote(network)
    far.close()
    with pytest.raises(Unavailable, match="stops"):
        list(far.pieces("file", 0))
    assert len(network.asked) == 1


def test_what_came_of_a_condition_is_not_asked_for_twice() -> None:
    network = Network(Answer([b"new"], validator='"2"'))
    asked = Asked(remote(network))
    assert not asked.is_unchanged("index.json", '"1"')
    assert asked.read("index.json").body == b"new"
    assert asked.tags == {"index.json": '"2"'}

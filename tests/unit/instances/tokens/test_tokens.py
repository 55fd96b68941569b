"""Session tokens are known again by every process, and by nobody for whom they are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.instances.tokens.tokens import MAX_TTL_S, Tokens
from unit.instances.examples import BARE, WEB_1

NOW = 1_800_000_000


class Service:
    """Processes with secrets and a clock."""

    def __init__(self) -> None:
        self.secrets, self.now_s = [b"one" * 11], NOW

    def process(self) -> Tokens:
        return Tokens(lambda: list(self.secrets), lambda: self.now_s)


@given(st.integers(1, MAX_TTL_S), st.integers(0, 3 * 24 * 3600))
def test_a_token_is_good_for_its_time_in_every_process(ttl_s: int, later: int) -> None:
    service = Service()
    service.now_s += later  # also over the end of a day
    token = service.process().issue(WEB_1.id, ttl_s)
    service.now_s += ttl_s - 1
    assert service.process().is_good(token, WEB_1.id)
    assert not service.process().is_good(token, BARE.id)
    service.now_s += 1
    assert not service.process().is_good(token, WEB_1.id)


@given(st.integers(0, 37), st.sampled_from("ABCxyz019-_=+/ \u00e9"))
def test_a_token_that_was_changed_anywhere_is_none(at: int, character: str) -> None:
    tokens = Service().process()
    token = tokens.issue(WEB_1.id, 60)
    changed = token[:at] + character + token[at + 1 :]
    assert tokens.is_good(changed, WEB_1.id) is (changed == token)


@pytest.mark.parametrize("more", ["=", "==", "A", "\n", "AAAA"])
def test_a_token_has_one_spelling(more: str) -> None:
    tokens = Service().process()
    assert not tokens.is_good(tokens.issue(WEB_1.id, 60) + more, WEB_1.id)


def test_an_older_secret_is_taken_until_it_is_gone() -> None:
    service = Service()
    token = service.process().issue(WEB_1.id, 60)
    service.secrets.insert(0, b"two" * 11)
    assert service.process().is_good(token, WEB_1.id)
    service.secrets.pop()
    assert not service.process().is_good(token, WEB_1.id)


def test_a_token_tells_no_more_time_than_any_may_have() -> None:
    service = Service()
    service.now_s += 3600
    token = service.process().issue(WEB_1.id, MAX_TTL_S)
    service.now_s -= 3600  # a clock that was put back
    assert not service.process().is_good(token, WEB_1.id)

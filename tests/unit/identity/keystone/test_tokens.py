"""What is kept of Keystone's answers, for how long, and who may pass with what."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from headwater.errors import Unauthenticated
from headwater.identity.caller import Caller
from headwater.identity.keystone import tokens as module
from headwater.identity.keystone.tokens import Answer, KeystoneTokens, KeystoneUnavailable, read_answer
from headwater.identity.settings import KeystoneSettings

NOON = 1_700_000_000.0
HOUR = 3600.0


class Clock:
    """Both clocks of the authenticator, moved by hand."""

    def __init__(self) -> None:
        self.passed = 0.0

    def wall(self) -> float:
        return NOON + self.passed

    def steady(self) -> float:
        return 50.0 + self.passed


class FakeKeystone:
    """Knows the tokens it was told of; ``asked`` has every question."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.tokens: dict[str, Answer] = {}
        self.asked: list[tuple[str, bool]] = []
        self.is_away = False
        self.before_answer: Callable[[], None] = lambda: None

    def issue(self, token: str, *roles: str, life_s: float = HOUR) -> None:
        caller = Caller(user_id=f"user-of-{token}", project_id="p", roles=frozenset(roles), token=token)
        self.tokens[token] = Answer(caller, self._clock.wall() + life_s)

    def __call__(self, token: str, *, allow_expired: bool) -> Answer | None:
        self.asked.append((token, allow_expired))
        self.before_answer()
        if self.is_away:
            raise KeystoneUnavailable("it is away")
        answer = self.tokens.get(token)
        if answer is None or (answer.expires_at <= self._clock.wall() and not allow_expired):
            return None
        return answer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> FakeKeystone:
    return FakeKeystone(clock)


def authenticator(server: FakeKeystone, clock: Clock, **settings: Any) -> KeystoneTokens:
    given = {"auth_url": "http://keystone:5000/v3", "username": "u", "password": "p", **settings}
    return KeystoneTokens(KeystoneSettings.model_validate(given), server, wall=clock.wall, steady=clock.steady)


@pytest.fixture
def tokens(server: FakeKeystone, clock: Clock) -> KeystoneTokens:
    return authenticator(server, clock)


def with_token(token: str, service: str | None = None) -> dict[str, str]:
    return {"x-auth-token": token, **({"x-service-token": service} if service is not None else {})}


def refused(tokens: KeystoneTokens, headers: dict[str, str]) -> Unauthenticated:
    assert tokens.cached(headers) is None
    with pytest.raises(Unauthenticated) as caught:
        tokens.caller(headers)
    return caught.value


def test_a_token_is_asked_about_once(tokens: KeystoneTokens, server: FakeKeystone) -> None:
    server.issue("t", "member")
    assert tokens.cached(with_token("t")) is None
    caller = tokens.caller(with_token("t"))
    assert (caller.user_id, caller.token) == ("user-of-t", "t")
    assert caller.roles == {"member"}
    assert tokens.caller(with_token("t")) == tokens.cached(with_token("t")) == caller
    assert server.asked == [("t", False)]


def test_it_is_asked_about_again_when_the_answer_is_old(
    tokens: KeystoneTokens, server: FakeKeystone, clock: Clock
) -> None:
    server.issue("t")
    tokens.caller(with_token("t"))
    clock.passed = 299
    assert tokens.cached(with_token("t")) is not None
    clock.passed = 300
    assert tokens.cached(with_token("t")) is None
    del server.tokens["t"]
    refused(tokens, with_token("t"))


def test_a_token_ends_at_its_own_expiry(tokens: KeystoneTokens, server: FakeKeystone, clock: Clock) -> None:
    server.issue("t", life_s=10)
    tokens.caller(with_token("t"))
    clock.passed = 10
    refused(tokens, with_token("t"))


def test_an_answer_that_is_past_its_expiry_does_not_count(server: FakeKeystone, clock: Clock) -> None:
    late = Answer(Caller(user_id="u", token="t"), NOON - 1)
    tokens = KeystoneTokens(
        KeystoneSettings(auth_url="http://k"), lambda *_, **__: late, wall=clock.wall, steady=clock.steady
    )
    refused(tokens, with_token("t"))


def test_without_a_cache_every_request_asks(server: FakeKeystone, clock: Clock) -> None:
    tokens = authenticator(server, clock, cache_s=0)
    server.issue("t")
    for _ in range(2):
        tokens.caller(with_token("t"))
        assert tokens.cached(with_token("t")) is None
    assert len(server.asked) == 2
    refused(tokens, with_token("other"))
    refused(tokens, with_token("other"))
    assert len(server.asked) == 4


def test_a_refusal_is_kept_for_a_moment_only(tokens: KeystoneTokens, server: FakeKeystone, clock: Clock) -> None:
    for _ in range(3):
        refused(tokens, with_token("t"))
    assert len(server.asked) == 1
    server.issue("t")
    clock.passed = module.REFUSED_S
    assert tokens.caller(with_token("t")).user_id == "user-of-t"


@pytest.mark.parametrize("token", ["a b", "t\n", "\x00", "t\xe9", "x" * 8193, "☃", "\ud800"])
def test_what_cannot_be_a_token_is_refused_without_asking(
    tokens: KeystoneTokens, server: FakeKeystone, token: str
) -> None:
    refused(tokens, with_token(token))
    assert server.asked == []


@pytest.mark.parametrize("headers", [{}, {"x-auth-token": ""}, {"authorization": "Basic eDp5"}])
def test_a_request_without_a_token_is_told_where_keystone_is(
    server: FakeKeystone, clock: Clock, headers: dict[str, str]
) -> None:
    tokens = authenticator(server, clock, www_authenticate_uri="https://cloud/identity")
    assert refused(tokens, headers).headers == {"WWW-Authenticate": 'Keystone uri="https://cloud/identity"'}
    assert refused(authenticator(server, clock), headers).headers == {
        "WWW-Authenticate": 'Keystone uri="http://keystone:5000/v3"'
    }


def test_the_older_name_of_the_header_is_taken(tokens: KeystoneTokens, server: FakeKeystone) -> None:
    server.issue("t")
    assert tokens.caller({"x-storage-token": "t"}).user_id == "user-of-t"
    assert tokens.cached({"x-storage-token": "t"}) is not None


def test_an_expired_token_passes_with_a_service_token_only(
    tokens: KeystoneTokens, server: FakeKeystone, clock: Clock
) -> None:
    server.issue("t", "member", life_s=10)
    server.issue("nova", "service", "admin")
    clock.passed = 20
    refused(tokens, with_token("t"))
    caller = tokens.caller(with_token("t", "nova"))
    assert (caller.user_id, caller.roles) == ("user-of-t", frozenset({"member"}))
    assert caller.service_roles == {"service", "admin"}
    assert tokens.cached(with_token("t", "nova")) == caller
    refused(tokens, with_token("t"))


def test_a_service_token_counts_beside_a_good_token_too(tokens: KeystoneTokens, server: FakeKeystone) -> None:
    server.issue("t", "member")
    server.issue("nova", "service")
    assert tokens.caller(with_token("t", "nova")).service_roles == {"service"}
    assert tokens.caller(with_token("t")).service_roles == frozenset()
    assert ("t", True) not in server.asked


def test_a_service_token_needs_a_trusted_role(server: FakeKeystone, clock: Clock) -> None:
    tokens = authenticator(server, clock, service_token_roles=["Trusted"])
    server.issue("t", "member")
    server.issue("nova", "service")
    server.issue("cinder", "trusted")
    assert "trusted" in str(refused(tokens, with_token("t", "nova")))
    assert tokens.caller(with_token("t", "cinder")).service_roles == {"trusted"}


@pytest.mark.parametrize("service", ["unknown", "", "a b"])
def test_a_service_token_that_is_not_valid_spoils_the_request(
    tokens: KeystoneTokens, server: FakeKeystone, service: str
) -> None:
    server.issue("t", "member")
    refused(tokens, with_token("t", service))


def test_an_expired_service_token_lets_nothing_pass(tokens: KeystoneTokens, server: FakeKeystone, clock: Clock) -> None:
    server.issue("t", life_s=10)
    server.issue("nova", "service", life_s=10)
    tokens.caller(with_token("t", "nova"))
    clock.passed = 20
    refused(tokens, with_token("t", "nova"))


def test_while_keystone_is_away_what_is_kept_counts(tokens: KeystoneTokens, server: FakeKeystone, clock: Clock) -> None:
    server.issue("t")
    tokens.caller(with_token("t"))
    server.is_away = True
    assert tokens.cached(with_token("t")) is not None
    with pytest.raises(KeystoneUnavailable):
        tokens.caller(with_token("other"))
    clock.passed = 300
    with pytest.raises(KeystoneUnavailable):
        tokens.caller(with_token("t"))


def test_a_keystone_that_failed_is_left_in_peace_for_a_moment(
    tokens: KeystoneTokens, server: FakeKeystone, clock: Clock
) -> None:
    server.is_away = True
    for number in range(5):
        with pytest.raises(KeystoneUnavailable):
            tokens.caller(with_token(f"t{number}"))
    assert len(server.asked) == 1
    server.is_away = False
    server.issue("t")
    clock.passed = module.REST_S
    assert tokens.caller(with_token("t")).user_id == "user-of-t"


def test_many_requests_with_one_new_token_ask_once(tokens: KeystoneTokens, server: FakeKeystone) -> None:
    server.issue("t")
    asked, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        asked.set()
        assert go_on.wait(10)

    server.before_answer = wait
    with ThreadPoolExecutor(8) as crowd:
        callers = [crowd.submit(tokens.caller, with_token("t")) for _ in range(8)]
        assert asked.wait(10)
        time.sleep(0.05)  # those who would ask a second time have done so by now
        go_on.set()
        assert {each.result().user_id for each in callers} == {"user-of-t"}
    assert len(server.asked) == 1


def test_what_is_kept_has_a_limit(server: FakeKeystone, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 3)
    tokens = authenticator(server, clock)
    for number in range(5):
        server.issue(f"t{number}")
        tokens.caller(with_token(f"t{number}"))
    known = [number for number in range(5) if tokens.cached(with_token(f"t{number}")) is not None]
    assert known == [2, 3, 4]


def test_who_is_used_stays_and_who_is_not_goes(
    server: FakeKeystone, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT", 2)
    tokens = authenticator(server, clock)
    for token in ("a", "b"):
        server.issue(token)
        tokens.caller(with_token(token))
    assert tokens.cached(with_token("a")) is not None
    server.issue("c")
    tokens.caller(with_token("c"))
    assert [token for token in "abc" if tokens.cached(with_token(token)) is not None] == ["a", "c"]


def test_tokens_that_keystone_does_not_know_push_out_no_user(
    server: FakeKeystone, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT", 3)
    monkeypatch.setattr(module, "REFUSED_KEPT", 2)
    tokens = authenticator(server, clock)
    for number in range(3):
        server.issue(f"t{number}")
        tokens.caller(with_token(f"t{number}"))
    for number in range(20):
        refused(tokens, with_token(f"junk{number}"))
    assert all(tokens.cached(with_token(f"t{number}")) is not None for number in range(3))
    asked = len(server.asked)
    refused(tokens, with_token("junk19"))
    assert len(server.asked) == asked
    refused(tokens, with_token("junk0"))
    assert len(server.asked) == asked + 1


def test_many_threads_may_look_up_and_keep_at_once(
    server: FakeKeystone, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caches hold lists that a look-up changes too."""
    monkeypatch.setattr(module, "KEPT", 8)
    tokens = authenticator(server, clock)
    for number in range(32):
        server.issue(f"t{number}")

    def use(seed: int) -> None:
        for step in range(400):
            name = f"t{(seed * 7 + step * 5) % 32}"
            caller = tokens.cached(with_token(name)) or tokens.caller(with_token(name))
            assert caller.user_id == f"user-of-{name}"
            if step % 50 == 0:
                clock.passed += 1

    with ThreadPoolExecutor(8) as crowd:
        for done in [crowd.submit(use, seed) for seed in range(8)]:
            done.result()
    assert len(tokens._good) <= 8


def test_no_token_is_kept_or_shown_in_the_clear(tokens: KeystoneTokens, server: FakeKeystone) -> None:
    server.issue("secret-token")
    caller = tokens.caller(with_token("secret-token"))
    assert "secret-token" not in repr(caller).replace("user-of-secret-token", "")
    assert all(b"secret-token" not in key for key, _ in [*tokens._good, *tokens._refused])


TOKEN: dict[str, Any] = {
    "user": {"id": "u", "name": "n"},
    "project": {"id": "p", "name": "n"},
    "roles": [{"id": "1", "name": "Member"}, {"id": "2", "name": "reader"}],
    "expires_at": "2023-11-14T22:13:20.000000Z",
}


def test_an_answer_is_read() -> None:
    answer = read_answer(TOKEN, "t")
    assert answer == Answer(Caller(user_id="u", project_id="p", roles=frozenset({"member", "reader"}), token="t"), NOON)


def test_scopes_are_read() -> None:
    plain = {name: value for name, value in TOKEN.items() if name != "project"}
    assert read_answer({**plain, "system": {"all": True}}, "t").caller.system_scope == "all"
    assert read_answer({**plain, "domain": {"id": "d"}}, "t").caller.domain_id == "d"
    assert read_answer({**plain, "roles": None}, "t").caller.roles == frozenset()


@pytest.mark.parametrize(
    "broken", [{}, {**TOKEN, "user": None}, {**TOKEN, "expires_at": "soon"}, {**TOKEN, "roles": [1]}]
)
def test_an_answer_that_is_no_answer_is_not_read(broken: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        read_answer(broken, "t")

from __future__ import annotations

import pytest

from headwater.client.environment import DEFAULT_URL, proof_from
from headwater.client.keystone import Keystone
from headwater.errors import SettingsError

KEYSTONE = {"OS_AUTH_URL": "http://keystone.example:5000", "OS_USERNAME": "u", "OS_PASSWORD": "very-secret"}


def test_nobody_has_to_prove_anything_where_nothing_is_said() -> None:
    for environment in ({}, {"OS_AUTH_TYPE": "none"}, {**KEYSTONE, "OS_AUTH_TYPE": "none"}):
        url, proof = proof_from(environment, None)
        assert (url, proof.headers(), proof.renew()) == (DEFAULT_URL, {}, False)


def test_the_service_is_where_it_is_said_to_be() -> None:
    assert proof_from({"OS_ENDPOINT": "http://a"}, None)[0] == "http://a"
    assert proof_from({"OS_IMAGE_ENDPOINT_OVERRIDE": "http://b", "OS_ENDPOINT": "http://a"}, None)[0] == "http://b"
    assert proof_from({"OS_ENDPOINT": "http://a", "OS_CLOUD": "x"}, "http://c")[0] == "http://c"


def test_a_name_and_a_password_are_sent_as_basic_credentials() -> None:
    _, proof = proof_from({"OS_AUTH_TYPE": "http_basic", "OS_USERNAME": "u", "OS_PASSWORD": "p"}, "http://x")
    assert proof.headers() == {"Authorization": "Basic dTpw"}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"OS_AUTH_TYPE": "password", "OS_PROJECT_NAME": "p", "OS_USER_DOMAIN_NAME": "Default"},
        {"OS_AUTH_TYPE": "v3token", "OS_TOKEN": "very-secret"},
        {"OS_APPLICATION_CREDENTIAL_ID": "i", "OS_APPLICATION_CREDENTIAL_SECRET": "very-secret"},
    ],
)
def test_keystone_is_asked_where_it_is_named_and_no_secret_is_shown(more: dict[str, str]) -> None:
    url, proof = proof_from({**KEYSTONE, **more}, "http://x")
    assert (url, type(proof)) == ("http://x", Keystone)
    assert "very-secret" not in repr(vars(proof))


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"OS_AUTH_TYPE": "http_basic", "OS_USERNAME": "u"}, "OS_PASSWORD is not set"),
        ({"OS_AUTH_URL": "http://k", "OS_USERNAME": "u"}, "OS_PASSWORD is not set"),
        ({"OS_AUTH_URL": "http://k", "OS_AUTH_TYPE": "v3token"}, "OS_TOKEN is not set"),
        ({"OS_AUTH_URL": "http://k", "OS_AUTH_TYPE": "v3oidc"}, "v3oidc"),
    ],
)
def test_what_is_missing_is_named(environment: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        proof_from(environment, None)

from __future__ import annotations

import hashlib
import hmac

import pytest
from pydantic import SecretStr

from headwater.instances.callers.asking import Caller, asked
from headwater.instances.callers.signed import HeaderMissing, NotOneAddress, SignatureWrong, Signed

SECRET, PROVIDER = "s3cr3t", "edge-1"


def signature(text: str, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


SAID = {
    "X-Metadata-Provider": [PROVIDER],
    "X-Metadata-Provider-Signature": [signature(PROVIDER)],
    "X-Forwarded-For": ["10.0.0.5"],
}


def caller(client: str = "192.0.2.1", /, **changed: list[str]) -> Caller:
    headers = {**SAID, **{name.replace("_", "-"): values for name, values in changed.items()}}
    signed = Signed([SecretStr(SECRET)], lambda address: address == "192.0.2.1", {PROVIDER: "blue"})
    found, path = asked("/latest", (client, 1), lambda name: headers.get(name, []), only=None, signed=signed)
    assert path == "/latest"
    return found


def test_a_load_balancer_asks_for_an_address_of_its_network() -> None:
    assert caller() == Caller(address="blue/10.0.0.5")
    assert caller(X_Forwarded_For=["::ffff:10.0.0.6"]) == Caller(address="blue/10.0.0.6")


@pytest.mark.parametrize(
    ("name", "values", "refused"),
    [
        ("X_Forwarded_For", [], HeaderMissing),
        ("X_Forwarded_For", ["10.0.0.5", "10.0.0.6"], HeaderMissing),
        ("X_Forwarded_For", ["10.0.0.5, 10.0.0.6"], NotOneAddress),
        ("X_Forwarded_For", ["web1"], NotOneAddress),
        ("X_Metadata_Provider_Signature", [], HeaderMissing),
        ("X_Metadata_Provider_Signature", [signature(PROVIDER, "another")], SignatureWrong),
        ("X_Metadata_Provider_Signature", [signature(PROVIDER).upper()], SignatureWrong),
        ("X_Metadata_Provider", [PROVIDER, PROVIDER], HeaderMissing),
    ],
)
def test_what_is_not_said_or_signed_as_it_must_be_is_refused(
    name: str, values: list[str], refused: type[Exception]
) -> None:
    with pytest.raises(refused):
        caller(**{name: values})


def test_a_header_with_nothing_in_it_is_told_as_that() -> None:
    with pytest.raises(HeaderMissing, match="X-Metadata-Provider-Signature is empty"):
        caller(X_Metadata_Provider_Signature=[""])


def test_a_provider_that_the_settings_do_not_name_is_refused_though_it_signs() -> None:
    with pytest.raises(SignatureWrong):
        caller(X_Metadata_Provider=["edge-2"], X_Metadata_Provider_Signature=[signature("edge-2")])


def test_only_hosts_of_agents_speak_for_a_provider() -> None:
    with pytest.raises(SignatureWrong):
        caller("192.0.2.2")


def test_what_an_agent_signs_comes_before_what_a_guest_may_have_said_of_providers() -> None:
    instance_id = "b65cee2f-8c69-4aeb-be2f-f79742548fc2"
    found = caller(X_Instance_ID=[instance_id], X_Instance_ID_Signature=[signature(instance_id)], X_Tenant_ID=["p1"])
    assert found == Caller(instance_id=instance_id, project_id="p1", shows_tokens=False)


def test_without_providers_the_header_says_nothing() -> None:
    signed = Signed([SecretStr(SECRET)], lambda _: True)
    with pytest.raises(HeaderMissing, match="X-Instance-ID"):
        asked("/latest", ("192.0.2.1", 1), lambda name: SAID.get(name, []), only=None, signed=signed)

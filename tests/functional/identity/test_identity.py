"""Who calls: the real service with a real Keystone, with users from a file, and open on loopback."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import bcrypt
import httpx2 as httpx
import pytest

from functional.clients import Client
from functional.headwater_process import HeadwaterDidNotStart, HeadwaterProcess, wait_until
from headwater.errors import Unauthenticated
from headwater.identity.keystone.catalogue import ServiceCatalogue
from headwater.identity.keystone.peer import PeerUnavailable
from headwater.identity.keystone.tokens import KeystoneTokens, KeystoneUnavailable, Questions
from headwater.identity.settings import KeystoneSettings
from servers.openstack.keystone import SHORT_LIFE_S, Keystone, User
from servers.relay import Relay

IMAGES = "/v2/images"
PUBLIC_URI = "https://cloud.example/identity"


class Place:
    """A project with a member in it, and the service user of Headwater."""

    def __init__(self, keystone: Keystone) -> None:
        self.project = keystone.project()
        self.member = keystone.user(self.project, "member")
        services = keystone.project("service")
        self.service = keystone.user(services, "service", "admin")
        self.services = services


@pytest.fixture(scope="module")
def place(keystone: Keystone) -> Place:
    return Place(keystone)


def toml(auth_url: str, service: User, *, cache_s: int = 300, timeout_s: float = 10) -> str:
    return f"""
[log]
level = "debug"
[auth]
mode = "keystone"
[auth.keystone]
auth_url = "{auth_url}"
www_authenticate_uri = "{PUBLIC_URI}"
username = "{service.name}"
password = "{service.password}"
cache_s = {cache_s}
timeout_s = {timeout_s}
"""


@pytest.fixture(scope="module")
def headwater(keystone: Keystone, place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    """A service that keeps Keystone's answers for five minutes."""
    process = HeadwaterProcess(tmp_path_factory.mktemp("keystone"), toml=toml(keystone.url, place.service))
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def wary(keystone: Keystone, place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    """A service that keeps them for a second."""
    settings = toml(keystone.url, place.service, cache_s=1)
    process = HeadwaterProcess(tmp_path_factory.mktemp("wary"), toml=settings)
    process.start()
    yield process
    process.stop()


def get(process: HeadwaterProcess, token: str | None = None, path: str = IMAGES, **headers: str) -> httpx.Response:
    given = {"Accept": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    if token is not None:
        given["X-Auth-Token"] = token
    return httpx.get(f"{process.images_url}{path}", headers=given, timeout=30, trust_env=False)


def a_disk(directory: Path) -> list[str]:
    """Return the options of `openstack image create` for a small file of no format."""
    file = directory / "disk"
    file.write_bytes(bytes(range(256)) * 16)
    return ["--file", str(file), "--disk-format", "raw", "--container-format", "bare"]


def openstack_for(program: Path, home: Path, keystone: Keystone, **given: str) -> Client:
    env = {
        "OS_AUTH_URL": keystone.url,
        "OS_REGION_NAME": keystone.region,
        "OS_IDENTITY_API_VERSION": "3",
        **{name.upper(): value for name, value in given.items()},
    }
    return Client(program, home, env=env)


def test_openstack_finds_the_service_in_the_catalogue(
    openstack_client: Path, headwater: HeadwaterProcess, keystone: Keystone, place: Place, tmp_path: Path
) -> None:
    keystone.image_endpoint(headwater.images_url)
    openstack = openstack_for(
        openstack_client,
        tmp_path,
        keystone,
        os_username=place.member.name,
        os_password=place.member.password,
        os_project_id=place.project,
        os_user_domain_id="default",
    )
    made = openstack.json("image", "create", *a_disk(tmp_path), "catalogued")
    assert made["status"] == "active"
    assert openstack.json("image", "show", "catalogued")["id"] == made["id"]
    assert "catalogued" in [each["Name"] for each in openstack.json("image", "list")]
    openstack("image", "delete", made["id"])


def test_an_application_credential_is_a_proof(
    openstack_client: Path, headwater: HeadwaterProcess, keystone: Keystone, place: Place, tmp_path: Path
) -> None:
    keystone.image_endpoint(headwater.images_url)
    its_id, secret = keystone.application_credential(place.member, place.project)
    openstack = openstack_for(
        openstack_client,
        tmp_path,
        keystone,
        os_auth_type="v3applicationcredential",
        os_application_credential_id=its_id,
        os_application_credential_secret=secret,
    )
    assert isinstance(openstack.json("image", "list"), list)


def test_a_request_without_a_token_is_told_where_to_get_one(headwater: HeadwaterProcess) -> None:
    answer = get(headwater)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == f'Keystone uri="{PUBLIC_URI}"'
    assert answer.json()["code"] == "401 Unauthorized"


@pytest.mark.parametrize("path", ["/v2.1/images", "/v2/", "/v2", "/v2/schemas/image", "/v2/no-such-thing"])
def test_every_path_of_the_api_needs_a_token(headwater: HeadwaterProcess, path: str) -> None:
    assert get(headwater, path=path).status_code == 401


def test_a_version_named_by_accept_needs_a_token(headwater: HeadwaterProcess) -> None:
    assert get(headwater, path="/images", Accept="application/vnd.openstack.images-v2").status_code == 401


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 300),
        ("/versions", 200),
        ("/v3/images", 300),
        ("/healthcheck", 200),
        ("/metrics", 200),
        ("/simplestreams/images/streams/v1/index.json", 200),
    ],
)
def test_what_clients_need_before_they_have_a_token_is_open(
    headwater: HeadwaterProcess, path: str, status: int
) -> None:
    assert get(headwater, path=path).status_code == status


def test_options_needs_no_token(headwater: HeadwaterProcess) -> None:
    assert httpx.options(headwater.images_url + IMAGES, trust_env=False).status_code == 200


@pytest.mark.parametrize(
    "token", ["", "x", "None", "a b", "gAAAAABm" + "A" * 180, "x" * 9000, "../../v3/users", "t\xe9", "%00", "a,b"]
)
def test_a_malformed_token_is_refused(headwater: HeadwaterProcess, token: str) -> None:
    answer = httpx.get(
        headwater.images_url + IMAGES,
        headers=[(b"X-Auth-Token", token.encode("latin-1"))],
        trust_env=False,
    )
    assert answer.status_code == 401
    assert "WWW-Authenticate" in answer.headers


def test_a_token_given_twice_is_refused(headwater: HeadwaterProcess, keystone: Keystone, place: Place) -> None:
    token = keystone.token(place.member, place.project)
    twice = [("X-Auth-Token", token), ("X-Auth-Token", "other")]
    assert httpx.get(headwater.images_url + IMAGES, headers=twice, trust_env=False).status_code == 401
    assert get(headwater, token).status_code == 200


def test_headers_that_claim_an_identity_count_for_nothing(headwater: HeadwaterProcess) -> None:
    claimed = {"X-Identity-Status": "Confirmed", "X-Roles": "admin", "X-User-Id": "u", "X-Project-Id": "p"}
    assert httpx.get(headwater.images_url + IMAGES, headers=claimed, trust_env=False).status_code == 401


def test_a_token_ends_with_its_own_expiry_although_the_answer_is_kept_longer(
    headwater: HeadwaterProcess, hasty_keystone: Keystone, place: Place
) -> None:
    token = hasty_keystone.token(place.member, place.project)
    got = time.monotonic()
    assert get(headwater, token).status_code == 200
    wait_until(lambda: get(headwater, token).status_code == 401, "the token has expired", SHORT_LIFE_S + 5)
    assert time.monotonic() - got < SHORT_LIFE_S + 2


def test_a_revoked_token_ends_with_the_kept_answer(wary: HeadwaterProcess, keystone: Keystone, place: Place) -> None:
    token = keystone.token(place.member, place.project)
    assert get(wary, token).status_code == 200
    keystone.revoke(token)
    time.sleep(1.1)
    assert get(wary, token).status_code == 401


def test_a_revoked_token_counts_until_then(headwater: HeadwaterProcess, keystone: Keystone, place: Place) -> None:
    token = keystone.token(place.member, place.project)
    assert get(headwater, token).status_code == 200
    keystone.revoke(token)
    assert get(headwater, token).status_code == 200


def test_a_token_revoked_before_it_was_seen_is_refused(
    headwater: HeadwaterProcess, keystone: Keystone, place: Place
) -> None:
    token = keystone.token(place.member, place.project)
    keystone.revoke(token)
    assert get(headwater, token).status_code == 401


@pytest.mark.parametrize("kind", ["projects", "users"])
def test_a_token_of_something_disabled_is_refused(wary: HeadwaterProcess, keystone: Keystone, kind: str) -> None:
    project = keystone.project()
    user = keystone.user(project, "member")
    token = keystone.token(user, project)
    assert get(wary, token).status_code == 200
    keystone.disable(kind, project if kind == "projects" else user.id)
    time.sleep(1.1)
    assert get(wary, token).status_code == 401


def test_an_expired_token_passes_with_a_service_token(
    wary: HeadwaterProcess, keystone: Keystone, hasty_keystone: Keystone, place: Place
) -> None:
    token = hasty_keystone.token(place.member, place.project)
    service = keystone.token(place.service, place.services)
    assert get(wary, token, X_Service_Token=service).status_code == 200
    wait_until(lambda: get(wary, token).status_code == 401, "the token has expired", SHORT_LIFE_S + 5)
    assert get(wary, token, X_Service_Token=service).status_code == 200
    assert get(wary, token).status_code == 401


def test_a_service_token_without_the_role_lets_nothing_pass(
    headwater: HeadwaterProcess, keystone: Keystone, place: Place
) -> None:
    token = keystone.token(place.member, place.project)
    answer = get(headwater, token, X_Service_Token=keystone.token(place.member, place.project))
    assert answer.status_code == 401
    assert "service" in answer.json()["message"]


def test_a_service_token_that_is_not_valid_lets_nothing_pass(
    headwater: HeadwaterProcess, keystone: Keystone, place: Place
) -> None:
    token = keystone.token(place.member, place.project)
    assert get(headwater, token, X_Service_Token="nonsense").status_code == 401


def test_a_service_token_alone_is_no_caller(headwater: HeadwaterProcess, keystone: Keystone, place: Place) -> None:
    assert get(headwater, X_Service_Token=keystone.token(place.service, place.services)).status_code == 401


@pytest.fixture
def way_to_keystone(keystone: Keystone) -> Iterator[Relay]:
    relay = Relay(urlsplit(keystone.url).port or 0)
    yield relay
    relay.close()


def test_while_keystone_is_away_known_tokens_work_and_others_are_told_to_come_back(
    way_to_keystone: Relay, keystone: Keystone, place: Place, tmp_path: Path
) -> None:
    settings = toml(f"http://127.0.0.1:{way_to_keystone.port}/v3", place.service)
    process = HeadwaterProcess(tmp_path, toml=settings)
    process.start()
    try:
        known, other = (keystone.token(place.member, place.project) for _ in range(2))
        assert get(process, known).status_code == 200
        with way_to_keystone.cut():
            assert get(process, known).status_code == 200
            refused = get(process, other)
            assert refused.status_code == 503
            assert int(refused.headers["Retry-After"]) > 0
            assert get(process, "never-seen").status_code == 503
            assert get(process).status_code == 401
        wait_until(lambda: get(process, other).status_code == 200, "Keystone is asked again")
    finally:
        process.kill()


def test_a_keystone_that_hangs_holds_up_only_those_who_need_it(
    way_to_keystone: Relay, keystone: Keystone, place: Place, tmp_path: Path
) -> None:
    settings = toml(f"http://127.0.0.1:{way_to_keystone.port}/v3", place.service, timeout_s=1)
    process = HeadwaterProcess(tmp_path, toml=settings)
    process.start()
    try:
        known = keystone.token(place.member, place.project)
        assert get(process, known).status_code == 200
        with way_to_keystone.hanging(), ThreadPoolExecutor(40) as crowd:
            unknown = [crowd.submit(get, process, f"unknown-{number}") for number in range(40)]
            time.sleep(0.3)
            for path in (IMAGES, "/healthcheck", "/versions"):
                assert get(process, known, path).status_code == 200
            assert not all(each.done() for each in unknown)  # behind whom they would have waited
            assert {each.result().status_code for each in unknown} == {503}
    finally:
        process.kill()


def test_a_service_user_with_a_wrong_password_is_no_reason_to_let_anybody_in(
    keystone: Keystone, place: Place, tmp_path: Path
) -> None:
    wrong = User(place.service.id, place.service.name, "wrong-and-secret")
    process = HeadwaterProcess(tmp_path, toml=toml(keystone.url, wrong))
    process.start()
    try:
        assert get(process, keystone.token(place.member, place.project)).status_code == 503
        assert any(event.get("reason") == "Keystone refuses Headwater's own user" for event in process.logs())
        assert "wrong-and-secret" not in process.stderr()
    finally:
        process.kill()


def test_a_service_user_whose_token_expired_gets_a_new_one(
    hasty_keystone: Keystone, keystone: Keystone, place: Place
) -> None:
    tokens = KeystoneTokens(keystone_settings(hasty_keystone, place))
    for _ in range(2):
        caller = tokens.caller({"x-auth-token": keystone.token(place.member, place.project)})
        assert caller.user_id == place.member.id
        time.sleep(SHORT_LIFE_S + 1)


def keystone_settings(keystone: Keystone, place: Place) -> KeystoneSettings:
    given = {"auth_url": keystone.url, "username": place.service.name, "password": place.service.password}
    return KeystoneSettings.model_validate(given)


def test_a_caller_is_what_keystone_says_of_the_token(keystone: Keystone, place: Place) -> None:
    ask = Questions(keystone_settings(keystone, place))
    answer = ask(keystone.token(place.member, place.project), allow_expired=False)
    assert answer is not None
    assert (answer.caller.user_id, answer.caller.project_id) == (place.member.id, place.project)
    assert answer.caller.roles == {"member", "reader"}
    assert (answer.caller.system_scope, answer.caller.domain_id) == (None, None)
    assert 3000 < answer.expires_at - time.time() <= 3600


def test_scopes_of_system_and_domain_are_told(keystone: Keystone, place: Place) -> None:
    keystone.grant(place.member, "system", "reader")
    keystone.grant(place.member, "domains/default", "reader")
    ask = Questions(keystone_settings(keystone, place))
    system = ask(keystone.token(place.member, scope={"system": {"all": True}}), allow_expired=False)
    domain = ask(keystone.token(place.member, scope={"domain": {"id": "default"}}), allow_expired=False)
    unscoped = ask(keystone.token(place.member), allow_expired=False)
    assert system is not None
    assert domain is not None
    assert unscoped is not None
    assert (system.caller.system_scope, system.caller.project_id) == ("all", None)
    assert (domain.caller.domain_id, domain.caller.project_id) == ("default", None)
    assert unscoped.caller.roles == frozenset()


def test_a_token_with_access_rules_is_refused(keystone: Keystone, place: Place) -> None:
    rules = [{"service": "compute", "method": "GET", "path": "/v2.1/servers"}]
    credential = keystone.application_credential(place.member, place.project, access_rules=rules)
    tokens = KeystoneTokens(keystone_settings(keystone, place))
    with pytest.raises(Unauthenticated):
        tokens.caller({"x-auth-token": keystone.application_token(credential)})


def test_a_place_where_no_keystone_is_gives_no_caller(place: Place, keystone: Keystone) -> None:
    relay = Relay(1)
    with relay.cut():
        given = {"auth_url": f"http://127.0.0.1:{relay.port}", "username": "u", "password": "p"}
        tokens = KeystoneTokens(KeystoneSettings.model_validate(given))
        with pytest.raises(KeystoneUnavailable):
            tokens.caller({"x-auth-token": keystone.token(place.member, place.project)})
    relay.close()


def test_no_log_holds_a_token_or_a_password(headwater: HeadwaterProcess, keystone: Keystone, place: Place) -> None:
    token = keystone.token(place.member, place.project)
    service = keystone.token(place.service, place.services)
    assert get(headwater, token, X_Service_Token=service).status_code == 200
    bad = "not-a-token-but-a-secret"
    assert get(headwater, bad).status_code == 401
    wait_until(lambda: len(headwater.requests(status=401)) > 0, "the requests are in the log")
    said = headwater.stderr() + headwater.stdout()
    for secret in (token, service, bad, place.service.password):
        assert secret not in said
    assert headwater.requests(status=200, user=place.member.id, project=place.project)


# --- Users from a file ---------------------------------------------------------------------------


def line(name: str, password: str, *more: str) -> str:
    hash_ = bcrypt.hashpw(password.encode(), bcrypt.gensalt(10)).decode()
    return ":".join([name, hash_, *more]) + "\n"


@pytest.fixture
def basic(tmp_path: Path) -> Iterator[HeadwaterProcess]:
    directory = tmp_path / "basic"
    directory.mkdir()
    users = directory / "users"
    users.write_text(line("ada", "pass:wörd") + line("root", "toor", "cloud", "admin"))
    process = HeadwaterProcess(directory, toml=f'[auth]\nmode = "basic"\nhtpasswd_file = "{users}"\n')
    process.start()
    yield process
    process.kill()


def test_openstack_comes_in_with_a_password(openstack_client: Path, basic: HeadwaterProcess, tmp_path: Path) -> None:
    # With this proof openstacksdk asks exactly the endpoint; only with "none" it looks for the version itself.
    words = ("--os-auth-type", "http_basic", "--os-endpoint", f"{basic.images_url}/v2", "--os-username", "root")
    openstack = Client(openstack_client, tmp_path, (*words, "--os-password", "toor"))
    image = openstack.json("image", "create", *a_disk(tmp_path), "plain")
    assert [each["ID"] for each in openstack.json("image", "list")] == [image["id"]]
    refused = Client(openstack_client, tmp_path, (*words, "--os-password", "wrong")).attempt("image", "list")
    assert refused.returncode != 0
    assert "401" in refused.stderr


def basic_get(process: HeadwaterProcess, user: str, password: str) -> httpx.Response:
    proof = base64.b64encode(f"{user}:{password}".encode()).decode()
    return get(process, Authorization=f"Basic {proof}")


def test_a_password_opens_and_another_does_not(basic: HeadwaterProcess) -> None:
    assert basic_get(basic, "ada", "pass:wörd").status_code == 200
    for user, password in (("ada", "pass"), ("ada", ""), ("nobody", "pass:wörd"), ("", ""), ("ada", "x" * 100)):
        answer = basic_get(basic, user, password)
        assert answer.status_code == 401, (user, password)
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="headwater"'
    assert get(basic).headers["WWW-Authenticate"] == 'Basic realm="headwater"'


def test_a_change_of_the_file_counts_without_a_restart(basic: HeadwaterProcess) -> None:
    users = basic.directory / "users"
    assert basic_get(basic, "ada", "pass:wörd").status_code == 200
    users.write_text(line("ada", "changed"))
    wait_until(lambda: basic_get(basic, "ada", "changed").status_code == 200, "the file is read again")
    assert basic_get(basic, "ada", "pass:wörd").status_code == 401
    users.write_text("no file of users\n")
    time.sleep(1.2)
    assert basic_get(basic, "ada", "changed").status_code == 200


# --- Starts that are refused ---------------------------------------------------------------------


def refused_start(directory: Path, settings: str, options: Mapping[str, str] | None = None) -> HeadwaterDidNotStart:
    words = [word for pair in (options or {}).items() for word in pair]
    process = HeadwaterProcess(directory, toml=settings, options=words)
    with pytest.raises(HeadwaterDidNotStart) as caught:
        process.start()
    assert "Traceback" not in caught.value.stderr
    assert caught.value.code == 2
    return caught.value


def test_nobody_serves_the_world_without_authentication_by_accident(tmp_path: Path) -> None:
    refused = refused_start(tmp_path, "", {"--bind": "0.0.0.0:0"})
    assert "allow_none_beyond_loopback" in refused.stderr


def test_a_bad_rule_refuses_the_start_and_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text('"get_image": "role:reader"\n"add_image": "role:admin and (role:x"\n')
    refused = refused_start(tmp_path, f'[policy]\nfile = "{file}"\n')
    assert f"policy file {file}, line 2, rule 'add_image'" in refused.stderr


def test_a_line_without_a_bcrypt_hash_refuses_the_start(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text(line("ada", "x") + "bob:$apr1$salt$hash-that-is-secret\n")
    refused = refused_start(tmp_path, f'[auth]\nmode = "basic"\nhtpasswd_file = "{file}"\n')
    assert f"{file}, line 2" in refused.stderr
    assert "hash-that-is-secret" not in refused.stderr


def test_keystone_without_a_password_refuses_the_start(tmp_path: Path) -> None:
    refused = refused_start(
        tmp_path, '[auth]\nmode = "keystone"\n[auth.keystone]\nauth_url = "http://k/v3"\nusername = "u"\n'
    )
    assert "password" in refused.stderr


def test_the_password_of_the_service_user_is_not_shown(tmp_path: Path) -> None:
    user = User("id", "headwater", "a-secret-word")
    process = HeadwaterProcess(tmp_path, toml=toml("http://127.0.0.1:5000/v3", user))
    shown = process.command("config", "show", "--json")
    assert shown.returncode == 0
    assert {"key": "auth.keystone.password", "value": "***"}.items() <= next(
        row.items() for row in json.loads(shown.stdout) if row["key"] == "auth.keystone.password"
    )
    assert "a-secret-word" not in shown.stdout


# --- Application credentials, and the catalogue --------------------------------------------------


@pytest.mark.parametrize("by", ["id", "name"])
def test_an_application_credential_validates_tokens(keystone: Keystone, place: Place, tmp_path: Path, by: str) -> None:
    name = f"headwater-by-{by}"
    credential, secret = keystone.application_credential(place.service, place.services, name=name)
    named = f'application_credential_id = "{credential}"'
    if by == "name":
        named = f'application_credential_name = "{name}"\nusername = "{place.service.name}"'
    settings = f"""
[auth]
mode = "keystone"
[auth.keystone]
auth_url = "{keystone.url}"
{named}
application_credential_secret = "{secret}"
"""
    process = HeadwaterProcess(tmp_path, toml=settings)
    process.start()
    try:
        token = keystone.token(place.member, place.project)
        for given, status in ((token, 200), ("no-such-token", 401)):
            answer = httpx.get(f"{process.images_url}{IMAGES}", headers={"X-Auth-Token": given})
            assert answer.status_code == status
        shown = process.command("config", "show", "--json").stdout
        assert credential in shown or by == "name"
        assert secret not in shown
    finally:
        process.stop()
    assert secret not in process.stderr()


def test_a_wrong_secret_is_told_to_the_operator_alone(keystone: Keystone, place: Place) -> None:
    credential, _ = keystone.application_credential(place.service, place.services)
    given = {"auth_url": keystone.url, "application_credential_id": credential, "application_credential_secret": "no"}
    with pytest.raises(KeystoneUnavailable, match="refuses Headwater's own user"):
        Questions(KeystoneSettings.model_validate(given))("any-token", allow_expired=False)


def test_other_services_are_found_by_region_and_interface(keystone: Keystone, place: Place) -> None:
    kind = "key-manager-of-a-test"
    service = keystone.service(kind, "found")
    keystone.add_region("north")
    for region in (keystone.region, "north"):
        for interface in ("public", "internal"):
            url = f"http://{interface}.{region.lower()}.example:9311"
            keystone.place(service, url, region=region, interfaces=[interface])
    credential, secret = keystone.application_credential(place.service, place.services)
    proofs: list[dict[str, str]] = [
        {"application_credential_id": credential, "application_credential_secret": secret},
        {"username": place.service.name, "password": place.service.password},
    ]

    def found(proof: dict[str, str], **where: str) -> str:
        settings = KeystoneSettings.model_validate({"auth_url": keystone.url, **proof, **where})
        return ServiceCatalogue(settings).endpoint(kind)

    for proof in proofs:
        assert found(proof, region="north") == "http://internal.north.example:9311"
        assert found(proof, region="north", interface="public") == "http://public.north.example:9311"
        assert found(proof, region=keystone.region, interface="public") == "http://public.regionone.example:9311"
        with pytest.raises(PeerUnavailable) as absent:
            found(proof, region="north", interface="admin")
        assert absent.value.reason == "is not in Keystone's catalogue (region 'north', interface 'admin')"
        with pytest.raises(PeerUnavailable):
            found(proof, region="south")

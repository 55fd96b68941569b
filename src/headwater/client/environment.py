"""Where the service is and who calls, from the variables that begin with ``OS_``, as OpenStack's clients read them."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from headwater.client.proof import Fixed, Proof, needed

DEFAULT_URL = "http://127.0.0.1:9292"


def proof_from(environment: Mapping[str, str], url: str | None) -> tuple[str, Proof]:
    """Return where the service is, and how to prove who calls.

    Args:
        environment: ``OS_AUTH_URL`` and its like for Keystone; ``OS_AUTH_TYPE=http_basic`` with a name and a password;
            nothing where nobody has to prove anything.
        url: Of the service, if it was said.

    Raises:
        SettingsError: Something is missing, or in a form that is not read here.
        NotProved: Keystone does not know where the service is.
    """
    kind = environment.get("OS_AUTH_TYPE", "")
    url = url or environment.get("OS_IMAGE_ENDPOINT_OVERRIDE") or environment.get("OS_ENDPOINT")
    if kind == "http_basic":
        user, password = needed(environment, "OS_USERNAME"), needed(environment, "OS_PASSWORD")
        word = base64.b64encode(f"{user}:{password}".encode()).decode()
        return url or DEFAULT_URL, Fixed({"Authorization": f"Basic {word}"})
    if kind == "admin_token":
        return url or DEFAULT_URL, Fixed({"X-Auth-Token": needed(environment, "OS_TOKEN")})
    if "OS_AUTH_URL" in environment and kind != "none":
        from headwater.client.keystone import Keystone, keystone_session  # noqa: PLC0415 - most do without Keystone

        keystone = Keystone(keystone_session(environment), environment["OS_AUTH_URL"])
        interface = environment.get("OS_INTERFACE", "public")
        return url or keystone.endpoint(interface, environment.get("OS_REGION_NAME")), keystone
    return url or DEFAULT_URL, Fixed({})

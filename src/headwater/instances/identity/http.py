"""Identities over HTTP: machines post for a token or read their document, and everybody reads the keys."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from headwater.http.requests import body_within
from headwater.http.threads import InThread
from headwater.instances.identity.keys import PUBLISHED_S, Keys
from headwater.instances.identity.proofs import Proofs
from headwater.instances.identity.tokens import IdentityTokens, TokenRequestInvalid
from headwater.instances.snapshots.snapshot import Snapshot
from headwater.instances.tokens.http import require_nobody_between
from headwater.instances.trees import identity_document
from headwater.instances.trees.document import JSON, TEXT, Document, text

_BODY_LIMIT = 4096  # bytes
_CERTIFICATES = "application/pem-certificate-chain"  # RFC 8555, section 9.1


async def post(
    request: Request, snapshot: Snapshot, tokens: IdentityTokens, in_thread: InThread, *, by_agent: bool
) -> Response:
    """Return the answer with a token; a form with ``audience`` and, maybe, ``lifetime`` is the body or the query.

    Args:
        by_agent: Neutron's agent stands between, and says for whom.
    """
    if not by_agent:
        require_nobody_between(request)
    body = await body_within(request, _BODY_LIMIT)
    if len(body) > _BODY_LIMIT:
        raise TokenRequestInvalid("body", f"a form of at most {_BODY_LIMIT} bytes")
    said = _form(bytes(body) or request.scope["query_string"])  # Neutron's agent often loses a body
    made = await in_thread(lambda: tokens.issue(snapshot, said.get("audience"), said.get("lifetime")))
    return Response(made, headers={"content-type": TEXT, "Cache-Control": "no-store"})


def routes(tokens: IdentityTokens, in_thread: InThread) -> list[BaseRoute]:
    """Return the routes by which those who check tokens find the keys; they need no caller."""

    def public(read: Callable[[], bytes], content_type: str = JSON) -> Callable[[Request], object]:
        async def answer(_request: Request) -> Response:
            headers = {"content-type": content_type, "Cache-Control": f"public, max-age={PUBLISHED_S}"}
            return Response(await in_thread(read), headers={**headers, "Access-Control-Allow-Origin": "*"})

        return answer

    proofs = Proofs(tokens.keys)
    return [
        Route("/.well-known/jwks.json", public(lambda: msgspec.json.encode({"keys": tokens.keys.published()}))),
        Route("/.well-known/openid-configuration", public(lambda: msgspec.json.encode(tokens.configuration()))),
        Route("/.well-known/instance-identity.pem", public(proofs.certificates, _CERTIFICATES)),
    ]


async def signed(name: str, snapshot: Snapshot, keys: Keys, in_thread: InThread) -> Document:
    """Return one of ``SIGNED``, a signature of the machine's document."""
    document = snapshot.documents[identity_document.NAME].body
    return text(await in_thread(lambda: Proofs(keys).of(name, document)))


def _form(body: bytes) -> dict[str, str]:
    try:
        values = parse_qs(body.decode(), strict_parsing=True, max_num_fields=8, errors="strict") if body else {}
    except ValueError as error:
        raise TokenRequestInvalid("body", "no form, such as audience=vault&lifetime=300") from error
    for name, given in values.items():
        if name not in ("audience", "lifetime") or len(given) > 1:
            raise TokenRequestInvalid(name[:64], "there are 'audience' and 'lifetime', each once")
    return {name: given[0] for name, given in values.items()}

"""Handler for what a project uses and may use."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from headwater.http import requests
from headwater.http.answers import json_answer
from headwater.images.quotas.service import Quotas
from headwater.threads import Pool


class UsageHandlers:
    """Requests in, use cases called, answers out."""

    def __init__(self, quotas: Quotas, catalogue_calls: Pool) -> None:
        self._quotas = quotas
        self._calls = catalogue_calls

    async def show(self, request: Request) -> Response:
        caller = requests.caller(request)
        usage = await self._calls.run(lambda: self._quotas.usage(caller))
        return json_answer({"usage": usage})

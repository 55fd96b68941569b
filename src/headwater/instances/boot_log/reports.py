"""What cloud-init reports by its webhook: which stage began, and how it ended.

Guests are not to be believed: a report is small, of known fields, printable, and shown as what the guest says. It
needs no token, which cloud-init cannot send; it is written to and nothing is read.
"""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from headwater.errors import Invalid, TooLarge
from headwater.http.context import context
from headwater.http.requests import body_within
from headwater.instances.boot_log.entries import Report
from headwater.instances.trees.document import TEXT

PATH = "reporting/cloud-init"
DOCUMENTS = frozenset({f"ec2/{PATH}", f"nocloud/{PATH}"})
_LIMIT = 64 * 1024  # bytes; a report holds files where the reporter is told to send them
_TEXT = 300  # characters of one field

CLOUD_CONFIG = """\
#cloud-config
reporting:
  headwater:
    type: webhook
    endpoint: {endpoint}
"""


class ReportInvalid(Invalid):
    """This is no report of cloud-init."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"This is no report of cloud-init: {problem}.")
        self.problem = problem


class ReportTooLarge(TooLarge):
    """A report with more than is read of one."""

    def __init__(self) -> None:
        super().__init__(f"A report may have {_LIMIT} bytes.")


class _Posted(msgspec.Struct):
    name: str
    event_type: str
    description: str = ""
    result: str | None = None


async def take(request: Request) -> Response:
    """Take what a guest posts; it is noted with the request.

    Raises:
        ReportInvalid, ReportTooLarge: It is no report.
    """
    body = await body_within(request, _LIMIT)
    if len(body) > _LIMIT:
        raise ReportTooLarge
    context(request.scope).report = report_of(bytes(body))
    return Response(headers={"content-type": TEXT})


def report_of(body: bytes) -> Report:
    """Return the report in a body.

    Raises:
        ReportInvalid: There is none.
    """
    try:
        posted = msgspec.json.decode(body, type=_Posted)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReportInvalid(str(error)[:_TEXT]) from error
    return Report(
        name=_clean(posted.name),
        description=_clean(posted.description),
        event=_clean(posted.event_type),
        result=_clean(posted.result or "") or None,
    )


def _clean(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text[:_TEXT])

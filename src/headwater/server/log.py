"""Logs: one line an event, JSON or text, on standard error.

Modules log through the standard library with ``extra=``; this module gives every line the time, the
level and the id of the request that it belongs to.
"""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import msgspec
import structlog
from structlog.typing import EventDict, Processor

from headwater.server.audit_file import AuditFile

AUDIT = "headwater.audit"

request_id: ContextVar[str] = ContextVar("request_id", default="")


def configure(format_name: str, level: str, audit_file: Path | None = None) -> None:
    """Send all logs of this process to standard error.

    Args:
        format_name: ``json`` or ``text``.
        level: ``debug``, ``info``, ``warning`` or ``error``; what is less is dropped.
        audit_file: Where audit records go, as JSON, instead; whatever the level, they are written.

    Raises:
        AuditFileUnwritable: They cannot go there.
    """
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _add_request_id,
    ]
    renderer: Processor
    if format_name == "json":
        renderer = structlog.processors.JSONRenderer(serializer=_json)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(shared, renderer))
    audit = logging.getLogger(AUDIT)
    audit.setLevel(logging.INFO)
    audit.propagate = audit_file is None
    for old in list(audit.handlers):
        audit.removeHandler(old)
        old.close()
    if audit_file is not None:
        to_file = AuditFile(audit_file)
        to_file.setFormatter(_formatter(shared, structlog.processors.JSONRenderer(serializer=_json)))
        audit.addHandler(to_file)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # Other libraries' words are theirs; ours follow the setting.
    logging.getLogger("headwater").setLevel(level.upper())
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        # One write for each line, so that lines of several processes never mix.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _formatter(shared: list[Processor], renderer: Processor) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )


def _json(event: EventDict, **_options: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()


def _add_request_id(_logger: Any, _method: str, event: EventDict) -> EventDict:
    current = request_id.get()
    if current:
        event.setdefault("request_id", current)
    return event

"""Logs: one line an event, JSON or text, on standard error.

Modules log through the standard library with ``extra=``; this module gives every line the time, the
level and the id of the request that it belongs to.
"""

from __future__ import annotations

import logging
import re
import sys
from contextvars import ContextVar
from enum import IntEnum
from pathlib import Path
from typing import Any

import msgspec
import structlog
from structlog.typing import EventDict, Processor

from headwater.activity.audit_file import AuditFile

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
        renderer = _Text(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))
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
    # What it says of the data of clients is told to them by the refusal, and is no error of this service.
    logging.getLogger("oslo_utils.imageutils").setLevel(logging.CRITICAL + 1)
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
    written = msgspec.json.encode(event, enc_hook=str).decode()
    # JSON allows these inside a text, yet some readers end a line at them and terminals obey them.
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


# DEL, C1, the line ends of Unicode, and what turns the direction of writing.
_UNSEEN = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class _Text:
    """Lines for people. What others wrote is shown so that a terminal does nothing but show it."""

    def __init__(self, renderer: Processor) -> None:
        self._renderer = renderer

    def __call__(self, logger: Any, method: str, event: EventDict) -> Any:
        shown = {_visible(name): _plain(name, value) for name, value in event.items()}
        return self._renderer(logger, method, shown)


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, IntEnum):
        return int(value)
    if not isinstance(value, str):
        return value  # shown by its repr, which escapes
    # Of a traceback the lines stay lines.
    return "\n".join(map(_visible, value.split("\n"))) if name in ("exception", "stack") else _visible(value)


def _visible(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _add_request_id(_logger: Any, _method: str, event: EventDict) -> EventDict:
    current = request_id.get()
    if current:
        event.setdefault("request_id", current)
    return event

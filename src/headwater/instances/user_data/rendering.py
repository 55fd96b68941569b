"""The process in which one template is rendered: ``python -m headwater.instances.user_data.rendering``.

Jinja's sandbox keeps expressions from the program that renders them, not from its memory and its time. So they have a
process that has little of both, writes no file, and ends. It reads a ``Request`` as JSON and writes an ``Answer``.
"""

from __future__ import annotations

import base64
import resource
import sys
from collections.abc import Iterator

import msgspec
from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from headwater.instances.user_data.render_request import Answer, Request

_IN_TEMPLATES = "<template>"  # as Jinja calls a template without a name in tracebacks


def answered(request: Request) -> Answer:
    """Return what becomes of a template in this process, whatever that costs."""
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    environment.filters["b64encode"] = _base64
    try:
        return _whole(environment.from_string(request.source).generate(request.variables), request.characters)
    except TemplateSyntaxError as error:
        return Answer(line=error.lineno, problem=error.message or "it is no template")
    except UndefinedError as error:
        return _wrong(error, f"{error.message} (known: {', '.join(request.variables)})")
    except TemplateError as error:
        return _wrong(error, error.message or type(error).__name__)
    except MemoryError as error:
        return _wrong(error, f"it needs more than {request.memory >> 20} MiB of memory: repeat less in it")
    except RecursionError as error:
        return _wrong(error, "it goes too deep: its macros call each other without end, or it is nested too far")
    except Exception as error:  # noqa: BLE001 - an expression may raise whatever Python does
        return _wrong(error, f"{type(error).__name__}: {str(error)[:_SAID]}")


_SAID = 500  # characters of what a library says


def _whole(pieces: Iterator[str], most: int) -> Answer:
    found, size = [], 0
    for piece in pieces:
        size += len(piece)
        if size > most:
            return Answer(problem=f"it renders to more than {most} characters")
        found.append(piece)
    text = "".join(found)
    if any("\ud800" <= character <= "\udfff" for character in text):
        return Answer(problem="it renders to half a character (\\ud800 to \\udfff), which no text holds")
    return Answer(text=text)


def _wrong(error: BaseException, problem: str) -> Answer:
    """Return what is wrong with the line that was being rendered; Jinja puts it into the traceback."""
    line, step = None, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == _IN_TEMPLATES:
            line = step.tb_lineno
        step = step.tb_next
    return Answer(line=line, problem=problem)


def _base64(value: object) -> str:
    return base64.b64encode(str(value).encode()).decode()


def main() -> None:
    """Answer the request on standard input, within its bounds."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    for kind, most in (
        (resource.RLIMIT_AS, request.memory),
        (resource.RLIMIT_CPU, request.processor_s),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    sys.stdout.buffer.write(msgspec.json.encode(answered(request)))


if __name__ == "__main__":
    main()

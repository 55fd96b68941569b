"""User data from a template, rendered once for an instance, when it is registered.

So a template that fails is refused before there is anything to serve, and a guest reads bytes that were whole and
checked. Jinja's sandbox keeps expressions away from the program, not from memory and time: whoever may give a template
can keep this process busy, so no face over HTTP renders any.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from headwater.instances.model import USER_DATA_LIMIT, Instance
from headwater.instances.user_data.errors import TemplateInvalid

_MOST: Final = 16 * USER_DATA_LIMIT  # characters on the way; what is registered has another limit
_IN_TEMPLATES: Final = "<template>"  # as Jinja calls a template without a name in tracebacks
_FOR_GUESTS: Final = b"## template: jinja"


def facts(instance: Instance) -> dict[str, Any]:
    """Return what templates may use."""
    return {
        "id": instance.id,
        "name": instance.name,
        "hostname": instance.hostname,
        "project_id": instance.project_id,
        "addresses": list(instance.plain_addresses),
        "local_ipv4": instance.local_ipv4,
        "public_ipv4": instance.public_ipv4,
        "ssh_keys": [key.data for key in instance.keys if key.type == "ssh"],
        "meta": dict(instance.meta),
        "instance_type": instance.instance_type,
        "availability_zone": instance.availability_zone,
        "launch_index": instance.launch_index,
        "network_data": instance.network_data,
    }


def rendered(template: bytes, variables: Mapping[str, Any]) -> bytes:
    """Return what a template makes of the facts of an instance.

    Raises:
        TemplateInvalid: It is no template, uses what is not there, or does too much. The message names the line.
    """
    if template.lstrip()[: len(_FOR_GUESTS)].lower() == _FOR_GUESTS:
        raise TemplateInvalid(
            1, "'## template: jinja' lets cloud-init render it in the guest; leave that line out, or register it as is"
        )
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    environment.filters["b64encode"] = _base64
    try:
        source = template.decode()
    except UnicodeDecodeError as error:
        raise TemplateInvalid(template.count(b"\n", 0, error.start) + 1, "it is not UTF-8 text") from error
    try:
        return _whole(environment.from_string(source).generate(variables)).encode()
    except TemplateSyntaxError as error:
        raise TemplateInvalid(error.lineno, error.message or "it is no template") from error
    except UndefinedError as error:
        raise TemplateInvalid(_line_of(error), f"{error.message} (known: {', '.join(variables)})") from error
    except TemplateError as error:
        raise TemplateInvalid(_line_of(error), error.message or type(error).__name__) from error
    except TemplateInvalid:
        raise
    except Exception as error:  # an expression may raise whatever Python does
        raise TemplateInvalid(_line_of(error), f"{type(error).__name__}: {error}") from error


def _whole(pieces: Any) -> str:
    found, size = [], 0
    for piece in pieces:
        found.append(piece)
        size += len(piece)
        if size > _MOST:
            raise TemplateInvalid(None, f"it renders to more than {_MOST} characters")
    return "".join(found)


def _line_of(error: BaseException) -> int | None:
    """Return the line of the template that was being rendered; Jinja puts it into the traceback."""
    line, step = None, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == _IN_TEMPLATES:
            line = step.tb_lineno
        step = step.tb_next
    return line


def _base64(value: object) -> str:
    return base64.b64encode(str(value).encode()).decode()

"""User data from a template, rendered once for an instance, when it is registered.

So a template that fails is refused before there is anything to serve, and a guest reads bytes that were whole and
checked. It is rendered in a process of its own, with bounds on memory and time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from headwater.instances.model import USER_DATA_LIMIT, Instance
from headwater.instances.user_data.errors import TemplateInvalid
from headwater.instances.user_data.render_request import Answer, Request

_MOST: Final = 16 * USER_DATA_LIMIT  # characters of what is rendered, and bytes of the template; what is kept has less
_MEMORY: Final = 256 << 20  # bytes; Python and Jinja take a fifth of it
_PROCESSOR_S: Final = 5
_TIME_S: Final = 30.0  # on the clock of a machine that does much besides
_OF_PYTHON: Final = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH")  # what it finds its modules with
_RENDERING: Final = "headwater.instances.user_data.rendering"
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


def rendered(template: bytes, variables: Mapping[str, Any], name: str | None = None) -> bytes:
    """Return what a template makes of the facts of an instance.

    Args:
        name: Of its file, as people know it.

    Raises:
        TemplateInvalid: It is no template, uses what is not there, or does too much. The message names the line.
    """
    if template.lstrip()[: len(_FOR_GUESTS)].lower() == _FOR_GUESTS:
        raise TemplateInvalid(
            name,
            1,
            "'## template: jinja' lets cloud-init render it in the guest; leave that line out, or register it as is",
        )
    if len(template) > _MOST:
        raise TemplateInvalid(name, None, f"it has more than {_MOST} bytes")
    try:
        source = template.decode()
    except UnicodeDecodeError as error:
        raise TemplateInvalid(name, template.count(b"\n", 0, error.start) + 1, "it is not UTF-8 text") from error
    answer = _answer(
        Request(
            source=source,
            variables=dict(variables),
            characters=_MOST,
            memory=_MEMORY,
            processor_s=_PROCESSOR_S,
        )
    )
    if answer.text is None:
        raise TemplateInvalid(name, answer.line, answer.problem or "it renders to nothing")
    return answer.text.encode()


def _answer(request: Request) -> Answer:
    try:
        ended = subprocess.run(  # noqa: S603 - our own program; what is asked goes by its input
            [sys.executable, "-P", "-m", _RENDERING],
            input=msgspec.json.encode(request),
            env={name: os.environ[name] for name in _OF_PYTHON if name in os.environ},
            capture_output=True,
            timeout=_TIME_S,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Answer(problem=f"it takes longer than {_TIME_S:g} s to render: repeat less in it")
    if ended.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return Answer(problem=f"it takes more than {request.processor_s} s of the processor: repeat less in it")
    try:
        return msgspec.json.decode(ended.stdout, type=Answer)
    except msgspec.DecodeError:  # it had no memory left to say so
        return Answer(
            problem=f"what renders it ended ({ended.returncode}); it may need more than {request.memory >> 20} MiB of "
            "memory: repeat less in it"
        )

"""Options that several commands have alike, as one parameter of each."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

Command = Callable[..., None]


def taking(group: type[Any], parameter: str) -> Callable[[Command], Command]:
    """Let a command have the options of a dataclass in place of a parameter, which gets one of that class.

    Args:
        group: Its fields are annotated as typer's parameters are; the default of each is ``None``.
        parameter: The name of the parameter; the options stand where it does.
    """
    hints = get_type_hints(group, include_extras=True)
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)
        for name, hint in hints.items()
    ]

    def with_options(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        parameters: list[inspect.Parameter] = []
        for each in signature.parameters.values():
            parameters += options if each.name == parameter else [each]

        @functools.wraps(command)
        def grouped(**given: Any) -> None:
            said = group(**{name: given.pop(name) for name in hints})
            command(**given, **{parameter: said})

        grouped.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # what typer reads
        grouped.__annotations__ = {each.name: each.annotation for each in parameters}
        return grouped

    return with_options

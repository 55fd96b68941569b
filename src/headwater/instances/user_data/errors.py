"""What can be wrong with user data that is put together, taken apart or rendered."""

from __future__ import annotations

from headwater.errors import Invalid


class PartUnusable(Invalid):
    """A piece of user data cannot be a part of several."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name, self.problem = name, problem


class UserDataUnreadable(Invalid):
    """User data says that it is several pieces, or compressed, and is not."""

    def __init__(self, part: str, problem: str) -> None:
        super().__init__(f"user data{f', part {part}' if part else ''}: {problem}")
        self.part, self.problem = part, problem


class TemplateInvalid(Invalid):
    """A template of user data cannot be rendered with what is known of the instance."""

    def __init__(self, name: str | None, line: int | None, problem: str) -> None:
        called = "template" if name is None else f"template {name}"
        super().__init__(
            f"user data, {called}{'' if line is None else f', line {line}'}: {problem}; nothing is registered"
        )
        self.name, self.line, self.problem = name, line, problem


class SchemaUnusable(Invalid):
    """A file is no schema of cloud-config."""

    def __init__(self, file: str, problem: str) -> None:
        super().__init__(f"{file} is no schema of cloud-config: {problem}; name that of an installed cloud-init")
        self.file, self.problem = file, problem

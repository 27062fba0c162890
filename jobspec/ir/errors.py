"""Errors a user can meet.

Takes: what went wrong, in the user's own terms. Promises: every such error carries a code that
`jobspec explain` knows (codes.toml), the reason, and the next step; its class fixes the exit code.
"""

from __future__ import annotations

from typing import ClassVar


class JobspecError(Exception):
    """Base of every error that is shown to a user without a traceback (exit code 1: the job failed)."""

    exit_code: ClassVar[int] = 1

    def __init__(self, code: str, reason: str, *, help: str | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.help = help

    def __str__(self) -> str:
        tail = f"\nhelp: {self.help}" if self.help else ""
        return f"error[{self.code}]: {self.reason}{tail}"


class UsageError(JobspecError):
    """The command line or an API call is off (exit code 2)."""

    exit_code = 2


class CompileError(JobspecError):
    """The text is not a job that compiles (exit code 3)."""

    exit_code = 3


class MismatchError(JobspecError):
    """A verification found a difference (exit code 4)."""

    exit_code = 4


class DataError(JobspecError):
    """Data is missing or is not what its hash says (exit code 5)."""

    exit_code = 5

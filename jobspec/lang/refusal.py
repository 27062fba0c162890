"""How the algebra of values says no.

Takes: a code and plain words. Promises: whoever evaluates an expression turns a `Refusal` into a diagnostic at the
expression's place; `parts` put words under its operands (by position). `Silenced` follows from an error that has been
reported already and is never shown.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Refusal(Exception):
    """Why an operation has no meaning. `label` stands at the operation, `parts` at its operands."""

    code: str
    message: str
    label: str = ""
    parts: tuple[tuple[int, str], ...] = ()
    notes: tuple[str, ...] = ()
    help: str | None = None


class Silenced(Exception):
    """A value that an earlier error left without meaning was used."""


def need(condition: bool, code: str, message: str, help: str | None = None) -> None:
    if not condition:
        raise Refusal(code, message, help=help)

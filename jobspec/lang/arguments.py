"""Arguments of a call brought to the parameters of a function.

Takes: parameter names with their defaults, positional and named arguments. Promises: one value per parameter, or a
refusal that names the parameter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobspec.lang.hints import of_argument
from jobspec.lang.refusal import Refusal

MISSING = object()


def bind(function: str, names: Sequence[str], positional: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Parameter → argument, for those that are given."""
    if len(positional) > len(names):
        takes = ", ".join(names) or "nothing"
        raise Refusal("E0261", f"`{function}` takes {count(len(names))} ({takes}), {len(positional)} are given")
    given = dict(zip(names, positional, strict=False))
    for name, value in named.items():
        if name not in names:
            raise Refusal(
                "E0261",
                f"`{function}` has no parameter `{name}`",
                help=of_argument(name, names),
            )
        if name in given:
            raise Refusal("E0261", f"`{function}`: `{name}` is given twice")
        given[name] = value
    return given


def count(n: int) -> str:
    return "1 argument" if n == 1 else f"{n} arguments"


def missing(function: str, name: str) -> Refusal:
    return Refusal("E0261", f"`{function}` needs its argument `{name}`", help=f"as in `{function}({name}=…)`")

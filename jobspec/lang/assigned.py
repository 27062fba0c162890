"""Values set from outside a text, as a command line gives them.

Takes: `NAME=VALUE` words. Promises: a table of them, in their order, and the words again. What they do to a text is
lang/override.py's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jobspec.ir.errors import UsageError


def assignments(pairs: Iterable[str]) -> dict[str, str]:
    """`NAME=VALUE` words as a table. Raises UsageError E0813."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name.strip() and equals and value.strip()):
            help = f"say to what: `--set {name.strip() or 'steps'}=…`"
            raise UsageError("E0813", f"`--set {pair}` sets nothing", help=help)
        found[name.strip()] = value.strip()
    return found


def said(values: Mapping[str, str]) -> list[str]:
    """The words of the command line again."""
    return [f"{name}={value}" for name, value in values.items()]

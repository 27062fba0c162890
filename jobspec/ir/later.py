"""Functions and classes that are imported when they are first called.

Takes: a module's name and a name in it. Promises: calling what `later` gives is calling that; until then the module is
not imported, so that a command does not wait for what it does not need. It stands at the head of a module, under the
import that type checkers and the import law see:

    if TYPE_CHECKING:
        from jobspec.planning import report_of
    else:
        report_of = later("jobspec.planning", "report_of")
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def later(module: str, name: str) -> Callable[..., Any]:
    """`name` of `module`, to be called."""

    def called(*arguments: Any, **named: Any) -> Any:
        return getattr(import_module(module), name)(*arguments, **named)

    return called

"""Names in reach of a statement.

Takes: names and values as the body binds them. Promises: a scope belongs to a region; a tensor that is found in a scope
of an outer region comes in through the loop between, so that bodies of loops stay closed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from jobspec.lang.refusal import Refusal, Silenced
from jobspec.lang.region import Region
from jobspec.lang.source import Span
from jobspec.lang.values import Tensor


class Poison:
    """The value of a name whose statement had an error: using it says nothing more."""


POISON = Poison()


@dataclass
class Bound:
    """A `Refusal` as value: the name is known, and says why it has no value here."""

    value: Any
    span: Span | None = None
    used: bool = False


@dataclass(eq=False)
class Scope:
    """`parent`: the scope around a loop's body; a function's body has none."""

    region: Region
    parent: Scope | None = None
    names: dict[str, Bound] = field(default_factory=dict)

    def bind(self, name: str, value: Any, span: Span | None = None) -> None:
        old = self.names.get(name)
        self.names[name] = Bound(value, span, old is not None and old.used)

    def find(self, name: str) -> tuple[Bound, Scope] | None:
        if name in self.names:
            return self.names[name], self
        return self.parent.find(name) if self.parent else None

    def read(self, name: str) -> Any:
        """The value of a name that `find` finds, as this scope's region sees it. Silenced where it is poison."""
        found = self.find(name)
        assert found is not None
        bound, home = found
        bound.used = True
        if bound.value is POISON:
            raise Silenced
        if isinstance(bound.value, Refusal):
            raise bound.value
        if not isinstance(bound.value, Tensor) or home.region is self.region:
            return bound.value
        return self.region.reach(bound.value, home.region)

    def all_names(self) -> Iterator[str]:
        yield from self.names
        if self.parent:
            yield from self.parent.all_names()

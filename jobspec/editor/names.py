"""What the words of a text name, as an editor sees it.

Takes: nothing. Promises: a `Symbol` is one thing that has a name; a `Mention` is a place where it is written. Two words
with one symbol are renamed together, two words with different symbols never are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from jobspec.lang import tree
from jobspec.lang.source import Span


@dataclass(eq=False)
class Symbol:
    """`home`: the definition or section that it belongs to, None for what the whole file sees. `declared`: the node
    that makes it. A word of the language has neither."""

    kind: str
    name: str
    home: tree.Node | None = None
    declared: tree.Node | None = None
    mentions: list[Mention] = field(default_factory=list)

    @property
    def definitions(self) -> list[Mention]:
        return [mention for mention in self.mentions if mention.defines]


@dataclass(frozen=True, eq=False)
class Mention:
    """A symbol at a place. The span of an axis leaves its primes out."""

    span: Span
    symbol: Symbol
    defines: bool = False


@dataclass(eq=False)
class Names:
    """Values in reach of a statement. `home`: the definition or section around."""

    home: tree.Node
    axes: dict[str, Symbol]
    parent: Names | None = None
    table: dict[str, Symbol] = field(default_factory=dict)

    def find(self, name: str) -> Symbol | None:
        return self.table.get(name) or (self.parent.find(name) if self.parent else None)

    def bound(self, name: str) -> Symbol | None:
        """The symbol that `name = …` gives a new value here, if there is one."""
        return self.find(name)

    def inside(self) -> Names:
        """The body of a loop here."""
        return Names(self.home, self.axes, self)


def plain(axis: tree.Axis) -> tuple[str, Span]:
    """An axis without its primes."""
    base = axis.text.rstrip("'")
    return base, Span(axis.span.source, axis.span.start, axis.span.start + len(base))


def at(mentions: Iterator[Mention] | list[Mention], offset: int) -> Mention | None:
    """The mention under the cursor, which may stand behind its last letter."""
    touching = [m for m in mentions if m.span.start <= offset <= m.span.end]
    return max(touching, key=lambda m: m.span.start, default=None)

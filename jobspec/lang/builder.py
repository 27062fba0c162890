"""What the reductions of the grammar share.

Takes: children of a rule (tokens and nodes). Promises: ways to read them, and the nodes that live only while parsing.
The reductions themselves are in build_items.py and build_expressions.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jobspec.lang import tree
from jobspec.lang.diagnostics import Reporter
from jobspec.lang.source import Source, Span
from jobspec.lang.tokens import Token


@dataclass(frozen=True)
class Broken(tree.Node):
    """Stands where a statement could not be read; in no tree that leaves the parser."""


@dataclass(frozen=True)
class Passing(tree.Node):
    """A node that hands its parts to its parent and is in no tree."""


@dataclass(frozen=True)
class Arguments(Passing):
    """What stands between the brackets of a call or a list."""

    items: tuple[tree.Expr, ...] = ()
    keywords: tuple[tree.Keyword, ...] = ()


@dataclass(frozen=True)
class Axes(Passing):
    items: tuple[tree.Axis, ...]


@dataclass(frozen=True)
class Generic(Passing):
    """The axes of a definition; `rest`: the last stands for one or more."""

    items: tuple[tree.Axis, ...] = ()
    rest: bool = False


@dataclass(frozen=True)
class Params(Passing):
    items: tuple[tree.Param, ...]


@dataclass(frozen=True)
class Builder:
    """Makes nodes of one source."""

    source: Source
    reporter: Reporter

    def span(self, token: Token) -> Span:
        return Span(self.source, token.start, token.end)

    def ident(self, token: Token) -> tree.Ident:
        return tree.Ident(self.span(token), token.text)

    def axis(self, token: Token) -> tree.Axis:
        return tree.Axis(self.span(token), token.text)

    def axes(self, tokens: Sequence[Token]) -> tuple[tree.Axis, ...]:
        return tuple(self.axis(token) for token in tokens)

    def value(self, token: Token) -> tree.Str:
        return tree.Str(self.span(token), token.text[1:-1])


Children = list[Any]
Rule = Callable[[Builder, Children, Span], Any]


def tokens_of(children: Children, kind: str) -> list[Token]:
    return [child for child in children if isinstance(child, Token) and child.kind == kind]


def node_of(children: Children, *types: type[Any]) -> Any:
    """The first child of these types, or None."""
    return next((child for child in children if isinstance(child, types)), None)


def expr_of(children: Children) -> Any:
    """The last child if it is an expression, or None."""
    last = children[-1]
    return None if isinstance(last, Token | tree.AxisType) else last


def several(child: Any) -> list[Any]:
    return child if isinstance(child, list) else [child]


def span_of(node: Any) -> Span:
    span: Span = node.span
    return span

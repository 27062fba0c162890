"""The syntax tree of an expression; jobspec/lang/tree.py has the rest and the grammar of all of it.

Every node has a `span`; two trees are equal when they say the same, wherever it stands (spans do not count).
An expression holds no statement, so this half stands alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from jobspec.lang.source import Span


@dataclass(frozen=True)
class Node:
    span: Span = field(compare=False, repr=False)


# ---- words ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ident(Node):
    text: str


@dataclass(frozen=True)
class Axis(Node):
    text: str


@dataclass(frozen=True)
class AxisType(Node):
    """The axes of a tensor, or of a linear map from `left` to `right`, one for each element of `stacked`."""

    stacked: tuple[Axis, ...]
    left: tuple[Axis, ...]
    right: tuple[Axis, ...] | None


# ---- expressions ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Num(Node):
    """`value` is exact: 1.2M is Fraction(1_200_000)."""

    value: Fraction
    text: str


@dataclass(frozen=True)
class Str(Node):
    value: str


@dataclass(frozen=True)
class Hash(Node):
    """`b3:` and hexadecimal digits."""

    text: str


@dataclass(frozen=True)
class Name(Node):
    id: str


@dataclass(frozen=True)
class AxisSize(Node):
    """An axis where a number is meant: its size."""

    axis: Axis


@dataclass(frozen=True)
class Keyword(Node):
    name: Ident
    value: Expr


@dataclass(frozen=True)
class Call(Node):
    """`label:function(arguments, keywords)`; the function is a Name, a Field, or a View of one (`conv[I O]`)."""

    function: Expr
    arguments: tuple[Expr, ...]
    keywords: tuple[Keyword, ...]
    label: Ident | None


@dataclass(frozen=True)
class AxisList(Node):
    axes: tuple[Axis, ...]


@dataclass(frozen=True)
class Remap(Node):
    """[T->S] renames, [D->H K] splits, [H K->D] merges."""

    old: tuple[Axis, ...]
    new: tuple[Axis, ...]


@dataclass(frozen=True)
class Pick(Node):
    axis: Axis
    index: Expr


@dataclass(frozen=True)
class Slice(Node):
    axis: Axis
    start: Expr | None
    stop: Expr | None


@dataclass(frozen=True)
class Windows(Node):
    axes: tuple[Axis, ...]
    by: tuple[Axis, ...]


ViewItem: TypeAlias = AxisList | Remap | Pick | Slice | Windows


@dataclass(frozen=True)
class View(Node):
    value: Expr
    items: tuple[ViewItem, ...]


@dataclass(frozen=True)
class Field(Node):
    value: Expr
    name: Ident


@dataclass(frozen=True)
class Bin(Node):
    """op: + - * / % @ ^"""

    op: str
    left: Expr
    right: Expr
    op_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True)
class Neg(Node):
    value: Expr


@dataclass(frozen=True)
class Not(Node):
    value: Expr


@dataclass(frozen=True)
class Cmp(Node):
    """op: < <= > >= == !="""

    op: str
    left: Expr
    right: Expr
    op_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True)
class And(Node):
    left: Expr
    right: Expr


@dataclass(frozen=True)
class Or(Node):
    left: Expr
    right: Expr


@dataclass(frozen=True)
class Cond(Node):
    """`then if test else orelse`, the test known at compile time."""

    then: Expr
    test: Expr
    orelse: Expr


@dataclass(frozen=True)
class ListExpr(Node):
    """[a, b] or [dp=8, tp=2]"""

    items: tuple[Expr, ...]
    keywords: tuple[Keyword, ...]


@dataclass(frozen=True)
class Rename(Node):
    """"enc.*" -> "dec.*" among the arguments of a call."""

    old: Str
    new: Str


Expr: TypeAlias = (
    Num | Str | Hash | Name | AxisSize | Call | View | Field | Bin | Neg | Not | Cmp | And | Or | Cond
    | ListExpr | Rename
)

"""The syntax tree: what is written, not yet what it means.

Every node has a `span`; two trees are equal when they say the same, wherever it stands (spans do not count).

    file   = Job(kind: job|library, name, title?, item*)
    item   = Import(source: Hash | Ident*, alias?)
           | DimDef(axis, value) | Def(kind: def|layer|optim, name, axes, rest, param*, body)
           | DataDef(name, value) | Section(kind: train|eval|save|run, name?, body)
    type   = AxisType(stacked*, left*, right*?)               E | D -> F; right is None without an arrow
    param  = Param(name, type?, default?)
    body   = statement*                                       `= expr` is a body of one Value
    stmt   = Parameter(name, type?, init?, drawn) | State(name, type?, init?)
           | Let(target*, value: expr | Scan) with Target(name, type?)
           | SetDim(axis, value) | Assign(name, value) | Value(expr)
           | Repeat(count, index?, body) | If(test, then, orelse?) | Phase(name, body)
           | Update((Ident | Str)*, optimizer, objective?) | Freeze((Ident | Str)*) | ShardOver(axis*, mesh)
    Scan   = Scan(axis, carry: param*, body)
    expr   = Num(value, text) | Str(value) | Hash(text) | Name(id) | AxisSize(axis)
           | Call(function, expr*, keyword*, label?) with Keyword(name, value)
           | View(value, item*) | Field(value, name)
           | Bin(op, left, right) | Neg(value) | Not(value) | Cmp(op, left, right) | And(left, right) | Or(left, right)
           | Cond(then, test, orelse) | ListExpr(expr*, keyword*) | Rename(old, new)
    view   = AxisList(axis*) | Remap(old*, new*) | Pick(axis, index) | Slice(axis, start?, stop?)
           | Windows(axis*, by*)
    Ident(text): a word where it names something; Axis(text): an axis that is mentioned.

`param w1 w3: D -> F` gives one Parameter for each name, `dim A=1, B=2` one DimDef each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import Literal, TypeAlias

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

# ---- statements -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Param(Node):
    """A parameter of a function, or what a scan carries (then with its first value as default)."""

    name: Ident
    type: AxisType | None
    default: Expr | None


@dataclass(frozen=True)
class Parameter(Node):
    """`param`: a trained tensor. `drawn`: written `~ init` (random), else `= init`."""

    name: Ident
    type: AxisType | None
    init: Expr | None
    drawn: bool


@dataclass(frozen=True)
class State(Node):
    name: Ident
    type: AxisType | None
    init: Expr | None


@dataclass(frozen=True)
class Target(Node):
    name: Ident
    type: AxisType | None


@dataclass(frozen=True)
class Scan(Node):
    axis: Axis
    carry: tuple[Param, ...]
    body: Body


@dataclass(frozen=True)
class Let(Node):
    targets: tuple[Target, ...]
    value: Expr | Scan


@dataclass(frozen=True)
class SetDim(Node):
    axis: Axis
    value: Expr


@dataclass(frozen=True)
class Assign(Node):
    """name := value, once a step."""

    name: Ident
    value: Expr


@dataclass(frozen=True)
class Value(Node):
    """What a body gives; always its last statement."""

    value: Expr


@dataclass(frozen=True)
class Repeat(Node):
    """`repeat L { }` has the count AxisSize(L)."""

    count: Expr
    index: Ident | None
    body: Body


@dataclass(frozen=True)
class If(Node):
    """`else if` is an orelse of one If; without `else`, None."""

    test: Expr
    then: Body
    orelse: Body | None


@dataclass(frozen=True)
class Phase(Node):
    name: Ident
    body: Body


@dataclass(frozen=True)
class Update(Node):
    """update SELECTORS by optimizer of objective; a Str is a glob."""

    selectors: tuple[Ident | Str, ...]
    optimizer: Expr
    objective: Ident | None


@dataclass(frozen=True)
class Freeze(Node):
    selectors: tuple[Ident | Str, ...]


@dataclass(frozen=True)
class ShardOver(Node):
    axes: tuple[Axis, ...]
    mesh: Ident


Statement: TypeAlias = (
    Parameter | State | Let | SetDim | Assign | Value | Repeat | If | Phase | Update | Freeze | ShardOver
)
Body: TypeAlias = tuple[Statement, ...]

# ---- a file -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Import(Node):
    """`import b3:… as x` (source: Hash), or `import std.nn` (source: the words of the path; alias may be None)."""

    source: Hash | tuple[Ident, ...]
    alias: Ident | None


@dataclass(frozen=True)
class DimDef(Node):
    axis: Axis
    value: Expr


@dataclass(frozen=True)
class Def(Node):
    """def (pure), layer (with param and state) or optim (of p, g, with state). `rest`: the last of `axes` is
    written `N..` and stands for one axis or more."""

    kind: Literal["def", "layer", "optim"]
    name: Ident
    axes: tuple[Axis, ...]
    rest: bool
    params: tuple[Param, ...]
    body: Body


@dataclass(frozen=True)
class DataDef(Node):
    name: Ident
    value: Expr


@dataclass(frozen=True)
class Section(Node):
    kind: Literal["train", "eval", "save", "run"]
    name: Ident | None
    body: Body


Item: TypeAlias = Import | DimDef | Def | DataDef | Section


@dataclass(frozen=True)
class Job(Node):
    """A whole file. `kind` library: functions only, for import."""

    kind: Literal["job", "library"]
    name: Ident
    title: str | None
    items: tuple[Item, ...]


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, parents first, in the order of the text."""
    yield node
    for child in children(node):
        yield from walk(child)


def children(node: Node) -> Iterator[Node]:
    """The nodes directly below."""
    for attribute in fields(node)[1:]:
        value = getattr(node, attribute.name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Node):
                yield part

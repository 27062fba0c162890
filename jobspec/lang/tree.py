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
           | Update((Ident | Str)*, optimizer, objective?) | Freeze((Ident | Str)*)
           | Average((Ident | Str)*, rule) | ShardOver(axis*, mesh)
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
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

from jobspec.lang.tree_expressions import And as And
from jobspec.lang.tree_expressions import Axis as Axis
from jobspec.lang.tree_expressions import AxisList as AxisList
from jobspec.lang.tree_expressions import AxisSize as AxisSize
from jobspec.lang.tree_expressions import AxisType as AxisType
from jobspec.lang.tree_expressions import Bin as Bin
from jobspec.lang.tree_expressions import Call as Call
from jobspec.lang.tree_expressions import Cmp as Cmp
from jobspec.lang.tree_expressions import Cond as Cond
from jobspec.lang.tree_expressions import Expr as Expr
from jobspec.lang.tree_expressions import Field as Field
from jobspec.lang.tree_expressions import Hash as Hash
from jobspec.lang.tree_expressions import Ident as Ident
from jobspec.lang.tree_expressions import Keyword as Keyword
from jobspec.lang.tree_expressions import ListExpr as ListExpr
from jobspec.lang.tree_expressions import Name as Name
from jobspec.lang.tree_expressions import Neg as Neg
from jobspec.lang.tree_expressions import Node as Node
from jobspec.lang.tree_expressions import Not as Not
from jobspec.lang.tree_expressions import Num as Num
from jobspec.lang.tree_expressions import Or as Or
from jobspec.lang.tree_expressions import Pick as Pick
from jobspec.lang.tree_expressions import Remap as Remap
from jobspec.lang.tree_expressions import Rename as Rename
from jobspec.lang.tree_expressions import Slice as Slice
from jobspec.lang.tree_expressions import Str as Str
from jobspec.lang.tree_expressions import View as View
from jobspec.lang.tree_expressions import ViewItem as ViewItem
from jobspec.lang.tree_expressions import Windows as Windows

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
class Average(Node):
    """average SELECTORS by rule; a Str is a glob. `of_phase`: it stands in a phase, not in the section itself."""

    selectors: tuple[Ident | Str, ...]
    rule: Expr
    of_phase: bool = False


@dataclass(frozen=True)
class ShardOver(Node):
    axes: tuple[Axis, ...]
    mesh: Ident


Statement: TypeAlias = (
    Parameter | State | Let | SetDim | Assign | Value | Repeat | If | Phase | Update | Freeze | Average | ShardOver
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

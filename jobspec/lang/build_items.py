"""Reductions of the grammar: a file, its parts and statements.

Takes: children of a rule and the span they cover. Promises: the node of tree.py. What the grammar cannot say is checked
here (E0108 unknown part, E0110 unused value, E0121 random state): it is reported and the node made all the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobspec.lang import tree
from jobspec.lang.build_expressions import hash_
from jobspec.lang.builder import (
    Axes,
    Broken,
    Builder,
    Children,
    Generic,
    Params,
    Rule,
    expr_of,
    node_of,
    several,
    span_of,
    tokens_of,
)
from jobspec.lang.diagnostics import did_you_mean
from jobspec.lang.source import Span
from jobspec.lang.tokens import Token

FUNCTIONS = ("def", "layer", "optim")
SECTIONS = ("train", "eval", "save", "run")



def start(b: Builder, children: Children, span: Span) -> tree.Job | Broken:
    header, items = children[0], [item for child in children[1:] for item in several(child)]
    if isinstance(header, Broken):
        return header
    return tree.Job(span, header.kind, header.name, header.title, tuple(i for i in items if not isinstance(i, Broken)))


def header(b: Builder, children: Children, span: Span) -> tree.Job:
    kind, name = children[0].text, b.ident(children[1])
    title = b.value(children[2]).value if len(children) > 2 else None
    return tree.Job(span, kind, name, title, ())


def import_hash(b: Builder, children: Children, span: Span) -> tree.Import:
    digest, alias = children
    return tree.Import(span, hash_(b, [digest], b.span(digest)), b.ident(alias))


def import_std(b: Builder, children: Children, span: Span) -> tree.Import:
    return tree.Import(span, tuple(b.ident(word) for word in children), None)


def import_std_as(b: Builder, children: Children, span: Span) -> tree.Import:
    *path, alias = (b.ident(word) for word in children)
    return tree.Import(span, tuple(path), alias)


def dims(b: Builder, children: Children, span: Span) -> list[tree.DimDef]:
    return children


def dim(b: Builder, children: Children, span: Span) -> tree.DimDef:
    return tree.DimDef(span, b.axis(children[0]), children[1])


def function(b: Builder, children: Children, span: Span) -> tree.Def:
    kind, name, body = children[0], b.ident(children[1]), children[-1]
    check_word(b, kind, FUNCTIONS, "what has parameters in ( ) is a `def`, a `layer` or an `optim`")
    named, params = node_of(children, Generic) or Generic(span), node_of(children, Params)
    return tree.Def(span, kind.text, name, named.items, named.rest, params.items if params else (), body)


def generic(b: Builder, children: Children, span: Span) -> Generic:
    return Generic(span, children[0].items, len(children) == 2)


def data(b: Builder, children: Children, span: Span) -> tree.DataDef:
    check_word(b, children[0], ("data",), "at the top level, what is named with `=` is a data set: `data train = …`")
    return tree.DataDef(span, b.ident(children[1]), children[2])


def section(b: Builder, children: Children, span: Span) -> tree.Section:
    check_word(b, children[0], SECTIONS, "a block at the top level is `train`, `eval`, `save` or `run`")
    name = b.ident(children[1]) if len(children) == 3 else None
    return tree.Section(span, children[0].text, name, children[-1])


def check_word(b: Builder, word: Token, known: Sequence[str], rule: str) -> None:
    if word.text in known:
        return
    near = did_you_mean(word.text, known)
    message = f"`{word.text}` is not a part of a job"
    b.reporter.error("E0108", message, b.span(word), notes=[rule] if near else [], help=near or rule)


def axes(b: Builder, children: Children, span: Span) -> Axes:
    return Axes(span, b.axes(children))


def params(b: Builder, children: Children, span: Span) -> Params:
    return Params(span, tuple(children))


def param(b: Builder, children: Children, span: Span) -> tree.Param:
    return tree.Param(span, b.ident(children[0]), node_of(children, tree.AxisType), expr_of(children))


def body(b: Builder, children: Children, span: Span) -> tree.Body:
    return (tree.Value(span_of(children[0]), children[0]),)


def block(b: Builder, children: Children, span: Span) -> tree.Body:
    statements = [statement for child in children for statement in several(child)]
    for statement in statements[:-1]:
        if isinstance(statement, tree.Value):
            report_unused(b, statement)
    return tuple(statement for statement in statements if not isinstance(statement, Broken))


def report_unused(b: Builder, statement: tree.Value) -> None:
    """A statement of a bare expression that is not the last."""
    if isinstance(statement.value, tree.Neg):
        help = "if it goes on from the line before, end that line with the operator; else name it: `x = …`"
    elif isinstance(statement.value, tree.Cmp):
        help = "did you mean `=`? A comparison gives a value that nothing takes here"
    else:
        help = "name it (`x = …`), or remove it"
    message = "this value is not used: only the last statement of a block is its result"
    b.reporter.error("E0110", message, statement.span, help=help)


def axis_type(*, stacked: bool, linear: bool) -> Rule:
    def build(b: Builder, children: Children, span: Span) -> tree.AxisType:
        groups = [group.items for group in children]
        first = groups.pop(0) if stacked else ()
        return tree.AxisType(span, first, groups[0], groups[1] if linear else None)

    return build


# ---- statements -------------------------------------------------------------------------------------------------


def tensor(drawn: bool) -> Rule:
    """One Parameter for each name; `states` makes them states."""

    def build(b: Builder, children: Children, span: Span) -> list[tree.Parameter]:
        axtype, init = node_of(children, tree.AxisType), expr_of(children)
        names = tokens_of(children, "NAME")
        return [tree.Parameter(b.span(name), b.ident(name), axtype, init, drawn) for name in names]

    return build


def parameters(b: Builder, children: Children, span: Span) -> list[tree.Parameter]:
    return [tensor for child in children for tensor in child]


def states(b: Builder, children: Children, span: Span) -> list[tree.State]:
    tensors = parameters(b, children, span)
    for tensor in tensors:
        if tensor.drawn:
            help = "write `=` and a value, or make it a `param`"
            b.reporter.error("E0121", f"state `{tensor.name.text}` cannot start random", tensor.span, help=help)
    return [tree.State(t.span, t.name, t.type, t.init) for t in tensors]


def target(b: Builder, children: Children, span: Span) -> tree.Target:
    return tree.Target(span, b.ident(children[0]), node_of(children, tree.AxisType))


def let(b: Builder, children: Children, span: Span) -> tree.Let:
    return tree.Let(span, tuple(children[:-1]), children[-1])


def scan(b: Builder, children: Children, span: Span) -> tree.Scan:
    carry = node_of(children, Params)
    return tree.Scan(span, b.axis(children[0]), carry.items if carry else (), children[-1])


def set_dim(b: Builder, children: Children, span: Span) -> tree.SetDim:
    return tree.SetDim(span, b.axis(children[0]), children[1])


def assign(b: Builder, children: Children, span: Span) -> tree.Assign:
    return tree.Assign(span, b.ident(children[0]), children[1])


def value(b: Builder, children: Children, span: Span) -> tree.Value:
    return tree.Value(span, children[0])


def repeat(b: Builder, children: Children, span: Span) -> tree.Repeat:
    index = b.ident(children[1]) if len(children) == 3 else None
    return tree.Repeat(span, children[0], index, children[-1])


def conditional(b: Builder, children: Children, span: Span) -> tree.If:
    orelse = children[2] if len(children) == 3 else None
    return tree.If(span, children[0], children[1], (orelse,) if isinstance(orelse, tree.If) else orelse)


def phase(b: Builder, children: Children, span: Span) -> tree.Phase:
    return tree.Phase(span, b.ident(children[0]), children[1])


def selector(b: Builder, children: Children, span: Span) -> tree.Ident | tree.Str:
    return b.value(children[0]) if children[0].kind == "STRING" else b.ident(children[0])


def update(b: Builder, children: Children, span: Span) -> tree.Update:
    objective = b.ident(children.pop()) if isinstance(children[-1], Token) else None
    optimizer = children.pop()
    return tree.Update(span, tuple(children), optimizer, objective)


def freeze(b: Builder, children: Children, span: Span) -> tree.Freeze:
    return tree.Freeze(span, tuple(children))


def average(b: Builder, children: Children, span: Span) -> tree.Average:
    return tree.Average(span, tuple(children[1:-1]), children[-1])


def shard(b: Builder, children: Children, span: Span) -> tree.ShardOver:
    return tree.ShardOver(span, children[0].items, b.ident(children[1]))

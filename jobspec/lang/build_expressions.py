"""Reductions of the grammar: expressions.

Takes: children of a rule and the span they cover. Promises: the node of tree.py; arguments in a wrong order or given
twice (E0115) and numbers out of bounds (E0105) are reported and the node made all the same.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from jobspec.lang import tree
from jobspec.lang.builder import Arguments, Builder, Children, Rule
from jobspec.lang.source import Span
from jobspec.lang.tokens import Token

SUFFIX = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
LARGEST_EXPONENT = 400
NUMBER_PARTS = re.compile(r"([\d.]+)(?:[eE]([-+]?\d+))?(\w*)")



def two(node: type[Any]) -> Rule:
    return lambda b, children, span: node(span, *children)


def one(node: type[Any]) -> Rule:
    return lambda b, children, span: node(span, children[-1])


def operator(node: type[Any]) -> Rule:
    def build(b: Builder, children: Children, span: Span) -> tree.Bin | tree.Cmp:
        left, op, right = children
        made: tree.Bin | tree.Cmp = node(span, op.text, left, right, b.span(op))
        return made

    return build


def cond(b: Builder, children: Children, span: Span) -> tree.Cond:
    return tree.Cond(span, *children)


def paren(b: Builder, children: Children, span: Span) -> Any:
    return children[0]


def call(b: Builder, children: Children, span: Span) -> tree.Call:
    arguments = children[1] if len(children) > 1 else Arguments(span)
    check_callable(b, children[0])
    return tree.Call(span, children[0], arguments.items, arguments.keywords, None)


def check_callable(b: Builder, function: Any) -> None:
    """Only what has a name can be called."""
    named = function.value if isinstance(function, tree.View) else function
    if isinstance(named, tree.AxisSize):
        lower = named.axis.text[0].lower() + named.axis.text[1:]
        message = f"`{named.axis.text}` starts uppercase, so it is an axis and cannot be called"
        b.reporter.error("E0117", message, named.span, help=f"functions start lowercase: `{lower}(…)`")
    elif not isinstance(named, tree.Name | tree.Field):
        b.reporter.error("E0101", "this is no function", named.span, help=called_twice(named))


def called_twice(function: Any) -> str:
    """`mean(B)(x)`, `nn.linear(128, 10)(x)`; or a number before a parenthesis."""
    if isinstance(function, tree.Call):
        return "axes stand in the square bracket: `mean[B](x)`, `nn.linear[X H](x)`"
    return "call a function by its name; `*` multiplies"


def labelled(b: Builder, children: Children, span: Span) -> tree.Call:
    made = call(b, children[1:], span)
    return tree.Call(span, made.function, made.arguments, made.keywords, b.ident(children[0]))


def list_(b: Builder, children: Children, span: Span) -> tree.ListExpr:
    arguments = children[0] if children else Arguments(span)
    return tree.ListExpr(span, arguments.items, arguments.keywords)


def arguments(b: Builder, children: Children, span: Span) -> Arguments:
    named: dict[str, tree.Keyword] = {}
    items = []
    for child in children:
        if isinstance(child, tree.Keyword):
            check_repeated(b, child, named)
        else:
            check_order(b, child, named)
            items.append(child)
    return Arguments(span, tuple(items), tuple(c for c in children if isinstance(c, tree.Keyword)))


def check_repeated(b: Builder, keyword: tree.Keyword, named: dict[str, tree.Keyword]) -> None:
    name = keyword.name.text
    if name in named:
        labels = [(named[name].name.span, "first here")]
        b.reporter.error("E0115", f"`{name}` is given twice", keyword.name.span, "again here", labels, help="keep one")
    named.setdefault(name, keyword)


def check_order(b: Builder, child: Any, named: dict[str, tree.Keyword]) -> None:
    if named and not isinstance(child, tree.Rename):
        first = next(iter(named.values())).name
        message = f"a value without a name stands after `{first.text}=`"
        b.reporter.error("E0115", message, child.span, help="values without a name come first")


def named(b: Builder, children: Children, span: Span) -> tree.Keyword:
    return tree.Keyword(span, b.ident(children[0]), children[1])


def rename(b: Builder, children: Children, span: Span) -> tree.Rename:
    return tree.Rename(span, b.value(children[0]), b.value(children[1]))


def field(b: Builder, children: Children, span: Span) -> tree.Field:
    return tree.Field(span, children[0], b.ident(children[1]))


def view_of(b: Builder, children: Children, span: Span) -> tree.View:
    return tree.View(span, children[0], children[1])


def view(b: Builder, children: Children, span: Span) -> tuple[tree.ViewItem, ...]:
    return tuple(children)


def axis_list(b: Builder, children: Children, span: Span) -> tree.AxisList:
    return tree.AxisList(span, children[0].items)


def two_lists(node: type[Any]) -> Rule:
    return lambda b, children, span: node(span, children[0].items, children[1].items)


def pick(b: Builder, children: Children, span: Span) -> tree.Pick:
    return tree.Pick(span, b.axis(children[0]), children[1])


def slice_(b: Builder, children: Children, span: Span) -> tree.Slice:
    dots = next(i for i, child in enumerate(children) if isinstance(child, Token) and child.kind == "RANGE")
    start = children[1] if dots == 2 else None
    return tree.Slice(span, b.axis(children[0]), start, children[dots + 1] if dots + 1 < len(children) else None)


def number(b: Builder, children: Children, span: Span) -> tree.Num:
    text = children[0].text
    digits, exponent, suffix = NUMBER_PARTS.findall(text.replace("_", ""))[0]
    if abs(int(exponent or 0)) > LARGEST_EXPONENT:
        help = f"exponents go from -{LARGEST_EXPONENT} to {LARGEST_EXPONENT}; the largest float32 is about 3.4e38"
        b.reporter.error("E0105", f"`{text}` is out of bounds", span, help=help)
        return tree.Num(span, Fraction(0), text)
    return tree.Num(span, Fraction(f"{digits}e{exponent or 0}") * SUFFIX.get(suffix, 1), text)


def string(b: Builder, children: Children, span: Span) -> tree.Str:
    return b.value(children[0])


def hash_(b: Builder, children: Children, span: Span) -> tree.Hash:
    return tree.Hash(span, children[0].text)


def name(b: Builder, children: Children, span: Span) -> tree.Name:
    return tree.Name(span, children[0].text)


def size(b: Builder, children: Children, span: Span) -> tree.AxisSize:
    return tree.AxisSize(span, b.axis(children[0]))

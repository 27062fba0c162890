"""Meaning of `mix(a=.5, b=.5)`: several data sets as one, with exact shares.

Takes: the call's names and weights. Promises: a flat mixture (a mixture in a mixture brings its parts, with their
weights multiplied; a data set that comes twice has the sum) whose counts stand to one another exactly as the weights
do, read as the decimal fractions that are written; weights add up to 1.
"""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from typing import Any

from jobspec.lang import tree
from jobspec.lang.dispatch import evaluate
from jobspec.lang.frame import Frame, Located
from jobspec.lang.refusal import Refusal
from jobspec.lang.things import DataSet, Mixture, kind_of, need_number

#: examples of a block, at most
LONGEST = 1 << 20
#: data sets of a mixture, at most
MOST = 16


def mixture(frame: Frame, node: tree.Call) -> Mixture:
    """The mixture that the call describes."""
    if node.arguments or not node.keywords:
        raise Refusal("E0434", "`mix` takes data sets with their weights", help="as in `mix(web=.7, code=.3)`")
    weights: dict[str, Fraction] = {}
    sets: dict[str, DataSet] = {}
    for number, keyword in enumerate(node.keywords):
        if keyword.name.text in [before.name.text for before in node.keywords[:number]]:
            raise Located("E0261", f"`{keyword.name.text}` is given twice", keyword.span)
        share = weight(frame, keyword.value)
        for data, part in parts_of(frame, keyword):
            sets.setdefault(data.name, data)
            weights[data.name] = weights.get(data.name, Fraction(0)) + share * part
    check_sum(sum(weights.values(), Fraction(0)))
    check_alike(list(sets.values()))
    block = lcm(*(share.denominator for share in weights.values()))
    if block > LONGEST:
        help = "write the weights with fewer digits"
        raise Refusal("E0434", f"these weights come out even only in blocks of {block:,} examples", help=help)
    return Mixture(tuple((sets[name], int(share * block)) for name, share in weights.items()))


def parts_of(frame: Frame, keyword: tree.Keyword) -> list[tuple[DataSet, Fraction]]:
    """Data sets and their shares of what the name stands for."""
    value = evaluate(frame, tree.Name(keyword.name.span, keyword.name.text))
    if isinstance(value, DataSet):
        return [(value, Fraction(1))]
    if isinstance(value, Mixture):
        return [(data, Fraction(count, value.block)) for data, count in value.parts]
    raise Located("E0435", f"`{keyword.name.text}` is no data set and no mixture: it is {kind_of(value)}", keyword.span)


def weight(frame: Frame, node: tree.Expr) -> Fraction:
    """The exact value of a weight: a fraction as it is written, and what `+ - * /` make of such."""
    share = rational(frame, node)
    if share <= 0:
        raise Located("E0434", "a weight is above 0", node.span, help="leave out what has no share")
    return share


def rational(frame: Frame, node: tree.Expr) -> Fraction:
    match node:
        case tree.Num():
            return node.value
        case tree.Bin(op="+" | "-" | "*" | "/"):
            return combined(node, rational(frame, node.left), rational(frame, node.right))
    value = number(evaluate(frame, node), node)
    return Fraction(repr(value))


def number(value: Any, node: tree.Expr) -> int | float:
    found = need_number(value)
    if found != found or found in (float("inf"), float("-inf")):
        raise Located("E0434", "a weight is a number", node.span)
    return found


def combined(node: tree.Bin, left: Fraction, right: Fraction) -> Fraction:
    if node.op == "/" and right == 0:
        raise Located("E0222", "division by zero", node.span)
    if node.op == "/":
        return left / right
    return left * right if node.op == "*" else left + right if node.op == "+" else left - right


def check_sum(total: Fraction) -> None:
    if total != 1:
        shown = f"{float(total):.6g}"
        help = "a third is written `1/3`" if abs(total - 1) < Fraction(1, 100) else f"divide each by {shown}"
        raise Refusal("E0434", f"the weights of a mixture add up to 1, these to {shown}", help=help)


def check_alike(sets: list[DataSet]) -> None:
    """All have the same fields: they fill one batch."""
    first = sets[0]
    if len(sets) > MOST:
        raise Refusal("E0434", f"a mixture has at most {MOST} data sets, this one {len(sets)}")
    for other in sets[1:]:
        if (other.kind, dict(other.fields)) != (first.kind, dict(first.fields)):
            raise Refusal(
                "E0435",
                f"`{first.name}` and `{other.name}` do not have the same fields",
                help="data sets of one mixture have equal kinds, fields, types and axes",
            )

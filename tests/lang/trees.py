"""Trees at random, for property tests: only what the grammar can say and the parser gives back."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from jobspec.lang import tree
from jobspec.lang.source import Source
from jobspec.lang.tokens import words

NOWHERE = Source("nowhere", "").span(0, 0)
NAMES = ["x", "y", "batch", "def", "train", "relu", "_a1", "b3", "inf", "ifs", "not_"]
AXES = ["B", "T", "Ky", "I'", "I''", "X1"]
NUMBERS = {"0": Fraction(0), "7": Fraction(7), ".5": Fraction(1, 2), "1e-8": Fraction(1, 10**8), "1E+2": Fraction(100)}
NUMBERS |= {"1_000": Fraction(1000), "3k": Fraction(3000), "1.2M": Fraction(1_200_000), "4Ki": Fraction(4096)}

assert not set(NAMES) & set(words())


def make(kind: Any, *parts: Any) -> Any:
    return st.builds(kind, st.just(NOWHERE), *parts)


def some(strategy: Any, least: int = 0, most: int = 3) -> Any:
    return st.lists(strategy, min_size=least, max_size=most).map(tuple)


def distinct_keywords(keywords: tuple[tree.Keyword, ...]) -> tuple[tree.Keyword, ...]:
    return tuple({keyword.name.text: keyword for keyword in keywords}.values())


ident = make(tree.Ident, st.sampled_from(NAMES))
axis = make(tree.Axis, st.sampled_from(AXES))
axes = some(axis, 1)
text = make(tree.Str, st.text("abc .*?-#{}[", max_size=6))
axis_type = make(tree.AxisType, some(axis, 0, 2), axes, st.none() | axes)
number = st.sampled_from(sorted(NUMBERS)).map(lambda t: tree.Num(NOWHERE, NUMBERS[t], t))
name = make(tree.Name, st.sampled_from(NAMES))
digest = make(tree.Hash, st.sampled_from(["b3:00c0ffee", f"b3:{'0123456789abcdef' * 4}"]))
leaf = number | text | digest | name | make(tree.AxisSize, axis)
optional_type = st.none() | axis_type


def views(inner: Any) -> Any:
    pick = make(tree.Pick, axis, inner) | make(tree.Slice, axis, st.none() | inner, st.none() | inner)
    return pick | make(tree.AxisList, axes) | make(tree.Remap, axes, axes) | make(tree.Windows, axes, axes)


def compound(inner: Any) -> Any:
    """Expressions one level above `inner`."""
    keyword = make(tree.Keyword, ident, inner)
    keywords = some(keyword, 0, 2).map(distinct_keywords)
    view_items = some(views(inner), 1, 2)
    function = name | make(tree.Field, name, ident) | make(tree.View, name, view_items)
    renames = some(make(tree.Rename, text, text), 0, 1)
    items = st.tuples(some(inner, 0, 2), renames).map(lambda pair: pair[0] + pair[1])
    return st.one_of(
        make(tree.Bin, st.sampled_from(list("+-*/%@^")), inner, inner, st.just(NOWHERE)),
        make(tree.Cmp, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), inner, inner, st.just(NOWHERE)),
        make(tree.Neg, inner),
        make(tree.Not, inner),
        make(tree.And, inner, inner),
        make(tree.Or, inner, inner),
        make(tree.Cond, inner, inner, inner),
        make(tree.Call, function, items, keywords, st.none() | ident.filter(lambda word: word.text != "b3")),
        make(tree.View, inner, view_items),
        make(tree.Field, inner, make(tree.Ident, st.sampled_from([*NAMES, "state", "by"]))),
        make(tree.ListExpr, some(inner, 0, 2), keywords),
    )


expression = st.recursive(leaf, compound, max_leaves=12)
param = make(tree.Param, ident, optional_type, st.none() | expression)
selectors = some(ident | text, 1, 2)
target = make(tree.Target, ident, optional_type)
plain_statement = st.one_of(
    st.builds(
        lambda word, kind, init, drawn: tree.Parameter(NOWHERE, word, kind, init, drawn and init is not None),
        ident,
        optional_type,
        st.none() | expression,
        st.booleans(),
    ),
    make(tree.State, ident, optional_type, st.none() | expression),
    make(tree.Let, some(target, 1, 2), expression),
    make(tree.SetDim, axis, expression),
    make(tree.Assign, ident, expression),
    make(tree.Update, selectors, expression, st.none() | ident),
    make(tree.Freeze, selectors),
    make(tree.ShardOver, axes, ident),
)


def bodies(statement: Any) -> Any:
    value = some(make(tree.Value, expression), 0, 1)
    return st.tuples(some(statement), value).map(lambda pair: pair[0] + pair[1])


def blocks(statement: Any) -> Any:
    body = bodies(statement)
    scan = make(tree.Scan, axis, some(param, 0, 2), body)
    return st.one_of(
        make(tree.Repeat, expression, st.none() | ident, body),
        make(tree.If, expression, body, st.none() | body),
        make(tree.Phase, ident, body),
        make(tree.Let, some(target, 1, 2), scan),
    )


statement = st.recursive(plain_statement, blocks, max_leaves=6)
body = bodies(statement)
kind = st.sampled_from(["def", "layer", "optim"])
item = st.one_of(
    make(tree.Import, digest, ident),
    make(tree.Import, some(ident, 1), st.none() | ident),
    make(tree.DimDef, axis, expression),
    make(tree.Def, kind, ident, st.just(()), st.just(False), some(param), body),
    make(tree.Def, kind, ident, axes, st.booleans(), some(param), body),
    make(tree.DataDef, ident, expression),
    make(tree.Section, st.sampled_from(["train", "eval", "save", "run"]), st.none() | ident, body),
)
job = make(tree.Job, st.sampled_from(["job", "library"]), ident, st.none() | st.just("a title"), some(item, 0, 4))

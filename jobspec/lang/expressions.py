"""Meaning of expressions: literals, names, operators, fields, lists, views.

Takes: a frame and a node of the tree. Promises: a number, condition or tensor, or one of the things of things.py.
Calls are in calls.py.
"""

from __future__ import annotations

from typing import Any

from jobspec.lang import arithmetic, linear, tree, views
from jobspec.lang.builtins import BARE, BUILTINS, CONSTANTS
from jobspec.lang.constants import Number, quotient
from jobspec.lang.diagnostics import did_you_mean
from jobspec.lang.dispatch import evaluate, means
from jobspec.lang.frame import Frame, Located
from jobspec.lang.hints import of_method, of_name
from jobspec.lang.modules import std_names
from jobspec.lang.refusal import Refusal
from jobspec.lang.scope import Scope
from jobspec.lang.things import Batch, Builtin, Function, Listed, Module, kind_of, need_value, need_whole
from jobspec.lang.values import Axes, Tensor


@means(tree.Num)
def literal(_: Frame, node: tree.Num) -> Number:
    """A whole number stays exact; a fraction, or one written with a point (and no suffix), is binary64."""
    whole = node.value.denominator == 1 and ("." not in node.text or node.text[-1].isalpha())
    if whole:
        return node.value.numerator
    return arithmetic.fold(lambda: quotient(node.value.numerator, node.value.denominator))


@means(tree.Str)
def text(_: Frame, node: tree.Str) -> str:
    return node.value


@means(tree.Hash)
def hash_text(_: Frame, node: tree.Hash) -> str:
    return node.text


@means(tree.AxisSize)
def axis_size(frame: Frame, node: tree.AxisSize) -> int:
    return frame.product(node.axis)


@means(tree.Name)
def name(frame: Frame, node: tree.Name) -> Any:
    return look_up(frame, node.id, frame.scope)


def look_up(frame: Frame, word: str, scope: Scope) -> Any:
    """What `word` means: a local name, then a name of the module, then one of the language."""
    if scope.find(word):
        return scope.read(word)
    module = frame.module
    if word in module.functions:
        return Function(module.functions[word], module)
    if word in module.imports:
        return module.imports[word]
    if word in module.data:
        return module.data[word]
    if word == "training":
        return frame.work.training
    if word in CONSTANTS:
        return CONSTANTS[word]
    if word in BUILTINS:
        return Builtin(word)
    known = [*scope.all_names(), *module.names(), *CONSTANTS, *BUILTINS, "training"]
    help = import_hint(word) or did_you_mean(word, known) or of_name(word, frame.kind, module.data)
    raise Refusal("E0202", f"nothing is called `{word}` here", help=help)


def import_hint(word: str) -> str | None:
    """A library, or a function of one, that the file does not import."""
    if word in std_names():
        return f"import it: `import std.{word}`"
    library = STANDARD.get(word)
    return f"`import std.{library}` has `{library}.{word}`" if library else None


#: words that newcomers look for → the library that has them
STANDARD = {
    **dict.fromkeys(
        [
            "linear",
            "dense",
            "softmax",
            "relu",
            "gelu",
            "silu",
            "sigmoid",
            "attention",
            "layer_norm",
            "rms_norm",
            "batch_norm",
            "conv2d",
            "max_pool",
            "avg_pool",
            "embedding",
            "dropout",
            "rope",
            "swiglu",
        ],
        "nn",
    ),
    **dict.fromkeys(["xent", "cross_entropy", "mse", "l1", "huber", "bce"], "loss"),
    **dict.fromkeys(["sgd", "momentum", "nesterov", "adam", "adamw"], "optim"),
    **dict.fromkeys(["cosine", "warmup_cosine"], "schedule"),
}


@means(tree.Bin)
def operation(frame: Frame, node: tree.Bin) -> Any:
    left, right = evaluate(frame, node.left), evaluate(frame, node.right)
    if node.op == "@":
        return linear.apply_map(need_value(left), need_value(right))
    return arithmetic.binary(node.op, need_value(left), need_value(right), frame.stated)


@means(tree.Cmp)
def comparison(frame: Frame, node: tree.Cmp) -> Any:
    left, right = evaluate(frame, node.left), evaluate(frame, node.right)
    return arithmetic.compare(node.op, need_value(left), need_value(right), frame.stated)


@means(tree.Neg)
def negation(frame: Frame, node: tree.Neg) -> Any:
    return arithmetic.negate(need_value(evaluate(frame, node.value)))


@means(tree.Not)
def logical_not(frame: Frame, node: tree.Not) -> Any:
    return arithmetic.logic("not", [need_value(evaluate(frame, node.value))])


@means(tree.And, tree.Or)
def logical(frame: Frame, node: tree.And | tree.Or) -> Any:
    """A side that a compile-time condition decides is not evaluated."""
    op = "and" if isinstance(node, tree.And) else "or"
    left = need_value(evaluate(frame, node.left))
    if isinstance(left, bool) and left == (op == "or"):
        return left
    return arithmetic.logic(op, [left, need_value(evaluate(frame, node.right))], frame.stated)


@means(tree.Cond)
def choice(frame: Frame, node: tree.Cond) -> Any:
    """One side alone where the test is known at compile time; else both, chosen element by element."""
    test = evaluate(frame, node.test)
    if isinstance(test, bool):
        return evaluate(frame, node.then if test else node.orelse)
    yes, no = evaluate(frame, node.then), evaluate(frame, node.orelse)
    return arithmetic.select(need_value(test), need_value(yes), need_value(no), frame.stated)


@means(tree.ListExpr)
def listed(frame: Frame, node: tree.ListExpr) -> Listed:
    named = {k.name.text: evaluate(frame, k.value) for k in node.keywords}
    return Listed(tuple(evaluate(frame, item) for item in node.items), named)


@means(tree.Rename)
def renaming(_: Frame, node: tree.Rename) -> Any:
    raise Refusal("E0350", "a rename stands in `start = load(b3:…, …)`")


@means(tree.Field)
def field(frame: Frame, node: tree.Field) -> Any:
    word = node.name.text
    if word == BEFORE and frame.kind == "train" and isinstance(node.value, tree.Name):
        return frame.work.before(node.value.id)
    if isinstance(node.value, tree.AxisSize):
        hint = import_hint(word) or "axes start uppercase, libraries lowercase: `import std.nn`, `nn.gelu(x)`"
        raise Refusal("E0227", f"`{node.value.axis.text}.{word}`: an axis has no fields", help=hint)
    value = owner(frame, node.value)
    if isinstance(value, Module):
        return member(value, word)
    if isinstance(value, Batch):
        return frame.region.reach(value.fetch(word), frame.work.root)
    help = of_method(word) if isinstance(value, Tensor) else None
    raise Refusal("E0227", f"`.{word}`: {kind_of(value)} has no fields", help=help)


#: `lr.before`: what `lr` was in the last step of the phase before
BEFORE = "before"


def owner(frame: Frame, node: tree.Expr) -> Any:
    """What stands before the dot: a library, if one has this name (so `loss = loss.mse…` is clear), else a value."""
    if isinstance(node, tree.Name) and node.id in frame.module.imports:
        return frame.module.imports[node.id]
    return evaluate(frame, node)


def member(module: Module, word: str) -> Function:
    if word not in module.functions:
        help = did_you_mean(word, module.functions) or f"it has {', '.join(module.functions)}"
        raise Refusal("E0202", f"the library `{module.source.name}` has no `{word}`", help=help)
    return Function(module.functions[word], module)


@means(tree.View)
def view(frame: Frame, node: tree.View) -> Any:
    value = evaluate(frame, node.value)
    if isinstance(value, Function | Builtin):
        return with_axes(frame, value, node)
    if not isinstance(value, Tensor):
        raise Refusal("E0226", f"a bracket views a tensor, this is {kind_of(value)}")
    check_picks(frame, node.items)
    for item in node.items:
        value = viewed(frame, value, item)
    return value


def with_axes(frame: Frame, value: Function | Builtin, node: tree.View) -> Any:
    """`softmax[S]`, `window[Y X by Ky Kx]`; `iota[T]` and its like are values at once."""
    item = node.items[0]
    if isinstance(value, Builtin) and len(node.items) == 1 and isinstance(item, tree.Remap):
        return Builtin(value.name, frame.resolve_all(item.old), frame.resolve_all(item.new), arrow=True)
    if len(node.items) > 1 or not isinstance(item, tree.AxisList | tree.Windows):
        raise Refusal("E0226", "a function takes axes in its bracket, as in `softmax[S](x)`")
    if isinstance(value, Function):
        if isinstance(item, tree.Windows):
            raise Refusal("E0226", "only `window` takes axes with `by`")
        return Function(value.definition, value.module, tuple(frame.resolve(axis) for axis in item.axes))
    by: Axes = frame.resolve_all(item.by) if isinstance(item, tree.Windows) else ()
    bound = Builtin(value.name, frame.resolve_all(item.axes), by)
    return BARE[value.name](frame, bound.axes) if value.name in BARE else bound


def check_picks(frame: Frame, items: tuple[tree.ViewItem, ...]) -> None:
    seen: set[str] = set()
    for item in items:
        if isinstance(item, tree.AxisList | tree.Windows):
            raise Located(
                "E0235",
                "this bracket says nothing about the axis",
                item.span,
                help="rename `[T->S]`, split `[D->H K]`, index `[C: 0]`, slice `[T: 1..]`",
            )
        if isinstance(item, tree.Pick):
            axis = frame.one(item.axis)
            if axis in seen:
                raise Located("E0235", f"{axis} is picked twice", item.span)
            seen.add(axis)


def viewed(frame: Frame, x: Tensor, item: tree.ViewItem) -> Tensor:
    match item:
        case tree.Remap():
            return remapped(frame, x, item)
        case tree.Pick():
            return picked(frame, x, frame.one(item.axis), item.index)
        case tree.Slice():
            axis = frame.one(item.axis)
            start = need_whole(evaluate(frame, item.start), None) if item.start else 0
            stop = need_whole(evaluate(frame, item.stop), None) if item.stop else x.size(axis)
            return views.cut(x, axis, start, stop)
    raise AssertionError(item)


def remapped(frame: Frame, x: Tensor, item: tree.Remap) -> Tensor:
    old, new = frame.resolve_all(item.old), frame.resolve_all(item.new)
    check_has(x, old)
    renames = len(old) == len(new)
    known = [axis for axis in new if not (renames and axis.endswith("'"))]
    return views.remap(x, old, new, {axis: frame.size(axis) for axis in known})


def check_has(x: Tensor, axes: Axes) -> None:
    for axis in axes:
        x.position(axis)


def picked(frame: Frame, x: Tensor, axis: str, index: tree.Expr) -> Tensor:
    at = evaluate(frame, index)
    if isinstance(at, Tensor):
        return views.gather(x, axis, at)
    return views.index(x, axis, need_whole(at, None))

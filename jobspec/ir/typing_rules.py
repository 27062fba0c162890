"""Type rules of the op table: operand types and attributes in, result type out.

Promises: a rule either returns the one result type or raises IllTyped with the reason; it looks at
nothing but its arguments. Attribute names here are the ones that text form and passes use.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from jobspec.ir.routing import Routing
from jobspec.ir.types import DTYPES, INTEGERS, STORAGE, Type

Attrs = Mapping[str, Any]
Types = tuple[Type, ...]


class IllTyped(ValueError):
    """Operands or attributes that an op's rule refuses."""


def need(condition: bool, reason: str) -> None:
    if not condition:
        raise IllTyped(reason)


def positive(shape: tuple[int, ...]) -> None:
    need(all(n > 0 for n in shape), "sizes must be positive")


def ascending(axes: tuple[int, ...], rank: int) -> None:
    """Axes of a tensor of `rank`, each once, in order."""
    need(list(axes) == sorted(set(axes)), "axes must ascend")
    need(all(0 <= axis < rank for axis in axes), "no such axis")


def fits(bits: int, dtype: str) -> None:
    limit = 2 if dtype == "bool" else 1 << 8 * DTYPES[dtype]
    need(0 <= bits < limit, f"{bits:#x} is no bit pattern of {dtype}")


def declared(_: Types, attrs: Attrs) -> Type:
    """input(name, dtype, shape)"""
    need(attrs["dtype"] in DTYPES, f"no element type {attrs['dtype']}")
    positive(attrs["shape"])
    return Type(attrs["dtype"], attrs["shape"])


def constant(_: Types, attrs: Attrs) -> Type:
    """const(dtype, shape, bits): bit patterns, row-major; one pattern fills any shape"""
    size = prod(attrs["shape"])
    need(len(attrs["bits"]) in (1, size), f"{len(attrs['bits'])} bit patterns for {size} elements")
    result = declared((), attrs)
    for bits in attrs["bits"]:
        fits(bits, result.dtype)
    return result


def iota(_: Types, attrs: Attrs) -> Type:
    """iota(size): 0, 1, … size-1 as i32"""
    need(0 < attrs["size"] < 2**31, "size must be in 1 … 2^31-1")
    return Type("i32", (attrs["size"],))


def same(operands: Types, allowed: frozenset[str]) -> Type:
    first = operands[0]
    need(all(t == first for t in operands), "operands differ in type or shape")
    need(first.dtype in allowed, f"not defined on {first.dtype}")
    return first


def arithmetic(operands: Types, _: Attrs) -> Type:
    return same(operands, INTEGERS | {"f32"})


def floating(operands: Types, _: Attrs) -> Type:
    return same(operands, frozenset({"f32"}))


def integer(operands: Types, _: Attrs) -> Type:
    return same(operands, INTEGERS)


def signed(operands: Types, _: Attrs) -> Type:
    return same(operands, frozenset({"i32"}))


def draw(operands: Types, _: Attrs) -> Type:
    """uniform, normal: f32 from a counter of four words and a key of two"""
    return Type("f32", same(operands, frozenset({"u32"})).shape)


def bitwise(operands: Types, _: Attrs) -> Type:
    return same(operands, INTEGERS | {"bool"})


def comparison(operands: Types, _: Attrs) -> Type:
    return Type("bool", same(operands, INTEGERS | {"f32", "bool"}).shape)


def select(operands: Types, _: Attrs) -> Type:
    condition, yes, no = operands
    need(condition.dtype == "bool", "the first operand must be bool")
    need(yes == no and condition.shape == yes.shape, "operands differ in type or shape")
    return yes


def cast(operands: Types, attrs: Attrs) -> Type:
    """cast(dtype): by value; f32 → integer saturates toward zero, NaN → 0"""
    (x,) = operands
    need(attrs["dtype"] in {"f32", "i32", "u32", "bool"} | STORAGE, f"no element type {attrs['dtype']}")
    need(x.dtype in INTEGERS or attrs["dtype"] not in STORAGE, "only integers narrow to storage types")
    need(attrs["dtype"] != "bool", "compare with ne to get a bool")
    return Type(attrs["dtype"], x.shape)


def bitcast(operands: Types, attrs: Attrs) -> Type:
    """bitcast(dtype): the same 32 bits"""
    (x,) = operands
    four = {"f32", "i32", "u32"}
    need(x.dtype in four and attrs["dtype"] in four, "only between 4-byte types")
    return Type(attrs["dtype"], x.shape)


def reshape(operands: Types, attrs: Attrs) -> Type:
    """reshape(shape): the same elements in row-major order"""
    (x,) = operands
    positive(attrs["shape"])
    need(prod(attrs["shape"]) == x.size, f"{x.size} elements do not fill {attrs['shape']}")
    return Type(x.dtype, attrs["shape"])


def permute(operands: Types, attrs: Attrs) -> Type:
    """permute(axes): result axis i is operand axis axes[i]"""
    (x,) = operands
    need(sorted(attrs["axes"]) == list(range(x.rank)), f"{attrs['axes']} is no permutation")
    return Type(x.dtype, tuple(x.shape[a] for a in attrs["axes"]))


def broadcast(operands: Types, attrs: Attrs) -> Type:
    """broadcast(shape, axes): operand axis i becomes result axis axes[i]; the others repeat"""
    (x,), shape, axes = operands, attrs["shape"], attrs["axes"]
    positive(shape)
    ascending(axes, len(shape))
    need(len(axes) == x.rank, "one axis per operand axis")
    need(all(shape[a] == n for a, n in zip(axes, x.shape, strict=True)), "sizes differ")
    return Type(x.dtype, shape)


def slice_(operands: Types, attrs: Attrs) -> Type:
    """slice(start, stop, step), one entry per axis"""
    (x,) = operands
    spans = list(zip(attrs["start"], attrs["stop"], attrs["step"], x.shape, strict=True))
    need(all(0 <= a < b <= n and s > 0 for a, b, s, n in spans), "outside the operand")
    return Type(x.dtype, tuple(-(-(b - a) // s) for a, b, s, _ in spans))


def flip(operands: Types, attrs: Attrs) -> Type:
    """flip(axes): reversed order along axes"""
    ascending(attrs["axes"], operands[0].rank)
    return operands[0]


def window(operands: Types, attrs: Attrs) -> Type:
    """window(axes, sizes, strides): axes ascend and count positions; window axes follow the last"""
    (x,), axes, sizes, strides = operands, attrs["axes"], attrs["sizes"], attrs["strides"]
    ascending(axes, x.rank)
    need(0 < len(axes) == len(sizes) == len(strides), "one size and stride per axis")
    shape = list(x.shape)
    for axis, size, stride in zip(axes, sizes, strides, strict=True):
        need(0 < size <= shape[axis] and stride > 0, "a window is larger than its axis")
        shape[axis] = (shape[axis] - size) // stride + 1
    return Type(x.dtype, (*shape[: axes[-1] + 1], *sizes, *shape[axes[-1] + 1 :]))


def pad(operands: Types, attrs: Attrs) -> Type:
    """pad(low, high, inner, bits): constant elements before, after and between (inner) along each axis"""
    (x,) = operands
    need(all(n >= 0 for k in ("low", "high", "inner") for n in attrs[k]), "amounts must not be negative")
    fits(attrs["bits"], x.dtype)
    amounts = zip(x.shape, attrs["low"], attrs["high"], attrs["inner"], strict=True)
    return Type(x.dtype, tuple(n + low + high + (n - 1) * inner for n, low, high, inner in amounts))


def concat(operands: Types, attrs: Attrs) -> Type:
    """concat(axis)"""
    need(len(operands) > 0, "needs an operand")
    first, axis = operands[0], attrs["axis"]
    need(all(0 <= axis < t.rank for t in operands), "no such axis")
    rest = [(t.dtype, t.shape[:axis], t.shape[axis + 1 :]) for t in operands]
    need(all(r == rest[0] for r in rest), "operands differ outside the axis")
    return Type(first.dtype, (*rest[0][1], sum(t.shape[axis] for t in operands), *rest[0][2]))


def gather(operands: Types, attrs: Attrs) -> Type:
    """gather(batch=n): x[b…, A, r…], index[b…, i…] → [b…, i…, r…], the first n axes shared; axis A is picked from"""
    (x, index), n = operands, attrs["batch"]
    need(index.dtype in INTEGERS, "the index must be i32 or u32")
    need(n >= 0 and x.shape[:n] == index.shape[:n] and x.rank > n <= index.rank, "batch axes differ")
    return Type(x.dtype, (*index.shape, *x.shape[n + 1 :]))


def scatter_add(operands: Types, attrs: Attrs) -> Type:
    """scatter_add(batch=n, size): the adjoint of gather; contributions in ascending position"""
    (x, index), n = operands, attrs["batch"]
    need(index.dtype in INTEGERS and x.dtype == "f32", "f32 values and an integer index")
    need(x.shape[: index.rank] == index.shape and 0 <= n <= index.rank, "values do not match the index")
    need(attrs["size"] > 0, "sizes must be positive")
    return Type(x.dtype, (*x.shape[:n], attrs["size"], *x.shape[index.rank :]))


def contract(operands: Types, attrs: Attrs) -> Type:
    """contract(a_over, b_over, a_batch, b_batch): sums products over paired axes, in a_over's order;
    result axes: a's axes that are not summed, in a's order, then b's own"""
    a, b = operands
    need(a.dtype == b.dtype == "f32", "f32 operands")
    pairs = [*zip(attrs["a_over"], attrs["b_over"], strict=True), *zip(attrs["a_batch"], attrs["b_batch"], strict=True)]
    need(all(0 <= i < a.rank and 0 <= j < b.rank for i, j in pairs), "no such axis")
    need(all(a.shape[i] == b.shape[j] for i, j in pairs), "paired axes differ in size")
    need(len({i for i, _ in pairs}) == len(pairs) == len({j for _, j in pairs}), "an axis is paired twice")
    kept = [n for i, n in enumerate(a.shape) if i not in attrs["a_over"]]
    own = [n for j, n in enumerate(b.shape) if j not in attrs["b_over"] and j not in attrs["b_batch"]]
    return Type("f32", (*kept, *own))


def reduce(operands: Types, attrs: Attrs) -> Type:
    """sum(axes), reduce_max(axes): row order where axes are the last ones, column order otherwise"""
    (x,), axes = operands, attrs["axes"]
    need(x.dtype == "f32", f"not defined on {x.dtype}")
    ascending(axes, x.rank)
    need(len(axes) > 0, "needs an axis")
    return Type(x.dtype, tuple(n for i, n in enumerate(x.shape) if i not in axes))


def argmax(operands: Types, attrs: Attrs) -> Type:
    """argmax(axes): position, in the flattened reduced axes, of the first largest element"""
    return Type("i32", reduce(operands, attrs).shape)


def experts(operands: Types, _: Attrs) -> Type:
    """experts: x[l…, K], w[E, K, F], index[l…, q…] → [l…, q…, F], x through the map that the index chooses"""
    x, w, index = operands
    tokens(x, index)
    need(w.dtype == "f32" and w.rank == 3 and w.shape[1] == x.shape[-1], "the maps do not take the values")
    return Type("f32", (*index.shape, w.shape[2]))


def tokens(x: Type, index: Type) -> None:
    need(x.dtype == "f32" and index.dtype == "i32", "f32 values and an i32 index")
    need(0 < x.rank <= index.rank + 1 and x.shape[:-1] == index.shape[: x.rank - 1], "values do not match the index")


def expert_sums(operands: Types, attrs: Attrs) -> Type:
    """expert_sums(size): x[l…, K], g[l…, q…, F], index[l…, q…] → [size, K, F], the adjoint of experts by its maps"""
    x, g, index = operands
    tokens(x, index)
    need(g.dtype == "f32" and g.shape[:-1] == index.shape, "cotangents do not match the index")
    need(attrs["size"] > 0, "sizes must be positive")
    return Type("f32", (attrs["size"], x.shape[-1], g.shape[-1]))


def route(operands: Types, attrs: Attrs) -> Type:
    """route(size, block): the table of ir/routing.py for an index of experts"""
    (index,) = operands
    need(index.dtype == "i32" and index.rank == 1, "the index must be an i32 vector")
    need(attrs["size"] > 0 and attrs["block"] > 0, "sizes must be positive")
    return Type("i32", (Routing(index.size, attrs["size"], attrs["block"]).length,))


def block_products(operands: Types, attrs: Attrs) -> Type:
    """block_products(tokens): x[P, M, K], w[E, K, F], owners[P] → [P, M, F], each block through its owner's map; +0.0
    where the owner is -1. `tokens`: how many of the P M rows are meant, for counting work"""
    x, w, owners = operands
    need(x.dtype == w.dtype == "f32" and owners.dtype == "i32", "f32 values and an i32 index")
    need(attrs["tokens"] > 0, "sizes must be positive")
    need(x.rank == w.rank == 3 and owners.shape == x.shape[:1] and w.shape[1] == x.shape[2], "shapes do not match")
    return Type("f32", (*x.shape[:2], w.shape[2]))


def segment_sums(operands: Types, attrs: Attrs) -> Type:
    """segment_sums(tokens): x[S, K], g[S, F], firsts[E], counts[E] → [E, K, F], contractions over stretches of S, which
    together have `tokens` positions"""
    x, g, firsts, counts = operands
    need(x.dtype == g.dtype == "f32" and firsts.dtype == "i32" and firsts == counts, "f32 values and i32 bounds")
    need(attrs["tokens"] > 0, "sizes must be positive")
    need(x.rank == g.rank == 2 and x.shape[0] == g.shape[0] and firsts.rank == 1, "shapes do not match")
    return Type("f32", (firsts.size, x.shape[1], g.shape[1]))


def loop(operands: Types, attrs: Attrs) -> tuple[Type, ...]:
    """loop(count, carried, sliced, reverse, body): operands are initial carried values, inputs cut along
    their first axis, inputs shared by all turns. Body inputs: turn (i32), carried, slices, shared; body
    outputs: carried, then values stacked along a new first axis. `reverse` takes turns count-1 … 0."""
    count, carried, sliced, body = attrs["count"], attrs["carried"], attrs["sliced"], attrs["body"]
    need(0 < count < 2**31 and carried >= 0 and sliced >= 0, "counts must not be negative")
    need(len(operands) >= carried + sliced and len(body.results) >= carried, "too few operands or results")
    inside = [p.type for p in body.inputs]
    cut = [Type(t.dtype, t.shape[1:]) for t in operands[carried : carried + sliced]]
    need(all(t.shape[:1] == (count,) for t in operands[carried : carried + sliced]), "slices must be count long")
    given = [Type("i32"), *operands[:carried], *cut, *operands[carried + sliced :]]
    need(inside == given, "body inputs differ from operands")
    need(all(isinstance(node.result, Type) for node in body.results), "a body's output is no loop: use get")
    results = [node.type for node in body.results]
    need(results[:carried] == list(operands[:carried]), "carried values change type")
    need(len(results) > 0, "a body without results")
    return (*results[:carried], *(Type(t.dtype, (count, *t.shape)) for t in results[carried:]))


def get(operands: tuple[Any, ...], attrs: Attrs) -> Type:
    """get(index): one result of a loop"""
    need(isinstance(operands[0], tuple), "the operand has one result")
    need(0 <= attrs["index"] < len(operands[0]), "no such result")
    result: Type = operands[0][attrs["index"]]
    return result


def gradient(operands: Types, _: Attrs) -> Type:
    """gradient(loss, parameter): d loss / d parameter, loss a scalar"""
    loss, parameter = operands
    need(loss == Type("f32") and parameter.dtype == "f32", "an f32 scalar and an f32 parameter")
    return parameter


def stop(operands: Types, _: Attrs) -> Type:
    """stop: the value, through which no gradient flows"""
    return operands[0]

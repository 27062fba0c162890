"""Evaluation of a kernel's insts in a scope.

Takes: scopes and numbers of insts whose operands are at hand. Promises: each value is computed once in
the scope that is given, in one lane or in WIDTH lanes as the nest says, by the contract's primitives; what
more lanes need of one lane is repeated there and then, outside the inner loops.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from jobspec.backends.llvm.access import load, picked, positions, store
from jobspec.backends.llvm.scalars import LlvmScalars, Typed, constant
from jobspec.backends.llvm.scope import WIDTH, Scope
from jobspec.backends.llvm.values import Value
from jobspec.ir.kernel import Inst
from jobspec.ir.library.apply import apply


def run(scope: Scope, depth: int, insts: Collection[int]) -> None:
    """Compute those of `insts` that belong at `depth`, then do what inner loops need of them once."""
    for i in scope.nest.at(depth, insts):
        if i not in scope.values and scope.nest.kernel.body[i].op != "const":
            put(scope, i, compute(scope, i))
    for i in insts:
        if picks_from_outside(scope, i, depth):
            scope.values[~i] = picked(scope, scope.nest.kernel.body[i], get(scope, index_of(scope, i), False))


def run_stores(lanes: Sequence[Scope], stores: Iterable[int]) -> None:
    """The same stores at several vectors, or at one."""
    for i in stores:
        inst = lanes[0].nest.kernel.body[i]
        store(lanes, inst, [get(here, inst.args[0], here.nest.wide[i]) for here in lanes])


def put(scope: Scope, i: int, value: Value) -> None:
    """Record the value of inst `i`."""
    scope.values[i] = value
    if i in scope.nest.spread:
        scope.splats[i] = scope.f.splat(value, WIDTH)


def get(scope: Scope, i: int, wide: bool) -> Value:
    """The value of inst `i`, in WIDTH lanes where `wide`."""
    inst = scope.nest.kernel.body[i]
    if inst.op == "const":
        return constant(inst.dtype, inst["bits"], WIDTH if wide else 1)
    return scope.splats[i] if wide and not scope.nest.wide[i] else scope.values[i]


def compute(scope: Scope, i: int) -> Value:
    """Emit inst `i`, which is neither a fold nor a store."""
    inst, wide = scope.nest.kernel.body[i], scope.nest.wide[i]
    if inst.op == "index":
        return positions(scope, inst["axis"])
    if inst.op == "load":
        return load(scope, inst, wide, moved(scope, i, inst) if inst.args else None)
    return applied(scope, inst, wide)


def applied(scope: Scope, inst: Inst, wide: bool) -> Value:
    """A primitive or library operation."""
    b = LlvmScalars(scope.f, WIDTH if wide else 1)
    kinds = [scope.nest.kernel.body[a].dtype for a in inst.args]
    args = tuple(Typed(kind, get(scope, a, wide)) for kind, a in zip(kinds, inst.args, strict=True))
    return apply(b, inst.op, kinds[-1], inst.dtype, args).value


def moved(scope: Scope, i: int, inst: Inst) -> Value:
    """Bytes that the index of load `i` adds to its address."""
    if ~i in scope.values:
        return scope.values[~i]
    index = inst.args[0]
    return picked(scope, inst, get(scope, index, scope.nest.wide[index]))


def index_of(scope: Scope, i: int) -> int:
    return scope.nest.kernel.body[i].args[0]


def picks_from_outside(scope: Scope, i: int, depth: int) -> bool:
    """Whether load `i` is further inside than `depth`, where its index is computed, one for all lanes."""
    inst, nest = scope.nest.kernel.body[i], scope.nest
    if inst.op != "load" or not inst.args:
        return False
    index = inst.args[0]
    return nest.depths[index] == depth < nest.depths[i] and not nest.wide[index] and ~i not in scope.values

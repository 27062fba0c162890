"""Every elementwise operation, in one lane and in sixteen, on every target: the reference's bits."""

from __future__ import annotations

import numpy as np
import pytest

from jobspec.ir.ops import OPS
from jobspec.ir.target import Target
from tests.llvm.bodies import elementwise
from tests.llvm.native import TARGETS, Array, check
from tests.numerics.samples import special_values, words

NUMPY = {"f32": np.float32, "i32": np.int32, "u32": np.uint32, "bool": np.bool_}
INTEGER = [["i32"] * 2, ["u32"] * 2]
FORMS: dict[str, list[tuple[list[str], str]]] = {
    **{op: [(k, k[0]) for k in [["f32"] * 2, *INTEGER]] for op in ("add", "sub", "mul", "max", "min")},
    **{op: [(["f32"] * 2, "f32")] for op in ("div", "pow")},
    "fma": [(["f32"] * 3, "f32")],
    "neg": [([k], k) for k in ("f32", "i32", "u32")],
    **{op: [(["f32"], "f32")] for op in ("abs", "sqrt", "floor", "rint", "rsqrt", "exp", "log", "tanh", "erf")},
    **{op: [(["f32"], "f32")] for op in ("sin", "cos")},
    **{op: [([k] * 2, "bool") for k in ("f32", "i32", "u32", "bool")] for op in ("lt", "le", "eq", "ne")},
    "select": [(["bool", k, k], k) for k in ("f32", "i32", "u32", "bool")],
    **{op: [([k] * 2, k) for k in ("i32", "u32", "bool")] for op in ("and", "or", "xor")},
    "not": [([k], k) for k in ("i32", "u32", "bool")],
    **{op: [(k, k[0]) for k in INTEGER] for op in ("shl", "shr", "mulhi")},
    "cast": [([a], b) for a in ("f32", "i32", "u32", "bool") for b in ("f32", "i32", "u32") if a != b],
    "bitcast": [([a], b) for a in ("f32", "i32", "u32") for b in ("f32", "i32", "u32") if a != b],
    **{op: [(["f32"], "f32")] for op in ("bf16", "f16")},
    "mod": [(["i32"] * 2, "i32")],
    "random_bits": [(["u32"] * 6, "u32")],
    **{op: [(["u32"] * 6, "f32")] for op in ("uniform", "normal")},
}
SIZE = 1000 + 7


def test_every_elementwise_operation_is_here() -> None:
    assert set(FORMS) == {name for name, op in OPS.items() if op.has("elementwise")}


def operand(kind: str, place: int) -> Array:
    """Special values paired with each other, then random bits."""
    special = special_values()
    pairs = np.tile(special, 13) if place % 2 == 0 else np.repeat(special, 13)
    floats = np.concatenate([pairs, words(SIZE, place + 1).view(np.float32)])[:SIZE]
    if kind == "f32":
        return floats
    raw = np.concatenate([np.array([0, 1, 31, 32, 33, 2**31 - 1, 2**31, 2**32 - 1], np.uint32), words(SIZE, place + 9)])
    return (raw[:SIZE] % 3 == 0) if kind == "bool" else raw[:SIZE].view(NUMPY[kind])


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu)
@pytest.mark.parametrize("op", FORMS)
def test_operation(op: str, target: Target) -> None:
    for kinds, dtype in FORMS[op]:
        arrays = [operand(kind, i) for i, kind in enumerate(kinds)]
        for many in (True, False):
            body = elementwise(op, kinds, dtype, SIZE, many)
            check(body.kernel("rows"), [*arrays, np.zeros(SIZE, NUMPY[dtype])], target)

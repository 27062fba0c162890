"""Elementwise operations, movement and picks on the reference, against results worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jobspec.backends.reference.meaning import MEANING
from jobspec.ir.errors import JobspecError
from jobspec.ir.ops import OPS
from tests.reference.programs import Array, apply, bits


def f(*values: float) -> Array:
    return np.array(values, np.float32)


def i(*values: int) -> Array:
    return np.array(values, np.int32)


def u(*values: int) -> Array:
    return np.array(values, np.uint32)


def test_every_op_has_a_meaning() -> None:
    assert set(MEANING) == set(OPS) - {"input", "gradient"}


NAN, INF = np.nan, np.inf
CASES: list[tuple[str, tuple[Array, ...], Any]] = [
    ("add", (i(2**31 - 1, -5), i(1, 2)), [-(2**31), -3]),
    ("sub", (u(0, 7), u(1, 2)), [2**32 - 1, 5]),
    ("mul", (i(1 << 20, -3), i(1 << 12, 4)), [0, -12]),
    ("mul", (u(0xFFFFFFFF), u(0xFFFFFFFF)), [1]),
    ("neg", (i(-(2**31), 5),), [-(2**31), -5]),
    ("neg", (u(1),), [2**32 - 1]),
    ("max", (i(-1, 3), i(1, 2)), [1, 3]),
    ("max", (u(0xFFFFFFFF), u(1)), [0xFFFFFFFF]),
    ("min", (i(-1, 3), i(1, 2)), [-1, 2]),
    ("mulhi", (u(0xFFFFFFFF, 1 << 16), u(0xFFFFFFFF, 1 << 16)), [0xFFFFFFFE, 1]),
    ("mulhi", (i(-1, -(2**31)), i(1, -(2**31))), [-1, 1 << 30]),
    ("shl", (u(1, 1), u(31, 33)), [1 << 31, 2]),
    ("shr", (i(-8, -8), i(1, 33)), [-4, -4]),
    ("shr", (u(1 << 31), u(31)), [1]),
    ("and", (i(6), i(3)), [2]),
    ("xor", (np.array([True, True]), np.array([True, False])), [False, True]),
    ("or", (np.array([True, False]), np.array([False, False])), [True, False]),
    ("not", (np.array([True, False]),), [False, True]),
    ("not", (i(0),), [-1]),
    ("lt", (f(1, NAN, -0.0), f(2, 1, 0.0)), [True, False, False]),
    ("le", (f(1, NAN, -0.0), f(1, 1, 0.0)), [True, False, True]),
    ("eq", (f(NAN, 0.0), f(NAN, -0.0)), [False, True]),
    ("ne", (f(NAN, 0.0), f(NAN, -0.0)), [True, False]),
    ("lt", (u(0xFFFFFFFF), u(1)), [False]),
    ("lt", (i(-1), i(1)), [True]),
    ("eq", (np.array([True, False]), np.array([True, True])), [True, False]),
    ("floor", (f(-0.5, 2.5, -0.0),), [-1, 2, 0]),
    ("rint", (f(0.5, 1.5, 2.5, -0.5),), [0, 2, 2, 0]),
    ("max", (f(1, 2), f(3, 1)), [3, 2]),
    ("select", (np.array([True, False]), i(1, 2), i(3, 4)), [1, 4]),
]


@pytest.mark.parametrize(("op", "operands", "expected"), CASES)
def test_elementwise(op: str, operands: tuple[Array, ...], expected: list[Any]) -> None:
    assert apply(op, *operands).tolist() == expected


def test_sign_bit_operations() -> None:
    negative_nan = np.array([0xFFC00001], np.uint32).view(np.float32)
    assert bits(apply("neg", f(0.0, -0.0, 1.0))) == [0x80000000, 0, 0xBF800000]
    assert bits(apply("abs", f(-0.0, -INF))) == [0, 0x7F800000]
    assert bits(apply("neg", negative_nan)) == [0x7FC00000]


def test_max_and_min_take_the_second_operand_unless_the_first_wins() -> None:
    assert bits(apply("max", f(0.0, -0.0, NAN, 1.0), f(-0.0, 0.0, 2.0, NAN))) == bits(f(-0.0, 0.0, 2.0, NAN))
    assert bits(apply("min", f(0.0, -0.0, NAN, 1.0), f(-0.0, 0.0, 2.0, NAN))) == bits(f(-0.0, 0.0, 2.0, NAN))


def test_division_and_root_are_correctly_rounded_and_keep_subnormals() -> None:
    assert bits(apply("div", f(1, 1, 0, 2.0**-149), f(3, 0, 0, 2))) == bits([1 / 3, INF, NAN, 0.0])
    assert bits(apply("mul", f(2.0**-126), f(0.5))) == [0x00400000]
    assert bits(apply("sqrt", f(2, -1, -0.0))) == [0x3FB504F3, 0x7FC00000, 0x80000000]


def test_fma_rounds_once() -> None:
    a = f(1 + 2.0**-12)
    assert apply("fma", a, a, f(-(1 + 2.0**-11))).item() == 2.0**-24


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [
        ("i32", 2.9, 2), ("i32", -2.9, -2), ("i32", NAN, 0), ("i32", INF, 2**31 - 1), ("i32", -3e9, -(2**31)),
        ("i32", 2147483520.0, 2147483520), ("i32", 2.0**31, 2**31 - 1),
        ("u32", -1.0, 0), ("u32", -0.5, 0), ("u32", NAN, 0), ("u32", 4294967040.0, 4294967040),
        ("u32", 2.0**32, 2**32 - 1),
    ],
)  # fmt: skip
def test_floats_become_integers_toward_zero_saturating(dtype: str, value: float, expected: int) -> None:
    assert apply("cast", f(value), dtype=dtype).tolist() == [expected]


def test_other_casts() -> None:
    assert apply("cast", i(2**24 + 1, 2**24 + 3, -1), dtype="f32").tolist() == [2**24, 2**24 + 4, -1]
    assert apply("cast", u(0xFFFFFFFF), dtype="f32").tolist() == [2.0**32]
    assert apply("cast", np.array([True, False]), dtype="f32").tolist() == [1, 0]
    assert apply("cast", np.array([200], np.uint8), dtype="i32").tolist() == [200]
    assert apply("cast", i(-1, 300), dtype="u8").tolist() == [255, 44]
    assert apply("cast", i(-1), dtype="u32").tolist() == [2**32 - 1]
    assert apply("cast", np.array([65535], np.uint16), dtype="f32").tolist() == [65535]


def test_bitcast_shows_one_nan() -> None:
    odd_nan = np.array([0xFF800001, 0x3F800000], np.uint32).view(np.float32)
    assert apply("bitcast", odd_nan, dtype="u32").tolist() == [0x7FC00000, 0x3F800000]
    assert apply("bitcast", u(0x3F800000), dtype="f32").tolist() == [1.0]
    assert apply("bitcast", u(0xFFFFFFFF), dtype="i32").tolist() == [-1]


def test_constants_and_positions() -> None:
    assert apply("const", dtype="f32", shape=(2, 2), bits=(0x3F800000,)).tolist() == [[1, 1], [1, 1]]
    assert apply("const", dtype="i32", shape=(2,), bits=(1, 0xFFFFFFFF)).tolist() == [1, -1]
    assert apply("const", dtype="bool", shape=(2,), bits=(1, 0)).tolist() == [True, False]
    assert apply("const", dtype="u8", shape=(), bits=(255,)).item() == 255
    assert apply("iota", size=3).tolist() == [0, 1, 2]


GRID = np.arange(6, dtype=np.int32).reshape(2, 3)
MOVES: list[tuple[str, dict[str, Any], list[Any]]] = [
    ("reshape", {"shape": (3, 2)}, [[0, 1], [2, 3], [4, 5]]),
    ("permute", {"axes": (1, 0)}, [[0, 3], [1, 4], [2, 5]]),
    ("broadcast", {"shape": (2, 2, 3), "axes": (1, 2)}, [[[0, 1, 2], [3, 4, 5]]] * 2),
    ("broadcast", {"shape": (2, 2, 3), "axes": (0, 2)}, [[[0, 1, 2]] * 2, [[3, 4, 5]] * 2]),
    ("slice", {"start": (0, 0), "stop": (2, 3), "step": (1, 2)}, [[0, 2], [3, 5]]),
    ("slice", {"start": (1, 1), "stop": (2, 2), "step": (1, 1)}, [[4]]),
    ("flip", {"axes": (1,)}, [[2, 1, 0], [5, 4, 3]]),
    ("flip", {"axes": (0, 1)}, [[5, 4, 3], [2, 1, 0]]),
    ("window", {"axes": (1,), "sizes": (2,), "strides": (1,)}, [[[0, 1], [1, 2]], [[3, 4], [4, 5]]]),
    ("window", {"axes": (0,), "sizes": (2,), "strides": (1,)}, [[[0, 1, 2], [3, 4, 5]]]),
    ("window", {"axes": (1,), "sizes": (1,), "strides": (2,)}, [[[0], [2]], [[3], [5]]]),
    ("pad", {"low": (1, 0), "high": (0, 1), "inner": (0, 1), "bits": 9},
     [[9] * 6, [0, 9, 1, 9, 2, 9], [3, 9, 4, 9, 5, 9]]),
    ("pad", {"low": (0, 0), "high": (0, 0), "inner": (2, 0), "bits": 0}, [[0, 1, 2], [0] * 3, [0] * 3, [3, 4, 5]]),
]  # fmt: skip


@pytest.mark.parametrize(("op", "attrs", "expected"), MOVES)
def test_movement(op: str, attrs: dict[str, Any], expected: list[Any]) -> None:
    assert apply(op, GRID, **attrs).tolist() == expected


def test_windows_along_two_axes_follow_the_last_of_them() -> None:
    x = np.arange(2 * 4 * 5 * 3, dtype=np.int32).reshape(2, 4, 5, 3)
    found = apply("window", x, axes=(1, 2), sizes=(3, 2), strides=(1, 3))
    assert found.shape == (2, 2, 2, 3, 2, 3)
    for b, p, q, k, m, c in np.ndindex(found.shape):
        assert found[b, p, q, k, m, c] == x[b, p + k, 3 * q + m, c]


def test_concat_joins_along_its_axis() -> None:
    assert apply("concat", GRID, GRID[:, :1], axis=1).tolist() == [[0, 1, 2, 0], [3, 4, 5, 3]]


def test_movement_keeps_bits() -> None:
    x = np.array([0x80000000, 1], np.uint32).view(np.float32)
    assert bits(apply("flip", x, axes=(0,))) == [1, 0x80000000]
    assert bits(apply("pad", x, low=(1,), high=(0,), inner=(0,), bits=0x80000000)) == [0x80000000, 0x80000000, 1]


def test_gather_picks_rows() -> None:
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert apply("gather", x, i(2, 0), batch=0).tolist() == [[4, 5], [0, 1]]
    assert apply("gather", x, u(1), batch=0).tolist() == [[2, 3]]
    assert apply("gather", x, np.array(1, np.int32), batch=0).tolist() == [2, 3]


def test_gather_with_shared_axes_picks_within_them() -> None:
    x = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    index = np.array([[2, 0], [1, 1]], np.int32)
    assert apply("gather", x, index, batch=1).tolist() == [[[4, 5], [0, 1]], [[8, 9], [8, 9]]]
    assert apply("gather", x[:, :, 0], i(2, 1), batch=1).tolist() == [4, 8]


@pytest.mark.parametrize("wrong", [3, -1, 2**31 - 1, -(2**31)])
def test_an_index_outside_is_an_error_that_names_it(wrong: int) -> None:
    with pytest.raises(JobspecError) as caught:
        apply("gather", np.zeros((3, 2), np.float32), i(0, wrong), batch=0)
    assert caught.value.code == "E0501"
    assert f"index {wrong} at position [1] of `x1` is outside 0 … 2" in str(caught.value)
    with pytest.raises(JobspecError):
        apply("scatter_add", np.zeros(2, np.float32), i(0, wrong), batch=0, size=3)


def test_scatter_add_takes_contributions_in_order_from_plus_zero() -> None:
    # 2^24 + 1 rounds down twice; 1 + 1 first would have reached 2^24 + 2
    values = f(2.0**24, 1, 1, -0.0)
    assert apply("scatter_add", values, i(1, 1, 1, 0), batch=0, size=3).tolist() == [0, 2.0**24, 0]
    assert bits(apply("scatter_add", values, i(1, 1, 1, 0), batch=0, size=3))[0] == 0
    assert apply("scatter_add", values[::-1].copy(), i(0, 1, 1, 1), batch=0, size=3).tolist() == [0, 2.0**24 + 2, 0]


def test_scatter_add_with_shared_axes() -> None:
    x = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    index = np.array([[1, 1], [0, 2]], np.int32)
    found = apply("scatter_add", x, index, batch=1, size=3)
    assert found.tolist() == [[[0, 0], [2, 4], [0, 0]], [[4, 5], [0, 0], [6, 7]]]

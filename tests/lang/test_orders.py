"""top, sort, argsort, cumsum, `%` and the 16-bit roundings, against numpy; their gradients against plain reasoning."""

from __future__ import annotations

import numpy as np
import pytest

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.program import Program, make
from jobspec.lang.diagnostics import DiagnosticsError
from jobspec.lang.values import Tensor
from jobspec.passes.differentiate import differentiate
from tests.lang.computing import Bench, arrays, compute, equal

DIMS = {"B": 3, "E": 7, "Q": 4, "W": 9}
NAN, INF = np.nan, np.inf
HARD = np.array(
    [
        [INF, -INF, NAN, 0.0, -0.0, INF, 1.0],
        [NAN, NAN, -INF, -INF, 2.0, 2.0, -NAN],
        [-0.0, 0.0, -1, 1e-45, -1e-45, 3, 3],
    ],
    np.float32,
)


def test_top_is_descending_and_ties_go_to_the_smaller_place() -> None:
    equal(compute("top[E->Q](x)", DIMS, x=(HARD, "B E")), [[0, 5, 6, 3], [4, 5, 2, 3], [5, 6, 3, 0]], "B Q")


def test_nan_is_below_everything() -> None:
    places = [[2, 1, 3, 4, 6, 0, 5], [0, 1, 6, 2, 3, 4, 5], [2, 4, 0, 1, 3, 5, 6]]
    equal(compute("argsort[E](x)", DIMS, x=(HARD, "B E")), places, "B E")
    values = np.take_along_axis(HARD, np.array(places), 1)
    found, _ = compute("sort[E](x)", DIMS, x=(HARD, "B E"))
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("axes", ["B E", "E B"])
def test_sorting_is_stable_along_any_axis(axes: str) -> None:
    x = np.random.default_rng(1).integers(-2, 3, (3, 7)).astype(np.float32)
    given = x if axes == "B E" else np.ascontiguousarray(x.T)
    equal(compute("argsort[E](x)", DIMS, x=(given, axes)), np.argsort(x, axis=1, kind="stable"), "B E")
    equal(compute("argsort[E](-x)", DIMS, x=(given, axes)), np.argsort(-x, axis=1, kind="stable"), "B E")


def test_whole_numbers_are_sorted_as_such() -> None:
    x = np.array([2**24 + 1, 2**24, -(2**31), 2**31 - 1, 2**24 + 2, 0, -1], np.int32)
    equal(compute("argsort[E](x)", DIMS, x=(x, "E")), np.argsort(x, kind="stable"), "E")


def test_running_sums() -> None:
    x = arrays(3, 7)
    want, acc = [], np.zeros(3, np.float32)
    for e in range(7):
        acc = acc + x[:, e]
        want.append(acc)
    equal(compute("cumsum[E](x)", DIMS, x=(x, "B E")), np.stack(want), "E B")
    flags = x > 0
    equal(compute("cumsum[E](x > 0)", DIMS, x=(x, "B E")), np.cumsum(flags, 1).T, "E B")


def test_a_running_sum_in_a_loop() -> None:
    x = arrays(3, 7)
    body = "y = x; repeat Q { z: B E = cumsum[E](y); y = .5*z }; y"
    y = x
    for _ in range(4):
        y = np.float32(0.5) * compute("cumsum[E](x)", DIMS, x=(y, "B E"))[0].T
    equal(compute(body, DIMS, x=(x, "B E")), y, "B E")


def test_modulo_takes_the_sign_of_the_divisor() -> None:
    x, y = np.array([7, -7, 7, -7, 0, 6, -6], np.int32), np.array([3, 3, -3, -3, 5, 0, 3], np.int32)
    equal(compute("x % y", DIMS, x=(x, "E"), y=(y, "E")), [1, 2, -2, -1, 0, 0, 0], "E")
    equal(compute("x % 4", DIMS, x=(x, "E")), x % 4, "E")


def test_modulo_of_floats_is_exact() -> None:
    x = np.float32([7.25, -7.25, 0.1, -0.1, 3e9, -3e9, 1e12])
    want = np.mod(x.astype(np.float64), 2.5)
    equal(compute("x % 2.5", DIMS, x=(x, "E")), want.astype(np.float32), "E")
    equal(compute("x % -2.5", DIMS, x=(x, "E")), np.mod(x.astype(np.float64), -2.5).astype(np.float32), "E")


def test_modulo_by_nothing_or_infinity() -> None:
    found, _ = compute("x % y", DIMS, x=(np.float32([1, 1, INF]), "B"), y=(np.float32([0, INF, 2]), "B"))
    assert np.isnan(found).all()


def gradient(body: str, x: np.ndarray, axes: str) -> np.ndarray:
    bench = Bench(f"y = {body}; sum[{axes}](y * x)", DIMS, {"x": (x, axes)})
    loss = bench.run()
    assert isinstance(loss, Tensor)
    node = make("input", name="x", dtype="f32", shape=x.shape)
    program = differentiate(Program((node,), (("g", make("gradient", loss.node, node)),)))
    return evaluate(program, {"x": x})["g"]


def test_gradients() -> None:
    """d/dx of sum(f(x) * x) = f(x) + what flows through f."""
    x = np.float32([0.3, -1.5, 2.25, 0.75, -0.5, 1.125, 3.5])
    order = np.argsort(x, kind="stable")
    through = np.empty_like(x)
    through[order] = x
    np.testing.assert_array_equal(gradient("sort[E](x)", x, "E"), np.sort(x) + through)
    np.testing.assert_allclose(gradient("cumsum[E](x)", x, "E"), np.cumsum(x) + np.cumsum(x[::-1])[::-1], rtol=1e-6)
    np.testing.assert_allclose(gradient("x % 2", x, "E"), np.mod(x, 2) + x, rtol=1e-6)
    np.testing.assert_allclose(gradient("2 % x", x, "E"), np.mod(2, x) - np.floor(2 / x) * x, rtol=1e-5)
    np.testing.assert_array_equal(gradient("bf16(x)", x, "E"), compute("bf16(x)", DIMS, x=(x, "E"))[0] + x)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("top[E->W](x)", "E0236"),
        ("top[E](x)", "E0262"),
        ("top[E->B](x)", "E0233"),
        ("top[W->Q](x)", "E0203"),
        ("sort[B E](x)", "E0262"),
        ("cumsum(x)", "E0262"),
        ("cumsum[Q](x)", "E0203"),
        ("window[E->Q](x)", "E0262"),
        ("sum[E->Q](x)", "E0262"),
    ],
)
def test_what_is_refused(body: str, code: str) -> None:
    with pytest.raises(DiagnosticsError) as caught:
        compute(body, DIMS, x=(HARD, "B E"))
    assert [d.code for d in caught.value.diagnostics] == [code]

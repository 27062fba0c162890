"""Rules 2 to 7: what expressions over named axes give, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.program import Program
from tests.lang.computing import Bench, arrays, compute, equal

DIMS = {"A": 2, "B": 3, "C": 4, "D": 6, "T": 5, "S": 5, "K": 2}


def test_axes_meet_by_name() -> None:
    x, y = arrays(3, 4), arrays(4, 3, seed=1)
    equal(compute("x + y", DIMS, x=(x, "B C"), y=(y, "C B")), x + y.T, "B C")


def test_the_wider_side_gives_the_order() -> None:
    x, y = arrays(4), arrays(3, 4, seed=1)
    equal(compute("x - y", DIMS, x=(x, "C"), y=(y, "B C")), x - y, "B C")
    equal(compute("y * 2", DIMS, y=(y, "B C")), y * np.float32(2), "B C")


def test_an_axis_in_the_middle_is_repeated() -> None:
    x, y = arrays(2, 3, 4), arrays(4, 2, seed=1)
    equal(compute("x * y", DIMS, x=(x, "A B C"), y=(y, "C A")), x * y.T[:, None, :], "A B C")


def test_a_stated_result_pairs() -> None:
    x, y = arrays(3), arrays(4, seed=1)
    equal(compute("z: C B = x - y; z", DIMS, x=(x, "B"), y=(y, "C")), x - y[:, None], "C B")


def test_a_stated_result_is_stored_in_its_order_and_repeated() -> None:
    x = arrays(3, 4)
    equal(compute("z: C A B = 2*x; z", DIMS, x=(x, "B C")), np.repeat(2 * x.T[:, None], 2, 1), "C A B")


def test_linear_map() -> None:
    x, w = np.rint(arrays(2, 3, 4)), np.rint(arrays(4, 5, seed=1))
    equal(compute("x @ w", DIMS, x=(x, "A B C"), w=(w, "C->T")), np.einsum("abc,ct->abt", x, w), "A B T")


def test_linear_map_of_several_axes_wherever_they_stand() -> None:
    x, w = np.float32(arrays(4, 3, 2) > 0), np.float32(arrays(2, 4, 5, seed=1) > 0)
    equal(compute("x @ w", DIMS, x=(x, "C B A"), w=(w, "A C->T")), np.einsum("cba,act->bt", x, w), "B T")


def test_contraction_runs_other_axes_along() -> None:
    q, k = np.float32(arrays(3, 5, 4) > 0), np.float32(arrays(3, 4, 5, seed=1) > 0)
    found = compute("dot[C](q, k)", DIMS, q=(q, "B T C"), k=(k, "B C S"))
    equal(found, np.einsum("btc,bcs->bts", q, k), "B T S")


def test_reductions() -> None:
    x = np.float32(np.arange(24).reshape(2, 3, 4) % 7)
    equal(compute("sum[A C](x)", DIMS, x=(x, "A B C")), x.sum((0, 2)), "B")
    equal(compute("mean[C](x)", DIMS, x=(x, "A B C")), x.sum(2) / np.float32(4), "A B")
    equal(compute("max[B](x)", DIMS, x=(x, "A B C")), x.max(1), "A C")
    equal(compute("min[B C](x)", DIMS, x=(x, "A B C")), x.min((1, 2)), "A")
    equal(compute("argmax[C](x)", DIMS, x=(x, "A B C")), x.argmax(2), "A B")
    equal(compute("argmin[C](x)", DIMS, x=(x, "A B C")), x.argmin(2), "A B")
    equal(compute("count[A C](x) + 0*sum[A B C](x)", DIMS, x=(x, "A B C")), np.float32(8), "")


def test_views() -> None:
    x = arrays(3, 6)
    equal(compute("x[B->A']", DIMS, x=(x, "B D")), x, "A' D")
    equal(compute("x[D->A B']", DIMS, x=(x, "B D")), x.reshape(3, 2, 3), "B A B'")
    equal(compute("x[D->A B'][A B'->D]", DIMS, x=(x, "B D")), x, "B D")
    equal(compute("x[D: 2]", DIMS, x=(x, "B D")), x[:, 2], "B")
    equal(compute("x[D: 1..]", DIMS, x=(x, "B D")), x[:, 1:], "B D")
    equal(compute("x[D: ..D-1, B: 1]", DIMS, x=(x, "B D")), x[1, :5], "D")


def test_merge_brings_axes_together() -> None:
    x = arrays(2, 4, 3)
    equal(compute("x[B A->D]", DIMS, x=(x, "A C B")), x.transpose(1, 2, 0).reshape(4, 6), "C D")


def test_gather() -> None:
    x, ids = arrays(4, 6), np.array([[3, 0], [1, 1], [2, 3]], np.int32)
    equal(compute("x[C: i]", DIMS, x=(x, "C D"), i=(ids, "B A")), x[ids], "B A D")


def test_gather_runs_shared_axes_along() -> None:
    x, ids = arrays(3, 2, 4), np.array([3, 0, 2], np.int32)
    found = compute("x[C: i]", DIMS, x=(x, "B A C"), i=(ids, "B"))
    equal(found, np.stack([x[b, :, ids[b]] for b in range(3)]), "B A")


def test_gather_of_moving_windows() -> None:
    """The crop of the ResNet job: each example at its own place."""
    x, at = arrays(3, 6), np.array([0, 2, 1], np.int32)
    found = compute("place: B C = iota[C] + at; x[D: place]", DIMS, x=(x, "B D"), at=(at, "B"))
    equal(found, np.stack([x[b, at[b] : at[b] + 4] for b in range(3)]), "B C")


def test_map_picked_for_each_element() -> None:
    """Experts: `E | D -> F` with one expert chosen per example stays a map."""
    x, e = arrays(3, 4), np.array([1, 0, 1], np.int32)
    bench = Bench("param w: A | C -> T ~ normal(1)\n x @ w[A: e]", DIMS, {"x": (x, "B C"), "e": (e, "B")}, kind="layer")
    found, axes = bench.array()
    w = evaluate(Program((), (("w", bench.work.registry.held["w"].initial),)), {})["w"]
    np.testing.assert_allclose(found, np.einsum("bc,bct->bt", x, w[e]), rtol=1e-5)
    assert axes == "B T"


@pytest.mark.parametrize(("stride", "pad"), [(1, 0), (2, 0), (1, 1), (2, 2)])
def test_windows(stride: int, pad: int) -> None:
    x = arrays(3, 6, 4)
    found = compute(f"window[D by K](x, {stride}, {pad})", DIMS, x=(x, "B D C"))
    padded = np.pad(x, ((0, 0), (pad, pad), (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(padded, 2, 1)[:, ::stride]
    equal(found, view.transpose(0, 1, 3, 2), "B D K C")


def test_windows_in_two_axes_stand_behind_the_last() -> None:
    x = arrays(6, 3, 5)
    found = compute("window[T D by K A](x)", DIMS, x=(x, "D B T"))
    view = np.lib.stride_tricks.sliding_window_view(x, (2, 2), (0, 2))
    equal(found, view, "D B T A K")


def test_pad_flip_every() -> None:
    x = arrays(3, 5)
    equal(
        compute("pad[T](x, [1, 2], -inf)", DIMS, x=(x, "B T")),
        np.pad(x, ((0, 0), (1, 2)), constant_values=-np.inf),
        "B T",
    )
    equal(compute("flip[T](x)", DIMS, x=(x, "B T")), x[:, ::-1], "B T")
    equal(compute("every[B T](x, 2)", DIMS, x=(x, "B T")), x[::2, ::2], "B T")


def test_stack_and_concat() -> None:
    x, y = arrays(3, 4), arrays(4, 3, seed=1)
    equal(compute("stack[A](x, y)", DIMS, x=(x, "B C"), y=(y, "C B")), np.stack([x, y.T], -1), "B C A")
    equal(compute("concat[B](x, y)", DIMS, x=(x, "B C"), y=(y, "C B")), np.concatenate([x, y.T]), "B C")


def test_axes_alone() -> None:
    equal(compute("iota[T]", DIMS), np.arange(5), "T")
    equal(compute("const[B](1, 2.5, -inf)", DIMS), np.array([1, 2.5, -np.inf]), "B")
    equal(compute("ones[A B]", DIMS), np.ones((2, 3)), "A B")
    equal(compute("one_hot[C](i)", DIMS, i=(np.array([2, 0, 9], np.int32), "B")), np.eye(10)[[2, 0, 9], :4], "B C")


def test_whole_numbers_stay_whole_until_they_meet_a_fraction() -> None:
    i = np.array([2**30, -3, 7], np.int32)
    equal(compute("i*2 - 1", DIMS, i=(i, "B")), (i * 2 - 1).astype(np.int32), "B")
    equal(compute("i/2", DIMS, i=(i, "B")), i.astype(np.float32) / np.float32(2), "B")
    equal(compute("i*.5", DIMS, i=(i, "B")), i.astype(np.float32) * np.float32(0.5), "B")
    equal(compute("i*2.0", DIMS, i=(i, "B")), i.astype(np.float32) * np.float32(2), "B")


def test_conditions_count_one_in_arithmetic() -> None:
    x = arrays(3, 4)
    equal(compute("mean[B](x > 0)", DIMS, x=(x, "B C")), (x > 0).sum(0).astype(np.float32) / np.float32(3), "C")
    equal(compute("(x > 0 and not x > 1) + 1", DIMS, x=(x, "B C")), 1 + ((x > 0) & (x <= 1)), "B C")


def test_powers() -> None:
    x = np.abs(arrays(3)) + np.float32(0.5)
    equal(compute("x^3", DIMS, x=(x, "B")), (x * x) * x, "B")
    equal(compute("x^-2", DIMS, x=(x, "B")), np.float32(1) / (x * x), "B")
    equal(compute("x^.5", DIMS, x=(x, "B")), np.sqrt(x), "B")
    np.testing.assert_allclose(compute("x^1.7", DIMS, x=(x, "B"))[0], x**1.7, rtol=1e-6)
    np.testing.assert_allclose(compute(".9^x", DIMS, x=(x, "B"))[0], 0.9**x, rtol=1e-6)


def test_choices() -> None:
    x, y = arrays(3), arrays(3, seed=1)
    equal(compute("select(x > y, x, 0)", DIMS, x=(x, "B"), y=(y, "B")), np.where(x > y, x, 0), "B")
    equal(compute("x if x > y else y", DIMS, x=(x, "B"), y=(y, "B")), np.maximum(x, y), "B")
    equal(compute("1/0 if C == 3 else x", DIMS, x=(x, "B")), x, "B")
    equal(compute("sign(x)", DIMS, x=(x, "B")), np.sign(x), "B")
    equal(compute("max(x, y) + min(x, 0)", DIMS, x=(x, "B"), y=(y, "B")), np.maximum(x, y) + np.minimum(x, 0), "B")


def test_literals_are_rounded_once() -> None:
    found, _ = compute("x*0 + (1/3 + 1e-9)", DIMS, x=(arrays(1), "A'"))
    assert found.tolist() == [float(np.float32(1 / 3 + 1e-9))]


@settings(max_examples=40, deadline=None)
@given(
    st.permutations("ABC"), st.permutations("BCD"), st.sampled_from(["x * sum[D](y)", "dot[C](x, y)", "dot[B C](x, y)"])
)
def test_stored_order_carries_no_meaning(first: list[str], second: list[str], body: str) -> None:
    """The same tensors stored in any order give the same elements (small whole numbers: every sum is exact)."""
    x = np.float32(np.random.default_rng(1).integers(-3, 4, (2, 3, 4)))
    y = np.float32(np.random.default_rng(2).integers(-3, 4, (3, 4, 6)))
    plain, names = compute(body, DIMS, x=(x, "A B C"), y=(y, "B C D"))
    moved_x = np.ascontiguousarray(x.transpose(["ABC".index(a) for a in first]))
    moved_y = np.ascontiguousarray(y.transpose(["BCD".index(a) for a in second]))
    found, axes = compute(body, DIMS, x=(moved_x, " ".join(first)), y=(moved_y, " ".join(second)))
    np.testing.assert_array_equal(found.transpose([axes.split().index(a) for a in names.split()]), plain)

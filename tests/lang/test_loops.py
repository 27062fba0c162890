"""repeat and scan: rolled bodies, against the same text unrolled or numpy."""

from __future__ import annotations

import numpy as np

from jobspec.ir.program import order
from jobspec.lang.values import Tensor
from tests.lang.computing import Bench, arrays, compute, equal

DIMS = {"B": 3, "H": 4, "L": 5, "T": 6, "M": 2}


def loops(bench: Bench) -> list[str]:
    value = bench.run()
    assert isinstance(value, Tensor)
    return [node.op for node in order([value.node]) if node.op == "loop"]


def test_repeat_hands_on_what_stood_before() -> None:
    x = arrays(3)
    equal(
        compute("y = x; repeat L { z = y + 1; y = z*.5 }; y", DIMS, x=(x, "B")),
        compute("y = x; repeat 5 { z = y + 1; y = z*.5 }; y", DIMS, x=(x, "B"))[0],
        "B",
    )


def test_repeat_of_an_axis_is_one_body() -> None:
    assert loops(Bench("y = x; repeat L { y = y + 1.0 }; y", DIMS, {"x": (arrays(3), "B")})) == ["loop"]
    assert loops(Bench("y = x; repeat 5 { y = y + 1.0 }; y", DIMS, {"x": (arrays(3), "B")})) == []


def test_values_with_the_axis_come_turn_by_turn() -> None:
    x, gain = arrays(3), arrays(3, 5, seed=1)
    expected = x
    for turn in range(5):
        expected = expected * gain[:, turn] + np.float32(turn)
    equal(compute("y = x; repeat L as i { y = y*g + i }; y", DIMS, x=(x, "B"), g=(gain, "B L")), expected, "B")


def test_scan() -> None:
    x = arrays(3, 6)
    body = "y = scan T (h: B = 0) { h = .5*h + x; 2*h }; y"
    h, rows = np.zeros(3, np.float32), []
    for t in range(6):
        h = np.float32(0.5) * h + x[:, t]
        rows.append(np.float32(2) * h)
    equal(compute(body, DIMS, x=(x, "B T")), np.stack(rows), "T B")


def test_scan_in_a_repeat() -> None:
    """The outer turn reaches the inner body as a shared value."""
    x = arrays(6, 3)
    body = "s = sum[T](x); repeat M as m { y = scan T (h: B = 0) { h = h + x*m + s; h }; s = s + y[T: T-1]*.01 }; s"
    total = compute("sum[T](x)", DIMS, x=(x, "T B"))[0]
    for m in range(2):
        h = np.zeros(3, np.float32)
        for t in range(6):
            h = (h + x[t] * np.float32(m)) + total
        total = total + h * np.float32(0.01)
    equal(compute(body, DIMS, x=(x, "T B")), total, "B")


def test_nested_repeats_stack_twice() -> None:
    bench = Bench(
        "repeat L { repeat M { param w: H -> H ~ normal(.1), b: H = 0\n y = b + 1\n x = x @ w + y } }; x",
        DIMS,
        {"x": (arrays(3, 4), "B H")},
        kind="layer",
    )
    bench.array()
    slots = {h.slot.name: (h.slot.axes, h.slot.type.shape) for h in bench.work.registry.ordered()}
    assert slots == {"w": (("L", "M", "H", "H"), (5, 2, 4, 4)), "b": (("L", "M", "H"), (5, 2, 4))}


def test_names_of_the_body_change_nothing() -> None:
    one = Bench(
        "y = x; repeat L { z = y*w; y = z + 1.0 }; y", DIMS, {"x": (arrays(3), "B"), "w": (arrays(3), "B")}
    ).run()
    two = Bench(
        "q = x; repeat L { r = q*w; q = r + 1.0 }; q", DIMS, {"x": (arrays(3), "B"), "w": (arrays(3), "B")}
    ).run()
    assert one.node is two.node

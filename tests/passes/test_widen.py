"""Groups of few neighbours: what they share is written out once, and vectors go across groups; no bit changes."""

from __future__ import annotations

import pytest

from jobspec.ir.build import broadcast, full
from jobspec.ir.program import Node, Program, make
from jobspec.ir.types import Type
from jobspec.passes.widen import widen, written_out
from tests.passes.routines import assert_same_bits, compiled, given, random_inputs


def normed(x: Node) -> Node:
    """x [B, N, G, K] over N and K: as group norm does it."""
    b, n, g, k = x.shape
    count = full(Type("f32", (b, g)), 1 / (n * k))
    mean = make("mul", make("sum", x, axes=(1, 3)), count)
    y = make("sub", x, broadcast(mean, x.shape, (0, 2)))
    square = make("mul", make("sum", make("mul", y, y), axes=(1, 3)), count)
    return make("mul", y, broadcast(make("rsqrt", make("add", square, full(square.type, 1e-5))), x.shape, (0, 2)))


def program(*shape: int) -> Program:
    x = given("x", *shape)
    return Program((x,), (("x", make("mul", normed(x), full(x.type, 2.0))),))


@pytest.mark.parametrize("shape", [(2, 64, 8, 4), (3, 130, 5, 3), (1, 256, 2, 15), (2, 64, 8, 16), (2, 10, 8, 4)])
def test_bits(shape: tuple[int, ...]) -> None:
    found = program(*shape)
    assert_same_bits(found, random_inputs(found))


def test_groups_become_one_axis() -> None:
    """The kernel that writes x goes over all channels of a place at once."""
    _, routine = compiled(program(2, 256, 8, 4))
    slot = dict(routine.slots)["x"]
    (last,) = (k for k in routine.kernels if any(v.buffer == slot and written for v, written in k.views()))
    assert [axis.size for axis in last.axes] == [2, 256, 32]


@pytest.mark.parametrize(
    ("shape", "source", "axes", "found"),
    [
        ((2, 64, 8, 4), (2, 8), (0, 2), True),
        ((2, 63, 8, 4), (2, 8), (0, 2), False),  # not small against the result
        ((2, 64, 8, 16), (2, 8), (0, 2), False),  # a vector wide as it is
        ((2, 64, 8, 1), (2, 8), (0, 2), False),
        ((64, 2, 8, 4), (2, 8), (1, 2), True),
        ((2, 8, 64, 4), (2, 8), (0, 1), False),  # its neighbours are not beside each other
        ((2, 64, 8, 4), (2, 4), (0, 3), False),
        ((128, 4), (), (), False),
    ],
)
def test_what_is_written_out(
    shape: tuple[int, ...], source: tuple[int, ...], axes: tuple[int, ...], found: bool
) -> None:
    x = given("x", *source)
    wide = widen(Program((x,), (("y", make("exp", make("broadcast", x, shape=shape, axes=axes))),)))
    assert [node.shape for node in written_out(wide.nodes())] == ([(*source, shape[-1])] if found else [])

"""Maps that an index chooses: sorted into blocks or not, interpreted or native, the bits are those of the meaning."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

from jobspec.backends.reference.evaluate import evaluate
from jobspec.backends.reference.experts import routed
from jobspec.ir.contraction import multiplications
from jobspec.ir.errors import JobspecError
from jobspec.ir.program import Program, make
from jobspec.ir.regions import body_input
from jobspec.ir.routing import PARTS, Routing
from jobspec.ir.target import Target
from jobspec.ir.types import Type
from jobspec.passes.differentiate import differentiate
from jobspec.passes.pipeline import lower_program
from jobspec.passes.route import MOST_SLOTS, slots_of_block
from tests.llvm.native import TARGETS
from tests.llvm.programs import run_natively
from tests.passes.routines import assert_same_bits, compiled, run_compiled

pytestmark = pytest.mark.usefixtures("every_step_is_shared_out")
Case = tuple[tuple[int, ...], tuple[int, ...], int, int, int]
#: axes of the tokens, further axes of the index, inputs, outputs, experts
CASES: list[Case] = [
    ((3, 4), (2,), 5, 6, 4),
    ((2, 5), (), 17, 33, 3),
    ((40,), (3,), 20, 18, 5),
    ((1,), (1,), 3, 2, 4),
    ((300,), (6,), 35, 50, 2),
    ((7,), (2,), 300, 3, 9),
]


def program(case: Case) -> Program:
    """The square of what the experts say, and its gradients; the index is fed as bytes."""
    tokens, more, inputs, outputs, size = case
    x, w = body_input("x", Type("f32", (*tokens, inputs))), body_input("w", Type("f32", (size, inputs, outputs)))
    fed = make("input", name="i", dtype="u8", shape=(*tokens, *more))
    y = make("experts", x, w, make("cast", fed, dtype="i32"))
    loss = make("sum", make("mul", y, y), axes=tuple(range(len(y.shape))))
    gradients = ((n["name"], make("gradient", loss, n)) for n in (x, w))
    return Program((x, w, fed), (("report.loss", loss), *gradients))


def values(case: Case, skewed: bool = False) -> dict[str, np.ndarray]:
    """`skewed`: nearly all tokens go to one expert, and some experts get none."""
    tokens, more, inputs, outputs, size = case
    rng = np.random.default_rng(prod(tokens))
    index = rng.integers(0, size, (*tokens, *more))
    index = np.where(rng.random(index.shape) < 0.9, size // 2, index) if skewed else index
    x, w = rng.standard_normal((*tokens, inputs)), rng.standard_normal((size, inputs, outputs))
    return {"x": x.astype(np.float32), "w": w.astype(np.float32), "i": index.astype(np.uint8)}


def as_bits(found: dict[str, np.ndarray]) -> dict[str, bytes]:
    return {name: np.asarray(x).tobytes() for name, x in found.items()}


@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_sorting_tokens_changes_no_bit(case: Case, skewed: bool) -> None:
    inputs = values(case, skewed)
    plain = evaluate(differentiate(program(case)), inputs)
    lowered = lower_program(program(case), checked=True)
    assert not {"experts", "expert_sums"} & {node.op for node in lowered.nodes()}
    assert as_bits(evaluate(lowered, inputs)) == as_bits(plain)


@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_kernels_have_the_bits(case: Case, skewed: bool) -> None:
    assert_same_bits(program(case), values(case, skewed))


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu)
@pytest.mark.parametrize("case", CASES)
def test_native_code_has_the_bits(case: Case, target: Target) -> None:
    inputs = values(case, skewed=len(case[1]) == 0)
    wanted = evaluate(lower_program(program(case)), inputs)
    for threads in (1, 2):
        found, flags = run_natively(program(case), inputs, target, threads)
        assert flags == ()
        assert {k: as_bits(found)[k] for k in wanted} == as_bits(wanted)


def test_against_float64() -> None:
    case = CASES[2]
    inputs = values(case)
    found = evaluate(differentiate(program(case)), inputs)
    x, w, index = inputs["x"].astype(float), inputs["w"].astype(float), inputs["i"]
    y = np.einsum("tk,tqkf->tqf", x, w[index])
    dw = np.zeros_like(w)
    np.add.at(dw, index, np.einsum("tk,tqf->tqkf", x, 2 * y))
    np.testing.assert_allclose(found["w"], dw, atol=1e-5 * np.abs(dw).max())
    dx = np.einsum("tqf,tqkf->tk", 2 * y, w[index])
    np.testing.assert_allclose(found["x"], dx, atol=1e-5 * np.abs(dx).max())


def test_an_expert_outside_is_refused() -> None:
    case = CASES[0]
    inputs = values(case)
    inputs["i"].reshape(-1)[5] = 4
    for chosen in (differentiate(program(case)), lower_program(program(case))):
        with pytest.raises(JobspecError) as caught:
            evaluate(chosen, inputs)
        assert caught.value.code == "E0501"
    run_compiled(program(case), inputs)
    _, flags = run_natively(program(case), inputs, TARGETS[0])
    assert flags == ("index outside 0 … 3",)


@pytest.mark.parametrize(("count", "size", "block"), [(1, 1, 1), (7, 3, 2), (50, 4, 8), (100, 9, 32), (5, 20, 4)])
def test_the_table(count: int, size: int, block: int) -> None:
    rng = np.random.default_rng(count)
    layout = Routing(count, size, block)
    for index in (rng.integers(0, size, count), np.zeros(count, int), np.arange(count) % size):
        table = routed(index, layout)
        assert table.shape == (layout.length,)
        owners, tokens, slots, firsts, counts = (table[slice(*layout.part(name))] for name in PARTS)
        assert (counts == np.bincount(index, minlength=size)).all()
        assert (tokens[slots] == np.arange(count)).all() and len(set(slots.tolist())) == count
        assert (owners[slots // block] == index).all()
        for e in range(size):
            span = slice(firsts[e], firsts[e] + counts[e])
            assert tokens[span].tolist() == np.flatnonzero(index == e).tolist()
        assert (owners >= 0).sum() == (-(-counts // block)).sum()


def test_there_are_blocks_for_every_way_to_share_out() -> None:
    for count in range(1, 9):
        for size in range(1, 5):
            for block in (1, 2, 4):
                worst = most_blocks(count, size, block)
                assert worst <= Routing(count, size, block).blocks <= worst + 1


def most_blocks(count: int, size: int, block: int) -> int:
    """The most blocks that any way to give `count` tokens to `size` experts takes."""
    if size == 0:
        return 0 if count == 0 else -1000
    return max(-(-n // block) + most_blocks(count - n, size - 1, block) for n in range(count + 1))


def test_blocks_are_no_wider_than_half_a_share() -> None:
    assert [slots_of_block(count, 8) for count in (1, 16, 64, 256, 10**6)] == [1, 1, 4, 16, MOST_SLOTS]


def test_each_token_counts_once() -> None:
    """Three contractions per token of so many inputs and outputs, whatever the number of experts."""
    case: Case = ((40,), (3,), 20, 18, 50)
    _, routine = compiled(program(case))
    work = sum(multiplications(kernel) for kernel in routine.kernels if kernel.kind == "contract")
    assert work == 3 * 40 * 3 * 20 * 18

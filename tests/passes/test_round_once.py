"""Roundings where values are made: what is rounded there, what is not, and that no bit changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.check import check
from jobspec.ir.contract import BF16_PROFILE, FAST_PROFILE
from jobspec.ir.program import Node, Program, body_of, make, order
from jobspec.ir.regions import Loop, Outputs, body_input, get, parts
from jobspec.ir.types import Type
from jobspec.passes.pipeline import lower_program
from jobspec.passes.round_once import round_once
from jobspec.passes.simplify import simplify
from tests.specs.both import by_reference, natively, same, workload
from tests.specs.test_words import BF16, HEAD, MOE, TRAIN

N, M = 4, 3
Pair = tuple[Node, Node]


def given(name: str, *shape: int) -> Node:
    return body_input(name, Type("f32", shape))


def bf16(x: Node) -> Node:
    return make("bf16", x)


def multiplied(x: Node, w: Node) -> Node:
    return make("contract", bf16(x), bf16(w), a_batch=(), b_batch=(), a_over=(1,), b_over=(0,))


def loop(cuts: tuple[Pair, ...], step: tuple[Node, Node, Node], *stacked: Node, reverse: bool = False) -> Node:
    """`cuts`: what is cut and the body's input for it; `step`: initial value, state, next state."""
    init, state, after = step
    outputs: Outputs = tuple((f"saved{i}", x) for i, x in enumerate(stacked))
    outside, inside = tuple(zip(*cuts, strict=True))
    turn = body_input("turn", Type("i32"))
    return Loop(M, reverse, (init,), outside, (), turn, (state,), inside, (), (("s", after),), outputs).node()


def forth_and_back(other_reader: bool = False) -> Program:
    """A layer a turn, whose values are stacked and multiplied again on the way back."""
    x, w, state, cut = given("x", N, N), given("w", M, N, N), given("s", N, N), given("c", N, N)
    h = make("exp", multiplied(state, cut))
    forth = loop(((w, cut),), (x, state, make("add", state, h)), h)
    h_back, w_back, d = given("h", N, N), given("c", N, N), given("d", N, N)
    along = multiplied(make("permute", h_back, axes=(1, 0)), d)
    further = make("add", multiplied(d, w_back), make("mul", h_back, d)) if other_reader else multiplied(d, w_back)
    back = loop(((get(forth, 1), h_back), (w, w_back)), (get(forth, 0), d, further), along, reverse=True)
    return Program((x, w), (("dw", get(back, 1)), ("dx", get(back, 0))))


def loops(program: Program) -> list[Node]:
    return [node for node in order(program.results) if node.op == "loop"]


def roundings(program: Program) -> int:
    return sum(node.op == "bf16" for node in order(program.results))


def same_values(one: Program, other: Program) -> None:
    random = np.random.default_rng(3)
    inputs = {n["name"]: random.standard_normal(n.shape).astype(np.float32) for n in one.inputs}
    wanted, found = evaluate(one, inputs), evaluate(other, inputs)
    assert {name: x.tobytes() for name, x in wanted.items()} == {name: x.tobytes() for name, x in found.items()}


def test_what_is_stacked_for_those_who_round_is_rounded_first() -> None:
    program = forth_and_back()
    once = simplify(round_once(program))
    check(once, "tensor")
    forth, back = loops(once)
    assert parts(forth).stacked[0][1].op == "bf16"
    assert roundings(body_of(back)) == 1, "what is carried"
    same_values(program, once)


def test_what_two_loops_cut_is_rounded_before_them() -> None:
    once = round_once(forth_and_back())
    w = once.inputs[1]
    assert all(bf16(w) in node.args and w not in node.args for node in loops(once))


def test_what_one_loop_cuts_is_rounded_in_it() -> None:
    program = Program(forth_and_back().inputs, (("y", get(loops(forth_and_back())[0], 0)),))
    assert round_once(program) == program


def test_what_others_read_stays() -> None:
    program = forth_and_back(other_reader=True)
    once = simplify(round_once(program))
    assert parts(loops(once)[0]).stacked[0][1].op == "exp"
    assert roundings(body_of(loops(once)[1])) == 2
    same_values(program, once)


@pytest.mark.parametrize("text", [BF16, pytest.param(MOE, marks=pytest.mark.slow)])
def test_a_job_has_the_bits_of_its_neighbour_that_rounds_at_each_reader(text: str, tmp_path: Path) -> None:
    """On the reference and natively: the profile `bf16` has no such pass, and the same contract there."""
    head = HEAD if text is MOE else HEAD.replace(", E=5", "")
    texts = {c: head + text + TRAIN.replace("seed", f"compute = {c}; seed") for c in ("bf16", "fast")}
    jobs = {c: workload(text, tmp_path / c, 10) for c, text in texts.items()}
    assert {work.job.profile for work in jobs.values()} == {BF16_PROFILE, FAST_PROFILE}
    wanted = by_reference(jobs["bf16"], 2)
    same(by_reference(jobs["fast"], 2), wanted)
    same(natively(jobs["fast"], 2), wanted)
    steps = [lower_program(work.job.programs[1][1], work.job.profile) for work in jobs.values()]
    assert text is MOE or steps[0] != steps[1]

"""Places in the text go through the passes with the nodes: each buffer names the line that makes it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobspec.ir.build import full
from jobspec.ir.job import Job
from jobspec.ir.origin import following, inherit
from jobspec.ir.plan import Buffer
from jobspec.ir.program import make
from jobspec.ir.target import Target
from jobspec.ir.types import Type
from jobspec.lang.check import load
from jobspec.lang.source import Source
from jobspec.passes.pipeline import compile_job, compile_traced

TARGET = Target("llvm", lanes=16, registers=32)
TEXT = """job lines "a place for each buffer"
import std.optim
dim B=48, X=40, H=56, L=3, C=10
data train = table(b3:4c86f4885340cd5e04a532ec64bef801e201446ce2bf08a8682b329e61b80304, x=f32[X], y=u8)
layer block(x) {
  param w: X -> H ~ normal(.1), v: H -> X ~ normal(.1)
  h = tanh(x @ w)
  x + h @ v
}
layer net(x) {
  repeat L {
    x = block(x)
  }
  param head: X -> C ~ normal(.1)
  x @ head
}
train {
  seed = 1
  steps = 2
  batch = shuffle(train)
  z = net(batch.x)
  loss = mean[B](log(sum[C](exp(z))) - z[C: batch.y])
  clip = 1.0
  update all by optim.adamw(lr=.1)
}
"""


def line_with(text: str) -> int:
    return next(i for i, line in enumerate(TEXT.splitlines(), 1) if text in line)


@pytest.fixture(scope="module")
def job() -> Job:
    return load(Source("lines", TEXT))


@pytest.fixture(scope="module")
def made(job: Job) -> list[tuple[Buffer, int]]:
    """Buffers of the step with the lines that make them."""
    plan, origins = compile_traced(job, TARGET)
    places = origins["step"]
    buffers = enumerate(plan.routine("step").buffers)
    return [(buffer, places[i][0]) for i, buffer in buffers if i in places]


def lines_of(made: list[tuple[Buffer, int]], shape: tuple[int, ...]) -> set[int]:
    """Of buffers for products, and for what loops make."""
    return {line for b, line in made if b.type.shape == shape and b.name.startswith(("contract", "loop"))}


def test_following_changes_no_plan(job: Job) -> None:
    assert compile_traced(job, TARGET)[0] == compile_job(job, TARGET)
    bare = replace(job, places={})
    assert compile_traced(bare, TARGET) == (compile_job(job, TARGET), {"init": {}, "step": {}})


def test_state_is_made_where_it_is_declared(made: list[tuple[Buffer, int]]) -> None:
    found = {b.name: line for b, line in made}
    assert found["block.w"] == line_with("param w")
    assert found["head"] == line_with("param head")
    assert found["block.w/m"] == found["head/v"] == line_with("update all")


def test_a_gradient_is_made_by_the_line_of_its_forward_value(made: list[tuple[Buffer, int]]) -> None:
    assert lines_of(made, (3, 40, 56)) == {line_with("tanh(x @ w)")}
    assert lines_of(made, (3, 56, 40)) == {line_with("x + h @ v")}
    assert lines_of(made, (40, 10)) == {line_with("x @ head")}


def test_what_is_kept_for_the_way_back_names_its_line(made: list[tuple[Buffer, int]]) -> None:
    assert lines_of(made, (3, 48, 56)) <= {line_with("tanh(x @ w)")} != set()


def test_every_large_buffer_has_a_line(job: Job, made: list[tuple[Buffer, int]]) -> None:
    known = {b.name for b, _ in made}
    buffers = compile_job(job, TARGET).routine("step").buffers
    assert {b.name for b in buffers if b.type.rank} - known <= {"turns", "flags"}


def test_pieces_of_the_batch_name_the_same_lines() -> None:
    """With `shards`, what a piece computes and where gradients are added up."""
    job = load(Source("lines", TEXT.replace("  steps = 2", "  steps = 2\n  shards = 4")))
    plan, origins = compile_traced(job, TARGET)
    buffers = enumerate(plan.routine("step").buffers)
    found = [(buffer, origins["step"][i][0]) for i, buffer in buffers if i in origins["step"]]
    assert lines_of(found, (3, 40, 56)) == {line_with("tanh(x @ w)")}
    assert lines_of(found, (3, 12, 56)) == {line_with("tanh(x @ w)")}


def test_a_place_goes_down_to_what_has_one() -> None:
    x = make("input", name="x", dtype="f32", shape=(3,))
    old, below = make("neg", x), make("exp", x)
    new = make("add", make("mul", below, below), full(Type("f32", (3,)), 2.0))
    with following({old: (1, 1), below: (2, 2)}) as trail:
        inherit(new, old)
    assert trail.table[new] == trail.table[new.args[0]] == (1, 1)
    assert trail.table[below] == (2, 2)
    assert x not in trail.table
    inherit(x, old)
    assert x not in trail.table

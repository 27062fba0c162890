"""A position of a mesh never has more than its share: first state, evaluations, updates."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.contract import PROFILE
from jobspec.ir.job import Job
from jobspec.passes.split.graph import Graph, check_graph
from jobspec.passes.split.mesh import cut_beside, cut_mesh
from jobspec.passes.split.task_job import task_job
from jobspec.passes.split.traffic import most, traffic
from jobspec.runtime.engine import compile_for
from tests.passes.meshes import DEEP, PLAIN, at_once, batch_of, blocks, in_parts, job, meshed, put_together, same, spec
from tests.passes.task_graphs import Array, Run, evaluated, runner

REFERENCE, NATIVE = runner("reference"), runner("llvm")
GPT = ("L=2", "D=16", "H=4", "V=16", "T=8", "B=4", "train.steps=4", "eval.steps=2")
ALL = "mesh = [tp=2, pp=2, dp=2]; shard H F over tp; shard L over pp; shard B over dp"
PLACES = "mesh = [cp=2, tp=2]; shard T over cp; shard H F V over tp"


def first(one: Job) -> Graph:
    return cut_beside(one, one.init, (), one.mesh(""), meshed(one))


def evaluation(one: Job) -> Graph:
    return cut_beside(one, one.evaluations[0].program, one.evaluations[0].batches.feeds, one.mesh(""), meshed(one))


@pytest.mark.parametrize(("run", "run_on"), [(ALL, REFERENCE), (PLACES, NATIVE)], ids=["reference", "llvm"])
def test_the_first_state(run: str, run_on: Run) -> None:
    """Each slice is drawn where it lies."""
    one = spec("char_gpt", run, *GPT, "train.shards=2")
    graph = first(one)
    assert not graph.given and not any(task.takes for task in graph.tasks)
    found = evaluated(graph, {}, run_on)
    same({slot: put_together(held, found) for slot, held in meshed(one).slots.items()}, evaluate(one.init, {}))


@pytest.mark.parametrize("run", [ALL, pytest.param(PLACES, marks=pytest.mark.slow), "mesh = [dp=2]; shard B over dp"])
def test_an_evaluation(run: str) -> None:
    """Its examples go to the positions that the batch's blocks go to."""
    one = spec("char_gpt", run, *GPT, "train.shards=2")
    graph = evaluation(one)
    check_graph(graph)
    inputs: dict[str, Array] = {**evaluate(one.init, {}), **batch_of_evaluation(one)}
    slots = meshed(one).slots
    values = {name: x for slot, held in slots.items() for name, x in blocks(held, inputs[slot]).items()}
    program = one.evaluations[0].program
    given = {node["name"]: inputs[node["name"]] for node in program.inputs if node["name"] != "step"}
    same(evaluated(graph, values | inputs, REFERENCE), REFERENCE(program, given, 0))
    assert {task.place for task in graph.tasks} == set(range(one.mesh("").count))


def batch_of_evaluation(one: Job) -> dict[str, Array]:
    return batch_of(replace(one.phases[0], batches=one.evaluations[0].batches))


SIZES = ("X=64", "H=512", "Y=64", "B=16", "train.shards=4")


def arena(graph: Graph) -> int:
    """Bytes that the largest task takes where it runs: what it reads, gives and needs in between."""
    plans = (compile_for(task_job(program, PROFILE), "llvm").plan for program in {t.program for t in graph.tasks})
    return max(plan.routine("step").arena for plan in plans)


def test_the_first_state_takes_its_share_of_memory() -> None:
    one, four = (first(job(PLAIN, f"mesh = [tp={n}]; shard H Y over tp", *SIZES)) for n in (1, 4))
    assert arena(four) < 0.3 * arena(one)


@pytest.mark.parametrize("cut", ["mesh = [tp=4]; shard H Y over tp", "mesh = [dp=4]; shard H Y B over dp"])
def test_what_a_position_has_at_its_most(cut: str) -> None:
    """Of state, and of all values that wait to be read, in a step."""
    alone, four = (meshed(job(PLAIN, run, *SIZES)) for run in ("mesh = [tp=1]", cut))
    assert max(traffic(four).held.values()) * 4 == max(traffic(alone).held.values())
    assert max(most(four).values()) < 0.5 * max(most(alone).values())


@pytest.mark.parametrize(
    "run",
    [
        "mesh = [dp=2]; shard B over dp",
        "mesh = [dp=2, tp=2, pp=2]; shard B over dp; shard H over tp; shard L over pp",
    ],
)
def test_shared_updates(run: str) -> None:
    """What would lie on one position lies in slices on all, and is updated there."""
    one = job(DEEP, run, "train.shards=4", "X=8")
    cut = cut_mesh(one, one.phases[0], one.mesh(""), shared=True)
    same(in_parts(one, cut, REFERENCE), at_once(one, REFERENCE))
    held, count = traffic(cut).held, one.mesh("").count
    assert max(held.values()) < 1.3 * sum(held.values()) / count < max(traffic(meshed(one)).held.values())

"""A step cut by its logical shards: any number of blocks gives the step's own bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.job import Job
from jobspec.lang.check import load
from jobspec.lang.source import Source
from jobspec.passes.split.graph import BadGraph, Graph, check_graph
from jobspec.passes.split.pieces import cut_pieces
from tests.lang.test_shards import DROPPED, NORMED, PLAIN, ROUTED, batch, made
from tests.lang.test_shards_first import MASKED, STOPPED, WEIGHED, balanced, objective
from tests.passes.task_graphs import Array, evaluated, runner, whole

REFERENCE, NATIVE = runner("reference"), runner("llvm")


def given(job: Job) -> dict[str, Array]:
    return {**evaluate(job.init, {}), **batch()}


def cut(job: Job, blocks: int, shares: int = 1) -> Graph:
    phase = job.phases[0]
    return cut_pieces(phase.step, [feed.name for feed in phase.batches.feeds], blocks, shares)


def same(found: Mapping[str, Array], want: Mapping[str, Array]) -> None:
    assert found.keys() == want.keys()
    for name, value in want.items():
        assert found[name].tobytes() == value.tobytes(), name


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 12])
def test_blocks_have_the_bits_of_the_step(count: int) -> None:
    job = made(PLAIN, str(count))
    want = whole(job.phases[0].step, given(job), REFERENCE, 1)
    for blocks in range(1, 6):
        same(evaluated(cut(job, blocks), given(job), REFERENCE, 1), want)


@pytest.mark.parametrize("net", [DROPPED, ROUTED, NORMED], ids=["dropped", "routed", "normed"])
@pytest.mark.parametrize("count", ["4", "per_piece(3)", "per_piece(4)"])
def test_all_that_a_piece_may_need(net: str, count: str) -> None:
    if net == NORMED and not count.startswith("per"):
        return
    job = made(net, count)
    want = whole(job.phases[0].step, given(job), REFERENCE, 2)
    same(evaluated(cut(job, 3), given(job), REFERENCE, 2), want)
    same(evaluated(cut(job, 3), given(job), NATIVE, 2), want)


@pytest.mark.parametrize("shares", [2, 3, 9])
@pytest.mark.parametrize("net", [PLAIN, ROUTED], ids=["plain", "routed"])
def test_updates_that_are_shared_out(net: str, shares: int) -> None:
    """With `clip`, whose norm is over all gradients; some tensors are of one shape, so they share constants."""
    job = made(net, "6")
    graph = cut(job, 3, shares)
    names = [task.name for task in graph.tasks]
    assert {"update.0.0", "update.1.0", "update.1.1"} <= set(names)
    same(evaluated(graph, given(job), REFERENCE, 2), whole(job.phases[0].step, given(job), REFERENCE, 2))


def test_a_share_has_its_own_tensors() -> None:
    """No share reads another's parameters or sums; the numbers that it reads are scalars."""
    graph = cut(made(PLAIN, "4"), 4, 3)
    updates = [task for task in graph.tasks if task.name.startswith("update")]
    readers: dict[str, set[int | None]] = {}
    for task in updates:
        for take in task.takes:
            if graph.types[take.value].shape:
                readers.setdefault(take.value, set()).add(task.place)
    assert readers and all(len(places) == 1 for places in readers.values())
    assert {task.place for task in updates} == {0, 1, 2}


def test_blocks_are_parts_of_the_tree() -> None:
    """Twelve pieces are eight and four; five blocks of at most two pieces, folded where they meet."""
    names = [task.name for task in cut(made(PLAIN, "12"), 5).tasks]
    assert [name for name in names if name.startswith("block")] == [f"block.0.{i}" for i in range(4)] + [
        "block.1.0",
        "block.1.1",
    ]
    assert [name for name in names if name.startswith("fold")] == [
        "fold.0.1.0",
        "fold.0.1.1",
        "fold.0.2.0",
        "fold.1.1.0",
    ]


@pytest.mark.parametrize("loss", [MASKED, STOPPED, WEIGHED], ids=["masked", "stopped", "weighed"])
@pytest.mark.parametrize("count", ["3", "4"])
def test_totals_first(loss: str, count: str) -> None:
    job = objective(count, loss)
    graph = cut(job, 2)
    assert any(task.name.startswith("block.1") for task in graph.tasks)
    same(evaluated(graph, given(job), REFERENCE), whole(job.phases[0].step, given(job), REFERENCE))


def test_experts_that_are_balanced() -> None:
    job = load(Source("j.job", balanced("4")))
    same(evaluated(cut(job, 4, 2), given(job), REFERENCE), whole(job.phases[0].step, given(job), REFERENCE))


def test_what_is_no_graph() -> None:
    graph = cut(made(PLAIN, "4"), 4)
    block, *_, finish = graph.tasks
    for tasks, said in [
        ((finish, block), "is not there yet"),
        ((block, block), "two tasks are called"),
        ((replace(block, takes=block.takes[1:]),), "its program has the inputs"),
        ((replace(block, takes=(replace(block.takes[0], cut=None), *block.takes[1:])),), "is f32[12 5]"),
    ]:
        with pytest.raises(BadGraph) as raised:
            check_graph(replace(graph, tasks=tasks))
        assert said in str(raised.value)

"""A step cut by its logical shards: any number of blocks gives the step's own bits."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.job import Job
from jobspec.passes.split.graph import Graph
from jobspec.passes.split.pieces import cut_pieces
from tests.lang.test_shards import DROPPED, NORMED, PLAIN, ROUTED, batch, made
from tests.passes.task_graphs import Array, evaluated, runner, whole

REFERENCE, NATIVE = runner("reference"), runner("llvm")
#: a mean over the places that are not masked: their number is a total that each piece needs first
MASKED = "sum[B](xent[Y](net(batch.x), batch.y)*cast(batch.x[X: 0])) / sum[B](batch.x[X: 0] > 0)"


def given(job: Job) -> dict[str, Array]:
    return {**evaluate(job.init, {}), **batch()}


def cut(job: Job, blocks: int) -> Graph:
    phase = job.phases[0]
    return cut_pieces(phase.step, [feed.name for feed in phase.batches.feeds], blocks)


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

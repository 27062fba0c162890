"""How the routines of a job are cut for workers.

Takes: a job, how many workers there are to be. Promises: a graph for each routine, with the routine's own bits: over
the job's mesh where it has one; else a step by its logical shards, and all else as one task. UsageError E0865 for a
step that several workers could not share.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jobspec.ir.errors import UsageError
from jobspec.ir.job import Batches, Feed, Job, Phase
from jobspec.passes.split.folds import nests
from jobspec.passes.split.graph import Graph
from jobspec.passes.split.mesh import Meshed, cut_beside, cut_mesh
from jobspec.passes.split.pieces import cut_pieces
from jobspec.runtime.workers.state import Place


@dataclass(frozen=True)
class Routine:
    """`places`: what of the graph's values is state in blocks."""

    graph: Graph
    places: dict[str, Place]


@dataclass(frozen=True)
class Cutting:
    """`workers`: how many blocks the batch is cut into, where it has so many pieces; `shared`: updates are shared out
    among them too, and with them what optimizers keep."""

    job: Job
    workers: int
    shared: bool = False

    def routine(self, name: str) -> Routine:
        phase = next((p for n, p in zip(self.job.step_names, self.job.phases, strict=True) if n == name), None)
        if phase is not None:
            return self._step(phase)
        program, batches = next((p, b) for n, p, b in self.job.programs if n == name)
        # on the mesh with most positions, so that none needs more than its share
        phase = max(self.job.phases, key=lambda p: self.job.mesh(p.name).count)
        mesh = self.job.mesh(phase.name)
        if mesh.count == 1:
            return Routine(cut_pieces(program, names(feeds(batches)), 1), {})
        step = cut_mesh(self.job, phase, mesh, self.shared)
        return Routine(cut_beside(self.job, program, feeds(batches), mesh, step), places(step))

    def _step(self, phase: Phase) -> Routine:
        mesh = self.job.mesh(phase.name)
        if mesh.count == 1:
            shares = max(1, self.workers) if self.shared else 1
            return Routine(cut_pieces(phase.step, names(feeds(phase.batches)), self.workers, shares), {})
        step = cut_mesh(self.job, phase, mesh, self.shared)
        return Routine(step.graph, places(step))

    def check(self) -> None:
        """Raises UsageError E0865 where there is more than one worker and a step in one piece, E0868 where a mesh does
        not fit."""
        for phase in self.job.phases:
            self.job.mesh(phase.name).need_fit()
        whole = [p for p in self.job.phases if self.job.mesh(p.name).count == 1 and not nests(p.step)]
        if self.workers > 1 and whole:
            raise in_one_piece(whole[0], self.workers)


def places(step: Meshed) -> dict[str, Place]:
    """Which part of the state each block is."""
    return {b.value: Place(slot, b.box) for slot, held in step.slots.items() for b in held.blocks}


def feeds(batches: Batches | None) -> tuple[Feed, ...]:
    return batches.feeds if batches else ()


def names(feeds: Iterable[Feed]) -> list[str]:
    return [feed.name for feed in feeds]


def in_one_piece(phase: Phase, workers: int) -> UsageError:
    size, where = phase.batches.size, f" of the phase `{phase.name}`" if phase.name else ""
    good = next((n for n in range(workers, size + 1) if size % n == 0), size)
    help = f"say `shards = {good}` in `train`, or `--set train.shards={good}`: that is another job, with another hash"
    return UsageError("E0865", f"a step{where} is one piece, which {workers} workers cannot share", help=help)

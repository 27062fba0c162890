"""How the routines of a job are cut for workers.

Takes: a job, how many workers there are to be. Promises: a graph for each routine, with the routine's own bits: a step
over the job's mesh where it has one, else by its logical shards; all else is one task. UsageError E0865 for a step that
several workers could not share.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobspec.ir.errors import UsageError
from jobspec.ir.job import Batches, Job, Phase
from jobspec.ir.mesh import BATCH, Mesh
from jobspec.passes.split.folds import nests
from jobspec.passes.split.graph import Graph
from jobspec.passes.split.mesh import cut_mesh
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
        if phase is None:
            program, batches = next((p, b) for n, p, b in self.job.programs if n == name)
            return Routine(cut_pieces(program, fed(batches), 1), {})
        return self._step(phase)

    def _step(self, phase: Phase) -> Routine:
        mesh, shares = self.job.mesh(phase.name), max(1, self.workers) if self.shared else 1
        if mesh.count == 1:
            return Routine(cut_pieces(phase.step, fed(phase.batches), self.workers, shares), {})
        meshed = cut_mesh(self.job, phase, mesh)
        places = {b.value: Place(slot, b.box) for slot, held in meshed.slots.items() for b in held.blocks}
        return Routine(meshed.graph, places)

    def check(self) -> None:
        """Raises UsageError E0865 where there is more than one worker and a step in one piece, E0868 where a mesh does
        not fit."""
        for phase in self.job.phases:
            self.job.mesh(phase.name).need_fit()
        whole = [phase for phase in self.job.phases if not cuts(self.job.mesh(phase.name)) and not nests(phase.step)]
        if self.workers > 1 and whole:
            raise in_one_piece(whole[0], self.workers)


def cuts(mesh: Mesh) -> bool:
    """Whether a mesh cuts more than the batch, which has to have pieces for that."""
    return mesh.count > mesh.size(mesh.over(BATCH) or "")


def fed(batches: Batches | None) -> list[str]:
    return [feed.name for feed in batches.feeds] if batches else []


def in_one_piece(phase: Phase, workers: int) -> UsageError:
    size, where = phase.batches.size, f" of the phase `{phase.name}`" if phase.name else ""
    good = next((n for n in range(workers, size + 1) if size % n == 0), size)
    help = f"say `shards = {good}` in `train`, or `--set train.shards={good}`: that is another job, with another hash"
    return UsageError("E0865", f"a step{where} is one piece, which {workers} workers cannot share", help=help)

"""Meaning of `run { mesh = [tp=2, dp=4]; shard B over dp }`: where the job runs.

Takes: the sections, the sizes of each phase. Promises: meshes whose axes fit the job in every phase that runs on them,
each phase on one mesh; everything else is reported. No mesh changes a bit, so none is part of what a job is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from jobspec.ir.mesh import Mesh
from jobspec.lang import tree
from jobspec.lang.frame import Frame, Located
from jobspec.lang.refusal import Refusal, Silenced
from jobspec.lang.saving import phases_in
from jobspec.lang.settings import Settings
from jobspec.lang.things import Listed, need_whole
from jobspec.lang.training import keyword

STATIC = ("mesh", "on")
EXAMPLE = "mesh = [dp=8]"


@dataclass(frozen=True)
class Known:
    """What the job has: `sizes` of its axes by phase; `stacked`: axes of a `repeat`, whose turns go to stages."""

    sizes: Mapping[str, Mapping[str, int]]
    stacked: Collection[str]


@dataclass
class Running:
    """One section in the making. `phases`: those that it names; `known`: what it has to fit."""

    frame: Frame
    node: tree.Section
    settings: Settings
    phases: tuple[str, ...]
    known: Known
    sizes: dict[str, int] = field(default_factory=dict)
    shards: dict[str, str] = field(default_factory=dict)

    def mesh(self) -> Mesh:
        self.sizes = self.settings.value("mesh", sizes_of) or {}
        for statement in list(self.settings.others):
            if isinstance(statement, tree.ShardOver):
                self.settings.others.remove(statement)
                self.shard(statement)
        self.settings.only("run", (*STATIC, "shard"))
        name = self.node.name.text if self.node.name else ""
        return Mesh(tuple(self.sizes.items()), tuple(self.shards.items()), self.phases, name)

    def shard(self, statement: tree.ShardOver) -> None:
        """Each wrong axis is reported once; all that are named count as used."""
        try:
            axes = [(axis, self.frame.one(axis)) for axis in statement.axes]
            self.frame.resolve_all(statement.axes)
            self.check_mesh_axis(statement.mesh)
        except Refusal as refusal:
            self.frame.report(refusal, statement.span)
            return
        for node, axis in axes:
            for fault in self.faults(node, axis, statement.mesh.text):
                self.frame.report(fault, node.span)
            self.shards.setdefault(axis, statement.mesh.text)

    def check_mesh_axis(self, over: tree.Ident) -> None:
        if over.text not in self.sizes:
            help = f"say how many positions it has: `mesh = [{self.with_axis(over.text)}]`"
            raise Located("E0361", f"the mesh has no axis `{over.text}`", over.span, help)

    def with_axis(self, over: str) -> str:
        return ", ".join(f"{name}={size}" for name, size in {**self.sizes, over: 2}.items())

    def faults(self, node: tree.Axis, axis: str, over: str) -> Iterator[Refusal]:
        if axis in self.shards:
            twice = f"over `{self.shards[axis]}` already"
            yield Located("E0362", f"{axis} is cut {twice}", node.span, "an axis is cut over one axis of the mesh")
            return
        of_phase = {phase: sizes[axis] for phase, sizes in self.known.sizes.items()}
        for phase, size in of_phase.items():
            if not self.fits(axis, size, self.sizes[over]):
                yield uneven(
                    node, (axis, size), (over, self.sizes[over]), phase if len({*of_phase.values()}) > 1 else ""
                )
                return

    def fits(self, axis: str, size: int, parts: int) -> bool:
        """Stages may differ by one turn; slices of a tensor are equal."""
        return size >= parts if axis in self.known.stacked else size % parts == 0


def uneven(node: tree.Axis, axis: tuple[str, int], over: tuple[str, int], phase: str) -> Refusal:
    """`axis`, `over`: name and size; `phase`: where that is not the size in all phases."""
    (name, size), (mesh, parts) = axis, over
    good = [n for n in range(1, size + 1) if size % n == 0]
    near = sorted(sorted(good, key=lambda n: abs(n - parts))[:2])
    said = " or ".join(f"`{mesh}={n}`" for n in near)
    where = f" in the phase `{phase}`" if phase else ""
    own = f", or give it a mesh of its own: `run NAME {{ on = [{phase}]; … }}`" if phase else ""
    return Located("E0363", f"{name} = {size}{where} has no {parts} equal parts", node.span, f"say {said}{own}")


def sizes_of(value: object) -> dict[str, int]:
    """`[tp=8, dp=2]`."""
    if not isinstance(value, Listed) or value.items or not value.named:
        raise Refusal(
            "E0360", "a mesh is a list of its axes, each with how many positions it has", help=f"as in `{EXAMPLE}`"
        )
    return {name: need_whole(size, 1) for name, size in value.named.items()}


def runs(frame: Frame, sections: Sequence[tree.Section], known: Known) -> tuple[Mesh, ...]:
    """The mesh of each section; what two of them say of one phase is reported."""
    begun = [(node, Settings(frame, node.body, STATIC)) for node in sections]
    phases = [phases_in(frame, settings, "on", tuple(known.sizes)) for _, settings in begun]
    named = {phase for one in phases for phase in one}
    found: list[Mesh] = []
    for (node, settings), own in zip(begun, phases, strict=True):
        here = {p: sizes for p, sizes in known.sizes.items() if (p in own if own else p not in named)}
        with suppress(Silenced):
            mesh = Running(frame, node, settings, own, Known(here, known.stacked)).mesh()
            for refusal in met_again(mesh, found):
                frame.report(refusal, keyword(node))
            found.append(mesh)
    return tuple(found)


def met_again(mesh: Mesh, found: Sequence[Mesh]) -> Iterator[Refusal]:
    for other in found:
        both = [phase for phase in mesh.phases if phase in other.phases]
        if both:
            help = f"name `{both[0]}` in one of them"
            yield Refusal("E0364", f"the phase `{both[0]}` runs on the mesh of `{said(other)}` already", help=help)
        elif not mesh.phases and not other.phases:
            help = "say which phases this one is for: `run long { on = [long]; … }`"
            yield Refusal("E0364", f"`{said(other)}` is for all phases already", help=help)


def said(mesh: Mesh) -> str:
    return f"run {mesh.name} {{ … }}" if mesh.name else "run { … }"

"""Meaning of `run { mesh = [tp=2, dp=4]; shard B over dp }`: where the job runs.

Takes: the sections, the sizes of each phase. Promises: meshes of axes that the job has, each phase on one mesh; all
else is reported. No mesh changes a bit, so none is part of what a job is, and one that does not cut a size evenly says
so only to those who want to run on it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from jobspec.ir.mesh import Mesh, Misfit
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
    """What the job has: `sizes` of its axes by phase; `stacked`: axes of a `repeat`, whose turns go to stages;
    `meshes`: axes of any of its meshes."""

    sizes: Mapping[str, Mapping[str, int]]
    stacked: Collection[str]
    meshes: Collection[str] = ()


@dataclass
class Running:
    """One section in the making. `sizes`: of its mesh; `phases`: those that it names; `known`: what it has to fit."""

    frame: Frame
    node: tree.Section
    settings: Settings
    sizes: Mapping[str, int]
    phases: tuple[str, ...]
    known: Known
    shards: dict[str, str] = field(default_factory=dict)
    misfits: list[Misfit] = field(default_factory=list)

    def mesh(self, general: Sequence[tree.ShardOver]) -> Mesh:
        """`general`: what the section for all phases says; it holds where this one says nothing."""
        own = shards_of(self.settings)
        for statement in own or general:
            self.shard(statement)
        self.settings.others[:] = [node for node in self.settings.others if node not in own]
        self.settings.only("run", (*STATIC, "shard"))
        name = self.node.name.text if self.node.name else ""
        shards, misfits = tuple(self.shards.items()), tuple(self.misfits)
        return Mesh(tuple(self.sizes.items()), shards, self.phases, name, misfits)

    def shard(self, statement: tree.ShardOver) -> None:
        """Each wrong axis is reported once; all that are named count as used."""
        try:
            axes = [(axis, self.frame.one(axis).rstrip("'")) for axis in statement.axes]
            self.frame.resolve_all(statement.axes)
            self.check_mesh_axis(statement.mesh)
        except Refusal as refusal:
            self.frame.report(refusal, statement.span)
            return
        for node, axis in axes:
            if self.is_new(node, axis) and statement.mesh.text in self.sizes:
                self.shards[axis] = statement.mesh.text
                self.misfits += self.unfit(axis, statement.mesh.text)

    def check_mesh_axis(self, over: tree.Ident) -> None:
        if over.text not in self.known.meshes:
            help = f"say how many positions it has: `mesh = [{self.with_axis(over.text)}]`"
            raise Located("E0361", f"the mesh has no axis `{over.text}`", over.span, help)

    def with_axis(self, over: str) -> str:
        return ", ".join(f"{name}={size}" for name, size in {**self.sizes, over: 2}.items())

    def is_new(self, node: tree.Axis, axis: str) -> bool:
        """Whether the axis is cut here for the first time; else it is reported."""
        if axis in self.shards:
            reason = f"{axis} is cut over `{self.shards[axis]}` already"
            help = "an axis is cut over one axis of the mesh"
            self.frame.report(Located("E0362", reason, node.span, help), node.span)
        return axis not in self.shards

    def unfit(self, axis: str, over: str) -> Iterator[Misfit]:
        """Where a phase's size of the axis is not cut evenly; no more than one."""
        of_phase = {phase: sizes[axis] for phase, sizes in self.known.sizes.items()}
        for phase, size in of_phase.items():
            if not self.fits(axis, size, self.sizes[over]):
                yield Misfit(axis, size, over, self.sizes[over], phase if len({*of_phase.values()}) > 1 else "")
                return

    def fits(self, axis: str, size: int, parts: int) -> bool:
        """Stages may differ by one turn; slices of a tensor are equal."""
        return size >= parts if axis in self.known.stacked else size % parts == 0


def sizes_of(value: object) -> dict[str, int]:
    """`[tp=8, dp=2]`."""
    if not isinstance(value, Listed) or value.items or not value.named:
        raise Refusal(
            "E0360", "a mesh is a list of its axes, each with how many positions it has", help=f"as in `{EXAMPLE}`"
        )
    return {name: need_whole(size, 1) for name, size in value.named.items()}


def mesh_sizes(settings: Settings) -> dict[str, int] | None:
    """None after a report."""
    try:
        return settings.value("mesh", sizes_of) or {}
    except Silenced:
        return None


def shards_of(settings: Settings) -> list[tree.ShardOver]:
    return [node for node in settings.others if isinstance(node, tree.ShardOver)]


def runs(frame: Frame, sections: Sequence[tree.Section], known: Known) -> tuple[Mesh, ...]:
    """The mesh of each section; what two of them say of one phase is reported."""
    begun = [(node, Settings(frame, node.body, STATIC)) for node in sections]
    phases = [phases_in(frame, settings, "on", tuple(known.sizes)) for _, settings in begun]
    meshes = [mesh_sizes(settings) for _, settings in begun]
    general = next((shards_of(settings) for (_, settings), own in zip(begun, phases, strict=True) if not own), [])
    named = {phase for one in phases for phase in one}
    everywhere = {axis for sizes in meshes if sizes for axis in sizes}
    found: list[Mesh] = []
    for (node, settings), sizes, own in zip(begun, meshes, phases, strict=True):
        if sizes is None:
            continue
        here = {p: at for p, at in known.sizes.items() if (p in own if own else p not in named)}
        with suppress(Silenced):
            known_here = Known(here, known.stacked, everywhere)
            mesh = Running(frame, node, settings, sizes, own, known_here).mesh(general)
            for refusal in met_again(mesh, found):
                frame.report(refusal, keyword(node))
            found.append(mesh)
    return tuple(found)


def met_again(mesh: Mesh, found: Sequence[Mesh]) -> Iterator[Refusal]:
    for other in found:
        both = [phase for phase in mesh.phases if phase in other.phases]
        if both:
            help = f"name `{both[0]}` in one of them"
            yield Refusal("E0363", f"the phase `{both[0]}` runs on the mesh of `{said(other)}` already", help=help)
        elif not mesh.phases and not other.phases:
            help = "say which phases this one is for: `run long { on = [long]; … }`"
            yield Refusal("E0363", f"`{said(other)}` is for all phases already", help=help)


def said(mesh: Mesh) -> str:
    return f"run {mesh.name} {{ … }}" if mesh.name else "run { … }"

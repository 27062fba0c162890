"""Where the state of a job lies on a mesh, and how its batches are cut.

Takes: a job's slots and feeds, a mesh. Promises: a layout for each, and for each slot its blocks, whose names say their
places: the same words for the same block on every mesh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobspec.ir.job import Feed, Job, Slot
from jobspec.ir.mesh import Mesh
from jobspec.passes.split.boxes import Box
from jobspec.passes.split.layouts import Grid, Layout
from jobspec.passes.split.placed import Block, Held, PlaceOf, blocks_of


def slot_layouts(job: Job, mesh: Mesh, except_for: str = "", shared: bool = False) -> dict[str, Layout]:
    """By slot. `shared`: cut over every axis of the mesh but `except_for`, as far as sizes allow."""
    found = {slot.name: slot_layout(slot, mesh) for slot in job.state}
    if not shared:
        return found
    overs = [(over, n) for over, n in mesh.sizes if n > 1 and over != except_for]
    return {slot.name: wider(slot, found[slot.name], overs) for slot in job.state}


def slot_layout(slot: Slot, mesh: Mesh) -> Layout:
    """Of several axes that are cut over the same axis of the mesh, the last: of a linear map one that it leads to, so
    that what it gives and its gradient are cut alike without a move."""
    found: dict[str, int] = {}
    for d, axis in enumerate(slot.axes):
        over = mesh.over(axis.rstrip("'")) or ""
        if over and mesh.size(over) > 1 and divides(slot.type.shape[d], mesh.size(over), d):
            found[over] = d
    return found


def wider(slot: Slot, layout: Layout, overs: Sequence[tuple[str, int]]) -> Layout:
    """Each of `overs` that does not cut the slot yet cuts the longest axis that is left."""
    found = dict(layout)
    for over, n in overs:
        free = [d for d, size in enumerate(slot.type.shape) if size % n == 0 and d not in found.values()]
        if over not in found and free:
            found[over] = max(free, key=lambda d: (slot.type.shape[d], d))
    return found


def divides(size: int, parts: int, axis: int) -> bool:
    """The first axis may be a `repeat`'s, whose stages differ by a turn."""
    return size % parts == 0 or (axis == 0 and size >= parts)


def feed_layout(feed: Feed, mesh: Mesh, in_pieces: bool) -> Layout:
    """`in_pieces`: the batch is cut into pieces, over its own axis of the mesh."""
    found: dict[str, int] = {}
    taken = mesh.over(feed.axes[0]) if in_pieces and feed.axes else None
    for d, (axis, n) in enumerate(zip(feed.axes, feed.type.shape, strict=False)):
        over = mesh.over(axis.rstrip("'")) or ""
        if over not in ("", taken, *found) and mesh.size(over) > 1 and n % mesh.size(over) == 0:
            found[over] = d
    return found


@dataclass(frozen=True)
class Homes:
    """`names`: of all slots; `grid`: axes of the mesh that cut anything; `pipe`: the one that has the stages."""

    names: Sequence[str]
    grid: Grid
    pipe: str
    place_of: PlaceOf

    def of(self, slot: Slot, layout: Layout, stage: int | None) -> Held:
        """The blocks of a slot. One that no axis of which is cut lies on one position, each parameter on the next."""
        parameters = list(dict.fromkeys(name.split("/")[0] for name in self.names))
        turn = parameters.index(slot.name.split("/")[0])
        at = {over: turn % size for over, size in self.grid.items() if over != self.pipe and over not in layout}
        at |= {self.pipe: stage or 0} if self.pipe else {}
        blocks = blocks_of(slot.type.shape, layout, at, self.grid, self.place_of)
        named = [(b, slot.name if len(blocks) == 1 else f"{slot.name} {places_in(b.box)}") for b in blocks]
        return Held(slot.type, tuple(Block(b.box, b.place, name) for b, name in named), layout)


def places_in(box: Box) -> str:
    """A block's places."""
    return " ".join(f"{first}:{last}" for first, last in box)

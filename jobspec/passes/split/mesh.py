"""Programs cut over a mesh: slices of parameters on their positions, stages of layers, blocks of the batch.

Takes: a phase of a job, or another of its programs; a mesh. Promises: a graph of tasks with the program's own bits. A
slot that has an axis which the mesh cuts is held in slices, and so is what an optimizer keeps for it; each slice lies
on one position (`Task.place`: its number among the mesh's positions).

    slices    an axis of a result is cut, never one that is folded: what a fold needs is brought together before it
    stages    the turns of a `repeat` whose parameters are cut along its axis go to the positions of these parameters
    pieces    the batch is cut into its logical shards first (pieces.py); they are the pipeline's micro-batches. A
              batch without pieces is cut along its axis like any other
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from jobspec.ir.job import Feed, Job, Phase
from jobspec.ir.mesh import BATCH, Mesh
from jobspec.ir.program import Node, Program
from jobspec.passes.pipeline import PASSES
from jobspec.passes.route import route_tokens
from jobspec.passes.split.boxes import whole
from jobspec.passes.split.folds import nests
from jobspec.passes.split.graph import Graph, Take, Task
from jobspec.passes.split.homes import Homes, feed_layout, slot_layouts
from jobspec.passes.split.layouts import WHOLE, Grid, Layout
from jobspec.passes.split.pieces import cut_pieces
from jobspec.passes.split.placed import ANYWHERE, Block, Given, Held, Placed
from jobspec.passes.split.segments import Segments
from jobspec.passes.split.unrolled import Known, Unrolled, unrolled, wishes_of
from jobspec.passes.widen import widen

#: more blocks than any batch has pieces: each piece is a task
EVERY_PIECE = 1 << 30


@dataclass(frozen=True)
class Meshed:
    """`slots`: where the state lies; `graph` is given these blocks and the feeds, and gives each block anew under its
    own name, and the reports."""

    graph: Graph
    slots: Mapping[str, Held]


def cut_mesh(job: Job, phase: Phase, mesh: Mesh, shared: bool = False) -> Meshed:
    """The step of `phase` on `mesh`. `shared`: what would be whole of the state is cut over all positions too. Raises
    UsageError E0868 where the mesh does not fit."""
    mesh.need_fit()
    layouts = slot_layouts(job, mesh)
    begun = Cutting(job, phase.step, phase.batches.feeds, mesh, layouts)
    if not shared:
        return begun.meshed()
    wider = slot_layouts(job, mesh, except_for=begun.stages(), shared=True)
    return Cutting(job, phase.step, phase.batches.feeds, mesh, wider).meshed()


def cut_beside(job: Job, program: Program, feeds: Sequence[Feed], mesh: Mesh, step: Meshed) -> Graph:
    """The first state or an evaluation, on the positions that have the state as `step` leaves it."""
    layouts = {name: held.layout for name, held in step.slots.items()}
    return Cutting(job, program, feeds, mesh, layouts, held=dict(step.slots)).meshed().graph


@dataclass(eq=False)
class Cutting:
    """`layouts`: of the slots; `known`, `held`: by value of the graph of pieces; `made`: what comes of it, by slot or
    value; `pipe`: the axis of the mesh that has the stages. A block of pieces is at one place along the batch's axis of
    the mesh, so that it is not cut over that; all else may be."""

    job: Job
    program: Program
    feeds: Sequence[Feed]
    mesh: Mesh
    layouts: dict[str, Layout]
    known: dict[str, Known] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    made: dict[str, Held] = field(default_factory=dict)
    lowered: dict[Program, Program] = field(default_factory=dict)
    unrolls: dict[str, Unrolled] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)
    pipe: str = ""

    def __post_init__(self) -> None:
        self.batch = (self.mesh.over(BATCH) or "") if nests(self.program) else ""
        self.fed = {feed.name: feed_layout(feed, self.mesh, bool(self.batch)) for feed in self.feeds}
        self.across = {over for layout in self.fed.values() for over in layout}
        cut = {over for layout in self.layouts.values() for over in layout} | self.across
        self.grid: Grid = {over: size for over, size in self.mesh.sizes if over in cut}
        self.number = {position: i for i, position in enumerate(self.mesh.positions())}

    def place(self, group: int, at: Mapping[str, int]) -> int:
        """The position `at`, of those that have block `group` of the batch."""
        where = {self.batch: group, **at}
        return self.number[tuple(where.get(over, 0) for over, _ in self.mesh.sizes)]

    def counterpart(self, place: int, over: str, number: int) -> int:
        """The position that is `number` along one axis, and else where `place` is."""
        names = [name for name, _ in self.mesh.sizes]
        where = dict(zip(names, self.mesh.positions()[place], strict=True))
        return self.number[tuple({**where, over: number}[name] for name in names)]

    def grid_of(self, task: Task) -> Grid:
        """The axes of the mesh that a task is cut over."""
        in_block = task.name.startswith("block.")
        return {over: n for over, n in self.grid.items() if over != self.batch} if in_block else self.grid

    def meshed(self) -> Meshed:
        graph = self.learned()
        self.hold(graph)
        slots = {slot.name: self.held[slot.name] for slot in self.job.state if slot.name in self.held}
        wanted: dict[str, list[str]] = {}
        for name, value in graph.results:
            if name in slots:
                wanted.setdefault(value, []).append(name)
        groups = self.groups(graph)
        for task in graph.tasks:
            self.cut(task, groups[task.name], wanted)
        given = [given for name, _ in graph.given for given in self.held[name].given()]
        return Meshed(Graph(tuple(given), tuple(self.tasks), tuple(self.results(graph, slots))), slots)

    def stages(self) -> str:
        """The axis of the mesh that has the stages, "" where there are none."""
        self.learned()
        return self.pipe

    def learned(self) -> Graph:
        """The graph of pieces, with all that is known before anything has a place."""
        graph = folded_early(cut_pieces(self.program, [feed.name for feed in self.feeds], self.blocks()))
        self.agree(graph)
        layouts = {**self.layouts, **self.fed}
        self.known |= {name: Known(layouts.get(name, WHOLE)) for name, _ in graph.given}
        wishes = self.wishes(graph)
        for task in graph.tasks:
            self.learn(task, wishes[task.name])
        return graph

    def agree(self, graph: Graph) -> None:
        """Slots that are given one value, or another slot's, are cut as that is, or not at all; but where they lie
        already."""
        of_value: dict[str, list[str]] = {}
        for name, value in graph.results:
            if name in self.layouts and name not in self.held:
                others = [value] if value in self.layouts else []
                of_value.setdefault(value, others).append(name)
        for names in of_value.values():
            if any(self.layouts[name] != self.layouts[names[0]] for name in names):
                self.layouts |= dict.fromkeys(names, WHOLE)

    def blocks(self) -> int:
        """A piece that is cut is a task of its own: a stage waits for nothing but its own piece, and what a piece keeps
        for its way back is not there beside that of the next."""
        return EVERY_PIECE if set(self.grid) - {self.batch} else self.mesh.size(self.batch)

    # ---- what is known before anything has a place

    def wishes(self, graph: Graph) -> dict[str, dict[Node, Layout]]:
        """Task → how its nodes would best be cut: as the slots are that their values go to."""
        of_value = {value: self.layouts[name] for name, value in graph.results if name in self.layouts}
        found: dict[str, dict[Node, Layout]] = {}
        for task in reversed(graph.tasks):
            wanted = {output: of_value[value] for output, value in task.gives if value in of_value}
            found[task.name] = here = wishes_of(self.lower(task.program), wanted)
            inputs = {node["name"]: layout for node, layout in here.items() if node.op == "input"}
            for take in task.takes:
                if take.input in inputs and take.cut is None:
                    of_value.setdefault(take.value, inputs[take.input])
        return found

    def learn(self, task: Task, wishes: Mapping[Node, Layout]) -> None:
        """Takes the loops of a task apart; notes what it gives."""
        grid = self.grid_of(task)
        inputs = {take.input: self.taken(take, grid) for take in task.takes}
        here = {node: {over: d for over, d in layout.items() if over in grid} for node, layout in wishes.items()}
        new = unrolled(self.lower(task.program), inputs, here, Unrolled(grid, self.across, pipe=self.pipe))
        if task.name.startswith("fold."):
            # each position folds what it needs of two blocks
            new.layouts |= {node: layout for node, layout in here.items() if node.op != "input"}
        self.unrolls[task.name], self.pipe = new, new.pipe
        for (_, node), (_, value) in zip(new.results, task.gives, strict=True):
            self.known[value] = Known(new.layouts[node], new.stages[node])

    def taken(self, take: Take, grid: Grid) -> Known:
        """A part is whole along the axis that it is a part of; what is cut over other axes of the mesh than a task's is
        read whole."""
        known, axis = self.known[take.value], take.cut.axis if take.cut else None
        return Known({over: d for over, d in known.layout.items() if d != axis and over in grid}, known.stage)

    def lower(self, program: Program) -> Program:
        """Without gradients; what changes no meaning is left to where a task is compiled."""
        if program not in self.lowered:
            new = program
            for run in PASSES[self.job.profile]:
                new = new if run in (route_tokens, widen) else run(new)
            self.lowered[program] = new
        return self.lowered[program]

    # ---- where what is given lies

    def hold(self, graph: Graph) -> None:
        results = dict(graph.results)
        slots = {slot.name: slot for slot in self.job.state}
        homes = Homes(list(slots), self.grid, self.pipe, partial(self.place, 0))
        for name, kind in graph.given:
            if name not in slots:
                self.held[name] = Held(kind, (Block(whole(kind.shape), ANYWHERE, name),))
            elif name not in self.held:
                self.held[name] = homes.of(slots[name], self.layouts[name], self.known[results.get(name, name)].stage)

    # ---- tasks of tasks

    def groups(self, graph: Graph) -> dict[str, int]:
        """Task → which part of the positions along the batch's axis has it; a fold goes where its left block is."""
        found: dict[str, int] = {}
        maker = {value: task.name for task in graph.tasks for _, value in task.gives}
        places = {task.name: task.name.split(".")[1:] for task in graph.tasks if task.name.startswith("block.")}
        counts = Counter(nest for nest, _ in places.values())
        for task in graph.tasks:
            if task.name in places:
                nest, number = places[task.name]
                found[task.name] = int(number) * self.mesh.size(self.batch) // counts[nest]
            else:
                found[task.name] = found[maker[task.takes[0].value]] if task.name.startswith("fold.") else 0
        return found

    def cut(self, task: Task, group: int, wanted: Mapping[str, Sequence[str]]) -> None:
        """Adds the tasks that `task` becomes. `wanted`: value → slots that it is for."""
        given = {take.input: Given(self.held[take.value], take.cut) for take in task.takes}
        known = self.unrolls[task.name]
        placed = Placed(known, given, partial(self.place, group), self.counterpart)
        segments = Segments(placed, task.name)
        spots: list[tuple[str, Node, Block]] = []
        for (_, node), (_, value) in zip(known.results, task.gives, strict=True):
            for slot in wanted.get(value, ()):
                spots += [(slot, node, block) for block in self.held[slot].blocks]
            if value not in wanted:
                spots += [(value, node, block) for block in self.blocks_of(placed, node, group)]
        values = segments.values_of([(placed.image(node, b.box, b.place), b.place) for _, node, b in spots])
        for (name, node, block), value in zip(spots, values, strict=True):
            before = self.made[name].blocks if name in self.made else ()
            self.made[name] = Held(node.type, (*before, Block(block.box, block.place, value)))
        for _, value in task.gives:
            self.held[value] = self.made[wanted.get(value, [value])[0]]
        self.tasks += segments.tasks()

    def blocks_of(self, placed: Placed, node: Node, group: int) -> Sequence[Block]:
        """Where a result lies: in its blocks, or at one position."""
        known = placed.unrolled
        at = {known.pipe: known.stages[node] or 0} if known.pipe else {}
        place, box = self.place(group, at), whole(node.shape)
        if node.op != "input" and (homes := placed.homes(node, place)):
            return homes
        return [Block(box, place, "")]

    def results(self, graph: Graph, slots: Mapping[str, Held]) -> list[tuple[str, str]]:
        """(a block's own name, or a report's; the value that holds it)"""
        found: list[tuple[str, str]] = []
        for name, value in graph.results:
            names = [b.value for b in slots[name].blocks] if name in slots else [name]
            found += zip(names, (b.value for b in self.made.get(name, self.held[value]).blocks), strict=True)
        return found


def folded_early(graph: Graph) -> Graph:
    """The tasks in an order in which blocks are folded as soon as both are there."""
    made, tasks = {name for name, _ in graph.given}, list[Task]()
    waiting = {task.name: task for task in graph.tasks if task.name.startswith("fold.")}
    for task in graph.tasks:
        ready = [] if task.name.startswith("fold.") else [task]
        while ready:
            tasks += ready
            made |= {value for done in ready for _, value in done.gives}
            ready = [waiting.pop(n) for n, fold in [*waiting.items()] if made.issuperset(fold.sources)]
    return replace(graph, tasks=tuple(tasks))

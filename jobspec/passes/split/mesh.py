"""A step cut over a mesh: slices of parameters on their positions, stages of layers, blocks of the batch.

Takes: a phase of a job, the state's slots, a mesh. Promises: a graph of tasks with the step's own bits. A slot that has
an axis which the mesh cuts is held in slices, and so is what an optimizer keeps for it; each slice lies on one position
(`Task.place`: its number among the mesh's positions).

    slices    an axis of a result is cut, never one that is folded: what a fold needs is brought together before it
    stages    the turns of a `repeat` whose parameters are cut along its axis go to the positions of these parameters
    pieces    the batch is cut into its logical shards first (pieces.py); they are the pipeline's micro-batches
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from jobspec.ir.job import Job, Phase, Slot
from jobspec.ir.mesh import BATCH, Mesh
from jobspec.ir.program import Node, Program
from jobspec.ir.regions import body_input
from jobspec.passes.pipeline import PASSES
from jobspec.passes.route import route_tokens
from jobspec.passes.split.boxes import Box, whole
from jobspec.passes.split.graph import Graph, Take, Task
from jobspec.passes.split.layouts import WHOLE, Grid, Layout, slot_layout
from jobspec.passes.split.pieces import cut_pieces
from jobspec.passes.split.placed import ANYWHERE, Block, Given, Held, Placed
from jobspec.passes.split.segments import Segments
from jobspec.passes.split.unrolled import Known, Unrolled, unrolled, wishes_of

#: more blocks than any batch has pieces: each piece is a task
EVERY_PIECE = 1 << 30


@dataclass(frozen=True)
class Meshed:
    """`slots`: where the state lies; `graph` is given these blocks and the feeds, and gives each block anew under its
    own name, and the reports."""

    graph: Graph
    slots: Mapping[str, Held]


def cut_mesh(job: Job, phase: Phase, mesh: Mesh) -> Meshed:
    """The step of `phase` on `mesh`. Raises UsageError E0868 where the mesh does not fit."""
    mesh.need_fit()
    return Cutting(job, phase, mesh).meshed()


@dataclass(eq=False)
class Cutting:
    """`known`, `held`: by value of the graph of pieces; `pipe`: the axis of the mesh that has the stages."""

    job: Job
    phase: Phase
    mesh: Mesh
    known: dict[str, Known] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    lowered: dict[Program, Program] = field(default_factory=dict)
    unrolls: dict[str, Unrolled] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)
    pipe: str = ""

    def __post_init__(self) -> None:
        self.batch = self.mesh.over(BATCH) or ""
        self.layouts = {slot.name: self.layout(slot) for slot in self.job.state}
        cut = {over for layout in self.layouts.values() for over in layout}
        self.grid: Grid = {over: size for over, size in self.mesh.sizes if over in cut}
        self.number = {position: i for i, position in enumerate(self.mesh.positions())}

    def layout(self, slot: Slot) -> Layout:
        """A slot's; an axis that is cut over the same positions as the batch stays whole."""
        return {over: d for over, d in slot_layout(slot, self.mesh).items() if over != self.batch}

    def place(self, group: int, at: Mapping[str, int]) -> int:
        """The position `at`, of those that have block `group` of the batch."""
        where = {self.batch: group, **at}
        return self.number[tuple(where.get(over, 0) for over, _ in self.mesh.sizes)]

    def counterpart(self, place: int, over: str, number: int) -> int:
        """The position that is `number` along one axis, and else where `place` is."""
        names = [name for name, _ in self.mesh.sizes]
        where = dict(zip(names, self.mesh.positions()[place], strict=True))
        return self.number[tuple({**where, over: number}[name] for name in names)]

    def meshed(self) -> Meshed:
        graph = cut_pieces(self.phase.step, [feed.name for feed in self.phase.batches.feeds], self.blocks())
        self.agree(graph)
        self.known |= {name: Known(self.layouts.get(name, WHOLE)) for name, _ in graph.given}
        wishes = self.wishes(graph)
        for task in graph.tasks:
            self.learn(task, wishes[task.name])
        self.hold(graph)
        slots = {slot.name: self.held[slot.name] for slot in self.job.state if slot.name in self.held}
        wanted = {value: slots[name] for name, value in graph.results if name in slots}
        groups = self.groups(graph)
        for task in graph.tasks:
            self.cut(task, groups[task.name], wanted)
        given = [given for name, _ in graph.given for given in self.held[name].given()]
        return Meshed(Graph(tuple(given), tuple(self.tasks), tuple(self.results(graph, slots))), slots)

    def agree(self, graph: Graph) -> None:
        """Slots that are given one value, or another slot's, are cut as that is, or not at all."""
        of_value: dict[str, list[str]] = {}
        for name, value in graph.results:
            if name in self.layouts:
                others = [value] if value in self.layouts else []
                of_value.setdefault(value, others).append(name)
        for names in of_value.values():
            if any(self.layouts[name] != self.layouts[names[0]] for name in names):
                self.layouts |= dict.fromkeys(names, WHOLE)

    def blocks(self) -> int:
        """A stage waits for nothing but its own piece where each piece is a task."""
        staged = any(0 in layout.values() for layout in self.layouts.values())
        return EVERY_PIECE if staged else self.mesh.size(self.batch)

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
        inputs = {take.input: self.taken(take) for take in task.takes}
        new = unrolled(self.lower(task.program), inputs, wishes, Unrolled(self.grid, pipe=self.pipe))
        self.unrolls[task.name], self.pipe = new, new.pipe
        for (_, node), (_, value) in zip(new.results, task.gives, strict=True):
            self.known[value] = Known(new.layouts[node], new.stages[node])

    def taken(self, take: Take) -> Known:
        """A part is whole along the axis that it is a part of."""
        known = self.known[take.value]
        if take.cut is None:
            return known
        return Known({over: d for over, d in known.layout.items() if d != take.cut.axis}, known.stage)

    def lower(self, program: Program) -> Program:
        """Without gradients; tokens are sorted by expert where a task is compiled."""
        if program not in self.lowered:
            new = program
            for run, _ in PASSES[self.job.profile]:
                new = new if run is route_tokens else run(new)
            self.lowered[program] = new
        return self.lowered[program]

    # ---- where what is given lies

    def hold(self, graph: Graph) -> None:
        results = dict(graph.results)
        slots = {slot.name: slot for slot in self.job.state}
        for name, kind in graph.given:
            if name in slots:
                self.held[name] = self.home(slots[name], self.known[results.get(name, name)].stage)
            else:
                self.held[name] = Held(kind, (Block(whole(kind.shape), ANYWHERE, name),))

    def home(self, slot: Slot, stage: int | None) -> Held:
        """The blocks of a slot. One that no axis of which is cut lies on one position, each parameter on the next."""
        layout, pipe = self.layouts[slot.name], self.pipe
        names = list(dict.fromkeys(s.name.split("/")[0] for s in self.job.state))
        turn = names.index(slot.name.split("/")[0])
        at = {over: turn % size for over, size in self.grid.items() if over != pipe and over not in layout}
        at |= {pipe: stage or 0} if pipe else {}
        frame = Placed(Unrolled(self.grid), {}, partial(self.place, 0), self.counterpart)
        blocks = frame.grid_of(body_input(slot.name, slot.type), layout, at)
        named = [(b, slot.name if len(blocks) == 1 else f"{slot.name} {places_in(b.box)}") for b in blocks]
        return Held(slot.type, tuple(Block(b.box, b.place, name) for b, name in named))

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

    def cut(self, task: Task, group: int, wanted: Mapping[str, Held]) -> None:
        """Adds the tasks that `task` becomes."""
        given = {take.input: Given(self.held[take.value], take.cut) for take in task.takes}
        known = self.unrolls[task.name]
        placed = Placed(known, given, partial(self.place, group), self.counterpart)
        segments = Segments(placed, task.name)
        spots: list[tuple[str, Node, Block]] = []
        for (_, node), (_, value) in zip(known.results, task.gives, strict=True):
            blocks = wanted[value].blocks if value in wanted else self.blocks_of(placed, node, group)
            spots += [(value, node, block) for block in blocks]
        values = segments.values_of([(placed.image(node, b.box, b.place), b.place) for _, node, b in spots])
        for (value, node, block), name in zip(spots, values, strict=True):
            before = self.held[value].blocks if value in self.held else ()
            self.held[value] = Held(node.type, (*before, Block(block.box, block.place, name)))
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
            found += zip(names, (b.value for b in self.held[value].blocks), strict=True)
        return found


def places_in(box: Box) -> str:
    """A block's places, the same words for the same block on every mesh."""
    return " ".join(f"{first}:{last}" for first, last in box)

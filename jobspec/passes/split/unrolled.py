"""A program without the loops that go over what is cut, and what is known of where its values lie.

Takes: a lowered program, the layouts of its inputs. Promises: nodes that compute the same; the turns of a loop over
values that are cut stand one after another, those of a `repeat` whose parameters are cut into stages each with its
stage; a loop over whole values stays a loop. Each node has a layout; `alone` are folds of what is cut to something that
is not, which one position computes for all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as changed
from itertools import product
from math import prod

from jobspec.ir.build import full, reshape, slice_axis
from jobspec.ir.contract import ROW_BLOCK
from jobspec.ir.ops import OPS
from jobspec.ir.program import Node, Program, body_of, make, order, rebuild, replace
from jobspec.ir.regions import Loop, get, parts
from jobspec.ir.types import Type
from jobspec.passes.split.boxes import spans
from jobspec.passes.split.layouts import WHOLE, Grid, Layout, layout_of, loses
from jobspec.passes.split.partial import Owned, Parts, folded, parts_of

#: chunks of a sum of everything for each position, so that most lie where what they sum does
SHARES = 8

#: node of a program or body → what it is now; a loop: its results
Images = dict[Node, list[Node]]


@dataclass(frozen=True)
class Known:
    """What is known of a value before it has a place."""

    layout: Layout = field(default_factory=dict)
    stage: int | None = None


UNKNOWN = Known()


@dataclass(eq=False)
class Unrolled:
    """`layouts`: by node; `stages`: part of the pipeline, where it is known; `pipe`: axis of the mesh that has the
    stages; `across`: those that cut places of the batch; `alone`: position along each axis of the mesh; `results`: the
    program's outputs."""

    grid: Grid
    across: Collection[str] = ()
    layouts: dict[Node, Layout] = field(default_factory=dict)
    stages: dict[Node, int | None] = field(default_factory=dict)
    alone: dict[Node, Mapping[str, int]] = field(default_factory=dict)
    turns: dict[Node, list[Node]] = field(default_factory=dict)
    born: dict[Node, int] = field(default_factory=dict)
    wishes: Mapping[Node, Layout] = field(default_factory=dict)
    pipe: str = ""
    stage: int | None = None
    results: tuple[tuple[str, Node], ...] = ()

    def add(self, node: Node, wish: Layout = WHOLE) -> Node:
        """`node`, known from now on; its operands are. `wish`: how it would best be cut, if it is."""
        if node in self.layouts:
            return node
        given = [self.layouts[a] for a in node.args]
        chunks = self.chunks(node) if node.op == "sum" and not node.shape and any(given) else 1
        if chunks > 1:
            return self.sum_in_chunks(node, chunks)
        if parts := parts_of(node, given, self.grid):
            return self.sum_of_parts(node, parts, wish)
        layout = layout_of(node, given, self.grid, wish)
        if not layout and loses(node, given):
            self.alone[node] = self.position(len(self.alone))
        return self.note(node, layout, self.stage if self.stage is not None else self.stage_of(node))

    def stage_of(self, node: Node) -> int | None:
        """That of the largest operand; of equals that which was made last, so that what follows the pipeline stays at
        its end."""
        known = [a for a in node.args if self.stages[a] is not None]
        return self.stages[max(known, key=lambda a: (size(a), self.born[a]))] if known else None

    def note(self, node: Node, layout: Layout, stage: int | None) -> Node:
        self.layouts[node], self.stages[node], self.born[node] = layout, stage, len(self.born)
        return node

    def position(self, number: int) -> dict[str, int]:
        """One position after another; that along the pipeline is left to the stage."""
        axes = [over for over in self.grid if over != self.pipe]
        places = list(product(*(range(self.grid[over]) for over in axes)))
        return dict(zip(axes, places[number % len(places)], strict=True))

    # ---- a sum of everything, as that of a gradient's squares

    def chunks(self, node: Node) -> int:
        """Parts of the tree over a row's blocks, a few for each position."""
        blocks = -(-node.args[0].type.size // ROW_BLOCK)
        return -(-blocks // self.blocks_of_chunk(blocks))

    def blocks_of_chunk(self, blocks: int) -> int:
        share = -(-blocks // (SHARES * prod(self.grid.values())))
        return 1 << (share - 1).bit_length()

    def sum_in_chunks(self, node: Node, chunks: int) -> Node:
        """Each chunk is a subtree of the row's adjacent tree, and lies on a position of its own."""
        (x,) = node.args
        flat = self.add(reshape(x, (x.type.size,)))
        size = ROW_BLOCK * self.blocks_of_chunk(-(-x.type.size // ROW_BLOCK))
        sums: list[Owned[Node]] = []
        for i in range(chunks):
            first, last = i * size, min((i + 1) * size, x.type.size)
            chunk = make("sum", self.add(slice_axis(flat, 0, first, last)), axes=(0,))
            stage = self.stage_at(x, (first + last) // 2)
            sums.append((self.note_alone(chunk, self.position(i), stage), None))
        return folded(sums, lambda a, b: (self.add(make("add", a[0], b[0])), None))[0]

    def stage_at(self, x: Node, place: int) -> int | None:
        """The stage that has an element of x, by its place among all."""
        if self.layouts[x].get(self.pipe) != 0:
            return self.stages[x]
        row = place * x.shape[0] // x.type.size
        return next(i for i, (a, b) in enumerate(spans(x.shape[0], self.grid[self.pipe])) if a <= row < b)

    def note_alone(self, node: Node, at: Mapping[str, int], stage: int | None, layout: Layout = WHOLE) -> Node:
        if node in self.layouts:
            return node
        self.alone[node] = at
        return self.note(node, layout, stage)

    # ---- a sum over what is cut

    def sum_of_parts(self, node: Node, parts: Parts, wish: Layout) -> Node:
        """Subtrees where their operands lie; what is folded of several positions is cut along an axis of the result."""
        stage = self.stage if self.stage is not None else self.stage_of(node)
        rest = {over: n for over, n in self.grid.items() if over != parts.over}
        made: list[Owned[Node]] = []
        for x, owner in parts.nodes(node):
            made.append((self.part(x, {parts.over: owner}, stage, rest, wish), owner))
        mine = self.layouts[made[0][0]]
        across = self.across_parts(node, parts, mine, wish)

        def fold(a: Owned[Node], b: Owned[Node]) -> Owned[Node]:
            both = make("add", a[0], b[0])
            owner = a[1] if a[1] == b[1] else None
            if owner is not None:
                return self.note_alone(both, {parts.over: owner}, stage, mine), owner
            return (both if both in self.layouts else self.note(both, across, stage)), None

        return folded(made, fold)[0]

    def across_parts(self, node: Node, parts: Parts, mine: Layout, wish: Layout) -> Layout:
        """How what several positions have is cut: along the axis that is wished for, or the last that can be."""
        free = [d for d, n in enumerate(node.shape) if n % parts.positions == 0 and d not in mine.values()]
        if not free:
            return mine
        wanted = wish.get(parts.over)
        return {**mine, parts.over: wanted if wanted in free else free[-1]}

    def part(self, node: Node, at: Mapping[str, int], stage: int | None, grid: Grid, wish: Layout) -> Node:
        """One subtree, cut over other axes of the mesh as any operation is."""
        for x in node.args:
            self.add(x)
        return self.note_alone(node, at, stage, layout_of(node, [self.layouts[x] for x in node.args], grid, wish))

    # ---- programs and bodies

    def follow(self, roots: Sequence[Node], images: Images) -> list[Node]:
        """`roots` of a program or body whose inputs are in `images`."""
        for node in order(roots):
            if node not in images:
                images[node] = self.image(node, images)
        return [images[node][0] for node in roots]

    def image(self, node: Node, images: Images) -> list[Node]:
        if node.op == "get":
            return [images[node.args[0]][node["index"]]]
        args = tuple(images[a][0] for a in node.args)
        if node.op != "loop":
            return [self.add(rebuild(node, args), self.wishes.get(node, WHOLE))]
        loop = rebuild(node, args)
        if over := self.over_rows(parts(loop)):
            return self.in_stretches(loop, over)
        if any(self.layouts[a] for a in args):
            return self.unroll(parts(loop))
        self.note(loop, WHOLE, self.stage if self.stage is not None else self.stage_of(loop))
        return [self.add(get(loop, i)) for i in range(len(body_of(node).results))]

    def unroll(self, loop: Loop) -> list[Node]:
        carried, rows, shared = list(loop.inits), loop.sliced, loop.shared
        over = next((m for x in rows for m, d in self.layouts[x].items() if d == 0 and m not in self.across), "")
        stages = spans(loop.count, self.grid[over]) if over else []
        self.pipe = self.pipe or over
        stacked: list[list[Node]] = [[] for _ in loop.stacked]
        for turn in reversed(range(loop.count)) if loop.reverse else range(loop.count):
            outside = self.stage
            if over:
                self.stage = next(s for s, (first, last) in enumerate(stages) if first <= turn < last)
            inputs = [self.add(full(Type("i32"), turn)), *carried, *(self.row(x, turn) for x in rows), *shared]
            names = (loop.turn, *loop.state, *loop.cuts, *loop.common)
            made = self.follow(loop.results, {n: [x] for n, x in zip(names, inputs, strict=True)})
            carried = made[: len(carried)]
            for values, x in zip(stacked, made[len(carried) :], strict=True):
                values.append(x)
            self.stage = outside
        return [*carried, *(self.stack(v[::-1] if loop.reverse else v, over) for v in stacked)]

    def over_rows(self, loop: Loop) -> str:
        """The axis of the mesh over which the turns are cut and nothing else is; it cuts places of the batch."""
        over = next((over for x in loop.sliced for over in self.layouts[x] if over in self.across), "")
        rows = all(self.layouts[x] in (WHOLE, {over: 0}) for x in loop.sliced)
        return over if rows and not any(self.layouts[x] for x in (*loop.inits, *loop.shared)) else ""

    def in_stretches(self, node: Node, over: str) -> list[Node]:
        """Each position along `over` takes the turns whose rows it has, and hands on what is carried."""
        stage, loop = self.stage if self.stage is not None else self.stage_of(node), parts(node)
        carried, stacked = list(loop.inits), [list[Node]() for _ in loop.stacked]
        stretches = [*enumerate(spans(loop.count, self.grid[over]))]
        for number, (first, last) in reversed(stretches) if loop.reverse else stretches:
            mine = [self.add(slice_axis(x, 0, first, last)) for x in loop.sliced]
            part = self.note_alone(stretch(loop, carried, mine, first, last), {over: number}, stage)
            made = [self.note_alone(get(part, i), {over: number}, stage) for i in range(len(loop.results))]
            carried = made[: len(carried)]
            for values, x in zip(stacked, made[len(carried) :], strict=True):
                values.append(x)
        whole = [make("concat", *(v[::-1] if loop.reverse else v), axis=0) for v in stacked]
        return [*carried, *(x if x in self.layouts else self.note(x, {over: 0}, stage) for x in whole)]

    def row(self, x: Node, turn: int) -> Node:
        """What a turn has of an operand that is cut along its first axis."""
        if x in self.turns:
            return self.turns[x][turn]
        cut = self.add(slice_axis(x, 0, turn, turn + 1))
        return self.add(reshape(cut, x.shape[1:])) if len(x.shape) > 1 else self.add(make("reshape", cut, shape=()))

    def stack(self, values: list[Node], over: str) -> Node:
        """The values of all turns along a new first axis, which is cut into the stages."""
        rows = [self.add(reshape(x, (1, *x.shape))) for x in values]
        whole = self.add(make("concat", *rows, axis=0))
        self.turns[whole] = values
        if over:
            self.layouts[whole] = {over: 0, **{m: d for m, d in self.layouts[whole].items() if m != over}}
        return whole


def stretch(loop: Loop, inits: Sequence[Node], rows: Sequence[Node], first: int, last: int) -> Node:
    """Turns first … last-1 of a loop as a loop; `inits`: what is carried before them; `rows`: theirs."""
    turn = make("add", loop.turn, full(loop.turn.type, first))
    results = replace(loop.results, {loop.turn: turn})
    named = tuple((name, x) for (name, _), x in zip((*loop.step, *loop.stacked), results, strict=True))
    step, stacked = named[: len(loop.step)], named[len(loop.step) :]
    part = changed(loop, count=last - first, inits=tuple(inits), sliced=tuple(rows), step=step, stacked=stacked)
    return part.node()


def size(node: Node) -> int:
    """Elements, those that are repeated counted once."""
    while node.op == "broadcast":
        (node,) = node.args
    return node.result.size if isinstance(node.result, Type) else 0


def wishes_of(program: Program, wanted: Mapping[str, Layout]) -> dict[Node, Layout]:
    """How nodes would best be cut so that outputs are as `wanted`: what is computed element by element for one as that
    is, and what it reads too."""
    found: dict[Node, Layout] = {}
    stack = [(node, wanted[name]) for name, node in program.outputs if wanted.get(name)]
    while stack:
        node, layout = stack.pop()
        if node not in found:
            found[node] = layout
            stack += [(a, layout) for a in node.args if OPS[node.op].has("elementwise")]
    return found


def unrolled(program: Program, given: Mapping[str, Known], wishes: Mapping[Node, Layout], new: Unrolled) -> Unrolled:
    """`given`: what is known of the inputs, by name; `new`: the grid, and the axis of the pipeline if that is known."""
    new.wishes = wishes
    images: Images = {}
    for node in program.inputs:
        known = given.get(node["name"], UNKNOWN)
        images[node] = [new.note(node, known.layout, known.stage)]
    new.results = tuple(zip((n for n, _ in program.outputs), new.follow(program.results, images), strict=True))
    return new

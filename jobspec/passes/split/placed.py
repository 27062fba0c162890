"""Who computes what: the values of a step on the positions of a mesh.

Takes: a program without loops over what is cut, the blocks of its inputs. Promises: `image(node, box, place)` is what
that place computes for a part of a node: a node with a layout is computed in blocks, each where it lies, and moves from
there; any other is computed wherever it is read. What moves is an input of the expression that reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product

from jobspec.ir.build import fill_bits, full, reshape, slice_axis
from jobspec.ir.program import Node, make, rebuild
from jobspec.ir.regions import body_input
from jobspec.ir.types import Type, row_major
from jobspec.passes.split.axes import on_part, sources, span_in
from jobspec.passes.split.boxes import (
    Box,
    Span,
    cut_out,
    joined,
    overlap,
    relative,
    shape_of,
    spans,
    whole,
    with_span,
    within,
)  # fmt: skip
from jobspec.passes.split.graph import STEP, Cut, Take
from jobspec.passes.split.layouts import Grid, Layout
from jobspec.passes.split.unrolled import Unrolled, size

#: computed again rather than kept or moved
AGAIN = frozenset({"const", "iota", "broadcast", "reshape", "permute", "slice"})
#: position along axes of the mesh, 0 along others → place
PlaceOf = Callable[[Mapping[str, int]], int]
#: a place that every position has at hand: batches, which are fed to whoever reads them
ANYWHERE = -1


@dataclass(frozen=True)
class Block:
    """A part of a value, where it lies, and the value of the graph that holds it."""

    box: Box
    place: int
    value: str


@dataclass(frozen=True)
class Held:
    """A value as its blocks, and how these were cut where that is known."""

    type: Type
    blocks: tuple[Block, ...]
    layout: Layout = field(default_factory=dict)

    def given(self) -> list[tuple[str, Type]]:
        """The blocks as values of a graph."""
        return [(block.value, Type(self.type.dtype, shape_of(block.box))) for block in self.blocks]


@dataclass(frozen=True)
class Given:
    """An input of a program: a value, or part of it."""

    held: Held
    cut: Cut | None = None

    def blocks(self) -> list[Block]:
        """Its blocks, by places of the input; `box` may reach beyond it."""
        if self.cut is None:
            return list(self.held.blocks)
        axis, first = self.cut.axis, self.cut.first
        moved = [(b, (b.box[axis][0] - first, b.box[axis][1] - first)) for b in self.held.blocks]
        return [Block(with_span(b.box, axis, span), b.place, b.value) for b, span in moved]


@dataclass(eq=False)
class Placed:
    """`place_of`: position along each axis of the mesh → place; `counterpart`: the place that differs from another one
    in its position along one axis. `takes`: input of an expression → what it takes; `moved`: that input → the
    expression it stands for and the place of it; `depths`: how many moves come before it."""

    unrolled: Unrolled
    given: Mapping[str, Given]
    place_of: PlaceOf
    counterpart: Callable[[int, str, int], int]
    images: dict[tuple[Node, Box, int], Node] = field(default_factory=dict)
    takes: dict[str, Take] = field(default_factory=dict)
    moved: dict[str, tuple[Node, int]] = field(default_factory=dict)
    leaves: dict[tuple[Node, int], Node] = field(default_factory=dict)
    depths: dict[Node, int] = field(default_factory=dict)
    grids: dict[Node, list[Block]] = field(default_factory=dict)

    # ---- where a node lies

    def homes(self, node: Node, place: int) -> list[Block]:
        """The blocks of a node that `place` may read; none for one that it computes itself. What lies in no blocks and
        has a stage is computed by each position of the stage, and goes from there to its counterparts."""
        known = self.unrolled
        if node.op == "input":
            return [] if node["name"] == STEP else self.given[node["name"]].blocks()
        layout, alone, stage = known.layouts[node], known.alone.get(node), known.stages[node]
        if layout or alone is not None:
            at = {known.pipe: stage or 0} if known.pipe else {}
            if node not in self.grids:
                self.grids[node] = self.grid_of(node, layout, {**at, **(alone or {})})
            return self.grids[node]
        if stage is None or node.op in AGAIN or size(node) == 1:
            return []
        return [Block(whole(node.shape), self.counterpart(place, known.pipe, stage), "")]

    def grid_of(self, node: Node, layout: Layout, at: Mapping[str, int]) -> list[Block]:
        return blocks_of(node.shape, layout, at, self.unrolled.grid, self.place_of)

    # ---- what a place computes

    def image(self, node: Node, box: Box, place: int) -> Node:
        """The part `box` of `node` as an expression of `place`."""
        self.prepare(node, box, place)
        return self.images[node, box, place]

    def prepare(self, node: Node, box: Box, place: int) -> None:
        """Makes the image, and first those that it is made of; not bounded by Python's stack."""
        stack = [(node, box, place)]
        while stack:
            key = stack[-1]
            if key in self.images:
                stack.pop()
                continue
            pending = [k for k in self.needs(*key) if k not in self.images]
            if pending:
                stack += pending
            else:
                self.images[key] = self.made(*key)
                stack.pop()

    def needs(self, node: Node, box: Box, place: int) -> list[tuple[Node, Box, int]]:
        """The images that one is made of."""
        homes = self.homes(node, place)
        if not homes:
            return [(a, b, place) for a, b in self.operands(node, box)]
        if node.op == "input":
            return []
        parts = self.parts(homes, box, place)
        if len(parts) == 1 and parts[0][0].place == place and parts[0][0].box == box:
            return [(a, b, place) for a, b in self.operands(node, box)]
        return [(node, block.box, block.place) for block, _ in parts]

    def made(self, node: Node, box: Box, place: int) -> Node:
        homes = self.homes(node, place)
        if not homes:
            return self.computed(node, box, place)
        parts = self.parts(homes, box, place)
        if node.op == "input":
            return joined([(part, self.leaf(node, block, part, place)) for block, part in parts])
        if len(parts) == 1 and parts[0][0].place == place and parts[0][0].box == box:
            return self.computed(node, box, place)
        return joined([(part, self.brought(node, block, part, place)) for block, part in parts])

    def parts(self, homes: list[Block], box: Box, place: int) -> list[tuple[Block, Box]]:
        """The blocks that together have `box`, and what each has of it; one that is here and has all of it."""
        here = next((b for b in homes if b.place in (place, ANYWHERE) and within(box, b.box)), None)
        if here is not None:
            return [(here, box)]
        return [(block, part) for block in homes if (part := overlap(box, block.box)) is not None]

    def brought(self, node: Node, block: Block, part: Box, place: int) -> Node:
        """Part of a block, which may lie elsewhere."""
        here = cut_out(self.images[node, block.box, block.place], relative(part, block.box))
        if block.place == place or here.op == "const":
            return here
        if here.op == "input":
            return here
        return self.arriving(here, block.place)

    def arriving(self, x: Node, home: int) -> Node:
        """An expression of another place."""
        if (x, home) not in self.leaves:
            name = f"moved.{len(self.leaves)}"
            leaf = self.leaves[x, home] = body_input(name, x.type)
            self.moved[name], self.depths[leaf] = (x, home), max(0, self.depth(x)) + 1
        return self.leaves[x, home]

    def leaf(self, node: Node, block: Block, part: Box, place: int) -> Node:
        """Part of a given block; where one cut is enough, no more than the part is taken."""
        inner = relative(part, block.box)
        shape = shape_of(block.box)
        narrow = [d for d, (span, n) in enumerate(zip(inner, shape, strict=True)) if span != (0, n)]
        if not narrow:
            return self.taking(block.value, None, node.dtype, shape)
        first = narrow[0]
        cut = Cut(first, *inner[first])
        taken = with_span(whole(shape), first, inner[first])
        x = self.taking(block.value, cut, node.dtype, shape_of(taken))
        return cut_out(x, relative(inner, taken))

    def taking(self, value: str, cut: Cut | None, dtype: str, shape: tuple[int, ...]) -> Node:
        name = value if cut is None else f"{value} [{cut.axis}: {cut.first}..{cut.last}]"
        self.takes[name] = Take(name, value, cut)
        return body_input(name, Type(dtype, shape))

    # ---- one operation on parts

    def operands(self, node: Node, box: Box) -> list[tuple[Node, Box]]:
        """What of its operands the part of an operation reads."""
        if node.op == "slice" and set(node["step"]) == {1}:
            return [(node.args[0], tuple((s + a, s + b) for s, (a, b) in zip(node["start"], box, strict=True)))]
        if node.op == "concat":
            return [(a, part) for a, part, _ in concat_parts(node, box)]
        if node.op == "reshape" and len(node.shape) == 1 and not self.whole_rows(node, box):
            return [(node.args[0], rows_around(node, box))]
        inner = self.cuttable(node, box)
        return [(a, operand_box(node, i, inner)) for i, a in enumerate(node.args) if node.op != "get"]

    def whole_rows(self, node: Node, box: Box) -> bool:
        return self.cuttable(node, box) == box

    def cuttable(self, node: Node, box: Box) -> Box:
        """`box`, but whole along axes that the operation cannot be cut along."""
        tables, inner = sources(node), box
        for d, (span, n) in enumerate(zip(box, node.shape, strict=True)):
            if span == (0, n):
                continue
            found = [span_in(node, i, d, span) for i, table in enumerate(tables) if d in table]
            if None in found or not (found or node.op == "broadcast" or is_size(node, d)):
                inner = with_span(inner, d, (0, n))
        return inner

    def computed(self, node: Node, box: Box, place: int) -> Node:
        """The operation itself, on what `operands` says."""
        if node.op == "get":
            return cut_out(self.loop_result(node, place), box)
        args = tuple(self.images[a, b, place] for a, b in self.operands(node, box))
        if node.op == "slice" and set(node["step"]) == {1}:
            return args[0]
        if node.op == "concat":
            return joined([(part, x) for (_, _, part), x in zip(concat_parts(node, box), args, strict=True)])
        if not node.args:
            return source_part(node, box)
        inner = self.cuttable(node, box)
        if node.op == "reshape" and len(node.shape) == 1 and inner != box:
            return self.stretch(node, box, args[0])
        if node.op == "scatter_add" and inner[node["batch"]] != (0, node["size"]):
            return scattered(node, inner[node["batch"]], args)
        return cut_out(on_part(node, inner, args), relative(box, inner))

    def stretch(self, node: Node, box: Box, rows: Node) -> Node:
        """Elements one after another, out of the part around them."""
        strides = row_major(node.args[0].shape)
        start = sum(a * step for (a, _), step in zip(rows_around(node, box), strides, strict=True))
        return cut_out(reshape(rows, (rows.type.size,)), ((box[0][0] - start, box[0][1] - start),))

    def loop_result(self, node: Node, place: int) -> Node:
        (loop,) = node.args
        for a in loop.args:
            self.prepare(a, whole(a.shape), place)
        args = tuple(self.images[a, whole(a.shape), place] for a in loop.args)
        return make("get", rebuild(loop, args), index=node["index"])

    # ---- how many moves come before an expression

    def depth(self, x: Node) -> int:
        """-1 where it reads no input at all."""
        stack = [x]
        while stack:
            node = stack[-1]
            pending = [] if node in self.depths else [a for a in node.args if a not in self.depths]
            if pending:
                stack += pending
                continue
            stack.pop()
            if node not in self.depths:
                given = 0 if node.op == "input" else -1
                self.depths[node] = max((self.depths[a] for a in node.args), default=given)
        return self.depths[x]


def blocks_of(
    shape: tuple[int, ...], layout: Layout, at: Mapping[str, int], grid: Grid, place_of: PlaceOf
) -> list[Block]:
    """A block for each position along the axes of the layout; `at`: along others."""
    cuts = [list(enumerate(spans(shape[d], grid[over]))) for over, d in layout.items()]
    blocks = []
    for chosen in product(*cuts):
        box, where = whole(shape), dict(at)
        for (over, d), (number, span) in zip(layout.items(), chosen, strict=True):
            box, where[over] = with_span(box, d, span), number
        blocks.append(Block(box, place_of(where), ""))
    return blocks


def is_size(node: Node, axis: int) -> bool:
    """Whether `axis` counts what a scatter_add adds to."""
    return node.op == "scatter_add" and axis == node["batch"]


def scattered(node: Node, span: Span, args: tuple[Node, ...]) -> Node:
    """A scatter_add to the places of `span`: what is meant for others goes to one more, and that is left out. Each
    place has its own contributions in their order."""
    values, index = args
    first, last = (full(index.type, n) for n in span)
    rest = full(index.type, span[1] - span[0])
    mine = make("select", make("lt", index, last), make("sub", index, first), rest)
    mine = make("select", make("lt", index, first), rest, mine)
    sums = make("scatter_add", values, mine, batch=node["batch"], size=span[1] - span[0] + 1)
    return slice_axis(sums, node["batch"], 0, span[1] - span[0])


def operand_box(node: Node, operand: int, box: Box) -> Box:
    """What an operation reads of an operand for the part `box`, along whose axes it can be cut."""
    found = whole(node.args[operand].shape)
    for d, source in sources(node)[operand].items():
        if box[d] != (0, node.shape[d]):
            span = span_in(node, operand, d, box[d])
            assert span is not None
            found = with_span(found, source, span)
    return found


def rows_around(node: Node, box: Box) -> Box:
    """For a reshape to one axis: the part of the operand, in one piece there too, that has the places of `box`."""
    (first, last), found = box[0], list(whole(node.args[0].shape))
    inner = node.type.size
    for d, n in enumerate(node.args[0].shape):
        inner //= n
        found[d] = (first // inner % n, (last - 1) // inner % n + 1)
        if first // inner != (last - 1) // inner:
            break
    return tuple(found)


def concat_parts(node: Node, box: Box) -> list[tuple[Node, Box, Box]]:
    """Operands of a concat that are in `box`: which, their own part, and its place in the whole."""
    axis, at, found = node["axis"], 0, []
    for a in node.args:
        n = a.shape[axis]
        first, last = max(box[axis][0], at), min(box[axis][1], at + n)
        if first < last:
            found.append((a, with_span(box, axis, (first - at, last - at)), with_span(box, axis, (first, last))))
        at += n
    return found


def source_part(node: Node, box: Box) -> Node:
    """A part of a constant, or of iota."""
    bits = fill_bits(node)
    if bits is not None:
        return make("const", dtype=node.dtype, shape=shape_of(box), bits=(bits,))
    return cut_out(node, box)

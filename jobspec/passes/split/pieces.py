"""A step cut by its logical shards: blocks of pieces, the folds of what they give, the rest.

Takes: a step's program as the language made it, the names of its feeds, how many blocks are wanted. Promises: a graph
with the step's own bits, however many blocks it has: a block is a part of the contract's own tree over the pieces.

    before.K    operands of the pieces that are no state and no feed: random draws, tables, totals that pieces need
    block.K.B   the sums over an aligned block of pieces, folded there
    fold.K.L.B  two neighbouring blocks; behind it the share that needs them, where one does
    piece.K     the piece that is left over where their number is odd
    update.L.S  a share of what is made of the totals, where it is shared out (updates.py)
    finish      the rest of it: the update, the reports

K counts the sums over pieces: two where pieces need totals of the whole batch first, and one for each power of two
in the number of pieces.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from jobspec.ir.program import Node, Program, make, order, replace
from jobspec.ir.regions import body_input
from jobspec.ir.types import Type
from jobspec.passes.differentiate import differentiate
from jobspec.passes.split.folds import Nest, nests
from jobspec.passes.split.graph import STEP, Cut, Graph, Take, Task
from jobspec.passes.split.updates import Share, below, shared_out

Nodes = tuple[Node, ...]
Values = tuple[str, ...]
Outputs = tuple[tuple[str, Node], ...]


def cut_pieces(program: Program, feeds: Collection[str], blocks: int, shares: int = 1) -> Graph:
    """`program` in at least `blocks` blocks where it has so many pieces, and no more than it takes; a step without
    pieces is one task. `shares`: of what is made of the totals."""
    # a gradient goes through whatever lies between loss and parameter, so none may be left where values are cut
    program = differentiate(program)
    found = nests(program)
    cutter = Cutter(program, frozenset(feeds), found, exponent(found, blocks), shares)
    return cutter.graph()


def count(nest: Nest, exponent: int) -> int:
    """Blocks of 2^exponent pieces in a nest, one where it is smaller."""
    return 1 << max(0, nest.depth - exponent)


def exponent(found: Iterable[Nest], blocks: int) -> int:
    """The largest with which there are so many blocks, 0 where there never are."""
    last = latest(list(found))
    most = max((nest.depth for nest in last), default=0)
    fits = (e for e in range(most, 0, -1) if sum(count(nest, e) for nest in last) >= blocks)
    return next(fits, 0)


def latest(found: list[Nest]) -> list[Nest]:
    """The nests whose sums no other nest reads: pieces at work, not totals that they need first."""
    read = {node for nest in found for node in order(nest.node.args)}
    return [nest for nest in found if nest.node not in read]


@dataclass
class Cutter:
    """A graph under construction. `known`: node of the whole program → the value that holds it; `owners`: node → the
    share that alone needs it."""

    program: Program
    feeds: frozenset[str]
    nests: list[Nest]
    exponent: int
    count: int = 1
    owners: dict[Node, int] = field(default_factory=dict)
    known: dict[Node, str] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)

    def graph(self) -> Graph:
        given = tuple((node["name"], node.type) for node in self.program.inputs if node["name"] != STEP)
        self.known |= {node: node["name"] for node in self.program.inputs if node["name"] != STEP}
        left = leftovers(self.program, self.nests, self.feeds)
        shares = self.shares(left)
        for number, nest in enumerate(self.nests):
            self.add_nest(number, nest)
            if pieces := left.get(nest.node):
                self.add_known(f"piece.{number}", pieces)
        for share in shares:
            self.add_known(f"update.{share.level}.{share.share}", share.nodes, share.share)
        self.add_known("finish", self.program.results)
        results = tuple((name, self.known[node]) for name, node in self.program.outputs)
        return Graph(given, tuple(self.tasks), results)

    def shares(self, left: Mapping[Node, list[Node]]) -> list[Share]:
        """Of what is made of the sums over pieces; none where it is one task."""
        if self.count == 1:
            return []
        sums = {x for nest in self.nests for x in nest.sums} | {x for pieces in left.values() for x in pieces}
        shares, self.owners = shared_out(self.program.results, sums | self.known.keys(), self.count)
        return shares

    # ---- tasks that make nodes of the whole program

    def add_known(self, name: str, nodes: Iterable[Node], place: int | None = None) -> None:
        """A task for those of `nodes` that no value holds yet."""
        wanted = list(dict.fromkeys(node for node in nodes if node not in self.known))
        if not wanted:
            return
        images, takes = Reading(self).of(wanted)
        values = self.add(name, tuple((f"out.{i}", image) for i, image in enumerate(images)), takes, place)
        self.known |= zip(wanted, values, strict=True)

    def add(self, name: str, outputs: Outputs, takes: Iterable[Take], place: int | None = None) -> Values:
        """A task, and the values that it gives; what its program does not read is not taken."""
        gives = tuple((output, f"{name}:{i}") for i, (output, _) in enumerate(outputs))
        inputs = tuple(node for node in order(node for _, node in outputs) if node.op == "input")
        read = {node["name"] for node in inputs}
        taken = tuple(take for take in takes if take.input in read)
        self.tasks.append(Task(name, Program(inputs, outputs), taken, gives, place))
        return tuple(value for _, value in gives)

    # ---- the pieces

    def add_nest(self, number: int, nest: Nest) -> None:
        rows, shared = nest.rows, nest.shared
        operands = (*(whole_rows(x)[0] for x in rows), *(x for x in shared if x.op != "const"))
        self.add_known(f"before.{number}", operands)
        size = min(self.exponent, nest.depth)
        block = nest.block(size)
        constants = {inside: x for inside, x in zip(block.common, shared, strict=True) if x.op == "const"}
        outputs = tuple((f"sum.{i}", x) for i, x in enumerate(replace(block.sums, constants)))
        made, blocks = [], count(nest, size)
        for place in range(blocks):
            takes = [*self.cut_takes(block.cuts, rows, place, blocks), *self.shared_takes(block.common, shared)]
            made.append(self.add(f"block.{number}.{place}", outputs, takes))
        for owner, numbers in self.owned(nest.sums).items():
            parts = [tuple(values[i] for i in numbers) for values in made]
            sums = [nest.sums[i] for i in numbers]
            self.known |= zip(sums, self.fold(number, sums, parts, owner), strict=True)

    def owned(self, sums: Nodes) -> dict[int | None, list[int]]:
        """Numbers of the sums, by the share that needs them; None for those that more than one does."""
        found: dict[int | None, list[int]] = {}
        for i, x in enumerate(sums):
            found.setdefault(self.owners.get(x), []).append(i)
        return found

    def cut_takes(self, inputs: Nodes, rows: Nodes, place: int, blocks: int) -> Iterator[Take]:
        """The rows of block number `place`."""
        for inside, x in zip(inputs, rows, strict=True):
            whole, first = whole_rows(x)
            size = x.shape[0] // blocks
            yield Take(inside["name"], self.known[whole], Cut(0, first + place * size, first + (place + 1) * size))

    def shared_takes(self, inputs: Nodes, shared: Nodes) -> Iterator[Take]:
        for inside, x in zip(inputs, shared, strict=True):
            if x.op != "const":
                yield Take(inside["name"], self.known[x])

    def fold(self, nest: int, sums: Sequence[Node], blocks: list[Values], owner: int | None) -> Values:
        """The values of totals: tasks add neighbours until one is left."""
        outputs, level = folding(x.type for x in sums), 0
        mine = "" if owner is None else f".{owner}"
        while len(blocks) > 1:
            level += 1
            pairs = [both(*pair) for pair in zip(blocks[::2], blocks[1::2], strict=True)]
            blocks = [self.add(f"fold.{nest}.{level}.{i}{mine}", outputs, p, owner) for i, p in enumerate(pairs)]
        return blocks[0]


def both(left: Iterable[str], right: Iterable[str]) -> list[Take]:
    """What a fold of two blocks takes."""
    sides = (("left", left), ("right", right))
    return [Take(f"{side}.{i}", value) for side, values in sides for i, value in enumerate(values)]


def folding(kinds: Iterable[Type]) -> Outputs:
    """What adds two blocks."""
    pairs = [(body_input(f"left.{i}", kind), body_input(f"right.{i}", kind)) for i, kind in enumerate(kinds)]
    return tuple((f"sum.{i}", make("add", left, right)) for i, (left, right) in enumerate(pairs))


def whole_rows(x: Node) -> tuple[Node, int]:
    """The tensor of which `x` is rows one after another, and the first of them."""
    if x.op == "slice" and is_rows(x):
        return x.args[0], x["start"][0]
    return x, 0


def is_rows(x: Node) -> bool:
    """Whether a slice takes rows one after another, whole."""
    rest = zip(x["start"][1:], x["stop"][1:], x.args[0].shape[1:], strict=True)
    return set(x["step"]) == {1} and all(a == 0 and b == n for a, b, n in rest)


def leftovers(program: Program, found: Iterable[Nest], feeds: Collection[str]) -> dict[Node, list[Node]]:
    """Loop → what is added to its sums and is made from a batch: the piece that is in no loop."""
    loops = {nest.node for nest in found}
    of_batch: set[Node] = set()
    left: dict[Node, list[Node]] = {}
    for node in program.nodes():
        if (node.op == "input" and node["name"] in feeds) or any(a in of_batch for a in node.args):
            of_batch.add(node)
        if node.op == "add" and is_sum(node.args[0], loops):
            x = node.args[1]
            goes_on = is_sum(x, loops) or (x.op == "add" and is_sum(x.args[0], loops))
            if not goes_on and x in of_batch:
                left.setdefault(node.args[0].args[0], []).append(x)
    return left


def is_sum(node: Node, loops: Collection[Node]) -> bool:
    return node.op == "get" and node.args[0] in loops


@dataclass
class Reading:
    """Nodes of the whole program in terms of values. `inputs`: (value, part of it) → the input that stands for it."""

    cutter: Cutter
    inputs: dict[tuple[str, Cut | None], Node] = field(default_factory=dict)

    def of(self, nodes: Iterable[Node]) -> tuple[list[Node], list[Take]]:
        """The nodes, and what their program takes."""
        wanted = list(nodes)
        mapping = {node: image for node in below(wanted, self.cutter.known) if (image := self.image(node)) is not None}
        images = replace(wanted, mapping)
        return images, [Take(node["name"], value, cut) for (value, cut), node in self.inputs.items()]

    def image(self, node: Node) -> Node | None:
        """The input that stands for a node: what a value holds, and rows of a feed."""
        known = self.cutter.known
        if node in known:
            return self.input(known[node], None, node.type)
        if node.op == "slice" and is_rows(node) and known.get(node.args[0]) in self.cutter.feeds:
            return self.input(known[node.args[0]], Cut(0, node["start"][0], node["stop"][0]), node.type)
        return None

    def input(self, value: str, cut: Cut | None, kind: Type) -> Node:
        if (value, cut) not in self.inputs:
            rows = f"[{cut.first}:{cut.last}]" if cut else ""
            self.inputs[value, cut] = body_input(value + rows, kind)
        return self.inputs[value, cut]

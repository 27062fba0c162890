"""From a region (a program or a loop body) to a linear list of kernel calls over buffers.

Takes: a program, where its inputs lie and where its outputs must go. Promises: after the steps every
output lies at its target, although targets may be the very memory of inputs: whoever reads the old
value comes first. Buffers get numbers here and places later (memory.py); barriers come later too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from jobspec.ir.plan import Call, Steps, Turns
from jobspec.ir.program import Node, Program, body_of, make
from jobspec.ir.types import Type
from jobspec.passes.calls import Caller, Locate, parts
from jobspec.passes.fuse import fuse
from jobspec.passes.groups import PRODUCTS, REDUCES, Group, Grouping
from jobspec.passes.lower import Location, NeedsCopy, Store
from jobspec.passes.reads import chain_of
from jobspec.passes.views import Strided, follow, tidy
from jobspec.passes.widen import written_out
from jobspec.passes.workshop import Workshop

#: operand of a pad or concat, the value that it is of another shape, where its elements go
Part = tuple[Node, Node, Strided]


@dataclass(frozen=True)
class Target:
    """Output `node` goes to `location`; `flag` names what a non-finite element raises, None: no check."""

    node: Node
    location: Location
    flag: str | None = None


def compile_region(
    shop: Workshop, program: Program, inputs: dict[Node, Location], targets: list[Target], depth: int
) -> Steps:
    """The steps of one region, `depth` loops deep."""
    asked: frozenset[Node] = frozenset()
    while True:
        marks = shop.marks()
        try:
            return Region(shop, program, inputs, targets, depth, asked).steps()
        except NeedsCopy as need:
            asked |= set(need.operands)
            shop.back_to(marks)


class Region:
    """One attempt at a region."""

    def __init__(
        self,
        shop: Workshop,
        program: Program,
        inputs: dict[Node, Location],
        targets: list[Target],
        depth: int,
        asked: frozenset[Node],
    ) -> None:
        self.shop, self.inputs, self.targets, self.depth = shop, inputs, targets, depth
        self.lying: dict[int, list[Node]] = {}
        for node, at in inputs.items():
            self.lying.setdefault(at.buffer, []).append(node)
        self.asked = asked | rotated(inputs, targets) | written_out(program.nodes())
        self.grouping = fuse(list(program.nodes()), [t.node for t in targets], inputs, self.asked)
        self.extra: dict[Group, list[Store]] = {}
        #: what each group takes, by its number, and the groups that read an input from where it lies
        self.taken: list[dict[Node, None]] = []
        self.readers: dict[Node, list[Group]] = {}
        self.places: dict[Node, Location] = {}
        self.carries: dict[Node, list[Location]] = {}
        self.around: dict[Group, list[Node]] = {}
        self.caller = Caller(shop, self.grouping, self._locate)
        self.woven = {g: found for g in self.grouping.groups if (found := woven_parts(g, self.grouping))}

    def steps(self) -> Steps:
        for group in list(self.grouping.groups):
            if group.kind == "loop":
                self._prepare_loop(group)
        direct = [t for t in self.targets if t.node in self.grouping.home]
        writers = [self._aim(t) for t in [*(t for t in self.targets if t not in direct), *direct]]
        self._order_writers([w for w in writers if w is not None])
        self._own_buffers()
        return self._made(self._ordered())

    def _made(self, groups: list[Group]) -> Steps:
        """The steps of all groups. Raises NeedsCopy with what any of their kernels needs."""
        result: list[Call | Turns] = []
        needed: dict[Node, None] = {}
        for group in groups:
            try:
                result += self._emit(group)
            except NeedsCopy as need:
                assert need.operands and not set(need.operands) <= self.asked, need
                needed |= dict.fromkeys(need.operands)
        if needed:
            raise NeedsCopy(tuple(needed))
        return tuple(result)

    # ---- where values go

    def _write(self, node: Node, location: Location, flag: int = -1) -> Group:
        """Have `node` written to `location`, by the group that computes it where there is one."""
        home = self.grouping.home.get(node)
        if home is None or home.kind == "loop" or node.op in ("pad", "concat", "scatter_add", "route"):
            home = self.grouping.copier(node)
        self.extra.setdefault(home, []).append(Store(node, location, None, flag))
        return home

    def _prepare_loop(self, group: Group) -> None:
        """Give the loop memory for what it carries and stacks, and have initial values written there."""
        (loop,) = group.nodes
        carried = loop["carried"]
        types = loop.result if isinstance(loop.result, tuple) else ()
        self.carries[loop] = [self._new(f"loop.{i}", type, made_by(loop, i)) for i, type in enumerate(types)]
        for operand, location in zip(loop.args[:carried], self.carries[loop][:carried], strict=True):
            self.grouping.after(group, [self._write(operand, location)])

    def _new(self, name: str, type: Type, value: Node) -> Location:
        return Location(self.shop.buffer(name, type, value), 0, (0,) * self.depth)

    def _aim(self, target: Target) -> tuple[Group, Location] | None:
        """Have an output end at its target; the group that writes there, None where it lies there already."""
        node, location = target.node, target.location
        if self.inputs.get(node) == location and node not in self.grouping.copied:
            return None
        flag = self.shop.flag(target.flag) if target.flag else -1
        readers = self._readers(location)
        home = self.grouping.home.get(node)
        if home is not None and node not in self.places and self._may_overwrite(home, node, readers, location):
            self._write(node, location, flag)
            self.places[node] = location
        elif home in self.woven and node not in self.places and flag < 0 and not self._inputs_at(location):
            self.places[node] = location
            self._give(home, node)
        else:
            home = self.grouping.copier(node)
            self.extra.setdefault(home, []).append(Store(node, location, None, flag))
        self.grouping.after(home, readers)
        return home, location

    def _order_writers(self, writers: list[tuple[Group, Location]]) -> None:
        """Whoever reads an input that is overwritten comes before the writer; groups made by `_aim` included."""
        for writer, location in writers:
            readers = [r for r in self._readers(location) if r is not writer]
            assert not any(self.grouping.depends(r, writer) for r in readers), "rotating inputs are copied first"
            self.grouping.after(writer, readers)

    def _readers(self, location: Location) -> list[Group]:
        """Groups that read the input which lies at `location`; of a copied input only the group that copies it."""
        self._take_all()
        return list(dict.fromkeys(g for n in self._inputs_at(location) for g in self.readers.get(n, ())))

    def _take_all(self) -> None:
        """Find what groups read that are new. What has nodes reads no more for its stores: they store these nodes. A
        copier has the one store that it was made for."""
        for group in self.grouping.groups[len(self.taken) :]:
            self.taken.append(reads := self._reads(group))
            for node in reads:
                if node in self.inputs and (node not in self.grouping.copied or node in group.nodes):
                    self.readers.setdefault(node, []).append(group)

    def _inputs_at(self, location: Location) -> list[Node]:
        return self.lying.get(location.buffer, [])

    def _reads(self, group: Group) -> dict[Node, None]:
        reads, copied = self.grouping.reads, self.grouping.copied
        found: dict[Node, None] = {}
        woven = [part for part, _, _ in self.woven.get(group, [])]
        for node in group.nodes:
            given = node.args[node["carried"] :] if node.op == "loop" else [a for a in node.args if a not in woven]
            if node not in copied:
                found |= dict.fromkeys(reads.of_all(given))
        for node in [*(s.value for s in self.extra.get(group, [])), *group.nodes]:
            if group.kind == "copy":
                below = node in group.nodes and node in copied
                found |= dict.fromkeys(reads.below(node) if below else reads.of(node))
        return found

    def _may_overwrite(self, home: Group, node: Node, readers: list[Group], location: Location) -> bool:
        if home.kind in ("loop", "copy", "scatter", "route"):
            return False
        if any(self.grouping.depends(r, home) for r in readers):
            return False
        return home not in readers or self._reads_in_step(home, node, location)

    def _reads_in_step(self, group: Group, node: Node, location: Location) -> bool:
        """Whether `group` reads the old value only at the element that it writes, and only once."""
        old = {n for n in self._inputs_at(location) if n not in self.grouping.copied}
        straight = node.shape == (group.outside if group.kind == "columns" else group.domain)
        reads = [a for n in group.nodes for a in n.args if self._touches(a, old)]
        plain = all(a in old or (chain_of(a)[0] in self.grouping.virtual and not chain_of(a)[1]) for a in reads)
        folding = (*REDUCES, *PRODUCTS, "gather")
        folded = any(self._touches(a, old) for n in group.nodes if n.op in folding for a in n.args)
        return straight and plain and not folded and not (group.kind == "rows" and group.inner)

    def _touches(self, node: Node, old: set[Node]) -> bool:
        return any(n in old for n in self.grouping.reads.of(node))

    def _own_buffers(self) -> None:
        """A buffer for every value that another group reads and that has no target to be read from."""
        self._take_all()
        for group, reads in zip(self.grouping.groups, self.taken, strict=True):
            for node in reads:
                home = self.grouping.home.get(node)
                if home is not None and home is not group and home.kind != "loop" and node not in self.places:
                    self.places[node] = self._new(node.op, node.type, node)
                    self._give(home, node)

    def _give(self, home: Group, node: Node) -> None:
        """Have `home` write `node` to its place; parts that others weave in, those."""
        self.extra.setdefault(home, []).append(Store(node, self.places[node]))
        for _, base, walk in self.woven.get(home, []):
            maker = self.grouping.home[base]
            self.extra.setdefault(maker, []).append(Store(base, self.places[node], walk))
            self.around.setdefault(maker, []).append(node)

    def _ordered(self) -> list[Group]:
        done, result = 0, []
        waiting = list(self.grouping.groups)
        while waiting:
            group = next(g for g in waiting if not self.grouping.above[g.number] & ~done)
            waiting.remove(group)
            done |= 1 << group.number
            result.append(group)
        return result

    def _seen_from(self, group: Group) -> Locate:
        """Where nodes lie for `group`; a group that copies an input sees the input, not the copy."""
        return lambda node: self._origin(node) if node in group.nodes else self._locate(node)

    def _locate(self, node: Node) -> Location:
        return self.places[node] if node in self.places else self._origin(node)

    def _origin(self, node: Node) -> Location:
        if node in self.inputs:
            return self.inputs[node]
        if node.op == "get":
            index: int = node["index"]
            return self.carries[node.args[0]][index]
        assert node.op == "const", node
        return Location(self.shop.constant(node), 0, (0,) * self.depth)

    # ---- kernels

    def _emit(self, group: Group) -> Sequence[Call | Turns]:
        if group.kind == "loop":
            return [self._loop(group.nodes[0])]
        around = [call for pad in self.around.get(group, []) for call in self.caller.margins(pad, self.places[pad])]
        stores, woven = self.extra.get(group, []), [part for part, _, _ in self.woven.get(group, [])]
        return [*around, *self.caller.calls(group, stores, self._seen_from(group), woven)]

    def _loop(self, loop: Node) -> Turns:
        body, count, carried = body_of(loop), loop["count"], loop["carried"]
        own = [deepen(at, 0) for at in self.carries[loop][:carried]]
        given = [self._locate(a) for a in loop.args[carried:]]
        sliced = [deepen(at, prod(a.shape[1:])) for at, a in zip(given, loop.args[carried:], strict=True)]
        cut = loop["sliced"]
        shared = [deepen(at, 0) for at in given[cut:]]
        turn = Location(self.shop.counter(count), 0, (*(0,) * self.depth, 1))
        inputs = dict(zip(body.inputs, [turn, *own, *sliced[:cut], *shared], strict=True))
        made = zip(self.carries[loop][carried:], body.results[carried:], strict=True)
        stacks = [deepen(at, node.type.size) for at, node in made]
        targets = [Target(n, at) for n, at in zip(body.results, [*own, *stacks], strict=True)]
        return Turns(count, loop["reverse"], compile_region(self.shop, body, inputs, targets, self.depth + 1))


def woven_parts(group: Group, grouping: Grouping) -> list[Part]:
    """Of the pad or concat that `group` is there for, the parts that a group makes element by element which can as well
    write them where they belong."""
    node = group.nodes[0] if group.kind == "copy" and group.nodes else None
    if node is None or node.op not in ("pad", "concat") or node in grouping.copied:
        return []
    found = []
    for part, walk in parts(node):
        base, moves = chain_of(part, grouping.copied)
        home = grouping.home.get(base)
        if home is None or any(move.op != "reshape" for move in moves):
            continue
        there = follow(walk, [make("reshape", part, shape=base.shape)])
        if there is not None and weaves(home, there):
            found.append((part, base, there))
    return found


def weaves(home: Group, walk: Strided) -> bool:
    """Whether `home` can as well go where `walk` leads; what multiplies, only where that is one run of memory."""
    if home.kind == "contract":
        return len(tidy(tuple(digit for digits in walk.axes for digit in digits))) <= 1
    return home.kind in ("rows", "columns") and len(home.inner) < 2


def made_by(loop: Node, number: int) -> Node:
    """What makes result `number` of a loop: a node of the body; for what only passes through, who made it before."""
    body = body_of(loop)
    value = body.results[number]
    at = body.inputs.index(value) - 1 if value.op == "input" else -1
    if at < 0:
        return value
    return body.results[at] if at < loop["carried"] else loop.args[at]


def deepen(location: Location, stride: int) -> Location:
    """The same memory seen from inside one more loop, `stride` elements further each turn."""
    return Location(location.buffer, location.offset, (*location.turns, stride))


def rotated(inputs: dict[Node, Location], targets: list[Target]) -> set[Node]:
    """Inputs that move into the place of another input while their own place is overwritten: copied first."""
    places = {at.buffer for at in inputs.values()}
    written = {t.location.buffer for t in targets if inputs.get(t.node) != t.location}
    return {
        t.node
        for t in targets
        if t.node in inputs and inputs[t.node] != t.location
        if t.location.buffer in places and inputs[t.node].buffer in written
    }

"""What a training step does, as a cluster would do it: contractions, attention, passes over memory, by place.

Takes: a job, a phase's routine, its mesh. Promises: work of one piece (one micro-batch), whole, before any mesh divides
it; from kernels of the plan and nothing else. Values are as wide as contractions take them (`compute = bf16`: 2
bytes); moves and roundings ride with their neighbours; what is kept for the way back is the result of each
contraction, and cheaper values are made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from jobspec.estimating.anatomy import AFTER, BACK, BEFORE, LAYERS, MIDDLE, UPDATE, Anatomy, Placed, anatomy
from jobspec.estimating.attention import Inner, inner, product_of
from jobspec.estimating.weights import Weights, moves, weights
from jobspec.ir.contract import BF16_PROFILE, FAST_PROFILE
from jobspec.ir.job import Job
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Routine
from jobspec.ir.types import DTYPES, SIZES
from jobspec.passes.layout import slot_buffers
from jobspec.passes.tally import of_kernel, touched

#: profiles whose contractions take bfloat16
HALVED = (BF16_PROFILE, FAST_PROFILE)
#: bytes of a sum of gradients: read and written
ADDED = 2 * DTYPES["f32"]


@dataclass(frozen=True)
class Operation:
    """A kernel of one piece, or of the update. `flop` of contractions, `other` operations, `moved` bytes; `useful`:
    what of `flop` the model asks for; `attention`: it stays on the chip; `count`: how often it runs at its place."""

    flop: float = 0.0
    other: float = 0.0
    moved: float = 0.0
    useful: float = 0.0
    attention: bool = False
    count: int = 1


@dataclass(frozen=True)
class Work:
    """A step. `at`: operations of one piece by place, of LAYERS and BACK for one layer; `summed`: elements of results
    that are sums over parts of a cut axis, one entry a contraction, by place; `kept`: elements of one layer that the
    way back needs; `handed`: those that it hands on, the result of its last contraction; `met`: elements of one layer's
    attention that all places of a window need; `wide`: bytes of the largest value outside of layers; `width`: bytes of
    a value; `looked_up`: weights of which an index picks rows."""

    pieces: int
    layers: int
    width: int
    at: Mapping[str, tuple[Operation, ...]]
    summed: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    kept: int = 0
    handed: int = 0
    met: int = 0
    wide: int = 0
    looked_up: frozenset[str] = frozenset()

    @property
    def useful(self) -> float:
        """FLOP of a whole step that the model asks for."""
        return self.pieces * sum(self.useful_at(place) for place in self.at)

    def useful_at(self, place: str) -> float:
        """Of a piece, all layers."""
        once = sum(o.useful * o.count for o in self.at[place])
        return once * (self.layers if place in (LAYERS, BACK) else 1)


def work_of(job: Job, routine: Routine, tensor: Sequence[str], stacked: str | None) -> Work:
    """`tensor`: axes of the job that several devices share, `stacked`: the axis that a pipeline cuts."""
    turns = dict(job.sizes)[stacked] if stacked else None
    return Maker(job, routine, anatomy(routine, turns), weights(job, routine, tensor, stacked)).work()


@dataclass
class Maker:
    """One step in the making."""

    job: Job
    routine: Routine
    anatomy: Anatomy
    weights: Weights

    def work(self) -> Work:
        working = (call for call in self.anatomy.calls if not moves(self.kernel(call)))
        calls = [found for call in working if (found := self.settled(call))]
        piece = {c.kernel: self.kernel(c) for c in calls if c.place != UPDATE}
        attention = inner(piece, self.weights)
        at = {place: tuple(self.operations(calls, place, attention)) for place in PLACES}
        ends = [c for c in calls if c.place == MIDDLE and c.kernel not in attention.kernels]
        return Work(
            pieces=self.anatomy.pieces,
            layers=self.anatomy.layers,
            width=self.width,
            at=at,
            summed={place: tuple(self.summed(calls, place)) for place in PLACES},
            kept=self.kept_of(calls, attention) if attention.kernels else self.planned(),
            handed=self.handed(calls),
            met=sum(self.met(call, attention) for call in calls if call.place == LAYERS),
            wide=max(map(self.widest, ends), default=0),
            looked_up=frozenset(self.looked_up(calls)),
        )

    @property
    def width(self) -> int:
        return 2 if self.job.profile in HALVED else DTYPES["f32"]

    def kernel(self, call: Placed) -> Kernel:
        return self.routine.kernels[call.kernel]

    def settled(self, call: Placed) -> Placed | None:
        """The call where it belongs: what works on whole weights outside of layers is part of the update, or adds up
        gradients of pieces, which counts with the contractions that make them."""
        kernel = self.kernel(call)
        if call.place in (LAYERS, BACK, UPDATE) or kernel.kind != "rows" or self.picks(kernel):
            return call
        shapes = {slot.type for slot in self.job.state if slot.type.size > 1}
        if not any(self.routine.buffers[view.buffer].type in shapes for view, _ in kernel.views()):
            return call
        return None if self.anatomy.cut else Placed(call.kernel, UPDATE, call.count)

    def picks(self, kernel: Kernel) -> bool:
        return any(inst.op == "load" and inst.args for inst in kernel.body)

    def operations(self, calls: Sequence[Placed], place: str, attention: Inner) -> Iterator[Operation]:
        """With the scores that the way back makes once more."""
        for call in (c for c in calls if c.place == place):
            yield self.operation(call, attention)
        if place == BACK and any(c.kernel in attention.kernels for c in calls if c.place == BACK):
            made = [c for c in calls if c.place == LAYERS and c.kernel in attention.makes]
            yield Operation(flop=sum(self.operation(c, attention).flop * c.count for c in made), attention=True)

    def operation(self, call: Placed, attention: Inner) -> Operation:
        kernel, tally = self.kernel(call), of_kernel(self.kernel(call), self.routine.buffers)
        if call.kernel in attention.kernels:
            flop = tally.contractions * (0.5 if attention.masked else 1.0)
            moved = self.bytes_of(kernel, call.place, attention.values)
            return Operation(flop=flop, moved=moved, useful=flop, attention=True, count=call.count)
        moved = self.bytes_of(kernel, call.place, frozenset())
        contractions = float(tally.contractions)
        return Operation(contractions, float(tally.others), moved, contractions, count=call.count)

    def bytes_of(self, kernel: Kernel, place: str, aside: frozenset[int]) -> float:
        """Bytes through memory; values as wide as contractions take them, but in the update and in gradients."""
        if kernel.kind == "contract" and place != UPDATE and self.is_gradient(kernel):
            product = product_of(kernel)
            inputs = product.sizes["a"] + product.sizes["b"]
            return float(self.width * inputs + ADDED * product.sizes["out"])
        read, written = touched(kernel, self.routine.buffers)
        narrow = place != UPDATE
        return sum(
            count * (self.share(number) if narrow else 1.0)
            for table in (read, written)
            for number, count in table.items()
            if number not in aside
        )

    def share(self, number: int) -> float:
        """What of a buffer's bytes there is where values are `width` bytes wide."""
        item = SIZES[self.routine.buffers[number].type.dtype]
        own = any(number == buffer for _, buffer in self.routine.slots)
        return self.width / item if item > self.width and not own else 1.0

    def is_gradient(self, kernel: Kernel) -> bool:
        """Whether a contraction makes what is added to a gradient: as many numbers as a weight's layer has."""
        product = product_of(kernel)
        if {product.a, product.b} & self.weights.slots.keys():
            return False
        sizes = {slot.type.size for slot in self.job.state if slot.kind == "parameter"}
        sizes |= {size // self.anatomy.layers for size in sizes if size % self.anatomy.layers == 0}
        return product.sizes["out"] in sizes

    def summed(self, calls: Sequence[Placed], place: str) -> Iterator[int]:
        """Elements of each result that is a sum over parts."""
        for call in (c for c in calls if c.place == place):
            kernel = self.kernel(call)
            views = [inst[name] for inst in kernel.body if inst.op == "product" for name in ("a", "b")]
            if any(self.weights.sums_over_parts(kernel, view) for view in views):
                yield product_of(kernel).sizes["out"]
            elif self.picks(kernel) and any(self.weights.cut.get(s) for s in self.looked_up([call])):
                yield prod(axis.size for axis in kernel.axes)

    def kept_of(self, calls: Sequence[Placed], attention: Inner) -> int:
        """Elements that a layer's contractions give, but for scores."""
        forth = [call for call in calls if call.place == LAYERS and call.kernel not in attention.makes]
        products = (call for call in forth if self.kernel(call).kind == "contract")
        return sum(call.count * product_of(self.kernel(call)).sizes["out"] for call in products)

    def handed(self, calls: Sequence[Placed]) -> int:
        products = [c for c in calls if c.place == LAYERS and self.kernel(c).kind == "contract"]
        return product_of(self.kernel(products[-1])).sizes["out"] if products else 0

    def planned(self) -> int:
        """Without attention: elements that the plan has room for beside state and gradients, a layer's part of them."""
        parameters = sum(slot.type.size for slot in self.job.state if slot.kind == "parameter")
        sums = self.anatomy.pieces.bit_length() * parameters if self.anatomy.cut else parameters
        room = (self.routine.arena - slot_buffers(self.job.state)[1]) // DTYPES["f32"] - sums
        return max(0, room) // self.anatomy.layers

    def met(self, call: Placed, attention: Inner) -> int:
        """Elements of the keys, or of the values: the smaller operand beside the one that stays on the chip."""
        if call.kernel not in attention.kernels or self.kernel(call).kind != "contract":
            return 0
        sizes = product_of(self.kernel(call)).sizes
        return call.count * min(sizes["a"], sizes["b"])

    def widest(self, call: Placed) -> int:
        kernel = self.kernel(call)
        if kernel.kind == "contract" and self.is_gradient(kernel):
            return 0
        mine = {view.buffer for view, _ in kernel.views()} - self.weights.slots.keys()
        _, written = touched(kernel, self.routine.buffers)
        return max((count for number, count in written.items() if number in mine), default=0)

    def looked_up(self, calls: Sequence[Placed]) -> Iterator[str]:
        """Weights of which an index picks rows."""
        for call in calls:
            for inst in self.kernel(call).body:
                if inst.op == "load" and inst.args and (slot := self.weights.of(inst["view"])):
                    yield slot.name


PLACES = (BEFORE, LAYERS, MIDDLE, BACK, AFTER, UPDATE)

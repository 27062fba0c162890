"""Parameters and other state, by name.

Takes: declarations as the layers' bodies reach them. Promises: a name means one tensor, declared once (or again in just
the same way, where a label shares it); slots in the order of first declaration; each with the node of its first value.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from jobspec.ir.job import Slot
from jobspec.ir.program import Node, make
from jobspec.ir.types import Type
from jobspec.lang.refusal import Refusal
from jobspec.lang.source import Span
from jobspec.lang.values import Axes, Entry, Tensor

KINDS = ("parameter", "layer", "optimizer")


@dataclass(frozen=True, eq=False)
class Held:
    """One slot of state: its tensor at the outermost region, and its first value. `stacks`: leading axes that come
    from `repeat`."""

    slot: Slot
    tensor: Tensor
    initial: Node
    stacks: int
    span: Span

    @property
    def is_matrix(self) -> bool:
        """A linear map. A bias `b: H K` has two axes and is none."""
        return self.tensor.is_map

    def same_as(self, other: Held) -> bool:
        mine, others = self.tensor, other.tensor
        return (self.slot, mine.left, mine.right, self.initial, self.stacks) == (
            other.slot,
            others.left,
            others.right,
            other.initial,
            other.stacks,
        )


@dataclass(eq=False)
class Registry:
    """`held`: by name, in order of declaration. Frozen after the training step: evaluations declare nothing new.
    `phase`: the phase at hand, from the second on: the model is what the first one declared. `place`: that phase, or an
    evaluation with other dims, in words."""

    held: dict[str, Held] = field(default_factory=dict)
    frozen: bool = False
    phase: str = ""
    place: str = ""

    def of_kind(self, kind: str) -> list[Held]:
        return [h for h in self.held.values() if h.slot.kind == kind]

    def ordered(self) -> list[Held]:
        """Parameters, what layers keep, what optimizers keep: the order of the job's state."""
        return [h for kind in KINDS for h in self.of_kind(kind)]

    def declare(self, new: Held) -> Held:
        """The slot of this name. Refuses a second, different declaration, and a new one in an evaluation."""
        old = self.held.get(new.slot.name)
        if old is None:
            if self.frozen:
                raise unknown_in_evaluation(new.slot.name)
            if self.phase and new.slot.kind != "optimizer":
                raise new_in_phase(new.slot.name, self.phase)
            self.held[new.slot.name] = new
            return new
        if not old.same_as(new) and self.place:
            raise other_in(self.place, old, new)
        if not old.same_as(new):
            raise Refusal(
                "E0241",
                f"`{old.slot.name}` is declared twice, and not in the same way",
                notes=(f"first at line {old.span.line}: {shown(old)}; here: {shown(new)}",),
                help="label one of the calls, as in `a:layer(x)`, so that the names differ",
            )
        return old


def unknown_in_evaluation(name: str) -> Refusal:
    return Refusal(
        "E0320",
        f"training has no parameter or state `{name}`",
        help="evaluate with the layers, axes and labels that the loss uses",
    )


def new_in_phase(name: str, phase: str) -> Refusal:
    return Refusal(
        "E0344",
        f"the phases before `{phase}` have no `{name}`",
        help="the state is the same in all phases: let the first one's loss have the layer too, and `freeze` it there",
    )


def other_in(place: str, old: Held, new: Held) -> Refusal:
    return Refusal(
        "E0344",
        f"`{old.slot.name}` would be another tensor in {place}",
        notes=(f"before: {shown(old)}; here: {shown(new)}",),
        help="the state is the same everywhere: rebind only axes that no parameter has, nor its first value",
    )


def shown(held: Held) -> str:
    return f"{' '.join(held.slot.axes)} {held.slot.type}"


def slot_tensor(slot: Slot, left: int, right: int, span: Span) -> Tensor:
    """The slot as an input of a program."""
    node = make("input", name=slot.name, dtype=slot.type.dtype, shape=slot.type.shape)
    words = "parameter" if slot.kind == "parameter" else "state"
    entry = Entry(f"{words} `{slot.name}` (line {span.line})", span)
    return Tensor(node, slot.axes, left, right, dict.fromkeys(slot.axes, entry))


def hold(
    name: str,
    kind: str,
    axes: Axes,
    shape: tuple[int, ...],
    arrow: tuple[int, int],
    initial: Node,
    stacks: int,
    span: Span,
) -> Held:
    slot = Slot(name, kind, Type("f32", shape), axes)
    return Held(slot, slot_tensor(slot, *arrow, span), initial, stacks, span)

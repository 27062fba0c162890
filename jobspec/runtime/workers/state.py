"""The state of a run among workers: on the head, with them, or both; whole or in blocks.

Takes: arrays that the head writes, parcels that tasks give. Promises: any part of any slot, and of any block of it, as
a parcel or an array; what the head has once had of it stays until the slot changes. Arrays given out are not changed
later. A digest that a maker says is believed as the value itself is: whoever takes the value hashes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from jobspec.ir.digest import Digest
from jobspec.ir.job import Slot
from jobspec.passes.split.boxes import Box
from jobspec.passes.split.graph import Cut
from jobspec.runtime.workers.crew import Crew, Parcel
from jobspec.runtime.workers.shelf import Shelf
from jobspec.runtime.workers.work import Part
from jobspec.runtime.workers.worker import part
from jobspec.store.checkpoint import array_digest

Array = NDArray[Any]


@dataclass(frozen=True)
class Place:
    """What a value of state is of a slot: `box`, or all of it where None."""

    slot: str
    box: Box | None = None


@dataclass
class Held:
    """A slot's value: `array`, where the head has it; `parcels`: what workers can take of it."""

    array: Array | None = None
    parcels: dict[Part, Parcel] = field(default_factory=dict)


class State:
    """`places`: every name under which tasks take or give state; `shelf`: where the head puts arrays."""

    def __init__(self, crew: Crew, slots: Iterable[Slot], shelf: Shelf | None = None) -> None:
        self._crew, self._shelf = crew, shelf or Shelf()
        self._types = {slot.name: slot.type for slot in slots}
        self._held: dict[str, Held] = {}
        self.places: dict[str, Place] = {name: Place(name) for name in self._types}

    def dtype(self, slot: str) -> str:
        return self._types[slot].dtype

    def write(self, slot: str, array: Array) -> None:
        """An array that nobody else changes."""
        self._held[slot] = Held(self._shelf.put(self._types[slot], array))

    def put(self, slot: str, made: Mapping[str, Parcel]) -> None:
        """Results are the slot's value: itself, or all its blocks, by name."""
        self._held[slot] = Held(None, {(name, None): parcel for name, parcel in made.items()})

    def array(self, slot: str) -> Array:
        """Raises crew.Gone."""
        held = self._held[slot]
        if held.array is None:
            whole = held.parcels.get((slot, None))
            kind = self._types[slot]
            held.array = self._shelf.put(kind, self._crew.fetch(whole)) if whole else self._joined(slot, held)
        return held.array

    def digest(self, slot: str) -> Digest:
        """What the slot's maker says, where it is one value. Raises crew.Gone."""
        whole = self._held[slot].parcels.get((slot, None))
        return whole.digest if whole is not None else array_digest(self.array(slot))

    def parcel(self, name: str, cut: Cut | None) -> Parcel:
        """Raises crew.Gone where only workers had what is asked for, and have lost it."""
        place = self.places[name]
        held = self._held[place.slot]
        if (name, cut) not in held.parcels:
            array = part(boxed(self.array(place.slot), place.box), cut)
            held.parcels[name, cut] = self._crew.share(array, array_digest(array))
        return held.parcels[name, cut]

    def kept(self) -> dict[str, Array]:
        """All of it, on the head: what `restore` goes back to. Raises crew.Gone."""
        return {slot: self.array(slot) for slot in self._held}

    @property
    def is_here(self) -> bool:
        """Whether the head has all of it."""
        return all(held.array is not None for held in self._held.values())

    def restore(self, kept: dict[str, Array]) -> None:
        """The state as it was then; workers are to take it anew."""
        self._held = {slot: Held(array) for slot, array in kept.items()}

    def _joined(self, slot: str, held: Held) -> Array:
        """Blocks are fetched one after another."""
        wholes = [(self.places[name].box, parcel) for (name, cut), parcel in held.parcels.items() if cut is None]
        blocks = ((box, self._crew.fetch(parcel)) for box, parcel in wholes if box is not None)
        return self._shelf.joined(self._types[slot], blocks)


def boxed(x: Array, box: Box | None) -> Array:
    return x if box is None else x[tuple(slice(a, b) for a, b in box)]

"""The state of a run among workers: on the head, with them, or both.

Takes: arrays that the head writes, parcels that tasks give. Promises: any part of any slot as a parcel or an array;
what the head has once had of it stays until the slot changes. Arrays given out are not changed later.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from jobspec.passes.split.graph import Cut
from jobspec.runtime.workers.crew import Crew, Parcel
from jobspec.runtime.workers.worker import part
from jobspec.store.checkpoint import array_digest

Array = NDArray[Any]


@dataclass
class Held:
    """A slot's value: `array`, where the head has it; `parcels`: by part, where workers can take it."""

    array: Array | None = None
    parcels: dict[Cut | None, Parcel] = field(default_factory=dict)


class State:
    """Slots by name."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._held: dict[str, Held] = {}

    def write(self, slot: str, array: Array) -> None:
        self._held[slot] = Held(array)

    def put(self, slot: str, parcel: Parcel) -> None:
        """A task's result is the slot's value."""
        self._held[slot] = Held(None, {None: parcel})

    def array(self, slot: str) -> Array:
        """Raises crew.Gone."""
        held = self._held[slot]
        if held.array is None:
            held.array = self._crew.fetch(held.parcels[None])
        return held.array

    def parcel(self, slot: str, cut: Cut | None) -> Parcel:
        """Raises crew.Gone where only workers had the slot, who have lost it, and a part of it is asked for."""
        held = self._held[slot]
        if cut not in held.parcels:
            array = part(self.array(slot), cut)
            held.parcels[cut] = self._crew.share(array, array_digest(array))
        return held.parcels[cut]

    def kept(self) -> dict[str, Array]:
        """All of it, on the head: what `restore` goes back to. Raises crew.Gone."""
        return {slot: self.array(slot) for slot in self._held}

    def restore(self, kept: dict[str, Array]) -> None:
        """The state as it was then; workers are to take it anew."""
        self._held = {slot: Held(array) for slot, array in kept.items()}

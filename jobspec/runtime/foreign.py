"""Weights under the names and in the shapes of other programs.

Takes: a table (jobspec/names/NAME.toml: patterns, not code for a model), a job's slots, arrays. Promises: `outward` and
`inward` are each other's inverse, bit for bit: they unstack repeats, merge axes, join tensors, transpose, and put the
rotary pairs of a head as halves. A slot that the table has no row for, and a row without a slot, are errors.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.resources import files
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobspec.ir.errors import DataError, UsageError
from jobspec.ir.job import Slot

Array = NDArray[Any]
TABLES = files("jobspec") / "names"
TURN = "{}"


@dataclass(frozen=True)
class Row:
    """One of their tensors (with TURN in its name: one for each turn of a repeat) and ours that are in it."""

    theirs: str
    ours: tuple[str, ...]
    rows: int | None = None
    transposed: bool = False
    halves: bool = False
    optional: bool = False

    @property
    def stacked(self) -> bool:
        return TURN in self.theirs

    def matrix(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one of ours, of one turn, with its axes merged."""
        return (prod(shape),) if self.rows is None else (prod(shape[: self.rows]), prod(shape[self.rows :]))

    def out(self, parts: Sequence[Array]) -> Array:
        """Theirs, from ours of one turn."""
        merged = [(split_pairs(x) if self.halves else x).reshape(self.matrix(x.shape)) for x in parts]
        joined = np.concatenate(merged, axis=-1)
        return np.ascontiguousarray(joined.T if self.transposed else joined)

    def back(self, theirs: Array, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
        """Ours of one turn. Raises ValueError where the sizes do not fit."""
        joined = theirs.T if self.transposed else theirs
        ends = np.cumsum([self.matrix(shape)[-1] for shape in shapes])
        wanted = [*self.matrix(shapes[0])[:-1], int(ends[-1])]
        if list(joined.shape) != wanted:
            meant = wanted[::-1] if self.transposed else wanted
            raise ValueError(f"its shape is {list(theirs.shape)}, and the job's axes make it {meant}")
        pieces = [x.reshape(shape) for x, shape in zip(np.split(joined, ends[:-1], axis=-1), shapes, strict=True)]
        return [join_pairs(x) if self.halves else x for x in pieces]


def split_pairs(x: Array) -> Array:
    """Last axis (pair, which of two) → (which of two, pair)."""
    return x.reshape(*x.shape[:-1], -1, 2).swapaxes(-1, -2).reshape(x.shape)


def join_pairs(x: Array) -> Array:
    """The inverse of `split_pairs`."""
    return x.reshape(*x.shape[:-1], 2, -1).swapaxes(-1, -2).reshape(x.shape)


def known() -> list[str]:
    """Names of the tables."""
    return sorted(path.name.removesuffix(".toml") for path in TABLES.iterdir() if path.name.endswith(".toml"))


def table(name: str) -> tuple[Row, ...]:
    """The rows of a table. Raises UsageError E0841."""
    if name not in known():
        raise UsageError("E0841", f"there is no table of names `{name}`", help=f"there are: {', '.join(known())}")
    rows = tomllib.loads((TABLES / f"{name}.toml").read_text("utf-8"))["tensor"]
    return tuple(Row(**{**row, "ours": tuple(row["ours"])}) for row in rows)


def matched(rows: Sequence[Row], slots: Sequence[Slot], name: str) -> list[tuple[Row, list[Slot]]]:
    """Each row with the slots it stands for. Raises UsageError E0842 where table and job do not fit."""
    found = [(row, [slot_of(slots, pattern) for pattern in row.ours]) for row in rows]
    missing = [row.theirs for row, held in found if None in held and not row.optional]
    pairs = [(row, [slot for slot in held if slot is not None]) for row, held in found if None not in held]
    used = {slot.name for _, held in pairs for slot in held}
    left = [slot.name for slot in slots if slot.name not in used]
    if missing or left:
        what = f"nothing here is its `{missing[0]}`" if missing else f"it has no name for `{left[0]}`"
        help = "the tables are jobspec/names/*.toml; call the layers as the shipped job of that model does"
        raise UsageError("E0842", f"the names of `{name}` do not fit this job: {what}", help=help)
    return pairs


def slot_of(slots: Sequence[Slot], pattern: str) -> Slot | None:
    """The one slot that fits."""
    fitting = [slot for slot in slots if fnmatchcase(slot.name, pattern)]
    return fitting[0] if len(fitting) == 1 else None


def outward(name: str, slots: Sequence[Slot], weights: Mapping[str, Array]) -> dict[str, Array]:
    """Their tensors by their names. `slots`: parameters and layer states, all of which have a row."""
    found: dict[str, Array] = {}
    for row, held in matched(table(name), slots, name):
        arrays = [weights[slot.name] for slot in held]
        if not row.stacked:
            found[row.theirs] = row.out(arrays)
        else:
            for turn in range(len(arrays[0])):
                found[row.theirs.replace(TURN, str(turn))] = row.out([x[turn] for x in arrays])
    return found


def inward(name: str, slots: Sequence[Slot], theirs: Mapping[str, Array]) -> dict[str, Array]:
    """Our tensors, in the order of the slots. Raises DataError E0443 where theirs lack one, or its sizes differ."""
    found: dict[str, Array] = {}
    for row, held in matched(table(name), slots, name):
        shapes = [slot.type.shape for slot in held]
        if not row.stacked:
            pieces = taken(row, row.theirs, theirs, shapes)
        else:
            inner = [shape[1:] for shape in shapes]
            turns = [taken(row, row.theirs.replace(TURN, str(i)), theirs, inner) for i in range(shapes[0][0])]
            pieces = [np.stack(layers) for layers in zip(*turns, strict=True)]
        found |= {slot.name: np.ascontiguousarray(x) for slot, x in zip(held, pieces, strict=True)}
    return {slot.name: found[slot.name] for slot in slots}


def taken(row: Row, name: str, theirs: Mapping[str, Array], shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    help = "compare the job's dims with the model's configuration: `jobspec weights show FILE`"
    if name not in theirs:
        raise DataError("E0443", f"the file has no `{name}`", help=help)
    try:
        return row.back(theirs[name], shapes)
    except ValueError as error:
        raise DataError("E0443", f"`{name}` does not fit {' and '.join(row.ours)}: {error}", help=help) from error

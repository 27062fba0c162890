"""Where two states differ: the first tensor, its first element, both values.

Takes: tensors as they should be and as they were found. Promises: a sentence that names the place, or None
where every bit agrees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobspec.runtime.chain import StepRecord

Array = NDArray[Any]


def first_difference(wanted: Mapping[str, Array], found: Mapping[str, Array]) -> str | None:
    """The first difference, in the order of `wanted`."""
    for name, array in wanted.items():
        if name not in found:
            return f"tensor `{name}` is missing"
        difference = array_difference(name, array, found[name])
        if difference:
            return difference
    more = [name for name in found if name not in wanted]
    return f"tensor `{more[0]}` does not belong there" if more else None


def array_difference(name: str, wanted: Array, found: Array) -> str | None:
    """Bits are compared, so that -0 is not +0 and a NaN is itself."""
    if wanted.dtype != found.dtype or wanted.shape != found.shape:
        return f"tensor `{name}` is {_kind(found)}, not {_kind(wanted)}"
    differing = np.flatnonzero(bits(wanted) != bits(found))
    place = first_element(wanted, found)
    if place is None:
        return None
    more = f" (and {len(differing) - 1} more)" if len(differing) > 1 else ""
    values = f"{shown(found[place])} where the replay has {shown(wanted[place])}"
    return f"tensor `{name}`, element {list(place)}{more}: {values}"


def shown(value: Array | np.generic) -> str:
    """A value and its bits, which say more than its digits."""
    return f"{value} (0x{value.tobytes()[::-1].hex()})"


def first_element(one: Array, other: Array) -> tuple[int, ...] | None:
    """Index of the first element whose bits differ; both have one type."""
    differing = np.flatnonzero(bits(one) != bits(other))
    return tuple(int(i) for i in np.unravel_index(int(differing[0]), one.shape)) if len(differing) else None


def bits(array: Array) -> NDArray[Any]:
    """The array's elements as unsigned integers of their size, flat."""
    return np.ascontiguousarray(array).reshape(-1).view(f"u{array.itemsize}")


def _kind(array: Array) -> str:
    return f"{array.dtype}{list(array.shape)}"


def differing(first: StepRecord, second: StepRecord) -> list[str]:
    """Names of the fields in which two records differ."""
    return [f.name for f in fields(StepRecord) if getattr(first, f.name) != getattr(second, f.name)]

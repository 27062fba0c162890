"""Element types of imported values.

Takes: a field's values as their file has them, and perhaps the element type the user wants. Promises:
u8, u16, u32, i32 or f32, by one rule; no value changes but for the rounding of a float64 to float32.

    u8 u16 u32 i32 f32       kept           other integers   the first of u8 u16 i32 u32 that holds all
    bool                     u8             other floats     f32, rounded to nearest even
    CSV columns              whole numbers as integers, all else as floats
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jobspec.ir.errors import DataError
from jobspec.store.dtypes import NUMPY, Array, dtype_name
from jobspec.store.manifest import FIELD_DTYPES

#: tried in this order
INTEGERS = ("u8", "u16", "i32", "u32")


def narrow(field: str, values: Array, wanted: str | None = None) -> Array:
    """`values` [records, *shape] in their element type, or in `wanted`. Raises DataError where a value does
    not fit, is not finite, or is no number."""
    if values.dtype.kind not in "buif":
        reason = f"field `{field}` holds {values.dtype} values, which are not numbers"
        raise DataError("E0420", reason, help="store numbers: integers, booleans or floats")
    if values.dtype.kind == "f":
        _check_finite(field, values)
    return _cast(field, values, wanted or _natural(field, values))


def whole(values: Array) -> bool:
    """Whether every value is a whole number that float64 holds exactly."""
    return bool(np.all((np.abs(values) <= 2**53) & (values == np.floor(values))))


def _natural(field: str, values: Array) -> str:
    name = dtype_name(values.dtype)
    if name in FIELD_DTYPES:
        return name
    if values.dtype.kind == "f":
        return "f32"
    return "u8" if values.dtype.kind == "b" else _smallest(field, values)


def _smallest(field: str, values: Array) -> str:
    low, high = int(values.min()), int(values.max())
    for name in INTEGERS:
        if _holds(name, low, high):
            return name
    reason = f"field `{field}` has values from {low} to {high}: no integer type of {', '.join(INTEGERS)} holds them"
    raise DataError("E0414", reason, help=f"round them to floats with --dtype {field}=f32")


def _holds(name: str, low: int, high: int) -> bool:
    limits = np.iinfo(NUMPY[name])
    return bool(limits.min <= low and high <= limits.max)


def _cast(field: str, values: Array, name: str) -> Array:
    if name not in FIELD_DTYPES:
        raise DataError("E0414", f"`{name}` is not an element type", help=f"known: {', '.join(FIELD_DTYPES)}")
    if dtype_name(values.dtype) == name:
        return values
    return _to_float(field, values) if name == "f32" else _to_integer(field, values, name)


def _to_float(field: str, values: Array) -> Array:
    with np.errstate(over="ignore"):
        rounded = values.astype(NUMPY["f32"])
    _check_finite(field, rounded)
    return rounded


def _to_integer(field: str, values: Array, name: str) -> Array:
    limits = np.iinfo(NUMPY[name])
    bad = (values < limits.min) | (values > limits.max) | (values != np.floor(values))
    if bad.any():
        record, value = _first(values, bad)
        reason = f"field `{field}`, record {record}: {value} is not a whole number from {limits.min} to {limits.max}"
        raise DataError("E0414", f"{reason} ({name})", help=f"leave out --dtype {field}={name}, or mend the value")
    return values.astype(NUMPY[name])


def _check_finite(field: str, values: Array) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        record, value = _first(values, ~finite)
        reason = f"field `{field}`, record {record}: {value} is not a finite float32"
        raise DataError("E0418", reason, help="leave such records out, or put a number in their place")


def _first(values: Array, bad: Array) -> tuple[int, Any]:
    """Record and value of the first bad element."""
    place = tuple(int(axis[0]) for axis in np.nonzero(bad))
    return place[0], values[place].item()

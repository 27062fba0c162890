"""Kernels as canonical values and back.

Takes: kernels, or decoded values that may come from anywhere. Promises: reading gives back the kernel that
was written, every number in range and every word known in form; whether its accesses stay inside its
buffers is `check_plan`'s to say.

    kernel := {name, kind, axes: [[size, role]…], body: [[op, [arg…], dtype, [[attribute, value]…]]…]}
    value  := integer | text | boolean | [value…] | view          view := {buffer, offset, strides, turns}
"""

from __future__ import annotations

from typing import Any

from jobspec.ir.canonical import Value
from jobspec.ir.codec.values import as_text, distinct, keys, read_each, require
from jobspec.ir.kernel import KINDS, Axis, Inst, Kernel, View
from jobspec.ir.record import Record, as_array, as_integer
from jobspec.ir.types import DTYPES

KERNEL_KEYS = keys("name kind axes body")
VIEW_KEYS = keys("buffer offset strides turns")
ROLES = keys("outer row kept reduced batch m n k rest place")
MOST = (1 << 63) - 1


def kernel_value(kernel: Kernel) -> Value:
    return {
        "name": kernel.name,
        "kind": kernel.kind,
        "axes": [[axis.size, axis.role] for axis in kernel.axes],
        "body": [_inst_value(inst) for inst in kernel.body],
    }


def _inst_value(inst: Inst) -> Value:
    return [inst.op, list(inst.args), inst.dtype, [[name, _attr_value(value)] for name, value in inst.attrs]]


def _attr_value(value: Any) -> Value:
    if isinstance(value, View):
        return _view_value(value)
    if isinstance(value, tuple):
        return [_attr_value(v) for v in value]
    assert isinstance(value, (int, str)), f"a kernel attribute of {type(value).__name__}"
    return value


def _view_value(view: View) -> Value:
    return {
        "buffer": view.buffer,
        "offset": view.offset,
        "strides": list(view.strides),
        "turns": list(view.turns),
    }


def read_kernel(value: Value, what: str) -> Kernel:
    """Raises RecordError."""
    record = Record(value, what, KERNEL_KEYS)
    kind = record.text("kind")
    require(kind in KINDS, f"{what} has the unknown kind `{kind}`")
    axes = read_each(record.get("axes"), f"{what}: axis", _read_axis)
    body = read_each(record.get("body"), f"{what}: operation", _read_inst)
    for number, inst in enumerate(body):
        require(all(0 <= a < number for a in inst.args), f"{what}: operation {number} reads a later one")
    return Kernel(record.text("name"), kind, axes, body)


def _read_axis(value: Value, what: str) -> Axis:
    size, role = as_array(value, what, 2)
    name = as_text(role, what)
    require(name in ROLES, f"{what} has an unknown role")
    return Axis(as_integer(size, what, 1), name)


def _read_inst(value: Value, what: str) -> Inst:
    op, args, dtype, attrs = as_array(value, what, 4)
    kind = as_text(dtype, what)
    require(kind == "" or kind in DTYPES, f"{what} has an unknown element type")
    named = read_each(attrs, f"{what}: attribute", _read_named)
    distinct((name for name, _ in named), f"{what}: the attribute")
    return Inst(as_text(op, what), _integers(args, what), kind, named)


def _read_named(value: Value, what: str) -> tuple[str, Any]:
    name, attr = as_array(value, what, 2)
    return as_text(name, what), _read_attr(attr, what)


def _read_attr(value: Value, what: str) -> Any:
    if isinstance(value, dict):
        return _read_view(value, what)
    if isinstance(value, list):
        return tuple(_read_attr(v, what) for v in value)
    require(isinstance(value, (int, str)), f"{what} is neither a number nor a word")
    return value


def _read_view(value: Value, what: str) -> View:
    record = Record(value, what, VIEW_KEYS)
    return View(
        record.integer("buffer"),
        record.integer("offset", -MOST),
        _integers(record.get("strides"), f"{what}: strides"),
        _integers(record.get("turns"), f"{what}: turns"),
    )


def _integers(value: Value, what: str) -> tuple[int, ...]:
    return tuple(as_integer(n, what, -MOST) for n in as_array(value, what))

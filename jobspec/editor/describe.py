"""Values of the language in words for people, as Markdown lines.

Takes: what the elaborator found. Promises: axes with their sizes in stored order, an arrow where a map has one; whole
counts of numbers. Nothing here fails on a value of any kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

from jobspec.editor.record import Seen
from jobspec.lang import tree
from jobspec.lang.constants import words
from jobspec.lang.registry import Held
from jobspec.lang.scope import POISON
from jobspec.lang.source import Source, Span
from jobspec.lang.things import Batch, Builtin, DataSet, Function, Listed, Mixture, Module, Ordered, kind_of
from jobspec.lang.values import Tensor

MOST = 6


def shape_of(t: Tensor) -> str:
    """`B 12 · T 64`, or `D 128 → H 4 · K 32` for a map."""
    parts = [f"{axis} {size}" for axis, size in zip(t.axes, t.node.shape, strict=True)]
    if not t.is_map:
        return " · ".join(parts) or "one number"
    stacked, start = len(t.stacked), len(t.stacked) + t.left
    sides = f"{' · '.join(parts[stacked:start])} → {' · '.join(parts[start:])}"
    return f"{' · '.join(parts[:stacked])} | {sides}" if stacked else sides


def short(value: Any) -> str:
    """One line."""
    if isinstance(value, Tensor):
        return f"{shape_of(value)} ({value.dtype})"
    if isinstance(value, bool | int | float):
        return str(value).lower() if isinstance(value, bool) else words(value)
    if isinstance(value, DataSet | Mixture | Ordered | Batch):
        return data_line(value)
    if isinstance(value, Listed):
        return f"a list: {', '.join(short(item) for item in value.items)}"
    return kind_of(value)


def data_line(value: DataSet | Mixture | Ordered | Batch) -> str:
    what = {DataSet: "data set", Mixture: "a mixture of", Ordered: "examples of", Batch: "a batch of"}[type(value)]
    data = value.data if isinstance(value, Ordered | Batch) else value
    parts = [(data, 0)] if isinstance(data, DataSet) else list(data.parts)
    names = ", ".join(
        f"`{part.name}`" + (f" ({count} of {sum(n for _, n in parts)})" if count else "") for part, count in parts
    )
    first = parts[0][0]
    fields = ", ".join(" ".join([f"{name}: {kind}", *axes]) for name, kind, axes in fields_of(first))
    size = f", {first.records:,} {'tokens' if first.kind == 'tokens' else 'records'}" if first.records else ""
    return f"{what} {names} ({fields}{size if len(parts) == 1 else ''})"


def fields_of(data: DataSet) -> list[tuple[str, str, Sequence[str]]]:
    """Name, type and axes of each field that a batch has."""
    found = [(name, type_.dtype, axes) for name, (type_, axes) in data.fields.items()]
    return [*found, *((("next", *found[0][1:]),) if data.kind == "tokens" else ())]


def values(seen: Iterable[Seen]) -> list[str]:
    """Each different value once, those of training first."""
    lines: dict[str, None] = {}
    for one in sorted(seen, key=lambda s: not s.training):
        if one.value is not POISON and one.value is not None:
            lines[short(one.value)] = None
    shown = list(lines)[:MOST]
    return shown + (["…"] if len(lines) > MOST else [])


def slots(held: Sequence[Held]) -> list[str]:
    """One line for each slot of state that a declaration makes in this job."""
    lines = [slot(one) for one in held[:MOST]]
    more = [f"… and {len(held) - MOST} more"] if len(held) > MOST else []
    total = [f"{sum(one.slot.type.size for one in held):,} numbers in all"] if len(held) > 1 else []
    return lines + more + total


def slot(held: Held) -> str:
    shape = " × ".join(f"{axis} {size}" for axis, size in zip(held.slot.axes, held.slot.type.shape, strict=True))
    stacked = f", stacked along {' '.join(held.slot.axes[: held.stacks])}" if held.stacks else ""
    return f"`{held.slot.name}`: {shape or 'one number'} = {prod(held.slot.type.shape):,} numbers{stacked}"


# ---- functions ----


def signature(definition: tree.Def) -> str:
    """`layer linear[I O](x, bias=true)`, as it is written."""
    text, start = definition.span.text, definition.span.start
    inner = [definition.name, *definition.axes, *definition.params]
    end = text.find("(", definition.axes[-1].span.end - start if definition.axes else 0)
    end = text.find(")", max(end, inner[-1].span.end - start))
    return " ".join(text[: end + 1].split())


def comment_above(source: Source, span: Span) -> str:
    """The comment lines that stand right above a definition."""
    lines: list[str] = []
    number = span.line - 1
    while number >= 1 and source.line(number).startswith("#"):
        lines.insert(0, source.line(number).lstrip("# ").rstrip())
        number -= 1
    return "" if any(line.endswith("----") for line in lines) else " ".join(lines)


def function(definition: tree.Def) -> list[str]:
    """The signature as code, then its comment and where it is from."""
    source = definition.span.source
    remark = comment_above(source, definition.span)
    return [code(signature(definition)), *([remark] if remark else [])]


def named(value: Any) -> list[str] | None:
    """Lines about a function or a library; None for other values."""
    if isinstance(value, Function):
        return function(value.definition)
    if isinstance(value, Module):
        return [f"library `{value.source.name}`: {', '.join(value.functions)}"]
    return [value.name] if isinstance(value, Builtin) else None


def code(text: str) -> str:
    return f"```jobspec\n{text}\n```"

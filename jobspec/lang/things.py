"""What a name can stand for besides numbers and tensors.

Takes: declarations of the tree. Promises: plain values; a function carries the module whose names its body sees, and
the axes that a bracket gave it (`softmax[S]`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jobspec.ir.types import Type
from jobspec.lang import tree
from jobspec.lang.constants import Number, words
from jobspec.lang.refusal import Refusal
from jobspec.lang.source import Source
from jobspec.lang.values import Axes, Tensor


@dataclass(eq=False)
class Module:
    """One file: its functions, and the modules it imports by name. `dims`: sizes of a job's axes."""

    source: Source
    functions: dict[str, tree.Def] = field(default_factory=dict)
    imports: dict[str, Module] = field(default_factory=dict)
    data: dict[str, DataSet] = field(default_factory=dict)
    is_job: bool = False

    def names(self) -> list[str]:
        return [*self.functions, *self.imports, *self.data]


@dataclass(frozen=True, eq=False)
class Function:
    """A def, layer or optim. `axes`: what its axis parameters stand for, None before a bracket has said so."""

    definition: tree.Def
    module: Module
    axes: tuple[Axes, ...] | None = None

    @property
    def name(self) -> str:
        return self.definition.name.text


@dataclass(frozen=True, eq=False)
class Builtin:
    """A function that the language has. `by`: the window's axes in `window[Y X by Ky Kx]`, or with `arrow` the new
    ones in `top[E->Q]`."""

    name: str
    axes: Axes = ()
    by: Axes = ()
    arrow: bool = False


@dataclass(frozen=True)
class DataSet:
    """A `data` declaration. `fields`: name → (type of one record, its axes); tokens have the one field `tok`.
    `records`: known number of records, None where the data is not at hand. `window`: axis of a token stream.
    `end`: the token that ends a document."""

    name: str
    root: str
    kind: str
    fields: Mapping[str, tuple[Type, Axes]]
    records: int | None
    window: str | None
    declared: tree.DataDef
    end: int | None = None


@dataclass(frozen=True)
class Mixture:
    """Data sets with equal fields, each with its count in every block."""

    parts: tuple[tuple[DataSet, int], ...]

    @property
    def block(self) -> int:
        return sum(count for _, count in self.parts)


@dataclass(frozen=True)
class Ordered:
    """A data set or mixture with the order in which its examples come: `shuffle` or `sequence`."""

    data: DataSet | Mixture
    order: str

    @property
    def parts(self) -> tuple[tuple[DataSet, int], ...]:
        return self.data.parts if isinstance(self.data, Mixture) else ((self.data, 1),)

    @property
    def single(self) -> DataSet | None:
        """The data set, where there is only one."""
        return self.parts[0][0] if len(self.parts) == 1 else None

    @property
    def leading(self) -> DataSet:
        """One whose fields are those of all."""
        return self.parts[0][0]

    @property
    def window(self) -> int:
        """Tokens of an example; 0 in a table."""
        return self.leading.fields["tok"][0].shape[0] if self.leading.kind == "tokens" else 0


@dataclass(frozen=True)
class Batch:
    """The batch at hand; `fetch(field)` gives one field of it as a tensor of the program, E0408 where it has none."""

    data: DataSet
    fetch: Callable[[str], Tensor]


@dataclass(frozen=True)
class Listed:
    """[a, b] or [dp=8]."""

    items: tuple[Any, ...]
    named: Mapping[str, Any] = field(default_factory=dict)


def kind_of(value: Any) -> str:
    """What a value is, in words."""
    if isinstance(value, bool):
        return "a condition"
    if isinstance(value, Tensor):
        return "a tensor"
    if isinstance(value, Function):
        return {"def": "a function", "layer": "a layer", "optim": "an optimizer"}[value.definition.kind]
    names = {
        Builtin: "a function",
        Module: "a library",
        DataSet: "a data set",
        Mixture: "a mixture of data sets",
        Ordered: "a stream of examples",
        Batch: "a batch",
        Listed: "a list",
        str: "a text",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "no value")


def need_value(value: Any) -> Tensor | Number | bool:
    """A number, condition or tensor."""
    if isinstance(value, Tensor | int | float):
        return value
    raise Refusal("E0226", f"a number or tensor is needed here, this is {kind_of(value)}")


def need_tensor(value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value
    raise Refusal("E0226", f"a tensor is needed here, this is {kind_of(value)}")


def need_whole(value: Any, least: int | None = 0) -> int:
    """A compile-time whole number, at least `least` (None: any)."""
    if isinstance(value, Tensor):
        raise Refusal("E0224", "a compile-time number is needed here, this is a tensor")
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) == float("inf"):
        raise Refusal("E0226", f"a whole number is needed here, this is {kind_of(value)}")
    if value != int(value) or (least is not None and value < least):
        bound = f" of at least {least}" if least is not None else ""
        raise Refusal("E0222", f"a whole number{bound} is needed here, not {words(value)}")
    return int(value)


def need_number(value: Any) -> Number:
    if isinstance(value, Tensor):
        raise Refusal("E0224", "a compile-time number is needed here, this is a tensor")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refusal("E0226", f"a number is needed here, this is {kind_of(value)}")
    return value

"""Where code is being written: positions along axes, values at hand, pointers to buffers.

Takes: a kernel's nest, the routine's buffers. Promises: every inst computed once per scope by the contract's
primitives; elements are read and written as ir/kernel.py says; an index out of bounds raises its flag
and reads element 0, so no address ever leaves its buffer.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace

from jobspec.backends.c.scalars import HELD, CScalars, Typed, constant
from jobspec.backends.c.writer import Writer
from jobspec.backends.nest import FOLDS, Nest
from jobspec.ir.kernel import WRITES, Inst, View
from jobspec.ir.library.apply import apply
from jobspec.ir.plan import Buffer
from jobspec.ir.types import HALVES, SIZES

#: how far from a space's beginning is not far
NEAR = 2**31 - 1
#: dtype of the IR → C type of an element in memory
STORED = {"f32": "float", "i32": "int", "u32": "uint", "bool": "uchar", "u8": "uchar", "u16": "ushort"}
STORED[HALVES] = "ushort"


@dataclass(frozen=True)
class Site:
    """What is fixed for one function. `flags`: the buffer of the flag words; `index`: C type of positions."""

    writer: Writer
    nest: Nest
    buffers: Sequence[Buffer]
    flags: Buffer
    index: str
    pointers: dict[tuple[int, int, tuple[int, ...]], str] = field(default_factory=dict)

    def pointer(self, view: View) -> str:
        """Name of the pointer to the view's first element of this turn."""
        return self.pointers[view.buffer, view.offset, view.turns]

    def open(self, views: Iterable[View]) -> None:
        """Declare the pointers of `views`."""
        for view in views:
            key = (view.buffer, view.offset, view.turns)
            if key not in self.pointers:
                self.pointers[key] = self._declared(view)

    def _declared(self, view: View) -> str:
        buffer = self.buffers[view.buffer]
        type_ = f"GLOBAL {STORED[buffer.type.dtype]}*"
        place = buffer.offset + view.offset * SIZES[buffer.type.dtype]
        turns = "".join(f" + {stride}l * turn{i}" for i, stride in enumerate(view.turns) if stride)
        name = self.writer.name("p")
        self.writer.line(f"{type_} const {name} = ({type_})({address(buffer, place)}){turns};")
        return name


@dataclass(frozen=True)
class Scope:
    """`at`: axis → its position, a C expression; `values`: inst → value."""

    site: Site
    at: Mapping[int, str] = field(default_factory=dict)
    values: MutableMapping[int, Typed] = field(default_factory=ChainMap)

    @property
    def nest(self) -> Nest:
        return self.site.nest

    @property
    def writer(self) -> Writer:
        return self.site.writer

    @property
    def width(self) -> int:
        """Elements that are computed in one."""
        return 1

    @property
    def copies(self) -> tuple[Scope, ...]:
        """A scope for each of the neighbours that are computed one by one (several.py)."""
        return (self,)

    @property
    def known(self) -> Collection[int]:
        """Insts whose values are at hand."""
        return self.values

    def everywhere(self, i: int) -> str:
        """The value of inst `i` for all elements that are computed in one."""
        return self.values[i].text

    def enter(self, axes: Iterable[int], positions: Iterable[str]) -> Scope:
        """Inside loops over `axes`, at `positions`; values of the outside are at hand."""
        values = ChainMap({}, *(self.values.maps if isinstance(self.values, ChainMap) else [self.values]))
        return Scope(self.site, {**self.at, **dict(zip(axes, positions, strict=True))}, values)

    def enter_number(self, axes: Sequence[int], number: str) -> Scope:
        """Inside loops over `axes` that are one, last axis fastest, at `number`."""
        sizes = [self.nest.kernel.axes[axis].size for axis in axes]
        return self.enter(axes, digits(self.writer, self.site.index, number, sizes))

    def only(self, insts: Collection[int]) -> Scope:
        """The same place, where only the values of `insts` are at hand."""
        return replace(self, values=ChainMap({i: value for i, value in self.values.items() if i in insts}))

    def element(self, view: View) -> str:
        """Elements from the view's pointer to the element at hand."""
        terms = [scaled(self.at[axis], stride) for axis, stride in enumerate(view.strides) if self.moves(axis, stride)]
        return " + ".join(terms) or "0"

    def moves(self, axis: int, stride: int) -> bool:
        return stride != 0 and axis in self.at

    # ---- values

    def run(self, insts: Iterable[int]) -> None:
        """Compute those of `insts` that are values and not at hand, in order."""
        for i in sorted(insts):
            if i not in self.values and self.nest.kernel.body[i].op not in (*FOLDS, *WRITES):
                self.values[i] = self._computed(self.nest.kernel.body[i])

    def store(self, stores: Iterable[int]) -> None:
        for i in stores:
            inst = self.nest.kernel.body[i]
            self._store(inst, self.values[inst.args[0]])

    def _computed(self, inst: Inst) -> Typed:
        if inst.op == "const":
            return constant(inst.dtype, inst["bits"])
        if inst.op == "index":
            return Typed("i32", f"(int)({self.at.get(inst['axis'], '0')})")
        args = tuple(self.values[a] for a in inst.args)
        if inst.op == "load":
            return self._load(inst, *args)
        kinds = [self.nest.kernel.body[a].dtype for a in inst.args]
        return apply(CScalars(self.writer), inst.op, kinds[-1], inst.dtype, args)

    def _load(self, inst: Inst, *picked: Typed) -> Typed:
        view = inst["view"]
        text = held(self.site.buffers[view.buffer], f"{self.site.pointer(view)}[{self.place(inst, *picked)}]")
        return Typed(inst.dtype, self.writer.let(HELD[inst.dtype], text))

    def place(self, inst: Inst, *picked: Typed) -> str:
        """Elements from the pointer of what the inst loads."""
        further = [self.picked(inst, index) for index in picked]
        return " + ".join([self.element(inst["view"]), *further])

    def picked(self, inst: Inst, index: Typed) -> str:
        """Elements that a checked index adds."""
        good = self.writer.let("bool", f"(uint){index.text} < {inst['bound']}u")
        if inst["flag"] >= 0:
            self.raise_flag(inst["flag"], f"!{good}")
        return f"({good} ? ({self.site.index}){index.text} : 0) * {inst['pick']}"

    def _store(self, inst: Inst, value: Typed) -> None:
        if value.dtype == "f32" and inst["flag"] >= 0:
            self.raise_flag(inst["flag"], boundless(value))
        view = inst["view"]
        kept = written(self.site.buffers[view.buffer], value)
        self.writer.line(f"{self.site.pointer(view)}[{self.element(view)}] = {kept};")

    def raise_flag(self, flag: int, condition: str) -> None:
        flags = self.site.flags
        self.writer.line(f"if ({condition}) *(GLOBAL int*)({address(flags, flags.offset + 4 * flag)}) = 1;")


def address(buffer: Buffer, place: int) -> str:
    """Of a byte of the space that a buffer lies in."""
    return f"{buffer.space} + {f'FAR({place}l)' if place > NEAR else f'{place}l'}"


def boundless(value: Typed) -> str:
    """Whether it is a NaN or infinite."""
    return f"(to_bits({value.text}) & 0x7f800000u) == 0x7f800000u"


def held(buffer: Buffer, element: str) -> str:
    """An element in memory as the body holds it."""
    if buffer.type.dtype == HALVES:
        return f"f_widened({element})"
    return f"{element} != 0" if buffer.type.dtype == "bool" else element


def written(buffer: Buffer, value: Typed) -> str:
    """What is stored of it: a canonical NaN in the place of any."""
    text = f"f_canonical({value.text})" if value.dtype == "f32" else value.text
    return f"f_halved({text})" if buffer.type.dtype == HALVES else text


def scaled(position: str, stride: int) -> str:
    """`position` times `stride`, as an expression."""
    if stride == 1:
        return position
    return f"{position} * {stride}" if position.isidentifier() else f"({position}) * {stride}"


def walked(positions: Iterable[str], strides: Iterable[int]) -> list[str]:
    """Elements that each of `positions` moves by its stride; nothing for those that move none."""
    return [scaled(position, stride) for position, stride in zip(positions, strides, strict=True) if stride]


def flattened(positions: Iterable[str], sizes: Iterable[int]) -> str:
    """The number that `positions` along axes of `sizes` have, last axis fastest."""
    number = "0"
    for position, size in zip(positions, sizes, strict=True):
        number = f"({number} * {size} + {position})"
    return number


def digits(writer: Writer, index: str, number: str, sizes: Sequence[int]) -> list[str]:
    """Positions along axes of `sizes` of the flattened `number`, last axis fastest; `index`: their C type."""
    found: list[str] = []
    for size in reversed(sizes[1:]):
        found.append(writer.let(index, f"{number} % {size}", "i") if size > 1 else "0")
        number = writer.let(index, f"{number} / {size}", "q") if size > 1 else number
    return [*reversed([*found, number])] if sizes else []

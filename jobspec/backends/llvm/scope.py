"""Where code is being emitted: which positions, which pointers, which values are at hand.

Takes: a nest, places of buffers. Promises: a scope holds, for every view it was opened for, a pointer
moved to the positions of its axes, computed once when the scope opens; a scope inside another finds
the values of the outer one. Values are never emitted here except addresses.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field, replace

from jobspec.backends.llvm.convention import Place
from jobspec.backends.llvm.emit import Function, Int
from jobspec.backends.llvm.values import Value
from jobspec.backends.nest import Nest
from jobspec.ir.kernel import View
from jobspec.ir.types import DTYPES

#: lanes of every vector here; targets with narrower registers split it
WIDTH = 16


@dataclass(frozen=True)
class Site:
    """What is fixed for one function. `flags`: place of the first flag word; `past`: what is written goes past the
    caches, where it may."""

    f: Function
    nest: Nest
    places: Sequence[Place]
    flags: Place
    past: bool = False

    @property
    def turns(self) -> tuple[Value, ...]:
        return self.f.params[7:]

    def at(self, place: Place, further: int = 0) -> Value:
        """Where `place` lies, or what stands `further` slots behind it in the table."""
        offset = self.f.load("i64", self.f.offset(self.f.params[6], 8 * (place.slot + further)))
        return self.f.offset(self.f.params[("arena", "feed").index(place.space)], offset)

    def item(self, view: View) -> int:
        """Bytes of an element."""
        return DTYPES[self.places[view.buffer].dtype]

    def base(self, view: View) -> Value:
        """Pointer to the view's first element of this turn."""
        f = self.f
        pointer = f.offset(self.at(self.places[view.buffer]), view.offset * self.item(view))
        for stride, turn in zip(view.turns, self.turns, strict=False):
            if stride:
                pointer = f.offset(pointer, f.imul(turn, stride * self.item(view)))
        return pointer


@dataclass(frozen=True)
class Scope:
    """`pointers`: view → its element at the first lane of this scope; `index`: axis → position, the vector axis'
    first lane being `shift` further; `mask`: lanes that exist, all where None; `values`, `splats`: inst → value in
    one lane or many."""

    site: Site
    pointers: dict[View, Value]
    index: dict[int, Int] = field(default_factory=dict)
    shift: int = 0
    mask: Value | None = None
    values: MutableMapping[int, Value] = field(default_factory=ChainMap)
    splats: MutableMapping[int, Value] = field(default_factory=ChainMap)

    @property
    def f(self) -> Function:
        return self.site.f

    @property
    def nest(self) -> Nest:
        return self.site.nest

    def enter(self, axes: Sequence[int], positions: Sequence[Int]) -> Scope:
        """Inside loops over `axes`, at `positions`."""
        moved = dict(zip(axes, positions, strict=True))
        products: dict[tuple[int, int], Value] = {}
        pointers = {v: self._moved(v, p, moved, products) for v, p in self.pointers.items()}
        return self._inner(pointers, {**self.index, **moved}, self.shift, self.mask)

    def lanes(self, vectors: int, mask: Value | None = None) -> Scope:
        """`vectors` whole vectors further along the vector axis."""
        f, axis = self.f, self.nest.vector
        steps = {v: WIDTH * vectors * v.strides[axis] * self.site.item(v) for v in self.pointers}
        pointers = {v: f.offset(p, steps[v]) for v, p in self.pointers.items()}
        return self._inner(pointers, self.index, self.shift + WIDTH * vectors, mask)

    def beside(self, other: Scope) -> Scope:
        """This scope, with the values of `other` too."""
        values = ChainMap({}, *_maps(self.values), *_maps(other.values))
        splats = ChainMap({}, *_maps(self.splats), *_maps(other.splats))
        return replace(self, values=values, splats=splats)

    def only(self, views: Iterable[View]) -> Scope:
        """This scope with pointers for `views` alone."""
        return replace(self, pointers={v: self.pointers[v] for v in views})

    def _inner(self, pointers: dict[View, Value], index: dict[int, Int], shift: int, mask: Value | None) -> Scope:
        values, splats = ChainMap({}, *_maps(self.values)), ChainMap({}, *_maps(self.splats))
        return Scope(self.site, pointers, index, shift, mask, values, splats)

    def _moved(self, view: View, pointer: Value, at: dict[int, Int], products: dict[tuple[int, int], Value]) -> Value:
        for axis, position in at.items():
            step = view.strides[axis] * self.site.item(view)
            if step:
                key = (axis, step)
                if key not in products:
                    products[key] = self.f.imul(position, step)
                pointer = self.f.offset(pointer, products[key])
        return pointer


def _maps(values: MutableMapping[int, Value]) -> list[MutableMapping[int, Value]]:
    return list(values.maps) if isinstance(values, ChainMap) else [values]


def opened(site: Site, insts: Iterable[int]) -> Scope:
    """The scope outside all loops, for what `insts` touch."""
    return Scope(site, {view: site.base(view) for view in site.nest.views(insts)})


def digits(f: Function, index: Int, sizes: Sequence[int]) -> list[Int]:
    """Positions along axes of `sizes` of a flattened index, last axis fastest."""
    positions: list[Int] = []
    for size in reversed(sizes[1:]):
        positions.append(f.urem(index, size) if size > 1 else 0)
        index = f.udiv(index, size)
    return [*reversed([*positions, index])] if sizes else []

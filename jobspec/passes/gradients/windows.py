"""Gradient rule of `window`, in three forms chosen by structure; the choice is part of the meaning.

Takes: `y = window(x)` and the cotangent g of y. Promises, first match wins:
  1. windows that do not overlap (stride ≥ size on every axis): g is moved back, nothing is added;
  2. g is a contraction (permuted or not), or a sum of such, whose one operand has the position axes and whose other
     operand has the window axes (the input gradient of a convolution). Positions of x that leave the same remainders
     by the strides get it together: one contraction of windows of the padded operand with the flipped other one, of
     which only the places with those remainders matter; K order: window axes, then the axes that were summed before;
     those of a sum are added from the left;
  3. otherwise the sum, in ascending window position, of g at that position moved to where it was read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from jobspec.ir.build import padded, permute, reshape, sliced, zeros
from jobspec.ir.program import Node, make
from jobspec.ir.types import Type
from jobspec.passes.gradients.contraction import Labelled, joined, labelled, result_labels
from jobspec.passes.gradients.products import Cotangents, total

Ints = tuple[int, ...]


def window(y: Node, g: Node) -> Cotangents:
    if all(stride >= size for stride, size in zip(y["strides"], y["sizes"], strict=True)):
        return (tiles(y, g),)
    sources = [convolution(y, term) for term in terms(g)]
    found = [direct(y, source) for source in sources if source is not None]
    return (total(found if len(found) == len(sources) else list(shifted(y, g))),)


def terms(g: Node) -> list[Node]:
    """t0, t1, t2, … of a sum (t0 + t1) + t2 + …"""
    found: list[Node] = []
    while g.op == "add":
        found.append(g.args[1])
        g = g.args[0]
    return [g, *reversed(found)]


# 1. windows that do not overlap


def tiles(y: Node, g: Node) -> Node:
    """Each window laid down at its place, zeros between and behind."""
    x, axes, end = y.args[0], y["axes"], y["axes"][-1] + 1
    places = {axis: end + i for i, axis in enumerate(axes)}
    gaps = dict(zip(places.values(), (s - n for s, n in zip(y["strides"], y["sizes"], strict=True)), strict=True))
    none = (0,) * len(y.shape)
    apart = padded(g, none, tuple(gaps.get(i, 0) for i in range(len(y.shape))), none)
    rest = [i for i in range(len(y.shape)) if i not in places.values()]
    nested = permute(apart, tuple(i for axis in rest for i in ((axis, places[axis]) if axis in places else (axis,))))
    lengths = [y.shape[axis] * (apart.shape[places[axis]] if axis in places else 1) for axis in rest]
    return fitted(reshape(nested, tuple(lengths)), x.shape)


def fitted(x: Node, shape: Ints) -> Node:
    """x cut or zero-filled at the end of each axis."""
    zero, one = (0,) * len(shape), (1,) * len(shape)
    cut = sliced(x, zero, tuple(map(min, x.shape, shape)), one)
    return padded(cut, zero, tuple(n - m for n, m in zip(shape, cut.shape, strict=True)), zero)


# 2. the cotangent is a contraction


@dataclass(frozen=True)
class Slide:
    """One axis a window slides along: `place` among the axes of x, labels of its positions and of its window axis."""

    place: int
    position: str
    inside: str
    size: int
    stride: int


@dataclass(frozen=True)
class Convolution:
    """What `direct` needs: the operand with the positions, the other one, labels of g's axes, of the sum, slides."""

    moving: Labelled
    fixed: Labelled
    labels: tuple[str, ...]
    over: tuple[str, ...]
    slides: tuple[Slide, ...]


def convolution(y: Node, g: Node) -> Convolution | None:
    """The parts of form 2, or None where g has another structure."""
    core, axes = (g.args[0], g["axes"]) if g.op == "permute" else (g, tuple(range(len(g.shape))))
    if core.op != "contract":
        return None
    labels = tuple(result_labels(core)[i] for i in axes)
    end = y["axes"][-1] + 1
    slides = tuple(
        Slide(axis, labels[axis], labels[end + i], size, stride)
        for i, (axis, size, stride) in enumerate(zip(y["axes"], y["sizes"], y["strides"], strict=True))
    )
    over = tuple(f"a{i}" for i in core["a_over"])
    pair = labelled(core)
    for moving, fixed in (pair, pair[::-1]):
        if all(only(s.position, moving, fixed) and only(s.inside, fixed, moving) for s in slides):
            return Convolution(moving, fixed, labels, over, slides)
    return None


def only(label: str, here: Labelled, there: Labelled) -> bool:
    return label in here.labels and label not in there.labels


def direct(y: Node, parts: Convolution) -> Node:
    """The convolutions of the cotangent with the flipped filter, axes as in x."""
    x, end = y.args[0], y["axes"][-1] + 1
    target = tuple(label for i, label in enumerate(parts.labels) if not end <= i < end + len(parts.slides))
    found = [
        residue(x.shape, parts, target, remainders) for remainders in product(*(range(s.stride) for s in parts.slides))
    ]
    return found[0] if len(found) == 1 else interleaved(found, x.shape, parts.slides)


def residue(shape: Ints, parts: Convolution, target: tuple[str, ...], remainders: Ints) -> Node:
    """The gradient at the positions of x (of `shape`) with these remainders by the strides."""
    lengths = list(shape)
    slides = []
    for s, remainder in zip(parts.slides, remainders, strict=True):
        lengths[s.place] = len(range(remainder, shape[s.place], s.stride))
        slides.append(replace(s, size=len(range(remainder, s.size, s.stride)), stride=1))
    if not all(s.size for s in slides):  # no window reaches there
        return zeros(Type("f32", tuple(max(1, n) for n in lengths)))
    now = replace(parts, fixed=picked(parts, remainders), slides=tuple(slides))
    over = [*(s.inside for s in slides), *parts.over]
    result = joined(slid(lengths, now), Labelled(flipped(now), now.fixed.labels), over)
    return permute(result.node, tuple(result.labels.index(label) for label in target))


def picked(parts: Convolution, remainders: Ints) -> Labelled:
    """The places of the filter with these remainders."""
    node, labels = parts.fixed.node, parts.fixed.labels
    starts, steps = [0] * len(labels), [1] * len(labels)
    for s, remainder in zip(parts.slides, remainders, strict=True):
        starts[labels.index(s.inside)], steps[labels.index(s.inside)] = remainder, s.stride
    return Labelled(sliced(node, tuple(starts), node.shape, tuple(steps)), labels)


def interleaved(found: list[Node], shape: Ints, slides: tuple[Slide, ...]) -> Node:
    """What was found for each choice of remainders, the last axis' fastest, put together: axes as in x."""
    whole = list(shape)
    for s in slides:
        whole[s.place] = -(-shape[s.place] // s.stride)
    parts = [reshape(fitted(part, tuple(whole)), (1, *whole)) for part in found]
    side = make("concat", *parts, axis=0)
    split = reshape(side, (*(s.stride for s in slides), *whole))
    order: list[int] = []
    for place in range(len(shape)):
        order.append(len(slides) + place)
        order += [i for i, s in enumerate(slides) if s.place == place]
    strides = {s.place: s.stride for s in slides}
    lengths = tuple(n * strides.get(place, 1) for place, n in enumerate(whole))
    return fitted(reshape(permute(split, tuple(order)), lengths), shape)


def flipped(parts: Convolution) -> Node:
    axes = sorted(parts.fixed.labels.index(s.inside) for s in parts.slides)
    return make("flip", parts.fixed.node, axes=tuple(axes))


def slid(lengths: Sequence[int], parts: Convolution) -> Labelled:
    """Windows, one step apart, over the operand with the positions, padded so that there are `lengths` of them."""
    labels, node = parts.moving.labels, parts.moving.node
    along = sorted(parts.slides, key=lambda s: labels.index(s.position))
    low, high = [0] * len(labels), [0] * len(labels)
    for s in along:
        axis = labels.index(s.position)
        low[axis], high[axis] = s.size - 1, lengths[s.place] - node.shape[axis]
    spread = padded(node, tuple(low), tuple(high), (0,) * len(labels))
    axes = tuple(labels.index(s.position) for s in along)
    sizes = tuple(s.size for s in along)
    windows = make("window", spread, axes=axes, sizes=sizes, strides=(1,) * len(axes))
    end = axes[-1] + 1
    return Labelled(windows, (*labels[:end], *(s.inside for s in along), *labels[end:]))


# 3. anything else


def shifted(y: Node, g: Node) -> Iterator[Node]:
    """For each window position, ascending: g at that position, spread by the strides, among zeros."""
    x, axes, end = y.args[0], y["axes"], y["axes"][-1] + 1
    steps = dict(zip(axes, y["strides"], strict=True))
    inner = tuple(steps.get(i, 1) - 1 for i in range(len(x.shape)))
    for offsets in product(*map(range, y["sizes"])):
        at = dict(zip(axes, offsets, strict=True))
        low = tuple(at.get(i, 0) for i in range(len(x.shape)))
        part = taken(g, end, offsets)
        ends = [a + n + (n - 1) * gap for a, n, gap in zip(low, part.shape, inner, strict=True)]
        yield padded(part, low, tuple(n - stop for n, stop in zip(x.shape, ends, strict=True)), inner)


def taken(g: Node, first: int, offsets: Ints) -> Node:
    """g at one window position; the window axes, from `first` on, are gone."""
    start = tuple(offsets[i - first] if first <= i < first + len(offsets) else 0 for i in range(len(g.shape)))
    inside = range(first, first + len(offsets))
    stop = tuple(start[i] + 1 if i in inside else n for i, n in enumerate(g.shape))
    one = sliced(g, start, stop, (1,) * len(g.shape))
    return reshape(one, tuple(n for i, n in enumerate(g.shape) if i not in inside))

"""Random models as `.job` texts, as hypothesis strategies.

Takes: `models(...)` draws a text. Promises: every text is a job (a refusal is a fault of this file or of the language);
tensors have at most 240 numbers; values stay within a few thousand, so gradients are finite. `smooth=True`: only
operations whose slopes finite differences can see (no kinks, no `stop`, no rounding). `plain=True`: only operations
that the interpreter in PyTorch has (no draws, no sorting).

A `Writer` writes the statements of one body. It knows of each value which axes it has and how long they are here (a
slice or a window changes that), so what it writes next fits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from hypothesis import strategies as st

LARGEST = 240
Grow = Callable[["Writer"], None]
ROOT = "b3:" + "0123456789abcdef" * 4
FIELDS = {"x": ("f32", "T D"), "y": ("f32", ""), "c": ("u8", "T"), "k": ("u8", "")}
Axes = dict[str, int]


@dataclass(frozen=True)
class Val:
    """A value in scope. `whole`: i32. `below`: all its numbers are places of axes with at least so many."""

    text: str
    axes: Axes
    whole: bool = False
    below: int = 0

    @property
    def size(self) -> int:
        return prod(self.axes.values())


@dataclass
class Model:
    """What all bodies of a text share. `layers`: texts of the layers written so far."""

    draw: Any
    sizes: Axes
    smooth: bool
    shards: bool
    without: tuple[Grow, ...] = ()
    layers: list[str] = field(default_factory=list)
    count: int = 0
    vectors: bool = False

    def fresh(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def pick(self, items: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(list(items)))

    def whole(self, low: int, high: int) -> int:
        value: int = self.draw(st.integers(low, high))
        return value

    def chance(self, of: int) -> bool:
        return self.whole(1, of) == 1


@dataclass
class Writer:
    """`axes`: those that new values may have (none that a loop around runs along). `plain`: in no scan, so states
    may be set. `labels`: layers called here, with the axes of their argument."""

    model: Model
    vals: list[Val]
    axes: list[str]
    pad: str = "  "
    plain: bool = True
    deep: int = 2
    lines: list[str] = field(default_factory=list)
    labels: list[tuple[str, str, Axes]] = field(default_factory=list)

    # ---- choosing ----

    def pick(self, items: Sequence[Any]) -> Any:
        return self.model.pick(items)

    def some(self, least: int = 0, whole: bool = False) -> Val | None:
        """A value with at least `least` axes; mostly a late one, so that chains grow."""
        found = [v for v in self.vals if len(v.axes) >= least and v.whole == whole]
        return self.pick(found[-3:] if self.model.whole(0, 2) else found) if found else None

    def inside(self, most: int) -> list[Val]:
        """Values whose axes have their declared sizes."""
        return [v for v in self.vals if len(v.axes) <= most and self.declared(v.axes)]

    def declared(self, axes: Axes) -> bool:
        return all(self.model.sizes[a.rstrip("'")] == n for a, n in axes.items())

    def subset(self, names: Sequence[str], least: int = 1) -> list[str]:
        """Some of the names, in some order."""
        chosen: list[str] = self.model.draw(
            st.lists(st.sampled_from(list(names)), min_size=least, max_size=len(names), unique=True)
        )
        return chosen

    def sized(self, names: Sequence[str]) -> Axes:
        return {name: self.model.sizes[name.rstrip("'")] for name in names}

    def fitting(self, v: Val) -> list[Val]:
        """Values with no other axes than `v`, and the same sizes."""
        return [o for o in self.vals if all(v.axes.get(a) == n for a, n in o.axes.items())]

    # ---- writing ----

    def keeps(self, layer: str) -> bool:
        """Whether a layer, or one that it calls, has a state: it may be assigned once a step."""
        text = next(text for text in self.model.layers if text.startswith(f"layer {layer}("))
        return " state " in text or any(self.keeps(inner) for inner in re.findall(r":(fn\d+)\(", text))

    def fits(self, axes: Axes) -> bool:
        return prod(axes.values()) <= LARGEST and len(axes) <= 4

    def let(self, text: str, axes: Axes, whole: bool = False, stated: bool = False, below: int = 0) -> None:
        """A new name for an expression."""
        if not self.fits(axes):
            return
        name = self.model.fresh("v")
        self.lines.append(f"{self.pad}{name}{': ' + ' '.join(axes) if stated and axes else ''} = {text}")
        self.vals.append(Val(name, dict(axes), whole, below))

    def say(self, line: str) -> None:
        self.lines.append(self.pad + line)

    def grow(self, steps: int) -> None:
        menu = [w for w in (SMOOTH if self.model.smooth else MENU) if w not in self.model.without]
        for _ in range(steps):
            self.pick(menu)(self)

    def child(self, vals: list[Val], axes: list[str], plain: bool) -> Writer:
        return Writer(self.model, vals, axes, self.pad + "  ", plain, self.deep - 1)

    def as_axes(self, axes: Axes) -> str:
        """An expression with at most these axes, of what is at hand."""
        found = [
            (v.text, v.axes) for v in self.vals if not v.whole and all(axes.get(a) == n for a, n in v.axes.items())
        ]
        folded = [(t, v.axes) for v in self.vals[-3:] if not v.whole and (t := self.folded(v, axes))]
        near = sorted([*found[-2:], *folded], key=lambda pair: -len([a for a in pair[1] if a in axes]))
        widest = set(near[0][1]) if near else set()
        return " + ".join([t for t, own in near if {a for a in own if a in axes} <= widest][:3]) or ".25"

    def folded(self, v: Val, axes: Axes) -> str | None:
        """A value with its other axes averaged away; None where sizes differ."""
        others = [a for a in v.axes if a not in axes]
        if any(axes[a] != n for a, n in v.axes.items() if a in axes) or (self.model.shards and "B" in others):
            return None
        return f"mean[{' '.join(others)}]({v.text})" if others else v.text


# ---- element by element ----

CURVES = ("tanh({})", "sin({})", "cos({})", "erf({})", "-{}", "({}/3)^2", "sqrt({}^2 + 1)", "rsqrt({}^2 + .5)",
          "log({}^2 + 1)", "exp(-({})^2)", "nn.sigmoid({})", "nn.softplus({})", "nn.gelu({})", ".5*{} + .25",
          "1/({}^2 + 2)", "({}^2 + 1)^.3")  # fmt: skip
KINKS = ("max({}, 0)", "abs({})", "min({}, .5)", "sign({})", "floor({})", "round({}*4)/4", "stop({})", "bf16({})",
         "f16({})", "{} + stop(1 - {})", "nn.leaky_relu({})")  # fmt: skip


def curve(w: Writer) -> None:
    if v := w.some():
        w.let(w.pick(CURVES).replace("{}", v.text), v.axes)


def kink(w: Writer) -> None:
    if v := w.some():
        w.let(w.pick(KINKS).replace("{}", v.text), v.axes)


def paired(w: Writer) -> None:
    """Two values, one of which has all the axes of the other."""
    if (v := w.some()) and (other := w.pick(w.fitting(v))):
        pair = w.pick([(v.text, other.text), (other.text, v.text)])
        forms = ["{} + {}", "{} - {}", "tanh({})*{}", "{}*tanh({})", "{}/({}^2 + 1)"]
        kinked = ["max({}, {})", "min({}, {})", "select({} < {}, 1, -.5)", "({} >= {})*1.5"]
        w.let(w.pick(forms if w.model.smooth else forms + kinked).format(*pair), v.axes)


def stated(w: Writer) -> None:
    """Two values with axes of their own, their result stated."""
    a, b = w.some(1), w.some(1)
    if not a or not b or a.whole or b.whole:
        return
    axes = {**a.axes, **b.axes}
    if w.declared(axes) and w.declared(a.axes) and len(axes) <= 4:
        order = w.subset(list(axes), len(axes))
        w.let(f"tanh({a.text}) * {b.text}", w.sized(order), stated=True)


def chosen(w: Writer) -> None:
    """A mask of axes alone, or of values, between two values."""
    if (v := w.some(1)) and not v.whole:
        other = w.pick([o for o in w.fitting(v) if not o.whole])
        free = [a for a in v.axes if w.declared({a: v.axes[a]}) and a in w.axes]
        tests = [f"iota[{a}] < {w.model.whole(0, 3)}" for a in free]
        tests += [] if w.model.smooth else [f"{other.text} < {v.text}", f"{v.text} > .1 and not {other.text} > .5"]
        if tests:
            w.let(f"select({w.pick(tests)}, {v.text}, {w.pick([other.text, '0', '-.5'])})", v.axes)


# ---- parameters ----


def mapped(w: Writer) -> None:
    """x @ w, removing some axes and adding others (or the same again)."""
    v = w.some(1)
    if not v or v.whole or not w.axes:
        return
    left = [a for a in w.subset(list(v.axes)) if w.declared({a: v.axes[a]}) and a not in ("B", *hidden(w, v))][:2]
    free = [a for a in w.axes if a != "B" and (a not in v.axes or a in left)]
    if not left or not free:
        return
    right = w.subset(free)[:2]
    axes = {**{a: n for a, n in v.axes.items() if a not in left}, **w.sized(right)}
    if not w.fits(axes):
        return
    name = w.model.fresh("w")
    drawn = w.pick(["normal(.5)", "uniform(.7)", f"normal(1/sqrt({left[0]}))"])
    w.say(f"param {name}: {' '.join(left)} -> {' '.join(right)} ~ {drawn}")
    w.let(f"{v.text} @ {name}", axes)


def hidden(w: Writer, v: Val) -> list[str]:
    """Axes of a value that nothing here may declare: primed ones, and those of loops around."""
    return [a for a in v.axes if a not in w.axes]


def added(w: Writer) -> None:
    """A parameter of some axes of a value, added or multiplied."""
    v = w.some()
    if not v or v.whole:
        return
    free = [a for a in v.axes if a in w.axes and a != "B" and w.declared({a: v.axes[a]})]
    axes = w.subset(free, 0) if free else []
    name = w.model.fresh("b")
    if axes and w.fits(v.axes):
        w.model.vectors = True
        w.say(f"param {name}: {' '.join(axes)} {w.pick(['= .1', '= 1', '~ normal(.3)', '~ uniform(.4)'])}")
        w.let(w.pick(["{} + {}", "{} * {}", "{1} - {0}"]).format(v.text, name), v.axes)


def looked_up(w: Writer) -> None:
    """A table of parameters at places that data or values name."""
    ids = [v for v in w.vals if v.whole and v.below]
    tables = [a for a in w.axes if a != "B"]
    if not ids or not tables:
        return
    v, axis = w.pick(ids), w.pick(tables)
    others = [a for a in tables if a != axis and a not in v.axes]
    if w.model.sizes[axis] < v.below or axis in v.axes:
        return
    rest = w.subset(others, 0)[:1] if others else []
    if not w.fits({**v.axes, **w.sized(rest)}):
        return
    name = w.model.fresh("e")
    w.model.vectors |= not rest
    w.say(f"param {name}: {axis} {'-> ' + ' '.join(rest) if rest else ''} ~ normal(.8)")
    w.let(f"{name}[{axis}: {v.text}]", {**v.axes, **w.sized(rest)})


# ---- folding ----


def folded(w: Writer) -> None:
    v = w.some(1)
    if not v or v.whole:
        return
    axes = [a for a in w.subset(list(v.axes)) if not (w.model.shards and a == "B")]
    kinds = ["sum", "mean"] if w.model.smooth else ["sum", "mean", "max", "min", "nn.log_sum_exp"]
    if axes:
        kept = {a: n for a, n in v.axes.items() if a not in axes}
        w.let(f"{w.pick(kinds)}[{' '.join(axes)}]({v.text})", kept)


def dotted(w: Writer) -> None:
    a, b = w.some(1), w.some(1)
    if not a or not b or a.whole or b.whole:
        return
    shared = [x for x in a.axes if x in b.axes]
    if any(a.axes[x] != b.axes[x] for x in shared):
        return
    over = [x for x in (w.subset(shared) if shared else []) if not (w.model.shards and x == "B")]
    if over:
        kept = {
            **{x: n for x, n in a.axes.items() if x not in over},
            **{x: n for x, n in b.axes.items() if x not in over},
        }
        w.let(f"dot[{' '.join(over)}](tanh({a.text}), {b.text})", kept)


def normed(w: Writer) -> None:
    """Softmax, norms and the like along an axis."""
    v = w.some(1)
    if v and not v.whole:
        axis = w.pick(list(v.axes))
        if not (w.model.shards and axis == "B"):
            form = w.pick(["nn.softmax[{0}]({1})", "nn.variance[{0}]({1})*{1}", "{1} - mean[{0}]({1})"])
            w.let(form.format(axis, v.text), v.axes)


def found(w: Writer) -> None:
    """The place of the largest, and what stands there."""
    v = w.some(1)
    if v and not v.whole:
        axis = w.pick(list(v.axes))
        if w.model.shards and axis == "B":
            return
        kept = {a: n for a, n in v.axes.items() if a != axis}
        w.let(f"{w.pick(['argmax', 'argmin'])}[{axis}]({v.text})", kept, whole=True, below=v.axes[axis])


# ---- moving ----


def renamed(w: Writer) -> None:
    v = w.some(1)
    if not v:
        return
    axis = w.pick(list(v.axes))
    same = [a for a in w.axes if a not in v.axes and w.model.sizes[a] == v.axes[axis] and a != "B"]
    new = w.pick([*same, axis + "'"])
    if axis == "B" or new in v.axes or not w.declared({axis: v.axes[axis]}) or new.endswith("''"):
        return
    w.let(
        f"{v.text}[{axis}->{new}]", {(new if a == axis else a): n for a, n in v.axes.items()}, v.whole, False, v.below
    )


def split(w: Writer) -> None:
    found = [v for v in w.vals if "D" in v.axes and not {"H", "K"} & set(v.axes) and w.declared({"D": v.axes["D"]})]
    if found and {"H", "K"} <= set(w.axes):
        v = w.pick(found)
        rest = {a: n for a, n in v.axes.items() if a != "D"}
        w.let(f"{v.text}[D->{w.pick(['H K', 'K H'])}]", {**rest, **w.sized(["H", "K"])}, v.whole, False, v.below)


def merged(w: Writer) -> None:
    found = [v for v in w.vals if {"H", "K"} <= set(v.axes) and "D" not in v.axes]
    found = [v for v in found if w.declared({"H": v.axes["H"], "K": v.axes["K"]})]
    if found and "D" in w.axes:
        v = w.pick(found)
        rest = {a: n for a, n in v.axes.items() if a not in "HK"}
        w.let(f"{v.text}[{w.pick(['H K', 'K H'])}->D]", {**rest, **w.sized(["D"])}, v.whole, False, v.below)


def cut(w: Writer) -> None:
    """One place, or a stretch."""
    v = w.some(1)
    if not v:
        return
    axis = w.pick(list(v.axes))
    n = v.axes[axis]
    if axis == "B":
        return
    rest = {a: m for a, m in v.axes.items() if a != axis}
    if w.model.chance(2):
        w.let(f"{v.text}[{axis}: {w.model.whole(0, n - 1)}]", rest, v.whole, False, v.below)
        return
    start = w.model.whole(0, n - 1)
    stop = w.model.whole(start + 1, n)
    w.let(f"{v.text}[{axis}: {start}..{stop}]", {**v.axes, axis: stop - start}, v.whole, False, v.below)


def gathered(w: Writer) -> None:
    """A value at places that a value of whole numbers names."""
    ids = [v for v in w.vals if v.whole and v.below]
    if not ids:
        return
    index = w.pick(ids)
    found = [
        (v, a) for v in w.vals for a, n in v.axes.items() if n >= index.below and a not in index.axes and not v.whole
    ]
    found = [(v, a) for v, a in found if all(index.axes.get(o, n) == n for o, n in v.axes.items()) and a != "B"]
    if found:
        v, axis = w.pick(found)
        axes = {**index.axes, **{a: n for a, n in v.axes.items() if a != axis}}
        w.let(f"{v.text}[{axis}: {index.text}]", axes)


def windowed(w: Writer) -> None:
    v = w.some(1)
    if not v or v.whole or "P" not in w.axes or "P" in v.axes:
        return
    axis, p = w.pick(list(v.axes)), w.model.sizes["P"]
    stride, pad = w.model.whole(1, 2), w.model.whole(0, 1)
    n = v.axes[axis] + 2 * pad
    if axis == "B" or n < p:
        return
    axes = {**v.axes, axis: (n - p) // stride + 1, "P": p}
    w.let(f"window[{axis} by P]({v.text}, stride={stride}, pad={pad})", axes)


def moved(w: Writer) -> None:
    """flip, pad, every, concat, cumsum."""
    v = w.some(1)
    if not v or v.whole:
        return
    axis = w.pick(list(v.axes))
    n = v.axes[axis]
    if axis == "B":
        return
    form, size = w.pick([
        ("flip[{a}]({x})", n), ("pad[{a}]({x}, 1, value=.5)", n + 2), ("pad[{a}]({x}, [0, 2])", n + 2),
        ("every[{a}]({x}, 2)", (n + 1) // 2), ("concat[{a}]({x}, tanh({x}))", 2 * n), ("cumsum[{a}]({x})", n),
    ])  # fmt: skip
    w.let(form.format(a=axis, x=v.text), {**v.axes, axis: size})


def stacked(w: Writer) -> None:
    v = w.some()
    if v and "C" in w.axes and "C" not in v.axes and not v.whole:
        parts = [
            w.pick([v.text, f"tanh({v.text})", *(o.text for o in w.fitting(v))]) for _ in range(w.model.sizes["C"])
        ]
        if v.text in parts:
            w.let(f"stack[C]({', '.join(parts)})", {**v.axes, "C": w.model.sizes["C"]})


def ordered(w: Writer) -> None:
    """sort, argsort, top."""
    v = w.some(1)
    if not v or v.whole:
        return
    axis = w.pick(list(v.axes))
    if axis == "B":
        return
    smaller = [a for a in w.axes if a not in v.axes and w.model.sizes[a] <= v.axes[axis] and a != "B"]
    rest = {a: n for a, n in v.axes.items() if a != axis}
    if smaller and w.model.chance(2):
        new = w.pick(smaller)
        w.let(f"top[{axis}->{new}]({v.text})", {**rest, **w.sized([new])}, True, False, v.axes[axis])
    elif w.model.chance(2):
        w.let(f"sort[{axis}]({v.text})", v.axes)
    else:
        w.let(f"argsort[{axis}]({v.text})", v.axes, True, False, v.axes[axis])


def made(w: Writer) -> None:
    """Values of axes alone, and of whole numbers."""
    if w.axes:
        axis = w.pick(w.axes)
        w.let(w.pick([f"iota[{axis}]*.2 - .3", f"ones[{axis}]*.5", f"cos(iota[{axis}])"]), w.sized([axis]))


def hot(w: Writer) -> None:
    ids = [v for v in w.vals if v.whole and v.below]
    if ids:
        v = w.pick(ids)
        free = [a for a in w.axes if a not in v.axes and a != "B"]
        if free:
            axis = w.pick(free)
            w.let(f"one_hot[{axis}]({v.text})", {**v.axes, **w.sized([axis])})


def drawn(w: Writer) -> None:
    """A random draw of the step, while training."""
    v = w.some(1)
    if v and not v.whole and "B" in v.axes and w.declared(v.axes) and all(a in w.axes for a in v.axes):
        axes = " ".join(["B", *[a for a in v.axes if a != "B"]])
        form = w.pick(["select(rand[{a}]() < .3, 0, {x})", "{x} + normal[{a}](.5)", "{x}*randint[{a}](1, 4)"])
        w.let(f"{form.format(a=axes, x=v.text)} if training else {v.text}", v.axes)


# ---- blocks ----


def repeated(w: Writer) -> None:
    """`repeat L { … }` with a value handed on."""
    carried = [v for v in w.vals if not v.whole and "L" not in v.axes]
    if not carried or "L" not in w.axes or not w.deep:
        return
    v = w.pick(carried)
    name = w.model.fresh("r")
    w.say(f"{name} = {v.text}")
    seen = [cut_by("L", o, w.model.sizes["L"]) for o in w.vals]
    inner = w.child([*(o for o in seen if o), Val(name, v.axes)], [a for a in w.axes if a != "L"], w.plain)
    turn = w.model.chance(4)
    inner.grow(w.model.whole(1, 4))
    inner.say(f"{name} = {name} + tanh({inner.as_axes(v.axes)}){'*i' if turn else ''}")
    w.lines += [f"{w.pad}repeat L {'as i ' if turn else ''}{{", *inner.lines, f"{w.pad}}}"]
    w.vals.append(Val(name, v.axes))


def cut_by(axis: str, v: Val, size: int) -> Val | None:
    """A value as a loop along `axis` sees it; None where its axis has another size."""
    if v.axes.get(axis, size) != size:
        return None
    return Val(v.text, {a: n for a, n in v.axes.items() if a != axis}, v.whole, v.below)


def scanned(w: Writer) -> None:
    """`scan T (h = …) { … }`: a recurrence."""
    axis = w.pick([a for a in ("T", "X", "L") if a in w.axes] or ["?"])
    if axis == "?" or not w.deep:
        return
    seen = [o for o in (cut_by(axis, v, w.model.sizes[axis]) for v in w.vals) if o]
    starts = [v for v in w.vals if not v.whole and axis not in v.axes and v in seen]
    if not starts:
        return
    v, name = w.pick(starts), w.model.fresh("h")
    inner = w.child([*seen, Val(name, v.axes)], [a for a in w.axes if a != axis], False)
    inner.grow(w.model.whole(1, 4))
    inner.say(f"{name} = tanh({name}*.5 + {inner.as_axes(v.axes)})")
    given = w.pick([o for o in inner.vals if not o.whole])
    inner.say(given.text)
    result = w.model.fresh("v")
    w.lines += [f"{w.pad}{result} = scan {axis} ({name} = {v.text}) {{", *inner.lines, f"{w.pad}}}"]
    axes = {axis: w.model.sizes[axis], **given.axes}
    if w.fits(axes):
        w.vals.append(Val(result, axes))


def unrolled(w: Writer) -> None:
    v = w.some()
    if v and not v.whole:
        name = w.model.fresh("u")
        w.say(f"{name} = {v.text}")
        w.say(f"repeat {w.model.whole(1, 3)} {{ {name} = {name} - .25*sin({name}) }}")
        w.vals.append(Val(name, v.axes))


def branched(w: Writer) -> None:
    v = w.some()
    if v and not v.whole:
        name = w.model.fresh("q")
        w.say(f"{name} = {v.text}")
        w.say(f"if training {{ {name} = {name}*.5 }} else {{ {name} = {name} + 1 }}")
        w.vals.append(Val(name, v.axes))


def called(w: Writer) -> None:
    """A layer of its own, or one that was called here before under its label."""
    v = w.some()
    if not v or v.whole or not w.deep or not w.fits(v.axes):
        return
    again = [(label, layer) for label, layer, axes in w.labels if axes == v.axes and not w.keeps(layer)]
    if again and w.model.chance(2):
        label, layer = w.pick(again)
    else:
        label, layer = w.model.fresh("n"), layer_of(w, v)
        w.labels.append((label, layer, v.axes))
    w.let(f"tanh({label}:{layer}({v.text}))", v.axes)


def layer_of(w: Writer, v: Val) -> str:
    name = w.model.fresh("fn")
    inner = Writer(w.model, [Val("x", v.axes)], w.axes, "  ", w.plain, w.deep - 1)
    inner.grow(w.model.whole(1, 4))
    keeps = [a for a in v.axes if a in w.axes and a != "B" and w.declared({a: v.axes[a]})][:1]
    if keeps and w.plain and w.model.chance(3) and not w.model.smooth and not w.model.shards:
        state(inner, keeps)
    lines = [f"layer {name}(x) {{", *inner.lines, f"  x + .5*({inner.as_axes(v.axes)})", "}"]
    w.model.layers.append("\n".join(lines))
    return name


def state(inner: Writer, axes: list[str]) -> None:
    """A statistic that the layer keeps."""
    name = inner.model.fresh("s")
    inner.say(f"state {name}: {axes[0]} = .5")
    inner.say(f"if training {{ {name} := .9*{name} + .1*({inner.as_axes(inner.sized(axes))}) }}")
    inner.vals.append(Val(name, inner.sized(axes)))


BLOCKS: tuple[Grow, ...] = (repeated, scanned, called)
SMOOTH: tuple[Grow, ...] = (
    curve, curve, paired, paired, stated, chosen, mapped, mapped, mapped, added, added, looked_up, folded, dotted,
    normed, renamed, split, merged, cut, gathered, windowed, moved, stacked, made, hot, drawn, unrolled, branched,
    *BLOCKS, *BLOCKS,
)  # fmt: skip
MENU: tuple[Grow, ...] = (*SMOOTH, kink, kink, found, ordered)

# ---- a whole text ----

OPTIMIZERS = (
    "optim.sgd(lr)",
    "optim.momentum(lr, mu=.8)",
    "optim.adam(lr)",
    "optim.adamw(lr, wd=.1)",
    "optim.lion(lr)",
)


@st.composite
def models(draw: Any, smooth: bool = False, plain: bool = False, steps: int = 12) -> str:
    """The text of a random job. With `smooth` or `plain` its optimizer is p := p - g."""
    shards = draw(st.sampled_from([1, 1, 2, 3, 4]))
    model = Model(draw, sizes_of(draw, shards), smooth, shards > 1, (drawn, ordered) if plain else ())
    given = [Val(f"batch.{name}", {"B": model.sizes["B"], **{a: model.sizes[a] for a in axes.split()}}, kind != "f32",
                 2 if kind != "f32" else 0) for name, (kind, axes) in FIELDS.items()]  # fmt: skip
    writer = Writer(model, given, list(model.sizes))
    mapped_first(writer)
    writer.grow(draw(st.integers(steps // 2, steps)))
    result = objective(writer)
    body = "\n".join(["layer net(batch) {", *writer.lines, f"  {result}", "}"])
    return whole_text(model, body, training(model, shards, smooth or plain))


def sizes_of(draw: Any, shards: int) -> Axes:
    h, k = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    sizes = {"B": shards * draw(st.integers(1, 3)), "T": draw(st.integers(1, 4)), "D": h * k, "H": h, "K": k}
    sizes |= {"C": draw(st.integers(1, 3)), "L": draw(st.integers(1, 3)), "P": draw(st.integers(1, 3))}
    return sizes | {"V": draw(st.integers(2, 5)), "X": draw(st.integers(1, 5))}


def mapped_first(w: Writer) -> None:
    """One parameter at least."""
    w.say("param w0: D -> X ~ normal(.6)")
    w.let("batch.x @ w0", w.sized(["B", "T", "X"]))


def objective(w: Writer) -> str:
    """One number per example, of the last values."""
    example = w.sized(["B"])
    last = [w.folded(v, example) for v in w.vals[-4:] if not v.whole]
    parts = [f"tanh({t})" for t in dict.fromkeys(last) if t]
    return " + ".join(["batch.y*.1", *parts, "mean[T X](tanh(batch.x @ w0))"])


def training(model: Model, shards: int, plain: bool) -> list[str]:
    lines = [f"seed = {model.whole(0, 99)}", "steps = 2", "batch = sequence(d)",
             "loss = mean[B](net(batch)^2)"]  # fmt: skip
    lines += [f"shards = {shards}"] if shards > 1 else []
    if plain:
        return [*lines, "update all by plain()"]
    lines += [f"lr = {model.pick(['.05', '.1/(step + 1)', '.01*(1 - step/steps)'])}"]
    lines += ["clip = .5"] if model.chance(3) else []
    first, second = model.pick(OPTIMIZERS), model.pick(OPTIMIZERS)
    if not model.chance(3):
        return [*lines, f"update all by {first}"]
    return [*lines, f"update matrices by {first}", *([f"update vectors by {second}"] if model.vectors else [])]


def whole_text(model: Model, body: str, train: list[str]) -> str:
    text = "\n".join([*model.layers, body, "train {", *(f"  {line}" for line in train), "}"])
    used = [axis for axis in model.sizes if axis in "BTD" or re.search(rf"(?<![\w.]){axis}(?![\w])", text)]
    dims = ", ".join(f"{axis}={model.sizes[axis]}" for axis in used)
    fields = ", ".join(f"{name}={kind}{f'[{axes}]' if axes else ''}" for name, (kind, axes) in FIELDS.items())
    head = ["job random", "import std.nn", "import std.optim", f"dim {dims}", f"data d = table({ROOT}, {fields})"]
    return "\n".join([*head, "optim plain(p, g) { p := p - g }", text, ""])

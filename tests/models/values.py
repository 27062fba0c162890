"""Statements of random models that make one value from others: element by element, with parameters, folded, moved.

Takes: a writer. Promises: each function writes one statement that fits, or nothing where none does.
"""

from __future__ import annotations

from tests.models.writer import Val, Writer

# ---- element by element ----

CURVES = ("tanh({})", "sin({})", "cos({})", "erf({})", "-{}", "({}/3)^2", "sqrt({}^2 + 1)", "rsqrt({}^2 + .5)",
          "log({}^2 + 1)", "exp(-({})^2)", "nn.sigmoid({})", "nn.softplus({})", "nn.gelu({})", ".5*{} + .25",
          "1/({}^2 + 2)", "({}^2 + 1)^.3")  # fmt: skip
KINKS = ("max({}, 0)", "abs({})", "min({}, .5)", "sign({})", "floor({})", "round({}*4)/4", "stop({})", "bf16({})",
         "f16({})", "{} + stop(.37 - {})", "nn.leaky_relu({})", "{} % .7", "({}*5) % 3")  # fmt: skip


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


def routed(w: Writer) -> None:
    """x @ w[E: e]: of several maps those that whole numbers choose."""
    ids, v = [v for v in w.vals if v.whole and v.below], w.some(1)
    if not ids or not v or v.whole:
        return
    index, tables = w.pick(ids), [a for a in w.axes if a != "B"]
    maps = [a for a in tables if w.model.sizes[a] >= index.below and a not in {**v.axes, **index.axes}]
    left = [a for a in v.axes if a in tables and a not in index.axes and w.declared({a: v.axes[a]})]
    if not maps or not left or any(v.axes.get(a, n) != n for a, n in index.axes.items()):
        return
    chosen, gone = w.pick(maps), w.pick(left)
    kept = {a: n for a, n in v.axes.items() if a != gone}
    free = [a for a in tables if a not in {**v.axes, **index.axes} and a != chosen]
    new = w.pick(free or [""])
    if new and w.fits({**kept, **index.axes, **w.sized([new])}):
        name = w.model.fresh("m")
        w.say(f"param {name}: {chosen} | {gone} -> {new} ~ normal(.5)")
        w.let(f"{v.text} @ {name}[{chosen}: {index.text}]", {**kept, **index.axes, **w.sized([new])})


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


def scaled_by_all(w: Writer) -> None:
    """By a fold over the whole batch that no gradient goes through: pieces may use it too."""
    v = w.some()
    if v and not v.whole and w.outermost:
        totals = ["mean[B](batch.y)", "sum[B T](batch.c == 1)"]
        stopped = [] if w.model.smooth else ["stop(mean[B T X](batch.x @ w0))", "count[B](batch.y)"]
        w.let(f"{v.text}/(2 + tanh({w.pick(totals + stopped)}))", v.axes)


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


def arranged(w: Writer) -> None:
    v = w.some(1)
    if v and not v.whole:
        axis = w.pick(list(v.axes))
        if axis != "B":
            w.let(f"sort[{axis}]({v.text})", v.axes)


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
    """A random draw of the step, while training or always."""
    v = w.some(1)
    if v and not v.whole and "B" in v.axes and w.declared(v.axes) and all(a in w.axes for a in v.axes):
        axes = " ".join(["B", *[a for a in v.axes if a != "B"]])
        form = w.pick(["select(rand[{a}]() < .3, 0, {x})", "{x} + normal[{a}](.5)", "{x}*randint[{a}](1, 4)"])
        otherwise = "" if w.model.chance(3) else f" if training else {v.text}"
        w.let(form.format(a=axes, x=v.text) + otherwise, v.axes)

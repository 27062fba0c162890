"""Statements of random models with bodies of their own: loops, branches, layers.

Takes: a writer. Promises: as in values.py.
"""

from __future__ import annotations

from tests.models.writer import Val, Writer


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
    rebound(w, "u", f"repeat {w.model.whole(1, 3)} {{ N = N - .25*sin(N) }}")


def branched(w: Writer) -> None:
    rebound(w, "q", "if training { N = N*.5 } else { N = N + 1 }")


def rebound(w: Writer, stem: str, line: str) -> None:
    """A new name N for a value, and a line that binds it anew."""
    v = w.some()
    if v and not v.whole:
        name = w.model.fresh(stem)
        w.say(f"{name} = {v.text}")
        w.say(line.replace("N", name))
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

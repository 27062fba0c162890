"""Random models as `.job` texts, as hypothesis strategies.

Takes: `models(...)` draws a text. Promises: every text is a job (a refusal is a fault here or in the language);
tensors have at most 240 numbers; values stay within a few thousand, so gradients are finite. `smooth=True`: only
operations whose slopes finite differences can see (no kinks, no `stop`, no rounding). `plain=True`: every optimizer is
p := p - g. `wide=True`: axes of up to 96 and tensors of 30,000 numbers, whose kernels are cut for vectors, groups and
tiles; where maps follow each other, values may become infinite.
"""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st

from tests.models import blocks, values
from tests.models.writer import Axes, Grow, Model, Val, Writer

ROOT = "b3:" + "0123456789abcdef" * 4
FIELDS = {"x": ("f32", "T D"), "y": ("f32", ""), "c": ("u8", "T"), "k": ("u8", "")}
OF_DATA = ", ".join(f"{name}={kind}{f'[{axes}]' if axes else ''}" for name, (kind, axes) in FIELDS.items())

#: numbers of a tensor, of a wide one
LARGEST, WIDEST = 240, 30_000

BLOCKS: tuple[Grow, ...] = (blocks.repeated, blocks.scanned, blocks.called)
SMOOTH: tuple[Grow, ...] = (
    *(values.curve, values.paired, values.added) * 2, *(values.mapped,) * 3, *BLOCKS * 2,
    values.stated, values.chosen, values.looked_up, values.routed, values.folded, values.dotted, values.normed,
    values.renamed, values.split, values.merged, values.cut, values.gathered, values.windowed, values.moved,
    values.stacked, values.made, values.hot, values.drawn, values.arranged, values.scaled_by_all,
    blocks.unrolled, blocks.branched,
)  # fmt: skip
MENU: tuple[Grow, ...] = (*SMOOTH, *(values.kink,) * 2, values.found, values.ordered)
RATES = (".05", ".1/(step + 1)", ".01*(1 - step/steps)")
OPTIMIZERS = (
    "optim.sgd(lr)",
    "optim.momentum(lr, mu=.8)",
    "optim.adam(lr)",
    "optim.adamw(lr, wd=.1)",
    "optim.lion(lr)",
)
AVERAGES = ("optim.ema(.75)", "optim.polyak()")


@st.composite
def models(draw: Any, smooth: bool = False, plain: bool = False, steps: int = 12, wide: bool = False) -> str:
    """The text of a random job."""
    shards = draw(st.sampled_from([1, 1, 2, 3, 4]))
    menu = SMOOTH if smooth else MENU
    sizes = sizes_of(draw, shards) | (wide_sizes(draw) if wide else {})
    model = Model(draw, sizes, smooth, shards > 1, menu, WIDEST if wide else LARGEST)
    given = [Val(f"batch.{name}", {"B": model.sizes["B"], **{a: model.sizes[a] for a in axes.split()}}, kind != "f32",
                 2 if kind != "f32" else 0) for name, (kind, axes) in FIELDS.items()]  # fmt: skip
    writer = Writer(model, given, list(model.sizes))
    mapped_first(writer)
    writer.grow(draw(st.integers(steps // 2, steps)))
    result = objective(writer)
    body = "\n".join(["layer net(batch) {", *writer.lines, f"  {result}", "}"])
    return whole_text(model, body, sections(model, shards, plain))


def sizes_of(draw: Any, shards: int) -> Axes:
    h, k = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    sizes = {"B": shards * draw(st.integers(1, 3)), "T": draw(st.integers(1, 4)), "D": h * k, "H": h, "K": k}
    sizes |= {"C": draw(st.integers(1, 3)), "L": draw(st.integers(1, 3)), "P": draw(st.integers(1, 3))}
    return sizes | {"V": draw(st.integers(2, 5)), "X": draw(st.integers(1, 5))}


def wide_sizes(draw: Any) -> Axes:
    """Sizes that vectors, groups and tiles divide, and others."""
    h, k = draw(st.sampled_from([1, 2, 3, 6])), draw(st.sampled_from([1, 5, 8, 16]))
    longs = {axis: draw(st.sampled_from([1, 4, 7, 16, 33, 64])) for axis in "TXV"}
    return {"D": h * k, "H": h, "K": k, **longs, "V": longs["V"] + 1}


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


# ---- how it is trained ----


def sections(model: Model, shards: int, plain: bool) -> list[str]:
    """`train`, and often `eval`."""
    averaged = model.chance(3)
    lines = [f"seed = {model.whole(0, 99)}", "batch = sequence(d)", f"loss = {loss(model)}"]
    lines += [f"shards = {shards}"] if shards > 1 else []
    lines += [f"compute = {model.pick(['bf16', 'fast'])}"] if model.chance(4) else []
    lines += [] if plain else rate(model)
    phases = two_phases(model, shards, plain) if model.chance(3) else []
    lines += [] if phases else [model.pick(["steps = 2", f"until = {2 * model.sizes['B']}"])]
    lines += updates(model, plain)
    lines += [f"average all by {model.pick(AVERAGES)}"] if averaged else []
    train = ["train {", *(f"  {line}" for line in [*lines, *phases]), "}"]
    return train + (evaluation(model, averaged) if model.chance(2) else [])


def loss(model: Model) -> str:
    folded = [
        "mean[B](net(batch)^2)",
        "sum[B](net(batch)^2)/B",
        "sum[B]((batch.k == 1)*net(batch)^2)/sum[B](batch.k + 1)",
    ]
    return str(model.pick(folded))


def rate(model: Model) -> list[str]:
    return [f"lr = {model.pick(RATES)}", *(["clip = .5"] if model.chance(3) else [])]


def updates(model: Model, plain: bool) -> list[str]:
    if plain:
        return ["update all by plain()"]
    first, second = model.pick(OPTIMIZERS), model.pick(OPTIMIZERS)
    kind = model.whole(0, 5)
    if kind > 1 or not model.vectors:
        return [f"update all by {first}"]
    return [f"update matrices by {first}", f"update vectors by {second}" if kind else "freeze vectors"]


def two_phases(model: Model, shards: int, plain: bool) -> list[str]:
    """The second says something else: the batch, the pieces, the loss, how it learns, what it averages."""
    batch = shards * model.whole(1, model.sizes["B"] // shards)
    changes = [
        f"B = {batch}",
        "loss = .5*mean[B](net(batch)^2)",
        "shards = 1",
        f"average all by {model.pick(AVERAGES)}",
    ]
    changes += [] if plain else ["lr = lr.before*(1.5 - phase_frac)", "clip = .1", "; ".join(updates(model, False))]
    chosen = model.draw(st.lists(st.sampled_from(changes), max_size=3, unique=True))
    return ["phase one { steps = 1 }", f"phase two {{ {'; '.join(['steps = 2', *chosen])} }}"]


def evaluation(model: Model, averaged: bool) -> list[str]:
    lines = ["every = 1; on = d; steps = 1", "error = mean[B](net(batch)^2)", "largest = max[B](net(batch))"]
    lines += ["weights = average"] if averaged and model.chance(2) else []
    lines += ["best = min(error)"] if model.chance(2) else []
    return ["eval {", *(f"  {line}" for line in lines), "}"]


def whole_text(model: Model, body: str, sections: list[str]) -> str:
    text = "\n".join([*model.layers, body, *sections])
    used = [axis for axis in model.sizes if axis in "BTD" or re.search(rf"(?<![\w.]){axis}(?![\w])", text)]
    dims = ", ".join(f"{axis}={model.sizes[axis]}" for axis in used)
    head = ["job random", "import std.nn", "import std.optim", f"dim {dims}", f"data d = table({ROOT}, {OF_DATA})"]
    return "\n".join([*head, "optim plain(p, g) { p := p - g }", text, ""])

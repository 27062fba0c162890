"""Writing the statements of one body of a random model.

Takes: a hypothesis `draw`. Promises: a `Writer` knows of each value in scope which axes it has and how long they are
here (a slice or a window changes that), so what it writes next fits. `Model` is what all bodies of a text share.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from hypothesis import strategies as st

Grow = Callable[["Writer"], None]
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
    """What all bodies of a text share. `menu`: what statements are chosen from; `layers`: texts of the layers written
    so far; `largest`: numbers of a tensor; `vectors`: whether any parameter is none of the linear maps."""

    draw: Any
    sizes: Axes
    smooth: bool
    shards: bool
    menu: tuple[Grow, ...]
    largest: int
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

    @property
    def outermost(self) -> bool:
        """Whether this is the body of the layer that `train` calls, and no loop."""
        return any(v.text == "batch.x" for v in self.vals) and self.pad == "  "

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
        return prod(axes.values()) <= self.model.largest and len(axes) <= 4

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
        for _ in range(steps):
            self.pick(self.model.menu)(self)

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

"""Curves over steps, as SVG.

Takes: series of finite or other numbers. Promises: every extreme of a curve is drawn however many points it has; what
is not finite is left out and counted; without colours the lines are told apart by their dashes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

from jobspec.report.markup import Markup, tag
from jobspec.report.scales import Scale, said, scale

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 10, 34
#: columns that a curve is drawn in, each with its least and its greatest point
COLUMNS, COLORS = 300, 6
DASHES = (None, "6 3", "2 3", "8 3 2 3", "1 2", "10 4")
#: series of at most so many points have a dot on each
DOTTED = 40
Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """`points`: (steps done, value), steps ascending."""

    name: str
    points: Sequence[Point]

    @property
    def finite(self) -> list[Point]:
        return [(x, y) for x, y in self.points if isfinite(y)]


def chart(title: str, series: Sequence[Series]) -> Markup:
    """A figure with its legend; nothing where there is no finite point."""
    drawn = [one for one in series if one.finite]
    if not drawn:
        return Markup("")
    xs = [x for one in drawn for x, _ in one.finite]
    ys = [y for one in drawn for _, y in one.finite]
    across = scale(min(xs), max(xs), LEFT, WIDTH - RIGHT)
    up = scale(min(ys), max(ys), HEIGHT - BOTTOM, TOP)
    svg = tag(
        "svg", tag("title", title), tag("desc", "; ".join(summary(one) for one in drawn)), grid(across, up),
        [curve(number, one, across, up) for number, one in enumerate(drawn)],
        viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img",
    )  # fmt: skip
    return tag("figure", tag("div", svg, class_="wide", tabindex="0"), tag("figcaption", title, legend(drawn)))


def summary(one: Series) -> str:
    """What a curve shows, for who cannot see it."""
    ys = [y for _, y in one.finite]
    missing = len(one.points) - len(ys)
    rest = f", {missing} not finite" if missing else ""
    return f"{one.name}: first {ys[0]:.4g}, last {ys[-1]:.4g}, least {min(ys):.4g}, greatest {max(ys):.4g}{rest}"


def grid(across: Scale, up: Scale) -> Iterator[Markup]:
    for y in up.marks(5):
        at = up.at(y)
        yield tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at, class_="grid")
        yield tag("text", said(y), x=LEFT - 6, y=at + 4, text_anchor="end")
    for x in across.marks(6):
        at = across.at(x)
        yield tag("line", x1=at, x2=at, y1=HEIGHT - BOTTOM, y2=HEIGHT - BOTTOM + 4, class_="axis")
        yield tag("text", said(x), x=at, y=HEIGHT - BOTTOM + 18, text_anchor="middle")
    yield tag("text", "steps", x=WIDTH - RIGHT, y=HEIGHT - 2, text_anchor="end", class_="quiet")


def curve(number: int, one: Series, across: Scale, up: Scale) -> Iterator[Markup]:
    places = [(across.at(x), up.at(y)) for x, y in thinned(one.finite)]
    path = "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in places)
    color = f"line c{number % COLORS}"
    yield tag("path", d=path, class_=color, stroke_dasharray=DASHES[number % len(DASHES)])
    if len(one.finite) <= DOTTED:
        for (x, y), (step, value) in zip(places, one.finite, strict=True):
            mark = tag("title", f"{one.name} after {step:,.0f} steps: {value:.6g}")
            yield tag("circle", mark, cx=x, cy=y, r=3, class_=f"dot c{number % COLORS}")


def thinned(points: Sequence[Point]) -> list[Point]:
    """All of few points; of many the least and the greatest of each column, and both ends."""
    if len(points) <= 2 * COLUMNS:
        return list(points)
    kept = {0, len(points) - 1}
    for column in range(COLUMNS):
        first, last = column * len(points) // COLUMNS, (column + 1) * len(points) // COLUMNS
        kept.add(min(range(first, last), key=lambda i: points[i][1]))
        kept.add(max(range(first, last), key=lambda i: points[i][1]))
    return [points[i] for i in sorted(kept)]


def legend(drawn: Sequence[Series]) -> Markup:
    return tag("ul", [entry(number, one) for number, one in enumerate(drawn)], class_="legend")


def entry(number: int, one: Series) -> Markup:
    line = tag("line", x1=0, x2=26, y1=5, y2=5, class_=f"line c{number % COLORS}",
               stroke_dasharray=DASHES[number % len(DASHES)])  # fmt: skip
    return tag("li", tag("svg", line, class_="key", viewBox="0 0 26 10", aria_hidden="true"), " ", summary(one))

"""What ran when, as SVG: kernels of a profile, tasks of workers.

Takes: events in Chrome's trace format, as `jobspec profile --trace` writes them. Promises: a lane for each thread, a
bar for each event that has a length, at most so many of them; beside it how long each kind of work took in all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobspec.ir.errors import UsageError
from jobspec.report.markup import Markup, tag
from jobspec.report.markup import table as rows_table
from jobspec.report.scales import Scale, said, scale

WIDTH, LANE, TOP, LEFT, RIGHT = 900, 26, 22, 8, 8
MOST, LISTED, COLORS = 2000, 15, 6
MICRO = 1e6


@dataclass(frozen=True)
class Bar:
    """Seconds; `lane`: of `Trace.lanes`."""

    name: str
    kind: str
    lane: int
    begun: float
    length: float
    about: str = ""


@dataclass(frozen=True)
class Trace:
    """`bars` in the order in which they began."""

    lanes: tuple[str, ...]
    bars: tuple[Bar, ...]


def read_trace(data: bytes, source: str) -> Trace:
    """Raises UsageError E0891 for what is no trace."""
    try:
        events = json.loads(data)["traceEvents"]
        return trace_of([event for event in events if isinstance(event, dict)])
    except (ValueError, KeyError, TypeError) as error:
        help = "`jobspec profile FILE --trace FILE` writes one"
        raise UsageError("E0891", f"{source} is no trace of events", help=help) from error


def trace_of(events: Sequence[Mapping[str, Any]]) -> Trace:
    found = [event for event in events if event.get("ph") == "X" and float(event["dur"]) >= 0]
    places = sorted({place_of(event) for event in found})
    named = (event for event in events if event.get("ph") == "M" and event.get("name") == "thread_name")
    names = {place_of(event): str(event["args"]["name"]) for event in named}
    start = min((float(event["ts"]) for event in found), default=0.0)
    bars = (bar_of(event, places.index(place_of(event)), start) for event in found)
    lanes = tuple(names.get(place, f"thread {place[1]}") for place in places)
    return Trace(lanes, tuple(sorted(bars, key=lambda bar: (bar.begun, -bar.length, bar.lane, bar.name))))


def place_of(event: Mapping[str, Any]) -> tuple[int, int]:
    return int(event["pid"]), int(event["tid"])


def bar_of(event: Mapping[str, Any], lane: int, start: float) -> Bar:
    args = event.get("args") or {}
    about = str(args.get("text") or args.get("shape") or "") if isinstance(args, dict) else ""
    begun, length = (float(event["ts"]) - start) / MICRO, float(event["dur"]) / MICRO
    return Bar(str(event["name"]), str(event.get("cat", "")), lane, begun, length, about)


def drawn(title: str, trace: Trace) -> Markup:
    """A figure, and a table of what took longest."""
    bars = trace.bars[:MOST]
    if not bars:
        return Markup("")
    across = scale(0.0, max(bar.begun + bar.length for bar in bars), LEFT, WIDTH - RIGHT)
    kinds = list(dict.fromkeys(bar.kind for bar in trace.bars))
    height = TOP + LANE * len(trace.lanes) + 28
    svg = tag(
        "svg", tag("title", title), ticks(across, height), lanes(trace), [rect(bar, across, kinds) for bar in bars],
        viewBox=f"0 0 {WIDTH} {height}", role="img",
    )  # fmt: skip
    rest = f"; the first {len(bars):,} of {len(trace.bars):,}" if len(bars) < len(trace.bars) else ""
    caption = tag("figcaption", f"{title}{rest}", legend(kinds))
    return Markup(tag("figure", tag("div", svg, class_="wide", tabindex="0"), caption) + longest(trace))


def rect(bar: Bar, across: Scale, kinds: Sequence[str]) -> Markup:
    told = f"{bar.name}, {bar.length * 1e3:.3f} ms{f': {bar.about}' if bar.about else ''}"
    width = max(0.4, across.at(bar.length) - across.start)
    color = f"fill c{kinds.index(bar.kind) % COLORS}"
    y = TOP + bar.lane * LANE + (0 if bar.kind == "step" else 4)
    height = 3 if bar.kind == "step" else LANE - 12
    return tag("rect", tag("title", told), x=across.at(bar.begun), y=y, width=width, height=height, class_=color)


def ticks(across: Scale, height: float) -> Iterator[Markup]:
    for x in across.marks(8):
        yield tag("line", x1=across.at(x), x2=across.at(x), y1=TOP, y2=height - 24, class_="grid")
        yield tag("text", f"{said(x * 1e3)} ms", x=across.at(x), y=height - 8, text_anchor="middle")


def lanes(trace: Trace) -> Iterator[Markup]:
    for number, name in enumerate(trace.lanes):
        yield tag("text", name, x=LEFT, y=TOP + number * LANE + LANE - 1, class_="quiet")


def legend(kinds: Sequence[str]) -> Markup:
    named = [(number, kind) for number, kind in enumerate(kinds) if kind]
    return tag("ul", [tag("li", key(number), " ", kind) for number, kind in named], class_="legend")


def key(number: int) -> Markup:
    box = tag("rect", x=0, y=0, width=10, height=10, class_=f"fill c{number % COLORS}")
    return tag("svg", box, class_="key", viewBox="0 0 10 10", aria_hidden="true")


def longest(trace: Trace) -> Markup:
    """Work of one name together, the dearest first."""
    work = [bar for bar in trace.bars if bar.kind != "step"]
    totals: dict[tuple[str, str], list[float]] = {}
    for bar in work:
        totals.setdefault((bar.name, bar.about), []).append(bar.length)
    whole = sum(bar.length for bar in work) or 1.0
    order = sorted(totals.items(), key=lambda item: (-sum(item[1]), item[0]))[:LISTED]
    rows = [
        (name, about, f"{len(times):,}", f"{sum(times) * 1e3:.3f}", f"{sum(times) / whole:.1%}")
        for (name, about), times in order
    ]
    return rows_table(rows, ("longest", "what makes it", "times", "ms", "share"))

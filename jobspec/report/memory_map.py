"""The planned memory of a step over its course, as SVG.

Takes: a routine of the plan. Promises: each buffer of the arena once, from the call that makes it to the last that uses
it, at its place; the smallest are left out where there are very many, and counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jobspec.ir.plan import Buffer, Routine
from jobspec.passes.memory import find_lives
from jobspec.report.markup import Markup, table, tag
from jobspec.report.scales import Scale, said, scale
from jobspec.report.timeline import key

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 380, 70, 8, 8, 34
MOST, LISTED = 1500, 12
KINDS = ("state", "values", "constants and reports")


@dataclass(frozen=True)
class Block:
    """A buffer from call `first` to call `last`. `kind`: a place in KINDS."""

    buffer: Buffer
    first: int
    last: int
    kind: int


def blocks(routine: Routine) -> tuple[list[Block], int]:
    """Those of the arena, largest first, and how many calls there are."""
    lives = find_lives(routine.steps, list(routine.kernels))
    end = max((life.last for life in lives.values()), default=0)
    slots, fixed = {n for _, n in routine.slots}, {n for n, _ in routine.constants} | {n for _, n in routine.reports}
    fixed |= {routine.flag_buffer, routine.step}
    found = []
    for number, buffer in enumerate(routine.buffers):
        if buffer.space != "arena" or (number not in lives and number not in slots | fixed):
            continue
        if number in slots or number in fixed:
            found.append(Block(buffer, 0, end, 0 if number in slots else 2))
        else:
            found.append(Block(buffer, lives[number].first, lives[number].last, 1))
    return sorted(found, key=lambda block: (-block.buffer.type.nbytes, block.buffer.offset, block.first)), end


def memory_map(routine: Routine) -> Markup:
    """A figure, and a table of the largest."""
    found, end = blocks(routine)
    across = scale(0.0, float(end + 1), LEFT, WIDTH - RIGHT)
    up = scale(0.0, float(routine.arena or 1), HEIGHT - BOTTOM, TOP)
    title = f"memory of {routine.name}, {said(routine.arena)}B, from call to call"
    svg = tag(
        "svg", tag("title", title), axes(across, up), [rect(block, across, up) for block in found[:MOST]],
        viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img",
    )  # fmt: skip
    rest = f"; the largest {MOST:,} of {len(found):,} buffers" if len(found) > MOST else f"; {len(found):,} buffers"
    legend = tag("ul", [tag("li", key(i), " ", kind) for i, kind in enumerate(KINDS)], class_="legend")
    figure = tag("figure", tag("div", svg, class_="wide", tabindex="0"), tag("figcaption", title + rest, legend))
    return Markup(figure + largest(found))


def axes(across: Scale, up: Scale) -> Iterator[Markup]:
    for y in up.marks(5):
        yield tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=up.at(y), y2=up.at(y), class_="grid")
        yield tag("text", f"{said(y)}B", x=LEFT - 6, y=up.at(y) + 4, text_anchor="end")
    for x in across.marks(8):
        yield tag("text", said(x), x=across.at(x), y=HEIGHT - BOTTOM + 18, text_anchor="middle")
    yield tag("text", "calls of kernels", x=WIDTH - RIGHT, y=HEIGHT - 2, text_anchor="end", class_="quiet")


def rect(block: Block, across: Scale, up: Scale) -> Markup:
    buffer, top = block.buffer, up.at(block.buffer.offset + block.buffer.type.nbytes)
    told = f"{buffer.name}, {buffer.type}, {said(buffer.type.nbytes)}B, calls {block.first} to {block.last}"
    return tag(
        "rect", tag("title", told), x=across.at(block.first), y=top,
        width=across.at(block.last + 1) - across.at(block.first), height=max(0.3, up.at(buffer.offset) - top),
        class_=f"fill edge c{block.kind}",
    )  # fmt: skip


def largest(found: Sequence[Block]) -> Markup:
    rows = [
        (b.buffer.name, str(b.buffer.type), f"{said(b.buffer.type.nbytes)}B", f"{b.first}–{b.last}", KINDS[b.kind])
        for b in found[:LISTED]
    ]
    return table(rows, ("largest", "type", "size", "calls", "what"))

"""Where nodes come from in a job's text: carried along when a node is made to stand for another.

Takes: the places that the language noted. Promises: while a trail is followed, a node that is made in the stead of
another has its place, and so has what was made on the way to it. For people alone: no pass and no hash reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

#: line and column in the job's own text, both from 1
Place = tuple[int, int]


class Made(Protocol):
    """A node, as far as its place is concerned."""

    @property
    def op(self) -> str: ...

    @property
    def args(self) -> tuple[Made, ...]: ...


class Trail:
    """Node → place, growing as nodes are made."""

    def __init__(self, places: Mapping[Any, Place]) -> None:
        self.table: dict[Any, Place] = dict(places)

    def mark(self, node: Made, place: Place) -> None:
        """`node` and what below it has no place yet was made for `place`; inputs and constants are made for nobody."""
        stack = [node]
        while stack:
            node = stack.pop()
            if node not in self.table and node.op not in ("input", "const"):
                self.table[node] = place
                stack += node.args


_followed: ContextVar[Trail | None] = ContextVar("trail", default=None)


@contextmanager
def following(places: Mapping[Any, Place]) -> Iterator[Trail]:
    """The trail that nodes made in this block leave."""
    trail = Trail(places)
    token = _followed.set(trail)
    try:
        yield trail
    finally:
        _followed.reset(token)


def inherit(new: Made, old: Made) -> None:
    """`new` is made to stand for `old`, or for its sake."""
    trail = _followed.get()
    if trail is not None and new is not old and (place := trail.table.get(old)) is not None:
        trail.mark(new, place)

"""Tasks out of placed expressions.

Takes: expressions by place, some of which read what comes from other places. Promises: tasks that compute them, one per
place and number of moves before it. What other places wait for, and what is much work, is computed as soon as all is
there, anything else where it is read; what merely repeats or moves elements is done again rather than kept. Equal tasks
have equal programs, whatever their values are called.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from jobspec.ir.program import Node, Program, order, users
from jobspec.ir.program import replace as substituted
from jobspec.ir.regions import body_input
from jobspec.passes.split.graph import STEP, Take, Task
from jobspec.passes.split.layouts import HEAVY
from jobspec.passes.split.placed import AGAIN, Placed

#: computed as soon as can be
AT_ONCE = HEAVY | {"scatter_add", "expert_sums", "loop", "get"}
Spot = tuple[Node, int]  # an expression and its place


@dataclass(eq=False)
class Segments:
    """`values`: the value that holds an expression; `levels`: how many moves are behind the task that computes it;
    `wanted`: what each task gives, by level and place."""

    placed: Placed
    prefix: str
    values: dict[Spot, str] = field(default_factory=dict)
    levels: dict[Spot, int] = field(default_factory=dict)
    wanted: dict[tuple[int, int], list[Node]] = field(default_factory=dict)

    def values_of(self, spots: Iterable[Spot]) -> list[str]:
        """The values that hold the expressions."""
        roots = list(spots)
        self.settle([spot for x, place in roots for spot in self.made_by(x, place)])
        return [self.want(*spot) for spot in roots]

    def tasks(self) -> list[Task]:
        """Those that make all that is wanted, each behind those it reads."""
        found: list[Task] = []
        for level in range(max((level for level, _ in self.wanted), default=-1), -1, -1):
            places = sorted(place for other, place in self.wanted if other == level)
            found += [self.task(level, place) for place in reversed(places)]
        return found[::-1]

    # ---- when an expression is computed

    def made_by(self, x: Node, place: int) -> list[Spot]:
        """What a task makes so that there is `x`: itself, or nothing where it is given."""
        if x.op != "input" or x["name"] == STEP:
            return [(x, place)]
        if x["name"] in self.placed.moved:
            return self.made_by(*self.placed.moved[x["name"]])
        return [(x, place)] if self.placed.takes[x["name"]].cut else []

    def settle(self, roots: Iterable[Spot]) -> None:
        """Finds the levels of all that the roots take."""
        at: dict[int, dict[Node, None]] = {}
        seen: set[Spot] = set()
        stack = [spot for spot in roots if at.setdefault(spot[1], {}).setdefault(spot[0]) is None]
        while stack:
            x, place = stack.pop()
            if (x, place) in seen:
                continue
            seen.add((x, place))
            stack += [(a, place) for a in x.args]
            if x.op == "input" and x["name"] in self.placed.moved:
                for y, home in self.made_by(x, place):
                    at.setdefault(home, {})[y] = None
                    stack.append((y, home))
        for place, exprs in at.items():
            self.settle_place(place, exprs)

    def settle_place(self, place: int, roots: Iterable[Node]) -> None:
        pinned, nodes = set(roots), order(roots)
        read_by = users(nodes)
        for x in reversed(nodes):
            late = [self.levels[user, place] for user in read_by[x]]
            at_once = x in pinned or x.op in AT_ONCE
            self.levels[x, place] = max(0, self.placed.depth(x)) if at_once else min(late)

    def want(self, x: Node, place: int) -> str:
        """The value that holds `x`; a task of `place` gives it."""
        made = self.made_by(x, place)
        if not made:
            name = x["name"]
            return self.placed.takes[name].value if name in self.placed.takes else self.want(*self.placed.moved[name])
        spot = made[0]
        if spot not in self.values:
            mine = self.wanted.setdefault((self.levels[spot], spot[1]), [])
            self.values[spot] = f"{self.prefix}.{self.levels[spot]}.{spot[1]}:{len(mine)}"
            mine.append(spot[0])
        return self.values[spot]

    # ---- a task

    def task(self, level: int, place: int) -> Task:
        roots = self.wanted[level, place]
        inputs: dict[Node, Node] = {}
        takes: list[Take] = []
        for x in self.edges(roots, level, place):
            name = f"in.{len(takes)}"
            inputs[x] = body_input(name, x.type)
            takes.append(self.take(x, place, name))
        images = substituted(roots, inputs)
        read = tuple(n for n in order(images) if n.op == "input")
        outputs = tuple((f"out.{i}", x) for i, x in enumerate(images))
        gives = tuple((f"out.{i}", self.values[x, place]) for i, x in enumerate(roots))
        return Task(f"{self.prefix}.{level}.{place}", Program(read, outputs), tuple(takes), gives, place)

    def edges(self, roots: Iterable[Node], level: int, place: int) -> list[Node]:
        """What a task reads: inputs of expressions, and what tasks before it have computed; in order of first use."""
        found: dict[Node, None] = {}
        seen: set[Node] = set()
        stack = list(roots)[::-1]
        while stack:
            x = stack.pop()
            if x in seen:
                continue
            seen.add(x)
            if x.op == "input":
                found |= {} if x["name"] == STEP else {x: None}
            elif self.levels[x, place] < level and x.op not in AGAIN and self.placed.depth(x) >= 0:
                found[x] = None
            else:
                stack += x.args[::-1]
        return list(found)

    def take(self, x: Node, place: int, name: str) -> Take:
        known = self.placed.takes.get(x["name"]) if x.op == "input" else None
        return replace(known, input=name) if known else Take(name, self.want(x, place))


"""C code of long rows that many groups of work-items share: blocks of the row order side by side, joined afterwards.

Takes: a kernel of kind rows that visits its rows once, without a scan for the largest, and its schedule: `blocks`, a
power of two: how many of a row a group takes, each by a team of LANES / `each` work-items. Promises: the row order of
ir/contract.py to the bit: what a group gives is a subtree of the row's. It lies in scratch memory, and a second launch
joins all of them, a group to a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from jobspec.backends.c.folded import Sweeps, each_of
from jobspec.backends.c.folds import Visits
from jobspec.backends.c.request import Launch, Request
from jobspec.backends.c.scalars import Typed
from jobspec.backends.c.scope import Scope, digits
from jobspec.backends.c.strips import one_sweep
from jobspec.backends.c.tree import COMBINE, Tree
from jobspec.backends.c.writer import Writer
from jobspec.backends.nest import Nest
from jobspec.ir.contract import LANES, ROW_BLOCK

#: work-items at most that join a row
JOINERS = 256


def suits(q: Request) -> bool:
    """Whether the schedule asks for it, and the kernel allows it."""
    return q.kernel.kind == "rows" and q.schedule.get("blocks", 0) > 0 and one_sweep(Nest.of_folds(q.kernel))


def render(q: Request, writer: Writer) -> list[Launch]:
    long = Long(q, writer, Nest.of_folds(q.kernel))
    return [long.parts(), long.joined()]


@dataclass(frozen=True)
class Long:
    """The two functions of a kernel."""

    q: Request
    writer: Writer
    nest: Nest

    @property
    def each(self) -> int:
        return each_of(self.q, self.nest)

    @property
    def blocks(self) -> int:
        """Of a row."""
        return -(-self.nest.size(1) // ROW_BLOCK)

    @cached_property
    def teams(self) -> int:
        """Of a group, a block to each."""
        return self.q.schedule.get("blocks", 1)

    @cached_property
    def groups(self) -> int:
        """Of a row, and results that they give."""
        return -(-self.blocks // self.teams)

    @property
    def scratch(self) -> int:
        return 4 * len(self.nest.reduces(0)) * self.nest.size(0) * self.groups

    def _scope(self, top: Scope, row: str) -> Scope:
        return top.enter_number(self.nest.groups[0], row)

    def _place(self, number: int, row: str, group: str) -> str:
        """Of what a group gives for reduction `number`."""
        return f"((GLOBAL float*)scratch)[({number * self.nest.size(0)} + {row}) * {self.groups} + {group}]"

    # ---- a block to each team

    def parts(self) -> Launch:
        q, w, rows = self.q, self.writer, self.nest.size(0)
        team, items = LANES // self.each, self.teams * LANES // self.each
        with q.function(w, f"{q.name}_blocks", self.nest, self.nest.live, items) as top:
            w.line(f"LOCAL float shared[{self.teams * LANES}]; LOCAL float sums[{self.teams}];")
            w.line(f"const int team = ITEM / {team}, item = ITEM % {team};")
            row, group = digits(w, q.index, f"({q.index})GROUP", [rows, self.groups])
            w.line(f"const int have = {self.blocks} - (int){group} * {self.teams};")
            begin = f"({q.index})((int){group} * {self.teams} + team) * {ROW_BLOCK}"
            w.line(f"const {q.index} from = team < have ? {begin} : {self.nest.size(1)};")

            def keep(number: int, how: str, name: str) -> None:
                w.line(f"SYNC; if (item == 0) sums[team] = {name}; SYNC;")
                joined_in_pairs(w, how, "sums", "team", self.teams, "have", "item == 0 && ")
                w.line(f"if (ITEM == 0) {self._place(number, row, group)} = sums[0];")

            scope, shared = self._scope(top, row), f"(shared + team * {LANES})"
            inner = self.nest.groups[1]
            Block(q, scope, inner, team, 1, keep, item="item", shared=shared, each=self.each).first()
        return Launch(f"{q.name}_blocks", rows * self.groups, items, q.turns, self.scratch)

    # ---- all of a row

    def joined(self) -> Launch:
        q, w, items = self.q, self.writer, self.joiners
        with q.function(w, f"{q.name}_joined", self.nest, self.nest.live, items) as top:
            w.line(f"LOCAL float shared[{items}];")
            row = w.let(q.index, f"({q.index})GROUP", "row")
            whole = Sweeps(q, self._scope(top, row), self.nest.groups[1], 1, 1)
            for number, i in enumerate(self.nest.reduces(0)):
                how = str(q.kernel.body[i]["how"])
                whole.scope.values[i] = Typed("f32", self._fold(number, how, row))
            with w.block("if (ITEM == 0)"):
                whole.rest()
        return Launch(f"{q.name}_joined", self.nest.size(0), items, q.turns, self.scratch)

    @property
    def joiners(self) -> int:
        """Work-items that join a row."""
        return min(JOINERS, power_of_two(self.groups))

    def _fold(self, number: int, how: str, row: str) -> str:
        """Of a run of results by each work-item, and all of these."""
        w, name = self.writer, self.writer.name("fold")
        run = power_of_two(-(-self.groups // self.joiners))
        w.line(f"float {name} = 0.0f;")
        tree = Tree.open(w, COMBINE[how], run)
        with w.count("int", run, "n") as n:
            w.line(f"if (ITEM * {run} + {n} >= {self.groups}) break;")
            w.line(f"{name} = {self._place(number, row, f'ITEM * {run} + {n}')};")
            tree.push(n, name)
        w.line(f"if (ITEM * {run} < {self.groups}) {{")
        tree.result(name)
        w.line("}")
        w.line(f"SYNC; shared[ITEM] = {name}; SYNC;")
        joined_in_pairs(w, how, "shared", "ITEM", self.joiners, str(-(-self.groups // run)))
        w.line(f"{name} = shared[0];")
        return name


@dataclass(frozen=True)
class Block(Sweeps):
    """A block of a row. `keep`: takes the number of a reduction, how it folds, and its result."""

    keep: Callable[[int, str, str], None]

    def _fold(self, reduces: list[int], visits: Visits) -> None:
        folds = self._row_folds(reduces, visits)
        results = folds.block(visits, "from")
        for number, (i, name) in enumerate(results.items()):
            self.keep(number, folds.hows[i], name)


def joined_in_pairs(w: Writer, how: str, array: str, who: str, most: int, have: str, guard: str = "") -> None:
    """Pairs of neighbours, pairs of pairs, … of the first `have` of an array of `most`; an odd one is carried up."""
    with w.block(f"for (int apart = 1; apart < {most}; apart *= 2)"):
        pair = COMBINE[how](f"{array}[{who}]", f"{array}[{who} + apart]")
        w.line(f"if ({guard}{who} % (2 * apart) == 0 && {who} + apart < {have}) {array}[{who}] = {pair};")
        w.line("SYNC;")


def power_of_two(least: int) -> int:
    return 1 << max(0, least - 1).bit_length()

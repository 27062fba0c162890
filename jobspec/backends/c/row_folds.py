"""C code of reductions along a row: row order, first largest.

Takes: the reductions of a pass, functions that visit elements of a row. Promises: the order of ir/contract.py to the
bit. A row is one work-item's, which may visit `lanes` neighbours in one; or LANES work-items share it, a lane each, or
fewer, some neighbouring lanes each; then every one of them has the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jobspec.backends.c.folds import NOWHERE, Folds, Visit, Visits, ended
from jobspec.backends.c.tree import COMBINE, Combine, Tree, combined, halved
from jobspec.backends.c.writer import Writer
from jobspec.ir.contract import LANES, ROW_BLOCK

#: what work-items that share a row declare at the top of their function
SHARED = f"LOCAL float shared[{LANES}]; LOCAL int places[{LANES}];"


@dataclass(frozen=True)
class Entering:
    """What elements of a block enter: a name of the accumulators of each reduction, a scan of each argmax."""

    lanes: Mapping[int, str]
    scans: Mapping[int, Scan]


@dataclass(frozen=True)
class RowFolds(Folds):
    """One work-item folds the row."""

    @property
    def count(self) -> int:
        """Lanes of a work-item."""
        return LANES

    def all(self, visits: Visits) -> dict[int, str]:
        """Results by reduction."""
        w, blocks = self.writer, -(-self.size // ROW_BLOCK)
        results = self._results()
        scans = {i: Scan.open(w, str(self.count)) for i, how in self.hows.items() if how == "argmax"}
        trees = {i: Tree.open(w, COMBINE[self.hows[i]], blocks) for i in self.ordered} if blocks > 1 else {}
        with w.count(self.index, blocks, "block") as block:
            self._block(w.let(self.index, f"{block} * {ROW_BLOCK}", "first"), visits, scans, results)
            for i, tree in trees.items():
                tree.push(block, results[i])
        for i, tree in trees.items():
            tree.result(results[i])
        for i, scan in scans.items():
            self._scanned(scan, results[i])
        return results

    def block(self, visits: Visits, first: str) -> dict[int, str]:
        """Results of the block from element `first` on."""
        results = self._results()
        self._block(first, visits, {}, results)
        return results

    def _block(self, first: str, visits: Visits, scans: Mapping[int, Scan], results: Mapping[int, str]) -> None:
        stop = ended(self.writer, self.index, self.size, first, ROW_BLOCK)
        into = Entering({i: self._opened(i) for i in self.ordered}, scans)
        self._entered(first, stop, visits, into)
        for i in self.ordered:
            self._halved(self.hows[i], into.lanes[i], f"({stop} - {first})", results[i])

    def _opened(self, i: int) -> str:
        """An accumulator per lane of this work-item. The seeds change nothing: -0 + x is x, NaN > x is never."""
        name = self.writer.name("lane")
        seed = "-0.0f" if self.hows[i] == "sum" else "to_float(0x7fc00000u)"
        self.writer.line(f"float {name}[{self.count}];")
        with self.writer.count("int", self.count, "l") as lane:
            self.writer.line(f"{name}[{lane}] = {seed};")
        return name

    def _entered(self, first: str, stop: str, visits: Visits, into: Entering) -> None:
        """The elements from `first` to `stop`, each in its lane."""
        w, wide = self.writer, visits.wide
        with w.block(f"for ({self.index} group = {first}; group < {stop}; group += {LANES})"):
            w.line(f"const int many = (int)({stop} - group) < {LANES} ? (int)({stop} - group) : {LANES};")
            if wide is not None:
                with w.block(f"for (int v = 0; v < many / {self.lanes}; ++v)"):
                    self._enter_wide(wide, into)
            if wide is None or self.size % self.lanes:
                start = f"many / {self.lanes} * {self.lanes}" if wide is not None else "0"
                with w.count("int", "many", "l", start) as lane:
                    self._enter(f"(group + {lane})", lane, visits.one, into)

    def _enter_wide(self, wide: Visit, into: Entering) -> None:
        """Vector `v` of the group into its lanes."""
        w, n = self.writer, self.lanes
        values = wide(w.let(self.index, f"group + v * {n}", "e"))
        for i, name in into.lanes.items():
            acc, value = w.let(f"float{n}", f"vload{n}(v, {name})", "acc"), w.let(f"float{n}", values[i], "x")
            w.line(f"vstore{n}({combined(self.hows[i], acc, value, n)}, v, {name});")

    def _enter(self, at: str, lane: str, visit: Visit, into: Entering) -> None:
        """The element at `at` into lane `lane`."""
        values = visit(at)
        for i, name in into.lanes.items():
            acc = f"{name}[{lane}]"
            self.writer.line(f"{acc} = {COMBINE[self.hows[i]](acc, values[i])};")
        for i, scan in into.scans.items():
            scan.enter(lane, at, values[i])

    def _halved(self, how: str, lanes: str, count: str, result: str) -> None:
        """The halving tree over lanes; lanes that no element has come to are skipped."""
        w, n = self.writer, self.lanes
        if n > 1 and (self.size - 1) % ROW_BLOCK + 1 >= LANES:
            parts = [w.let(f"float{n}", f"vload{n}({v}, {lanes})") for v in range(LANES // n)]
            w.line(f"{result} = {halved(w, how, parts, n)};")
            return
        with w.block(f"for (int pace = {LANES // 2}; pace > 0; pace /= 2)"), w.count("int", "pace", "l") as lane:
            pair = COMBINE[how](f"{lanes}[{lane}]", f"{lanes}[{lane} + pace]")
            w.line(f"if ({lane} + pace < {count}) {lanes}[{lane}] = {pair};")
        w.line(f"{result} = {lanes}[0];")

    def _scanned(self, scan: Scan, result: str) -> None:
        scan.joined(result)


@dataclass(frozen=True)
class TeamFolds(RowFolds):
    """A team of work-items folds the row, a lane each. `item`, `shared`: which of its team the work-item is, and what
    the team shares."""

    item: str
    shared: str

    @property
    def count(self) -> int:
        return 1

    def _entered(self, first: str, stop: str, visits: Visits, into: Entering) -> None:
        with self.writer.block(f"for ({self.index} e = {first} + {self.item}; e < {stop}; e += {LANES})"):
            self._enter("e", "0", visits.one, into)

    def _halved(self, how: str, lanes: str, count: str, result: str) -> None:
        w, shared, item = self.writer, self.shared, self.item
        w.line(f"SYNC; {shared}[{item}] = {lanes}[0]; SYNC;")
        with w.block(f"for (int pace = {LANES // 2}; pace > 0; pace /= 2)"):
            pair = COMBINE[how](f"{shared}[{item}]", f"{shared}[{item} + pace]")
            w.line(f"if ({item} < pace && {item} + pace < {count}) {shared}[{item}] = {pair};")
            w.line("SYNC;")
        w.line(f"{result} = {shared}[0];")

    def _scanned(self, scan: Scan, result: str) -> None:
        scan.joined_by_team(result)


@dataclass(frozen=True)
class NeighbourFolds(TeamFolds):
    """The same with `each` neighbouring lanes to a work-item, whose elements it visits in one: number i · each + c is
    what reduction i folds of neighbour c. Rows are whole numbers of `each`."""

    each: int

    @property
    def count(self) -> int:
        return self.each

    def _entered(self, first: str, stop: str, visits: Visits, into: Entering) -> None:
        w, n = self.writer, self.each
        assert visits.wide is not None
        with w.block(f"for ({self.index} e = {first} + {self.item} * {n}; e < {stop}; e += {LANES})"):
            values = visits.wide("e")
            for i, name in into.lanes.items():
                for c in range(n):
                    w.line(f"{name}[{c}] = {COMBINE[self.hows[i]](f'{name}[{c}]', values[i * n + c])};")

    def _halved(self, how: str, lanes: str, count: str, result: str) -> None:
        """All lanes of one work-item go into those of another, until every one folds the last `each` by itself."""
        w, shared, item, n, combine = self.writer, self.shared, self.item, self.each, COMBINE[how]
        own, others = [f"{lanes}[{c}]" for c in range(n)], f"{shared} + ({item} + pace) * {n}"
        put = f"vstore{n}(VECTOR{n}(float, {', '.join(own)}), 0, {shared} + {item} * {n});"
        w.line(f"SYNC; {put} SYNC;")
        with w.block(f"for (int pace = {LANES // n // 2}; pace > 0; pace /= 2)"):
            with w.block(f"if ({item} < pace && ({item} + pace) * {n} < {count})"):
                other = w.let(f"float{n}", f"vload{n}(0, {others})", "x")
                for mine, part in zip(own, "xyzw", strict=False):
                    w.line(f"{mine} = {combine(mine, f'{other}.{part}')};")
                w.line(put)
            w.line("SYNC;")
        w.line(f"{result} = {self._last(combine)};")

    def _last(self, combine: Combine) -> str:
        """The halving tree over the first `each` lanes."""
        parts = [self.writer.let("float", f"{self.shared}[{c}]", "x") for c in range(self.each)]
        while len(parts) > 1:
            half = len(parts) // 2
            pairs = zip(parts[:half], parts[half:], strict=True)
            parts = [self.writer.let("float", combine(a, b), "x") for a, b in pairs]
        return parts[0]


@dataclass(frozen=True)
class Scan:
    """The first largest element, lane by lane. A NaN counts only as the very first element, which nothing exceeds."""

    writer: Writer
    best: str
    at: str
    lanes: str

    @classmethod
    def open(cls, writer: Writer, lanes: str) -> Scan:
        best, at = writer.name("best"), writer.name("at")
        writer.line(f"float {best}[{lanes}]; int {at}[{lanes}];")
        with writer.count("int", lanes, "l") as lane:
            writer.line(f"{best}[{lane}] = 0.0f; {at}[{lane}] = {NOWHERE};")
        return cls(writer, best, at, lanes)

    def enter(self, lane: str, at: str, value: str) -> None:
        first = f"{value} == {value} && {self.at}[{lane}] == {NOWHERE}"
        self.writer.line(f"if ({self.at}[{lane}] >= 0 && ({value} > {self.best}[{lane}] || ({first}))) {{")
        self.writer.line(f"  {self.best}[{lane}] = {value}; {self.at}[{lane}] = (int)({at});")
        self.writer.line("}")
        self.writer.line(f"if ({at} == 0 && {value} != {value}) {self.at}[{lane}] = -1;")

    def joined(self, result: str) -> None:
        """The position, of all lanes."""
        self._first_largest(result, self.best, self.at, self.lanes)

    def joined_by_team(self, result: str) -> None:
        """The position, of all work-items of a group, a lane each."""
        self.writer.line(f"SYNC; shared[ITEM] = {self.best}[0]; places[ITEM] = {self.at}[0]; SYNC;")
        self._first_largest(result, "shared", "places", str(LANES))

    def _first_largest(self, result: str, best: str, at: str, count: str) -> None:
        w = self.writer
        w.line(f"float most_{result} = {best}[0]; {result} = {at}[0];")
        with w.count("int", count, "l", "1") as lane:
            above = f"{best}[{lane}] > most_{result}"
            equal = f"{best}[{lane}] == most_{result} && {at}[{lane}] < {result}"
            fresh = f"{result} == {NOWHERE}"
            better = f"{at}[{lane}] != {NOWHERE} && {at}[{lane}] >= 0 && ({fresh} || {above} || ({equal}))"
            w.line(f"if ({result} >= 0 && ({at}[{lane}] < 0 || ({better}))) {{")
            w.line(f"  most_{result} = {best}[{lane}]; {result} = {at}[{lane}];")
            w.line("}")
        w.line(f"if ({result} < 0 || {result} == {NOWHERE}) {result} = 0;")

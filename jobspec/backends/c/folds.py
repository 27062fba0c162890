"""C code of one sweep's reductions: row order, column order, first largest.

Takes: the reductions of a pass, a function that visits one element. Promises: the orders of ir/contract.py to the
bit. A row may be shared by LANES work-items, one per lane; then every work-item has the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jobspec.backends.c.tree import COMBINE, Tree
from jobspec.backends.c.wide import combined, halved, vector_of
from jobspec.backends.c.writer import Writer
from jobspec.ir.contract import LANES, LEAF, ROW_BLOCK

#: position of an element in the folded order, → value of each reduction there
Visit = Callable[[str], Mapping[int, str]]
NOWHERE = "2147483647"
#: what a chain down a column begins with
SEEDS = {"sum": "0.0f", "max": "to_float(0x7fc00000u)"}
#: what work-items that share a row declare at the top of their function
SHARED = f"LOCAL float shared[{LANES}]; LOCAL int places[{LANES}];"


def ended(w: Writer, index: str, size: int | str, first: str, part: int) -> str:
    """Where the part of at most `part` elements that begins at `first` ends."""
    return w.let(index, f"{size} - {first} < {part} ? {size} : {first} + {part}", "stop")


@dataclass(frozen=True)
class Folds:
    """`hows`: reduction → sum, max or argmax; `size`: elements that are folded; `index`: C type of positions;
    `team`: work-items that share a row, 1 or LANES / `each`; `lanes`: neighbouring elements that are visited in one;
    `each`: neighbouring lanes of a row that a work-item of a team takes; `item`, `shared`: which of its team the
    work-item is, and what the team shares."""

    writer: Writer
    hows: Mapping[int, str]
    size: int
    index: str
    team: int = 1
    lanes: int = 1
    item: str = "ITEM"
    shared: str = "shared"
    each: int = 1

    @property
    def ordered(self) -> list[int]:
        return [i for i, how in self.hows.items() if how != "argmax"]

    # ---- row order

    def rows(self, visit: Visit, wide: Visit | None = None) -> dict[int, str]:
        """Results by reduction; `wide` visits `lanes` elements in one, or `each`, where number i · each + c is what
        reduction i folds of neighbour c."""
        w, blocks = self.writer, -(-self.size // ROW_BLOCK)
        results = self._results()
        count = "1" if self.team > 1 else str(LANES)
        scans = {i: Scan.open(w, count) for i, how in self.hows.items() if how == "argmax"}
        trees = {i: Tree.open(w, COMBINE[self.hows[i]], blocks) for i in self.ordered} if blocks > 1 else {}
        with w.count(self.index, blocks, "block") as block:
            self._block(w.let(self.index, f"{block} * {ROW_BLOCK}", "first"), visit, wide, scans, results)
            for i, tree in trees.items():
                tree.push(block, results[i])
        for i, tree in trees.items():
            tree.result(results[i])
        for i, scan in scans.items():
            scan.joined(results[i], self.team)
        return results

    def block(self, visit: Visit, wide: Visit | None, first: str) -> dict[int, str]:
        """Results of the block from element `first` on."""
        results = self._results()
        self._block(first, visit, wide, {}, results)
        return results

    def _block(
        self, first: str, visit: Visit, wide: Visit | None, scans: Mapping[int, Scan], results: Mapping[int, str]
    ) -> None:
        stop = ended(self.writer, self.index, self.size, first, ROW_BLOCK)
        lanes = {i: self._lanes(i) for i in self.ordered}
        self._lane_loops(first, stop, visit, wide, lanes, scans)
        for i in self.ordered:
            self._halved(i, lanes[i], f"({stop} - {first})", results[i])

    def _results(self, lanes: int = 1) -> dict[int, str]:
        names = {i: self.writer.name("fold") for i in self.hows}
        for i, name in names.items():
            self.writer.line(f"{vector_of('int' if self.hows[i] == 'argmax' else 'float', lanes)} {name} = 0;")
        return names

    def _lanes(self, i: int) -> str:
        """An accumulator per lane of this work-item. The seeds change nothing: -0 + x is x, NaN > x is never."""
        name = self.writer.name("lane")
        seed = "-0.0f" if self.hows[i] == "sum" else "to_float(0x7fc00000u)"
        count = LANES // self.team
        self.writer.line(f"float {name}[{count}];")
        with self.writer.count("int", count, "l") as lane:
            self.writer.line(f"{name}[{lane}] = {seed};")
        return name

    def _lane_loops(
        self,
        first: str,
        stop: str,
        visit: Visit,
        wide: Visit | None,
        lanes: Mapping[int, str],
        scans: Mapping[int, Scan],
    ) -> None:
        w = self.writer
        if self.each > 1 and wide is not None:
            with w.block(f"for ({self.index} e = {first} + {self.item} * {self.each}; e < {stop}; e += {LANES})"):
                self._enter_each(wide("e"), lanes)
            return
        if self.team > 1:
            with w.block(f"for ({self.index} e = {first} + {self.item}; e < {stop}; e += {LANES})"):
                self._enter("e", "0", visit, lanes, scans)
            return
        with w.block(f"for ({self.index} group = {first}; group < {stop}; group += {LANES})"):
            w.line(f"const int many = (int)({stop} - group) < {LANES} ? (int)({stop} - group) : {LANES};")
            if wide is not None:
                with w.block(f"for (int v = 0; v < many / {self.lanes}; ++v)"):
                    self._enter_wide(wide, lanes)
            if wide is None or self.size % self.lanes:
                start = f"many / {self.lanes} * {self.lanes}" if wide is not None else "0"
                with w.count("int", "many", "l", start) as lane:
                    self._enter(f"(group + {lane})", lane, visit, lanes, scans)

    def _enter_wide(self, wide: Visit, lanes: Mapping[int, str]) -> None:
        """Vector `v` of the group into its lanes."""
        w, n = self.writer, self.lanes
        values = wide(w.let(self.index, f"group + v * {n}", "e"))
        for i, name in lanes.items():
            acc, value = w.let(f"float{n}", f"vload{n}(v, {name})", "acc"), w.let(f"float{n}", values[i], "x")
            w.line(f"vstore{n}({combined(self.hows[i], acc, value, n)}, v, {name});")

    def _enter_each(self, values: Mapping[int, str], lanes: Mapping[int, str]) -> None:
        """Each neighbour into its own lane."""
        for i, name in lanes.items():
            for c in range(self.each):
                acc = f"{name}[{c}]"
                self.writer.line(f"{acc} = {COMBINE[self.hows[i]](acc, values[i * self.each + c])};")

    def _enter(self, at: str, lane: str, visit: Visit, lanes: Mapping[int, str], scans: Mapping[int, Scan]) -> None:
        """The element at `at` into lane `lane`."""
        values = visit(at)
        for i, name in lanes.items():
            acc = f"{name}[{lane}]"
            self.writer.line(f"{acc} = {COMBINE[self.hows[i]](acc, values[i])};")
        for i, scan in scans.items():
            scan.enter(lane, at, values[i])

    def _halved(self, i: int, lanes: str, count: str, result: str) -> None:
        """The halving tree over lanes; lanes that no element has come to are skipped."""
        w, combine = self.writer, COMBINE[self.hows[i]]
        if self.each > 1:
            self._halved_among(combine, lanes, count, result)
            return
        if self.team > 1:
            shared, item = self.shared, self.item
            w.line(f"SYNC; {shared}[{item}] = {lanes}[0]; SYNC;")
            with w.block(f"for (int pace = {LANES // 2}; pace > 0; pace /= 2)"):
                pair = combine(f"{shared}[{item}]", f"{shared}[{item} + pace]")
                w.line(f"if ({item} < pace && {item} + pace < {count}) {shared}[{item}] = {pair};")
                w.line("SYNC;")
            w.line(f"{result} = {shared}[0];")
            return
        if self.lanes > 1 and (self.size - 1) % ROW_BLOCK + 1 >= LANES:
            parts = [
                w.let(f"float{self.lanes}", f"vload{self.lanes}({v}, {lanes})") for v in range(LANES // self.lanes)
            ]
            w.line(f"{result} = {halved(w, self.hows[i], parts, self.lanes)};")
            return
        with w.block(f"for (int pace = {LANES // 2}; pace > 0; pace /= 2)"), w.count("int", "pace", "l") as lane:
            pair = combine(f"{lanes}[{lane}]", f"{lanes}[{lane} + pace]")
            w.line(f"if ({lane} + pace < {count}) {lanes}[{lane}] = {pair};")
        w.line(f"{result} = {lanes}[0];")

    def _halved_among(self, combine: Callable[[str, str], str], lanes: str, count: str, result: str) -> None:
        """The same where a work-item has `each` lanes, and counts are multiples of it: all lanes of one go into those
        of another, until every work-item folds the last `each` by itself."""
        w, shared, item, n = self.writer, self.shared, self.item, self.each
        own, others = [f"{lanes}[{c}]" for c in range(n)], f"{shared} + ({item} + pace) * {n}"
        w.line(f"SYNC; vstore{n}(VECTOR{n}(float, {', '.join(own)}), 0, {shared} + {item} * {n}); SYNC;")
        with w.block(f"for (int pace = {self.team // 2}; pace > 0; pace /= 2)"):
            with w.block(f"if ({item} < pace && ({item} + pace) * {n} < {count})"):
                other = w.let(f"float{n}", f"vload{n}(0, {others})", "x")
                for mine, part in zip(own, "xyzw", strict=False):
                    w.line(f"{mine} = {combine(mine, f'{other}.{part}')};")
                w.line(f"vstore{n}(VECTOR{n}(float, {', '.join(own)}), 0, {shared} + {item} * {n});")
            w.line("SYNC;")
        parts = [w.let("float", f"{shared}[{c}]", "x") for c in range(n)]
        while len(parts) > 1:
            half = len(parts) // 2
            parts = [w.let("float", combine(a, b), "x") for a, b in zip(parts[:half], parts[half:], strict=True)]
        w.line(f"{result} = {parts[0]};")

    # ---- column order

    def columns(self, visit: Visit) -> dict[int, str]:
        """Results by reduction; one work-item folds the whole column, or `lanes` of them beside each other."""
        w, leaves = self.writer, -(-self.size // LEAF)
        results = self._results(self.lanes)
        scans = {i: Column.open(w, self.lanes) for i, how in self.hows.items() if how == "argmax"}
        trees = {i: self._tree(i, leaves) for i in self.ordered} if leaves > 1 else {}
        with w.count("int", leaves, "leaf") as leaf:
            first = w.let(self.index, f"({self.index}){leaf} * {LEAF}", "first")
            self._leaf(visit, results, scans, first, ended(w, self.index, self.size, first, LEAF))
            for i, tree in trees.items():
                tree.push(leaf, results[i])
        for i, tree in trees.items():
            tree.result(results[i])
        for i, scan in scans.items():
            scan.close(results[i])
        return results

    def part(self, visit: Visit, run: int) -> dict[int, str]:
        """Results of the `run` leaves from element `from` to element `upto`, up a tree of their own; the seeds where
        there are none."""
        w, results = self.writer, self._results(self.lanes)
        for i, name in results.items():
            w.line(f"{name} = {SEEDS[self.hows[i]]};")
        trees = {i: self._tree(i, run) for i in results} if run > 1 else {}
        with w.count("int", run, "leaf") as leaf:
            first = w.let(self.index, f"from + ({self.index}){leaf} * {LEAF}", "first")
            w.line(f"if ({first} >= upto) break;")
            self._leaf(visit, results, {}, first, ended(w, self.index, "upto", first, LEAF))
            for i, tree in trees.items():
                tree.push(leaf, results[i])
        with w.block("if (from < upto)"):
            for i, tree in trees.items():
                tree.result(results[i])
        return results

    def joined(self, i: int, count: int, part: Callable[[str], str]) -> str:
        """Reduction `i` of `count` parts in their order, each `part` of its number."""
        w = self.writer
        result = w.name("fold")
        w.line(f"{vector_of('float', self.lanes)} {result} = 0;")
        tree = self._tree(i, count)
        with w.count("int", count, "part") as number:
            w.line(f"{result} = {part(number)};")
            tree.push(number, result)
        tree.result(result)
        return result

    def _tree(self, i: int, count: int) -> Tree:
        """Of `count` results of reduction `i`, `lanes` in one."""
        how, lanes = self.hows[i], self.lanes
        return Tree.open(self.writer, lambda a, b: combined(how, a, b, lanes), count, vector_of("float", lanes))

    def _leaf(
        self, visit: Visit, results: Mapping[int, str], scans: Mapping[int, Column], first: str, stop: str
    ) -> None:
        """One chain of each reduction from `first` to `stop`."""
        w = self.writer
        for i in self.ordered:
            w.line(f"{results[i]} = {SEEDS[self.hows[i]]};")
        with w.count(self.index, stop, "e", first) as at:
            values = visit(at)
            for i in self.ordered:
                w.line(f"{results[i]} = {combined(self.hows[i], results[i], values[i], self.lanes)};")
            for i, scan in scans.items():
                scan.enter(at, values[i])


@dataclass(frozen=True)
class Column:
    """The first largest element down `lanes` columns beside each other, by the same rule as `Scan`."""

    writer: Writer
    best: str
    at: str
    lanes: int

    @classmethod
    def open(cls, writer: Writer, lanes: int) -> Column:
        best, at = writer.name("best"), writer.name("at")
        writer.line(f"{vector_of('float', lanes)} {best} = 0.0f; {vector_of('int', lanes)} {at} = {NOWHERE};")
        return cls(writer, best, at, lanes)

    def enter(self, at: str, value: str) -> None:
        w, whole = self.writer, vector_of("int", self.lanes)
        first = f"({value} == {value}) & ({self.at} == {NOWHERE})"
        better = w.let(whole, f"({self.at} >= 0) & (({value} > {self.best}) | ({first}))", "better")
        w.line(f"{self.best} = {better} ? {value} : {self.best};")
        w.line(f"{self.at} = {better} ? ({whole})((int)({at})) : {self.at};")
        w.line(f"if ({at} == 0) {self.at} = {value} != {value} ? ({whole})(-1) : {self.at};")

    def close(self, result: str) -> None:
        none = f"({self.at} < 0) | ({self.at} == {NOWHERE})"
        self.writer.line(f"{result} = {none} ? ({vector_of('int', self.lanes)})(0) : {self.at};")


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

    def joined(self, result: str, team: int) -> None:
        """The position, of all lanes and work-items."""
        w, best, at = self.writer, self.best, self.at
        count = self.lanes
        if team > 1:
            best, at, count = "shared", "places", str(team)
            w.line(f"SYNC; shared[ITEM] = {self.best}[0]; places[ITEM] = {self.at}[0]; SYNC;")
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

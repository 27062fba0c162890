"""C code of reductions down columns: column order, first largest.

Takes: the reductions of a pass, a function that visits one element of a column, or of `lanes` columns beside each
other. Promises: the order of ir/contract.py to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jobspec.backends.c.folds import NOWHERE, Folds, Visit, ended
from jobspec.backends.c.tree import Tree, combined
from jobspec.backends.c.wide_scalars import vector_of
from jobspec.backends.c.writer import Writer
from jobspec.ir.contract import LEAF

#: what a chain down a column begins with
SEEDS = {"sum": "0.0f", "max": "to_float(0x7fc00000u)"}


@dataclass(frozen=True)
class ColumnFolds(Folds):
    """One work-item folds the whole column, or a part of it."""

    def all(self, visit: Visit) -> dict[int, str]:
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

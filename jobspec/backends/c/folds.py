"""C code of one sweep's reductions: what those of rows (row_folds.py) and of columns (column_folds.py) have in common.

Takes: the reductions of a pass, functions that visit elements. Promises: nothing is folded here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jobspec.backends.c.wide_scalars import vector_of
from jobspec.backends.c.writer import Writer

#: position of an element in the folded order, → value of each reduction there
Visit = Callable[[str], Mapping[int, str]]
#: the position of no element
NOWHERE = "2147483647"


@dataclass(frozen=True)
class Visits:
    """`one` visits an element; `wide` some neighbours in one, where they may be."""

    one: Visit
    wide: Visit | None


@dataclass(frozen=True)
class Folds:
    """`hows`: reduction → sum, max or argmax; `size`: elements that are folded; `index`: C type of positions; `lanes`:
    neighbours that are folded in one, of a row or of columns."""

    writer: Writer
    hows: Mapping[int, str]
    size: int
    index: str
    lanes: int

    @property
    def ordered(self) -> list[int]:
        return [i for i, how in self.hows.items() if how != "argmax"]

    def _results(self, lanes: int = 1) -> dict[int, str]:
        names = {i: self.writer.name("fold") for i in self.hows}
        for i, name in names.items():
            self.writer.line(f"{vector_of('int' if self.hows[i] == 'argmax' else 'float', lanes)} {name} = 0;")
        return names


def ended(w: Writer, index: str, size: int | str, first: str, part: int) -> str:
    """Where the part of at most `part` elements that begins at `first` ends."""
    return w.let(index, f"{size} - {first} < {part} ? {size} : {first} + {part}", "stop")

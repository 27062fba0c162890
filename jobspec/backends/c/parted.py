"""C code of columns folded by many work-items each: runs of leaves side by side, joined through shared memory.

Takes: a kernel of kind columns without argmax, and its schedule: `parts` work-items at most share a column, `beside`
columns share a group, or as many runs of `each` neighbouring ones, which a work-item takes together. Promises: the
column order of ir/contract.py to the bit. A part takes as many leaves in a row as a power of two, so that its own tree
is a subtree of the whole; the parts are then joined pair by pair. An element is always visited by the same work-item,
so that it may be updated where it lies.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobspec.backends.c.folded import Sweeps, each_of, neighbouring
from jobspec.backends.c.folds import Visits, ended
from jobspec.backends.c.request import Launch, Request
from jobspec.backends.c.tree import COMBINE
from jobspec.backends.c.writer import Writer
from jobspec.backends.nest import Nest
from jobspec.ir.contract import LEAF
from jobspec.ir.kernel import Kernel


def suits(kernel: Kernel) -> bool:
    """Whether every reduction can be joined from parts."""
    return all(inst["how"] in COMBINE for inst in kernel.body if inst.op == "reduce")


def run_of(leaves: int, parts: int) -> int:
    """Leaves of each of at most `parts` parts, whose trees are subtrees of the whole."""
    run = 1
    while run * parts < leaves:
        run *= 2
    return run


def render(q: Request, writer: Writer) -> list[Launch]:
    nest = Nest.of_folds(q.kernel)
    kept, inner = nest.groups
    each = each_of(q, nest)
    columns, leaves = nest.size(0) // each, -(-nest.size(1) // LEAF)
    beside, run = q.schedule.get("beside", 32), run_of(leaves, q.schedule.get("parts", 1))
    parts = -(-leaves // run)
    with q.function(writer, q.name, nest, nest.live, beside * parts) as top:
        writer.line(f"LOCAL float shared[{beside * parts * each}];")
        writer.line(f"const int part = ITEM / {beside};")
        column = writer.let(q.index, f"({q.index})GROUP * {beside} + ITEM % {beside}", "column")
        writer.line(f"const bool exists = {column} < {columns};")
        task = writer.let(q.index, f"exists ? {column} : {columns - 1}", "task")
        writer.line(f"const {q.index} from = ({q.index})part * {run * LEAF};")
        upto = ended(writer, q.index, nest.size(1), "from", run * LEAF)
        writer.line(f"const {q.index} upto = exists ? {upto} : from;")
        scope = neighbouring(q, top, kept, task, each)
        Parted(q, scope, inner, beside * parts, 1, beside, parts, run).all()
    return [Launch(q.name, -(-columns // beside), beside * parts, q.turns)]


@dataclass(frozen=True)
class Parted(Sweeps):
    """The passes of `beside` columns (or runs of some) by `parts` work-items each, `run` leaves to a part."""

    beside: int
    parts: int
    run: int

    def _outside(self, number: int) -> None:
        """What pass `number` loads once, and what its sweep needs of that. What is only stored is computed where it is
        stored: Intel's compiler (2026.2) gave all work-items the last one's value of what only waits for SYNC."""
        nest, body = self.nest, self.nest.kernel.body
        roots = [*(i for i in nest.live if body[i].op == "load"), *nest.stores(number, True)]
        needed = nest.needed([*roots, *(body[i].args[0] for i in nest.reduces(number))], self.scope.values)
        self.scope.run(i for i in needed if nest.depths[i] <= 1 and nest.passes[i] <= number)

    def _visit_all(self, visits: Visits) -> None:
        with self.scope.writer.count(self.q.index, "upto", "e", "from") as at:
            visits.one(at)

    def _fold(self, reduces: list[int], visits: Visits) -> None:
        folds, n = self._column_folds(reduces), len(self.scope.copies)
        results = list(folds.part(visits.one, self.run).items())
        for first in range(0, len(results), n):
            together = dict(results[first : first + n])
            self._joined(folds.hows[min(together)], list(together.values()))
            for number, name in together.items():
                self._result(number, name)

    def _joined(self, how: str, names: list[str]) -> None:
        """Pairs of parts, pairs of pairs, …; an odd one is carried up. Then every part has the results of all its
        columns, which lie as far apart as there are work-items."""
        w, items = self.scope.writer, self.beside * self.parts
        own = [f"shared[ITEM + {c * items}]" if c else "shared[ITEM]" for c in range(len(names))]
        w.line(f"SYNC; {' '.join(f'{place} = {name};' for place, name in zip(own, names, strict=True))} SYNC;")
        with w.block(f"for (int apart = 1; apart < {self.parts}; apart *= 2)"):
            with w.block(f"if (part % (2 * apart) == 0 && part + apart < {self.parts})"):
                for c, place in enumerate(own):
                    w.line(f"{place} = {COMBINE[how](place, f'shared[ITEM + {c * items} + apart * {self.beside}]')};")
            w.line("SYNC;")
        for c, name in enumerate(names):
            w.line(f"{name} = shared[ITEM % {self.beside} + {c * items}];")

    def _stores(self, number: int) -> None:
        """By one part, when no other still reads what lies there. All but the folds is computed behind SYNC, for the
        same reason as in `_outside`."""
        nest, stores = self.nest, self.nest.stores(number, False)
        if stores:
            self.scope.writer.line("SYNC;")
            with self.scope.writer.block("if (part == 0 && exists)"):
                folds = [i for i in self.scope.known if nest.kernel.body[i].op == "reduce"]
                here = self.scope.only(folds).enter((), ())
                here.run(nest.needed(stores, folds))
                here.store(stores)

"""What would fit: smaller texts of a job that takes more memory than there is.

Takes: a job as it was loaded, its forecast, a way to read it with a value set. Promises: settings in the job's own
words, each of which by itself makes the run fit, found by planning the job so: more shards, the fewest that do; a
smaller dim, halved as often as it takes. None where nothing of the kind is enough, or a few dozen trials find none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import gcd

from jobspec.backends.registry import Backend
from jobspec.ir.errors import JobspecError
from jobspec.ir.plan import Plan
from jobspec.lang import tree
from jobspec.lang.parse import parse
from jobspec.lang.source import Source
from jobspec.loading import Spec
from jobspec.passes.layout import slot_buffers
from jobspec.passes.pipeline import compile_job
from jobspec.runtime.forecast import Forecast, memory_of

#: dims that are named, and jobs that are planned to find them
NAMED, TRIALS = 3, 16
Setting = tuple[str, int]


@dataclass
class Search:
    """`read` gives the job with one more value set; `plan`: of the job as it is; `limit`: bytes."""

    spec: Spec
    plan: Plan
    taken: Forecast
    backend: Backend
    limit: int
    read: Callable[[Mapping[str, str]], Spec]
    left: int = TRIALS

    def found(self) -> list[str]:
        """Settings as `--set` takes them."""
        both = [*self.shards(), *islice(self.dims(), NAMED)]
        return [f"{name}={value}" for name, value in both]

    def fits(self, name: str, value: int) -> bool:
        try:
            job = self.read({name: str(value)}).job
            if 2 * slot_buffers(job.state)[1] > self.limit or not self.left:
                return False
            self.left -= 1
            plan = compile_job(job, self.backend.target)
            return memory_of(job, plan, self.taken.memory.scratch).peak <= self.limit
        except JobspecError:
            return False

    def shards(self) -> Iterator[Setting]:
        """The fewest pieces of the batch with which it fits."""
        size = gcd(*(phase.batches.size for phase in self.spec.job.phases))
        counts = [n for n in range(2, size + 1) if size % n == 0]
        yield from self.first("train.shards", counts)

    def dims(self) -> Iterator[Setting]:
        """For each dim that is written as a number, the largest of its halves, quarters, … that does."""
        for name, size in self.weightiest():
            halves = [size >> i for i in range(self.least_halvings(), size.bit_length())]
            while halves and not self.means_something(name, halves[-1]):
                halves.pop()
            yield from self.first(name, halves)

    def first(self, name: str, values: Sequence[int]) -> Iterator[Setting]:
        """The first of `values` that fits, where it does from some place on."""
        if not values or not self.fits(name, values[-1]):
            return
        low, high = 0, len(values) - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.fits(name, values[middle]) else (middle + 1, high)
        yield name, values[high]

    def means_something(self, name: str, value: int) -> bool:
        try:
            return bool(self.read({name: str(value)}))
        except JobspecError:
            return False

    def least_halvings(self) -> int:
        """A value has one dim for an axis once or twice: a half takes a quarter at least."""
        ratio = self.taken.memory.peak // self.limit
        return max(1, ratio.bit_length() // 2)

    def weightiest(self) -> list[Setting]:
        """Dims that are numbers, those first whose size is an axis of the most bytes."""
        assert self.spec.text is not None
        items = parse(Source("job", self.spec.text)).items
        written = {i.axis.text for i in items if isinstance(i, tree.DimDef) and isinstance(i.value, tree.Num)}
        sizes = [(name, size) for name, size in self.spec.job.sizes if name in written and size > 1]
        buffers = [buffer.type for routine in self.plan.routines for buffer in routine.buffers]
        weight = {size: sum(t.nbytes for t in buffers if size in t.shape) for _, size in sizes}
        return sorted(sizes, key=lambda setting: -weight[setting[1]])

"""One kernel run on a GPU, by itself.

Takes: an open driver, a kernel, arrays. Promises: the arrays as the kernel leaves them, for a schedule of one's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jobspec.backends.c.alone import Alone, alone
from jobspec.backends.cuda.driver import Driver, Kernel
from jobspec.backends.cuda.nvrtc import EXACT, compile_text
from jobspec.backends.cuda.target import architecture_of, target_of
from jobspec.backends.reference.numbers import Array
from jobspec.ir.kernel import Kernel as Nest
from jobspec.ir.plan import Schedule


@dataclass(frozen=True)
class Trial:
    """A device to try kernels on; `aside`: by what its level alone has."""

    driver: Driver
    aside: bool = False

    def run(
        self, kernel: Nest, arrays: Sequence[Array], schedule: Schedule, turns: tuple[int, ...] = ()
    ) -> tuple[list[Array], Array]:
        """The arrays, and the flag words, after the kernel has run once."""
        made = alone(kernel, arrays, schedule, "cuda")
        arena, scratch = self.driver.allocate(made.size), self.driver.allocate(made.scratch)
        try:
            self.driver.put(arena, made.arena())
            self._launch(made, (arena, arena, scratch), turns)
            memory = np.empty(made.size, np.uint8)
            self.driver.take(arena, memory)
            return made.results(memory)
        finally:
            self.driver.free(arena)
            self.driver.free(scratch)

    def arrays(self, kernel: Nest, arrays: Sequence[Array], schedule: Schedule) -> list[Array]:
        """The arrays after the kernel has run once."""
        return self.run(kernel, arrays, schedule)[0]

    def _launch(self, made: Alone, spaces: tuple[int, ...], turns: tuple[int, ...]) -> None:
        level = architecture_of(target_of(self.driver.level, self.aside))
        compiled = compile_text(made.text, level, EXACT, self.driver.machine_code)
        module = self.driver.load(compiled)
        numbers = tuple(np.int32(turn) for turn in turns)
        work = [
            Kernel(n.symbol, n.groups, n.items, (*spaces, np.float32(1), *numbers[: n.turns]), n.shared_bytes)
            for n in made.launches
        ]
        self.driver.start(self.driver.capture(module, work))
        self.driver.finish()

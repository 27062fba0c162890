"""One kernel run on an OpenCL device, by itself.

Takes: a device, a kernel, arrays. Promises: the arrays as the kernel leaves them, for a schedule of one's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyopencl as cl

from jobspec.backends.c.alone import Alone, alone
from jobspec.backends.kept import Kept
from jobspec.backends.opencl.build import NOWHERE, build
from jobspec.backends.reference.numbers import Array
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Schedule


@dataclass(frozen=True)
class Trial:
    """A device to try kernels on. `kept`: where compiled programs are kept."""

    device: cl.Device
    kept: Kept = NOWHERE

    @cached_property
    def context(self) -> cl.Context:
        return cl.Context([self.device])

    def run(
        self, kernel: Kernel, arrays: Sequence[Array], schedule: Schedule, turns: tuple[int, ...] = ()
    ) -> tuple[list[Array], Array]:
        """The arrays, and the flag words, after the kernel has run once."""
        made = alone(kernel, arrays, schedule, "opencl")
        return made.results(self._run(made, turns))

    def arrays(self, kernel: Kernel, arrays: Sequence[Array], schedule: Schedule) -> list[Array]:
        """The arrays after the kernel has run once."""
        return self.run(kernel, arrays, schedule)[0]

    def _run(self, made: Alone, turns: tuple[int, ...]) -> Array:
        program, queue, flags = build(self.context, made.text, self.kept), cl.CommandQueue(self.context), cl.mem_flags
        arena = made.arena()
        memory = cl.Buffer(self.context, flags.READ_WRITE | flags.COPY_HOST_PTR, hostbuf=arena)
        scratch = cl.Buffer(self.context, flags.READ_WRITE, made.scratch)
        for launch in made.launches:
            function = cl.Kernel(program, launch.symbol)
            for i, space in enumerate((memory, memory, scratch)):
                function.set_arg(i, space)
            for i, number in enumerate((np.float32(1), *map(np.int32, turns[: launch.turns])), 3):
                function.set_arg(i, number)
            cl.enqueue_nd_range_kernel(queue, function, (launch.groups * launch.items,), (launch.items,))
        result = np.empty_like(arena)
        cl.enqueue_copy(queue, result, memory)
        queue.finish()
        return result


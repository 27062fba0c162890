"""Where the time of a training step goes: each kernel timed where it stands, on one thread.

Takes: a routine that runs kernel by kernel, the places of its buffers in the text. Promises: `profile` gives every
kernel of a step with the processor time of all its calls, what it computes and moves (passes/tally.py) and the line
that makes it; the kernels run are those of the plan. Values are those of a run that begins as `init` says.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from jobspec.backends.session import CallTime, Stepper
from jobspec.ir.kernel import Kernel
from jobspec.ir.origin import Place
from jobspec.ir.plan import Routine
from jobspec.passes.tally import Tally, of_kernel

#: steps before the first that counts
WARM_UP = 2
MICRO = 1e6


@dataclass(frozen=True)
class Row:
    """A kernel. `seconds`: of all its calls in a step, the median over steps; `low`: the least; `work`: of all
    calls; `place`: line and column of what it makes, None where the text does not say."""

    number: int
    kernel: Kernel
    calls: int
    seconds: float
    low: float
    work: Tally
    place: Place | None

    @property
    def flops(self) -> float:
        """Operations per second."""
        return self.work.operations / self.seconds if self.seconds else 0.0

    @property
    def bandwidth(self) -> float:
        """Bytes per second."""
        return self.work.moved / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Profile:
    """`rows`: dearest first; `steps`: the calls of each step that was timed."""

    routine: Routine
    rows: tuple[Row, ...]
    steps: tuple[tuple[CallTime, ...], ...]

    @property
    def seconds(self) -> float:
        """Of one step, all kernels together."""
        return sum(row.seconds for row in self.rows)


def profile(stepper: Stepper, places: Mapping[int, Place], steps: int) -> Profile:
    """`steps` steps of `stepper`, after some that wake caches up. `places`: of buffers in the text."""
    for number in range(WARM_UP):
        stepper.step(number)
    runs = tuple(tuple(stepper.step(WARM_UP + number)) for number in range(steps))
    routine = stepper.routine
    found = (row(routine, number, runs, places) for number in range(len(routine.kernels)))
    return Profile(routine, tuple(sorted(found, key=lambda r: -r.seconds)), runs)


def row(routine: Routine, number: int, runs: Sequence[Sequence[CallTime]], places: Mapping[int, Place]) -> Row:
    kernel = routine.kernels[number]
    taken = [[call.seconds for call in run if call.kernel == number] for run in runs]
    sums, calls = [sum(times) for times in taken], len(taken[0])
    work = of_kernel(kernel, routine.buffers).times(calls)
    return Row(number, kernel, calls, statistics.median(sums), min(sums), work, place_of(kernel, places))


def place_of(kernel: Kernel, places: Mapping[int, Place]) -> Place | None:
    """Of the first buffer that the kernel writes and the text knows."""
    written = (view.buffer for view, is_written in kernel.views() if is_written)
    return next((places[number] for number in written if number in places), None)


def trace(found: Profile, lines: Sequence[str]) -> dict[str, object]:
    """The calls as Chrome's trace format, which Perfetto opens; `lines`: of the job's text."""
    events = [*headings(found), *(event(found, i, call, lines) for i, run in enumerate(found.steps) for call in run)]
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def headings(found: Profile) -> Iterator[dict[str, object]]:
    """Names of process and thread, and a bar for each step."""
    yield {"name": "process_name", "ph": "M", "pid": 1, "tid": 1, "args": {"name": "jobspec"}}
    yield {"name": "thread_name", "ph": "M", "pid": 1, "tid": 1, "args": {"name": found.routine.name}}
    for number, run in enumerate(found.steps):
        length = run[-1].begun + run[-1].seconds - run[0].begun if run else 0.0
        if run:
            yield bar(f"step {number + WARM_UP}", "step", since(found, run[0].begun), length, {})


def event(found: Profile, step: int, call: CallTime, lines: Sequence[str]) -> dict[str, object]:
    kernel = found.routine.kernels[call.kernel]
    place = next(r.place for r in found.rows if r.number == call.kernel)
    said = {"kernel": call.kernel, "step": step + WARM_UP, "shape": shape_of(kernel), "line": place and place[0]}
    if place:
        said["text"] = text_at(place, lines)
    return bar(kernel.name or kernel.kind, kernel.kind, since(found, call.begun), call.seconds, said)


def bar(name: str, kind: str, begun: float, seconds: float, said: Mapping[str, object]) -> dict[str, object]:
    """A complete event; times in microseconds."""
    at = {"ts": begun * MICRO, "dur": seconds * MICRO, "pid": 1, "tid": 1}
    return {"name": name, "cat": kind, "ph": "X", **at, "args": dict(said)}


def since(found: Profile, clock: float) -> float:
    first = next((call.begun for run in found.steps for call in run), clock)
    return clock - first


def shape_of(kernel: Kernel) -> str:
    """`m:256 n:768 k:768`."""
    return " ".join(f"{axis.role}:{axis.size}" for axis in kernel.axes)


def text_at(place: Place, lines: Sequence[str]) -> str:
    """The line of the text, without its margin."""
    return lines[place[0] - 1].strip() if 0 < place[0] <= len(lines) else ""

"""What state roots and checkpoints cost a run: `python -m bench.keeping FILE [NAME=VALUE…]`.

Takes: a job whose data is in the store, values to set. Promises: the job trains in a store of its own; of the time from
its first step to its last, the share that the loop of steps waits for each, and what their threads take of the
processors beside it, in per cent.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from jobspec import api
from jobspec.runtime import roots
from jobspec.runtime.engine import default_threads
from jobspec.runtime.run import Run
from jobspec.runtime.saver import Saver
from jobspec.store import checkpoint
from jobspec.store.home import open_home

#: steps before those that are timed
WARM = 20
ROOTS, CHECKPOINTS = "roots", "checkpoints"
#: what the loop of steps calls, and what threads of their own do
WAITED = {(Run, "_record_due"): ROOTS, (Run, "_record"): ROOTS}
WAITED |= {(Saver, "save"): CHECKPOINTS, (Saver, "poll"): CHECKPOINTS}
BESIDE = {(roots, "digests_of"): ROOTS, (checkpoint, "save"): CHECKPOINTS, (Saver, "_sweep"): CHECKPOINTS}


class Costs:
    """Seconds by name: of the loop, and of processors beside it."""

    def __init__(self) -> None:
        self.waited, self.beside, self.longest = Counter[str](), Counter[str](), Counter[str]()
        self.times = Counter[str]()
        self.whole = 0.0

    def timed(self, what: str, call: Callable[..., Any], beside: bool) -> Callable[..., Any]:
        """`call`, timed on the loop's thread, or on any other."""

        def timing(*given: Any, **named: Any) -> Any:
            if beside == (threading.current_thread() is threading.main_thread()):
                return call(*given, **named)
            begun, worked = time.perf_counter(), time.thread_time()
            try:
                return call(*given, **named)
            finally:
                self._add(what, time.perf_counter() - begun, time.thread_time() - worked, beside)

        return timing

    def _add(self, what: str, waited: float, worked: float, beside: bool) -> None:
        if beside:
            self.beside[what] += worked
            return
        self.waited[what] += waited
        self.longest[what] = max(self.longest[what], waited)
        self.times[what] += 1

    def shares(self, threads: int) -> dict[str, Any]:
        def share(seconds: float) -> float:
            return round(100 * seconds / self.whole, 3)

        return {
            what: {
                "waits_percent": share(self.waited[what]),
                "beside_percent": share(self.beside[what] / threads),
                "longest_ms": round(1e3 * self.longest[what], 2),
                "times": self.times[what],
            }
            for what in (ROOTS, CHECKPOINTS)
        }


@contextmanager
def watched(costs: Costs) -> Iterator[None]:
    """Within, a run's costs are added up."""
    real = Run._train

    def train(self: Run, *given: Any) -> None:
        begun = time.perf_counter()
        real(self, *given)
        costs.whole += time.perf_counter() - begun

    with ExitStack() as stack:
        stack.enter_context(patch.object(Run, "_train", train))
        for table in (WAITED, BESIDE):
            for (owner, name), what in table.items():
                timed = costs.timed(what, getattr(owner, name), table is BESIDE)
                stack.enter_context(patch.object(owner, name, timed))
        yield


def measured(file: Path, values: dict[str, str], threads: int) -> dict[str, Any]:
    spec, costs = api.load(file, **values), Costs()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "data").symlink_to(open_home().folder / "data")
        program = api.compile(spec, home=home)
        api.run(program, threads=threads, until=WARM, home=home)
        with watched(costs):
            api.run(program, threads=threads, again=True, home=home)
    size = sum(slot.type.nbytes for slot in spec.job.state)
    step = 1e3 * costs.whole / spec.job.steps
    return {"state_bytes": size, "steps": spec.job.steps, "ms_a_step": round(step, 4), **costs.shares(threads)}


if __name__ == "__main__":
    given = dict(word.split("=", 1) for word in sys.argv[2:])
    print(json.dumps(measured(Path(sys.argv[1]), given, int(given.pop("threads", default_threads())))))

"""Contenders as processes of their own: each is asked in turn, and stands still while others are.

Takes: the words of a command that answers requests, one JSON object a line. Promises: between its answers a process
takes no processor, whatever its libraries' threads would do: it is stopped (SIGSTOP) with every answer and goes on
with the next request. Threads that wait busily for more work would else slow down whoever comes next.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.timing import Timing


class Child:
    """A contender in its process. `log`: where what it says on standard error goes."""

    def __init__(
        self, name: str, words: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name, self.log, self.begun = name, log, time.perf_counter()
        pipe = subprocess.PIPE
        with log.open("wb") as errors:
            self.process = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=errors, text=True, env=environment)

    def ask(self, **request: object) -> Any:
        """Raises ChildProcessError with the last line that it said."""
        assert self.process.stdin and self.process.stdout
        self.process.send_signal(signal.SIGCONT)
        try:
            print(json.dumps(request), file=self.process.stdin, flush=True)
            return json.loads(self.process.stdout.readline())
        except (OSError, ValueError) as error:
            self.process.wait(10)
            lines = self.log.read_text("utf-8").strip().splitlines() or ["it ended"]
            raise ChildProcessError(lines[-1]) from error
        finally:
            self.process.send_signal(signal.SIGSTOP)

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.send_signal(signal.SIGCONT)
        # a child that is gone has left an unwritten request behind
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def by_turns(children: Sequence[Child], windows: int, seconds: float, tried: int = 1) -> dict[str, Timing]:
    """Each is timed in `windows` windows of about `seconds`, in turn; `tried`: steps that tell how many fill one."""
    counts = {child.name: max(1, round(seconds / child.ask(window=tried))) for child in children}
    seen: dict[str, list[float]] = {child.name: [] for child in children}
    for _ in range(windows):
        for child in children:
            seen[child.name].append(child.ask(window=counts[child.name]))
    return {name: Timing(tuple(times)) for name, times in seen.items()}

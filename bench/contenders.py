"""Contenders as processes of their own: each is asked in turn, and stands still while others are.

Takes: the words of a command that answers requests, one JSON object a line. Promises: between its answers a process
takes no processor, whatever its libraries' threads would do: it is stopped (SIGSTOP) with every answer and goes on
with the next request. Threads that wait busily for more work would else slow down whoever comes next. Who ends before
its time takes no further part; the others go on.
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
    """A contender in its process. `log`: where what it says on standard error goes; `failure`: why it ended early."""

    failure: str | None = None

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
            self.failure = lines[-1]
            raise ChildProcessError(self.failure) from error
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


def answers(children: Sequence[Child], **request: object) -> dict[str, Any]:
    """Of those that are still there and stay, one after another."""
    found: dict[str, Any] = {}
    for child in children:
        if child.failure is None:
            with suppress(ChildProcessError):
                found[child.name] = child.ask(**request)
    return found


def filling(children: Sequence[Child], seconds: float, tried: int = 1) -> dict[str, int]:
    """How many steps fill a window of about `seconds`; `tried`: steps that tell."""
    return {name: max(1, round(seconds / each)) for name, each in answers(children, window=tried).items()}


def by_turns(children: Sequence[Child], windows: int, seconds: float, tried: int = 1) -> dict[str, Timing]:
    """Each is timed in `windows` windows of about `seconds`, in turn; those are left out that do not stay."""
    counts = filling(children, seconds, tried)
    seen: dict[str, list[float]] = {name: [] for name in counts}
    for _ in range(windows):
        for child in children:
            for name, each in answers([child], window=counts.get(child.name, 1)).items():
                seen[name].append(each)
    return {child.name: Timing(tuple(seen[child.name])) for child in children if child.failure is None}


def in_pairs(one: Child, other: Child, pairs: int, seconds: float) -> list[tuple[float, float]]:
    """Both timed right after each other in windows of about `seconds`, `pairs` times; who goes first changes from pair
    to pair, as the first may find the machine otherwise than the second. Nothing where one does not stay."""
    counts, found = filling([one, other], seconds), []
    for number in range(pairs):
        seen: dict[str, float] = {}
        for child in (one, other) if number % 2 == 0 else (other, one):
            seen |= answers([child], window=counts.get(child.name, 1))
        if len(seen) < 2:
            return []
        found.append((seen[one.name], seen[other.name]))
    return found

"""Progress for people: one live line on a terminal, plain lines elsewhere.

Takes: what a run tells its reporter, a stream to write to. Promises: step, loss, learning rate, steps per second
and time left; evaluations and notes as lines that stay. Whoever stops reading does not stop the run. What draws
the live line is imported where there is a terminal: nothing else has to wait for it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, TYPE_CHECKING

import numpy as np

from jobspec.ir.job import Job
from jobspec.runtime.reporter import Reporter

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

#: plain lines: seconds between the first ones, and the share of the time gone by between later ones
SOONEST, SHARE = 1.0, 0.05
#: seconds, beyond which a time left is not worth telling apart
LONGEST = 1e9
#: weight of the newest speed
NEW = 0.3


def reporter_for(stream: IO[str], beside: object = "") -> Reporter:
    """A live line where `stream` is a terminal, else plain lines; `beside`: stands at the end of each, as it is."""
    return LiveLine(console_on(stream), beside) if stream.isatty() else PlainLines(stream, beside)


def console_on(stream: IO[str]) -> Console:
    from rich.console import Console

    return Console(file=stream, highlight=False, soft_wrap=True)


class Speed:
    """Steps per second, smoothed; the time left. Measured from the first report on: the steps before it may
    have waited for the compiler."""

    def __init__(self, steps: int) -> None:
        self.begun = time.monotonic()
        self._time, self._step, self._steps = 0.0, -1, steps
        self.rate = 0.0

    def at(self, step: int) -> None:
        now = time.monotonic()
        if self._step >= 0 and now > self._time:
            fresh = (step - self._step) / (now - self._time)
            self.rate = fresh if self.rate == 0 else NEW * fresh + (1 - NEW) * self.rate
        self._step, self._time = step, now

    def __str__(self) -> str:
        """`312 steps/s  12 s left`; nothing before two reports."""
        if self.rate == 0:
            return ""
        rate = f"{self.rate:,.0f}" if self.rate >= 10 else f"{self.rate:.2g}"
        return f"  {rate} steps/s  {duration((self._steps - self._step) / self.rate)} left"


def duration(seconds: float) -> str:
    whole = int(min(seconds, LONGEST) + 0.5)
    hours, rest = divmod(whole, 3600)
    if hours:
        return f"{hours}:{rest // 60:02}:{rest % 60:02}"
    return f"{rest // 60}:{rest % 60:02}" if rest >= 60 else f"{rest} s"


def number(value: np.float32) -> str:
    """Four significant digits."""
    return f"{float(value):.4g}"


def named(values: Mapping[str, np.float32]) -> str:
    """`loss 0.25  lr 0.001`"""
    return "  ".join(f"{name} {number(value)}" for name, value in values.items())


def line_of(job: Job, step: int, reports: Mapping[str, np.float32], speed: Speed, beside: object = "") -> str:
    """One line of progress: `step 7/20  loss 0.25  312 steps/s  1 s left`, the phase's name behind the step."""
    phase, more = job.phase_of(step).name, str(beside)
    line = f"step {step:,}/{job.steps:,}{f'  {phase}' if phase else ''}  {named(reports)}{speed}"
    return f"{line}  {more}" if more else line


class PlainLines:
    """Lines for a log: often at first, seldom later."""

    def __init__(self, stream: IO[str], beside: object = "") -> None:
        self._stream, self._beside = stream, beside
        self._job: Job | None = None
        self._next = 0.0
        self._speed = Speed(0)

    def begin(self, job: Job, step: int) -> None:
        self._job, self._speed, self._next = job, Speed(job.steps), 0.0

    def progress(self, step: int, reports: Mapping[str, np.float32]) -> None:
        self._speed.at(step)
        gone = time.monotonic() - self._speed.begun
        assert self._job is not None, "not begun"
        if gone >= self._next or step == self._job.steps:
            self._next = gone + max(SOONEST, SHARE * gone)
            self._say(line_of(self._job, step, reports, self._speed, self._beside))

    def evaluated(self, name: str, step: int, metrics: Mapping[str, np.float32]) -> None:
        self._say(f"{name} after step {step:,}: {named(metrics)}")

    def note(self, text: str) -> None:
        self._say(f"note: {text}")

    def end(self) -> None: ...

    def _say(self, line: str) -> None:
        with suppress(BrokenPipeError):
            print(line, file=self._stream, flush=True)


class LiveLine:
    """One line that is written over; what stays is printed above it."""

    def __init__(self, console: Console, beside: object = "") -> None:
        self._console, self._beside = console, beside
        self._live: Live | None = None
        self._job: Job | None = None
        self._speed = Speed(0)

    def begin(self, job: Job, step: int) -> None:
        from rich.live import Live

        self._job, self._speed = job, Speed(job.steps)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._live.start()

    def progress(self, step: int, reports: Mapping[str, np.float32]) -> None:
        self._speed.at(step)
        if self._live is not None and self._job is not None:
            line = line_of(self._job, step, reports, self._speed, self._beside)
            drawn = self._console.render_str(line, style="bold", markup=False, emoji=False)
            self._live.update(drawn, refresh=True)

    def evaluated(self, name: str, step: int, metrics: Mapping[str, np.float32]) -> None:
        self._console.print(f"{name} after step {step:,}: {named(metrics)}", markup=False)

    def note(self, text: str) -> None:
        self._console.print(f"note: {text}", markup=False)

    def end(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

"""Progress: plain lines, the live line, figures for people."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from rich.console import Console

from jobspec.ir.job import Job
from jobspec.runtime import progress
from jobspec.runtime.progress import LiveLine, PlainLines, duration, reporter_for
from tests.runtime.jobs import phased, regression

JOB: Job = regression("b3:" + "ab" * 32, steps=1000)
REPORTS = {"loss": np.float32(0.25), "lr": np.float32(1e-4)}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def moments(clock: list[float], seconds: float, count: int) -> Iterator[int]:
    for step in range(1, count + 1):
        clock[0] += seconds
        yield step


def test_plain_lines(clock: list[float]) -> None:
    stream = io.StringIO()
    lines = PlainLines(stream)
    lines.begin(JOB, 0)
    for step in moments(clock, 0.5, 4):
        lines.progress(100 * step, REPORTS)
    lines.evaluated("held", 400, {"error": np.float32(0.125)})
    lines.note("something")
    clock[0] += 0.1
    lines.progress(1000, REPORTS)
    lines.end()
    said = stream.getvalue().splitlines()
    assert said[0] == "step 100/1,000  loss 0.25  lr 0.0001"
    assert said[1] == "step 300/1,000  loss 0.25  lr 0.0001  200 steps/s  4 s left"
    assert said[2:4] == ["held after step 400: error 0.125", "note: something"]
    assert said[4].startswith("step 1,000/1,000  loss 0.25")


def test_a_phase_is_named(clock: list[float]) -> None:
    stream = io.StringIO()
    lines = PlainLines(stream)
    lines.begin(phased("b3:" + "ab" * 32), 0)
    for step in (1, 7, 8, 16):
        clock[0] += 9
        lines.progress(step, REPORTS)
    assert [line.split()[2] for line in stream.getvalue().splitlines()] == ["warm", "warm", "main", "cool"]


def test_lines_become_seldom(clock: list[float]) -> None:
    stream = io.StringIO()
    lines = PlainLines(stream)
    lines.begin(JOB, 0)
    for step in moments(clock, 0.1, 36_000):
        lines.progress(min(999, step), REPORTS)
    assert 100 < len(stream.getvalue().splitlines()) < 150


def test_a_reader_that_goes_away_stops_nothing() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    lines = PlainLines(Gone())
    lines.begin(JOB, 0)
    lines.progress(1, REPORTS)


def test_the_live_line(clock: list[float]) -> None:
    stream = io.StringIO()
    live = LiveLine(Console(file=stream, force_terminal=True, width=100, highlight=False))
    live.begin(JOB, 0)
    for step in moments(clock, 1, 3):
        live.progress(step, REPORTS)
    live.evaluated("held", 3, {"error": np.float32(0.125)})
    live.note("[bold] is not markup")
    live.end()
    live.end()
    said = stream.getvalue()
    assert "step 3/1,000" in said and "1 steps/s  16:37 left" in said
    assert "held after step 3: error 0.125" in said and "[bold] is not markup" in said


def test_no_terminal_no_live_line() -> None:
    assert isinstance(reporter_for(io.StringIO()), PlainLines)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (60, "1:00"), (205, "3:25"), (7405, "2:03:25")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text

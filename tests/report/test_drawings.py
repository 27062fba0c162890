"""Curves, timelines and memory: what is drawn is what was given."""

from __future__ import annotations

import json
from math import inf, nan
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobspec.ir.errors import UsageError
from jobspec.report.chart import COLUMNS, Series, chart, thinned
from jobspec.report.memory_map import blocks, memory_map
from jobspec.report.scales import round_step, said, scale
from jobspec.report.timeline import MOST, drawn, read_trace
from jobspec.runtime.workers.timeline import Span, Timeline
from jobspec.scaling import step_routines
from tests.estimating.shipped import job_of

FLOATS = st.floats(-1e12, 1e12, allow_nan=False)


@pytest.mark.parametrize("count", [2 * COLUMNS + 1, 3 * COLUMNS, 7 * COLUMNS - 1, 20_000])
def test_no_extreme_is_thinned_away(count: int) -> None:
    random = Random(count)
    ys = [random.gauss(0, 1) for _ in range(count)]
    points = [(float(i), y) for i, y in enumerate(ys)]
    kept = thinned(points)
    assert len(kept) <= 2 * COLUMNS + 2 and kept == sorted(kept) and set(kept) <= set(points)
    assert {min(ys), max(ys)} <= {y for _, y in kept} and {points[0], points[-1]} <= set(kept)


@given(FLOATS, FLOATS)
def test_marks_are_round_and_within(a: float, b: float) -> None:
    found = scale(min(a, b), max(a, b), 0.0, 100.0)
    space = (found.high - found.low) * 1e-6
    marks = found.marks(5)
    assert 1 <= len(marks) <= 7 and all(found.low - space <= mark <= found.high + space for mark in marks)
    assert all(-1e-3 <= found.at(mark) <= 100 + 1e-3 for mark in marks)


def test_steps_between_marks() -> None:
    assert [round_step(x) for x in (1, 1.1, 2.5, 7, 0.03)] == pytest.approx([1, 2, 5, 10, 0.05])
    assert [said(x) for x in (0, 1500, 2.5e6, 0.002, 3e-5)] == ["0", "1.5k", "2.5M", "0.002", "3e-05"]


def test_what_is_not_finite_is_left_out_and_counted() -> None:
    found = chart("loss", [Series("training", [(1.0, 2.0), (2.0, nan), (3.0, inf), (4.0, 1.0)])])
    assert "first 2, last 1, least 1, greatest 2, 2 not finite" in found and "nan" not in found
    assert found.count("<circle") == 2
    assert chart("loss", [Series("training", [(1.0, nan)])]) == ""


def test_a_point_for_each_value() -> None:
    found = chart("acc", [Series("eval", [(10.0, 0.5), (20.0, 0.75)])])
    assert "eval after 10 steps: 0.5" in found and "eval after 20 steps: 0.75" in found
    assert 'd="M56.00 226.00L628.00 10.00"' in found


def event(name: str, ts: float, dur: float, tid: int = 1, cat: str = "contract") -> dict[str, object]:
    return {"name": name, "cat": cat, "ph": "X", "ts": ts, "dur": dur, "pid": 1, "tid": tid, "args": {"shape": "m:4"}}


def trace(*events: object) -> bytes:
    return json.dumps({"traceEvents": events}).encode()


def test_a_lane_for_each_thread() -> None:
    name = {"name": "thread_name", "ph": "M", "pid": 1, "tid": 2, "args": {"name": "worker <2>"}}
    found = read_trace(trace(name, event("b", 5e6, 1e6, 2), event("a", 4e6, 2e6)), "here")
    assert found.lanes == ("thread 1", "worker <2>")
    bars = [(bar.name, bar.lane, bar.begun, bar.length) for bar in found.bars]
    assert bars == [("a", 0, 0.0, 2.0), ("b", 1, 1.0, 1.0)]
    picture = drawn("work", found)
    assert "worker &lt;2&gt;" in picture and "<td>66.7%</td>" in picture and "a, 2000.000 ms: m:4" in picture


def test_what_workers_leave_is_drawn() -> None:
    timeline = Timeline()
    timeline.spans += [Span("w1", "piece 0", "done", 3.0, 3.5), Span("w2", "piece 1", "redone", 3.25, 4.0)]
    found = read_trace(json.dumps(timeline.trace()).encode(), "workers.json")
    assert found.lanes == ("w1", "w2")
    assert [(b.name, b.kind, b.lane, b.begun, b.length) for b in found.bars] == [
        ("piece 0", "done", 0, 0.0, 0.5), ("piece 1", "redone", 1, 0.25, 0.75),
    ]  # fmt: skip
    assert "redone" in drawn("workers", found)


def test_only_so_many_bars_are_drawn_and_all_are_counted() -> None:
    found = read_trace(trace(*(event("k", float(i), 1.0) for i in range(MOST + 5))), "here")
    picture = drawn("work", found)
    assert picture.count("<title>k,") == MOST and f"the first {MOST:,} of {MOST + 5:,}" in picture
    assert f"<td>{MOST + 5:,}</td>" in picture


NO_TRACES = [b"", b"[]", b'{"traceEvents": 3}', trace({"ph": "X"}), trace(event("a", 1, 1) | {"ts": "x"})]


@pytest.mark.parametrize("data", NO_TRACES)
def test_what_is_no_trace(data: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        read_trace(data, "mine.json")
    assert caught.value.code == "E0891" and "mine.json" in caught.value.reason


def test_an_empty_trace_draws_nothing() -> None:
    assert drawn("work", read_trace(trace(), "here")) == ""


def test_every_buffer_is_in_the_map_and_none_share_a_place_in_time() -> None:
    routine = step_routines(job_of("digits"))["step"]
    found, end = blocks(routine)
    used = {view.buffer for kernel in routine.kernels for view, _ in kernel.views()}
    arena = {n for n in used if routine.buffers[n].space == "arena"} | {n for _, n in routine.slots}
    assert {block.buffer for block in found} >= {routine.buffers[n] for n in arena}
    for i, a in enumerate(found):
        for b in found[i + 1 :]:
            apart = a.buffer.offset + a.buffer.type.nbytes <= b.buffer.offset
            apart |= b.buffer.offset + b.buffer.type.nbytes <= a.buffer.offset
            assert apart or a.last < b.first or b.last < a.first, (a, b)
    picture = memory_map(routine)
    assert picture.count("<title>") == len(found) + 1 and f"{len(found):,} buffers" in picture and end > 10

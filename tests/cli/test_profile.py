"""`jobspec profile`: a table, JSON and a trace of the kernels of a step."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Call


def test_every_kernel_is_listed_with_its_line(call: Call, tiny: Path) -> None:
    said = call("profile", tiny, "--steps", "2", "--kernels", "0").out
    found = call("profile", tiny, "--steps", "2", "--json").json
    assert found["steps"] == 2 and found["routine"] == "step"
    assert len(said.splitlines()) == len(found["kernels"]) + 2
    lines = tiny.read_text().splitlines()
    products = [k for k in found["kernels"] if k["kind"] == "contract"]
    # forward, and the gradient of the weights
    assert len(products) == 2 and all(k["flop"] >= 2 * 4 * 3 * 2 for k in products)
    assert all(lines[k["line"] - 1].strip() == k["text"] for k in found["kernels"] if k["line"])
    assert found["seconds"] == sum(k["seconds"] for k in found["kernels"])


def test_a_trace_is_written(call: Call, tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    assert call("profile", tiny, "--steps", "3", "--trace", path).code == 0
    events = json.loads(path.read_text())["traceEvents"]
    assert sum(event["name"].startswith("step ") for event in events) == 3
    assert all(event["dur"] >= 0 and event["ts"] >= 0 for event in events if event["ph"] == "X")


def test_what_cannot_be_timed_says_so(call: Call, tiny: Path) -> None:
    found = call("profile", tiny, "--on", "reference")
    assert found.code == 2 and "E0852" in found.err

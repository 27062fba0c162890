"""A contender stands still while it is not asked."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from bench.contenders import Child, by_turns

#: waits busily on a thread of its own, as pools of threads do, and says how much processor it has taken
BUSY = """
import json, sys, threading, time
threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()
for line in sys.stdin:
    if "fail" in line:
        sys.exit("no such thing")
    print(json.dumps(time.process_time()), flush=True)
"""


def child(folder: Path, name: str = "busy") -> Child:
    return Child(name, [sys.executable, "-c", BUSY], folder / f"{name}.log")


def test_who_is_not_asked_takes_no_processor(tmp_path: Path) -> None:
    with child(tmp_path) as busy:
        before = busy.ask(seconds=0)
        time.sleep(0.5)
        assert busy.ask(seconds=0) - before < 0.2


def test_a_contender_that_ends_says_why(tmp_path: Path) -> None:
    with child(tmp_path) as busy, pytest.raises(ChildProcessError, match="no such thing"):
        busy.ask(fail=1)


def test_all_are_asked_in_turn(tmp_path: Path) -> None:
    with child(tmp_path, "a") as a, child(tmp_path, "b") as b:
        found = by_turns([a, b], windows=3, seconds=0.1)
    assert [(name, len(timing.windows)) for name, timing in found.items()] == [("a", 3), ("b", 3)]

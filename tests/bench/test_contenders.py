"""A contender stands still while it is not asked; who ends early does so alone."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from bench.contenders import Child, by_turns, in_pairs

#: waits busily on a thread of its own, as pools of threads do, and says how much processor it has taken
BUSY = """
import json, sys, threading, time
threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()
for line in sys.stdin:
    if "fail" in line:
        sys.exit("no such thing")
    print(json.dumps(time.process_time()), flush=True)
"""

#: notes what it is asked, and answers how often it was
COUNTING = """
import json, sys, time
for number, line in enumerate(sys.stdin):
    if number == LAST:
        sys.exit("out of memory")
    with open(LOG, "a") as log:
        print(NAME, *json.loads(line).values(), file=log)
    print(json.dumps(1.0 + number), flush=True)
"""


def child(folder: Path, name: str = "busy") -> Child:
    return Child(name, [sys.executable, "-c", BUSY], folder / f"{name}.log")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system does not say what a process takes")
def test_who_is_not_asked_takes_no_processor(tmp_path: Path) -> None:
    with child(tmp_path) as busy:
        busy.ask(seconds=0)
        os.waitpid(busy.process.pid, os.WUNTRACED)
        before = ticks(busy.process.pid)
        time.sleep(0.1)
        assert ticks(busy.process.pid) == before
        assert busy.ask(seconds=0) > 0


def ticks(process: int) -> int:
    """Of processor, that it has taken; all of its threads are stopped."""
    state, *numbers = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    assert state == "T"
    return int(numbers[10]) + int(numbers[11])


def test_a_contender_that_ends_says_why(tmp_path: Path) -> None:
    with child(tmp_path) as busy, pytest.raises(ChildProcessError, match="no such thing"):
        busy.ask(fail=1)


def test_all_are_asked_in_turn(tmp_path: Path) -> None:
    with child(tmp_path, "a") as a, child(tmp_path, "b") as b:
        found = by_turns([a, b], windows=3, seconds=0.1)
    assert [(name, len(timing.windows)) for name, timing in found.items()] == [("a", 3), ("b", 3)]


def counting(folder: Path, name: str, last: int = -1) -> Child:
    """One that writes down when it is asked, and ends at its request number `last`."""
    given = f"NAME, LAST, LOG = {name!r}, {last}, {str(folder / 'asked')!r}"
    return Child(name, [sys.executable, "-c", given + COUNTING], folder / f"{name}.log")


def test_who_goes_first_changes_from_pair_to_pair(tmp_path: Path) -> None:
    with counting(tmp_path, "a") as a, counting(tmp_path, "b") as b:
        found = in_pairs(a, b, pairs=3, seconds=7.0)
    asked = (tmp_path / "asked").read_text("utf-8").split("\n")[:-1]
    # a look at how long a step is, then windows of so many steps
    assert asked == ["a 1", "b 1", "a 7", "b 7", "b 7", "a 7", "a 7", "b 7"]
    assert found == [(2.0, 2.0), (3.0, 3.0), (4.0, 4.0)]


@pytest.mark.parametrize("last", [0, 1, 2])
def test_the_others_go_on_without_one_that_ends(last: int, tmp_path: Path) -> None:
    with counting(tmp_path, "a") as a, counting(tmp_path, "b", last) as b:
        found = by_turns([a, b], windows=3, seconds=1.0)
        assert in_pairs(a, b, pairs=2, seconds=1.0) == []
    assert list(found) == ["a"] and found["a"].windows == (2.0, 3.0, 4.0)
    assert a.failure is None and b.failure == "out of memory"

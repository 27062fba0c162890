"""No decoder does anything but take a file in its one form, or refuse it with its own error."""

from __future__ import annotations

import random

import pytest

from jobspec.ir.canonical import encode
from tests.security.fuzz import Kind, attempt, changed, kinds, some

KINDS = {kind.name: kind for kind in kinds()}


@pytest.mark.parametrize("name", KINDS)
def test_good_files_are_taken(name: str) -> None:
    kind: Kind = KINDS[name]
    taken = [attempt(kind, data) for data in kind.corpus]
    # a plan file of a job and another job's plan is refused
    assert taken and (all(taken) or (name == "plan file" and any(taken)))


@pytest.mark.parametrize("name", KINDS)
def test_changed_files(name: str) -> None:
    slow = name in ("job", "plan", "plan file")
    some(KINDS[name], random.Random(name), 150 if slow else 800)


def test_the_changes_change() -> None:
    chance = random.Random(3)
    data = bytes(range(200))
    found = {changed(data, data, chance) for _ in range(200)}
    assert len(found) > 150 and {len(x) for x in found} - {200}


HUGE = [b"", b"\x9f" * 10_000, b"\x81" * 100_000, b"\xa1\x60" * 50_000, b"\x5b" + b"\xff" * 8]


@pytest.mark.parametrize("data", HUGE, ids=len)
def test_depth_and_size_are_bounded(data: bytes) -> None:
    """A hundred thousand arrays in arrays, a length of 2^64: refused before anything is made of them."""
    assert not any(attempt(kind, data) for kind in KINDS.values())


def test_what_once_went_wrong() -> None:
    """Reports whose bytes are no whole numbers; found by the fuzzer."""
    event = {"event": "stepped", "first": 0, "names": ["loss"], "reports": bytes(5)}
    assert not attempt(KINDS["event"], encode(event))

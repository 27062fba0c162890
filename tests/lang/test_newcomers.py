"""Mistakes of people who come from elsewhere: golden/newcomer/NAME.job gives exactly golden/NAME.err.

Each file is one whole job with one mistake in it, so each gives one error, and one that says what to do next.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from jobspec.lang.check import load
from tests.lang.refusals import Golden, check_message, errors

NEWCOMER = Path(__file__).parent / "golden" / "newcomer"
JOBS = sorted(NEWCOMER.glob("*.job"))
#: two things are missing, or a later line depends on the one that is wrong
TWO = {"pattern_leaves_some_out", "upper_case_value"}
#: the message itself is the next step
NO_HELP = {"eval_trains", "dim_not_whole", "integer_label_as_target", "axis_that_is_gone"}


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_message(path: Path, golden: Golden) -> None:
    check_message(path, load, golden)


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_one_mistake_is_one_error_with_a_next_step(path: Path) -> None:
    found = errors(path, load).diagnostics
    assert len(found) == (2 if path.stem in TWO else 1)
    assert path.stem in NO_HELP or all(d.help for d in found)


def test_there_are_many() -> None:
    assert len(JOBS) >= 100
    assert {path.stem for path in NEWCOMER.glob("*.err")} == {path.stem for path in JOBS}

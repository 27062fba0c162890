"""Every syntax error, as the user sees it: golden/NAME.job gives exactly golden/NAME.err."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobspec.lang.explain import entries
from jobspec.lang.parse import parse
from tests.lang.refusals import Golden, check_message, errors

GOLDEN = Path(__file__).parent / "golden"
JOBS = sorted(GOLDEN.glob("*.job"))
# Found before there is a text to show.
NOT_SHOWN = {"E0111", "E0112"}


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_message(path: Path, golden: Golden) -> None:
    check_message(path, parse, golden)


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_named_code_is_there(path: Path) -> None:
    if path.stem[0] == "e" and path.stem[1:5].isdigit():
        assert path.stem[:5].upper() in {d.code for d in errors(path, parse).diagnostics}


def test_every_syntax_code_has_a_golden_file() -> None:
    syntax = {code for code in entries() if code.startswith("E01")} - NOT_SHOWN
    assert syntax <= {path.stem[:5].upper() for path in JOBS}


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.err")} == {path.stem for path in JOBS}

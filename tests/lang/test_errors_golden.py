"""Every syntax error, as the user sees it: golden/NAME.job gives exactly golden/NAME.err."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jobspec.lang.diagnostics import DiagnosticsError
from jobspec.lang.explain import entries
from jobspec.lang.parse import parse
from jobspec.lang.source import Source

GOLDEN = Path(__file__).parent / "golden"
JOBS = sorted(GOLDEN.glob("*.job"))
# Found before there is a text to show.
NOT_SHOWN = {"E0111", "E0112"}


def errors(path: Path) -> DiagnosticsError:
    with pytest.raises(DiagnosticsError) as caught:
        parse(Source.from_bytes(path.name, path.read_bytes()))
    return caught.value


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_message(path: Path, golden: Callable[[Path, str], None]) -> None:
    golden(path.with_suffix(".err"), f"{errors(path)}\n")


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_named_code_is_there(path: Path) -> None:
    if path.stem[0] == "e" and path.stem[1:5].isdigit():
        assert path.stem[:5].upper() in {d.code for d in errors(path).diagnostics}


def test_every_syntax_code_has_a_golden_file() -> None:
    syntax = {code for code in entries() if code.startswith("E01")} - NOT_SHOWN
    assert syntax <= {path.stem[:5].upper() for path in JOBS}


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.err")} == {path.stem for path in JOBS}

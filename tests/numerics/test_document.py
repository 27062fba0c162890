"""docs/numerics.md says what the code does: its figures and constants are the ones that the tests hold."""

from __future__ import annotations

import re
from pathlib import Path

from jobspec.ir import contract
from tests.numerics.bounds import MEASURED_ULPS, POW_ULPS
from tests.numerics.test_library import counted

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "numerics.md").read_text()


def rows(pattern: str) -> list[tuple[str, ...]]:
    return re.findall(pattern, TEXT, re.MULTILINE)


def test_errors_and_lengths_of_the_functions() -> None:
    table = {name: (float(error), int(length)) for name, error, length in rows(r"^\| `(\w+)` \| ([\d.]+) \| (\d+) \|")}
    errors = {**MEASURED_ULPS, "pow": POW_ULPS}
    assert table == {name: (error, counted(name).counts.total()) for name, error in errors.items()}


def test_constants_of_the_orders() -> None:
    table = {name: int(value) for name, value in rows(r"^\| ([a-z ]+) \| (\d+) \|$")}
    assert table == {
        "contraction leaf": contract.LEAF,
        "column leaf": contract.LEAF,
        "row lanes": contract.LANES,
        "row block": contract.ROW_BLOCK,
    }
    assert f"`{contract.PROFILE}`" in TEXT


def test_every_file_and_test_it_names_exists() -> None:
    for name in rows(r"`(test_\w+\.py)"):
        assert (ROOT / "tests" / "numerics" / str(name)).exists()
    for file, test in rows(r"`(test_\w+\.py)::(\w+)`"):
        assert f"def {test}(" in (ROOT / "tests" / "numerics" / file).read_text()
    for source in rows(r"`((?:jobspec|tests|tools)/[\w/]+\.\w+)`"):
        assert (ROOT / str(source)).exists(), source

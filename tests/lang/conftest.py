"""Golden files of the language; `pytest tests/lang --refresh` writes them anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--refresh", action="store_true", help="write golden files anew instead of comparing with them")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compares a text with a golden file, or writes it."""

    def compare(path: Path, text: str) -> None:
        if request.config.getoption("--refresh", default=False):
            path.write_text(text, "utf-8")
        assert path.read_text("utf-8") == text

    return compare

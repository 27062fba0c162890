"""Fixtures of the store's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobspec.store.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty store."""
    return Home(tmp_path / "home")

"""Fixtures of the store's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from jobspec.store.home import Home

#: the machine may be busy; a slow example is not a wrong one
settings.register_profile("store", deadline=None)
settings.load_profile("store")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty store."""
    return Home(tmp_path / "home")

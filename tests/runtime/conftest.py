"""Fixtures of the runtime's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobspec.ir.job import Job
from jobspec.runtime.saver import Saver
from jobspec.store.home import Home
from tests.runtime.jobs import home_at, regression, regression_data


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty store."""
    return home_at(tmp_path / "home")


@pytest.fixture
def line(home: Home) -> Job:
    """The regression job, its data in `home`."""
    return regression(str(regression_data(home)))


@pytest.fixture
def every_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """No checkpoint is left out because the disk is slow."""
    monkeypatch.setattr(Saver, "busy", False)

"""Stores for the reference specs."""

from __future__ import annotations

import pytest

from jobspec.store.home import Home
from tests.spec_jobs import made_up


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A store with made-up data for each spec."""
    return made_up(tmp_path_factory.mktemp("specs"))

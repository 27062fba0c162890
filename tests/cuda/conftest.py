"""Tests that need NVIDIA's compiler, and no GPU: `pip install '.[test]'` brings it."""

from __future__ import annotations

import pytest

from jobspec.backends.cuda import nvrtc
from jobspec.ir.errors import UsageError
from jobspec.store.home import Home
from tests.spec_jobs import made_up


@pytest.fixture(scope="session", autouse=True)
def compiler() -> str:
    """Its version; where there is none the tests are skipped, and the reason is shown."""
    try:
        return nvrtc.version()
    except UsageError as error:
        pytest.skip(error.reason)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A store with made-up data for the specs that need some."""
    return made_up(tmp_path_factory.mktemp("cuda"))

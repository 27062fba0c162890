"""Fixtures every room uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SIDE_FOLDER = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the real data sets (mnist, tinyshakespeare, …); the test is skipped where it is absent."""
    folder = Path(os.environ.get("JOBSPEC_TEST_DATA", SIDE_FOLDER))
    if not folder.is_dir():
        pytest.skip("needs the real data sets: set JOBSPEC_TEST_DATA to the folder that holds them")
    return folder

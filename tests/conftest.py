"""Fixtures every room uses."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobspec.cli import SEARCHED

gc.set_threshold(SEARCHED)  # as the program does it: plans are made in a fifth less time
SIDE_FOLDER = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the real data sets (mnist, tinyshakespeare, …); the test is skipped where it is absent."""
    folder = Path(os.environ.get("JOBSPEC_TEST_DATA", SIDE_FOLDER))
    if not folder.is_dir():
        pytest.skip("needs the real data sets: set JOBSPEC_TEST_DATA to the folder that holds them")
    return folder


@pytest.fixture(scope="module")
def every_step_is_shared_out() -> Iterator[None]:
    """However short native steps are, all threads take part; else one thread does what is not worth waking others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobspec.backends.llvm.engine.ALONE", -1)
        yield

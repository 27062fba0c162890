"""Tests that need an OpenCL device which computes exactly: `pip install '.[opencl]'` brings one for processors."""

from __future__ import annotations

import pytest

from jobspec.backends.opencl.admission import chosen
from jobspec.ir.errors import UsageError


@pytest.fixture(scope="session", autouse=True)
def device() -> str:
    """The device that jobs run on; without one the tests are skipped, and the reason is shown."""
    try:
        return chosen().name
    except UsageError as error:
        pytest.skip(error.reason)

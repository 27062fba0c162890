"""Tests that need an OpenCL device which computes exactly: `pip install '.[opencl]'` brings one for processors."""

from __future__ import annotations

import pytest

from jobspec.backends.opencl.admission import chosen
from jobspec.ir.errors import UsageError


@pytest.fixture(scope="session", autouse=True)
def device() -> str:
    """The device that jobs run on. Where no runtime is installed the tests are skipped, and the reason is shown; where
    all that are installed are refused, they fail, since our own code may be why."""
    try:
        return chosen().name
    except UsageError as error:
        if error.code == "E0832":
            pytest.skip(error.reason)
        raise

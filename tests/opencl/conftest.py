"""Tests that need an OpenCL device which computes exactly: `pip install '.[opencl]'` brings one for processors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobspec.backends.kept import Kept
from jobspec.backends.opencl.admission import chosen
from jobspec.ir.errors import UsageError
from tests.opencl.native import KEPT


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


@pytest.fixture(scope="session", autouse=True)
def compiled(device: str) -> Iterator[None]:
    """What the sessions of one test compile serves all others, whichever store they have."""
    from jobspec.backends.opencl import session

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "Kept", lambda folder: Kept(KEPT))
        yield

"""PoCL itself, where it is installed: what it misses on this machine is named."""

from __future__ import annotations

import pytest

from jobspec.backends.conformance import asking
from jobspec.backends.opencl import admission, lacking

pytestmark = [pytest.mark.opencl, pytest.mark.pocl]


def named() -> list[dict[str, str]]:
    """What the loader says of PoCL, asked in a child."""
    lines, end = asking.asked(admission.CHILD, str(admission.vendors_folder()))
    assert not end
    return [line for line in lines if "PoCL" in line["name"]]


@pytest.fixture
def installed() -> None:
    if not named():
        pytest.skip("PoCL is not installed")


@pytest.mark.usefixtures("installed")
def test_without_a_folder_that_it_can_write_it_has_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POCL_CACHE_DIR", "/dev/null/none")
    found = named()
    assert found and not any(line["shape"] for line in found)


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_it_is_admitted_or_one_missing_part_is_named() -> None:
    for device in admission.devices():
        if "PoCL" in device.name:
            assert device.admitted or [clause for clause, _ in device.wrong] == [lacking.CLAUSE]

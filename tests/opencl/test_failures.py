"""An OpenCL device that fails in the middle of a run: one error with a code, and what was saved is good elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Call, call, home, tiny

pytestmark = pytest.mark.opencl
__all__ = ["call", "home", "tiny"]
#: numbers of cl.h and the error that each is
NUMBERS = {-4: "E0511", -2: "E0515", -36: "E0515", -14: "E0516", -30: "E0518"}


@pytest.mark.parametrize("number", NUMBERS)
def test_a_run_ends_in_one_error_and_goes_on(
    number: int, call: Call, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1; from the checkpoint before, `llvm` comes to the receipt of a run that nothing happened to."""
    call("run", tiny, "--on", "opencl", "--until", "6")
    import pyopencl as cl

    class Failure(cl.Error):
        """As pyopencl raises it."""

        code = number

        def __str__(self) -> str:
            return "in words of its own"

    def failing(*args: object) -> None:
        raise Failure

    with monkeypatch.context() as patch:
        patch.setattr("jobspec.backends.opencl.session.Loaded.queue_all", failing)
        said = call("run", tiny, "--on", "opencl")
    first, *others = [line for line in said.err.splitlines() if line.startswith(("error", "help"))]
    assert said.code == 1 and first.startswith(f"error[{NUMBERS[number]}]: ") and "in words of its own" in first
    assert len(others) == 1 and "last checkpoint" in others[0]
    assert call("run", tiny, "--on", "llvm").code == 0
    assert call("run", tiny, "--again").code == 0

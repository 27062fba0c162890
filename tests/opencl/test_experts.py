"""Maps that an index chooses, on OpenCL: tokens sorted by expert, blocks that belong to one, experts without tokens."""

from __future__ import annotations

import pytest

from jobspec.backends.reference.evaluate import evaluate
from jobspec.passes.pipeline import lower_program
from tests.opencl.programs import run_on_device
from tests.passes.test_route import CASES, Case, as_bits, program, values

pytestmark = pytest.mark.opencl


@pytest.mark.parametrize("shape", ["cpu", "gpu"])
@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_the_bits_of_the_reference(case: Case, skewed: bool, shape: str) -> None:
    inputs = values(case, skewed)
    wanted = evaluate(lower_program(program(case)), inputs)
    found, flags = run_on_device(program(case), inputs, shape)
    assert flags == ()
    assert {name: as_bits(found)[name] for name in wanted} == as_bits(wanted)


def test_an_expert_outside_raises_its_flag() -> None:
    inputs = values(CASES[0])
    inputs["i"].reshape(-1)[5] = 4
    assert run_on_device(program(CASES[0]), inputs)[1] == ("index outside 0 … 3",)

"""`simplify` changes no bit of any output, reaches its fixed point, and does what each rule says."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.check import check
from jobspec.ir.program import Program
from jobspec.passes.simplify import simplify
from tests.random_programs import arrays_for, programs

RELAXED = settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))


@RELAXED
@given(programs(), st.integers(0, 1000), st.booleans())
def test_no_bit_changes(program: Program, seed: int, wild: bool) -> None:
    check(program)
    simpler = simplify(program)
    check(simpler)
    arrays = arrays_for(program, seed, wild)
    before, after = evaluate(program, arrays), evaluate(simpler, arrays)
    assert {k: x.tobytes() for k, x in before.items()} == {k: x.tobytes() for k, x in after.items()}


@RELAXED
@given(programs())
def test_simple_stays_as_it_is(program: Program) -> None:
    simpler = simplify(program)
    assert simplify(simpler) == simpler

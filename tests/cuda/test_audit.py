"""The reader of PTX finds what it is there to find: each fault is planted, and named."""

from __future__ import annotations

import pytest

from jobspec.backends.c.source import names
from jobspec.backends.cuda.audit import audit
from jobspec.backends.cuda.nvrtc import EXACT, compile_text
from jobspec.backends.cuda.ptx import Unreadable, read

pytestmark = pytest.mark.cuda
#: primitives that leave to the compiler what the contract does not: the text as a careless dialect would have it
CARELESS = """
#undef f_add
#undef f_mul
#undef f_div
#undef f_sqrt
#define f_add(a, b) ((a) + (b))
#define f_mul(a, b) ((a) * (b))
#define f_div(a, b) ((a) / (b))
#define f_sqrt(a) sqrtf(a)
"""
BODY = """
KERNEL k0(float* x, float* y, float* z) {
  const int i = ITEM;
  z[i] = f_add(f_mul(x[i], y[i]), z[i]);
}
KERNEL k1(float* x, float* y, float* z) {
  const int i = ITEM;
  z[i] = f_div(x[i], y[i]);
}
KERNEL k2(float* x, float* y, float* z) {
  const int i = ITEM;
  z[i] = f_sqrt(x[i]);
}
KERNEL k3(float* x, float* y, float* z) {
  for (int i = 0; i < 100; ++i) z[i] = f_mul(f_add(x[i], y[i]), z[i]);
}
"""
CONTRACTING = ("--fmad=true", *EXACT[1:])


def rules(body: str = BODY, options: tuple[str, ...] = EXACT, dialect: str = "") -> set[str]:
    text = names("cuda") + dialect + body
    return {violation.rule for violation in audit(compile_text(text, 90, options, machine=False).ptx, text)}


def test_the_dialect_is_exact_by_itself() -> None:
    """Its operations name their rounding, so that not even the compiler's default contracts them."""
    assert rules() == set()
    assert rules(options=CONTRACTING) == set()
    assert rules(options=()) == set()


def test_contraction_is_found() -> None:
    found = rules(options=CONTRACTING, dialect=CARELESS)
    assert "an operation that nobody asked for" in found
    assert "its rounding is not named, so that it may be contracted" in found


def test_a_contracted_operation_is_found_by_its_number() -> None:
    text = names("cuda") + BODY
    made = compile_text(names("cuda") + CARELESS + BODY, 90, CONTRACTING, machine=False).ptx
    found = [v for v in audit(made, text) if v.entry == "k0"]
    assert [str(v) for v in found] == ["k0, line 0: an operation that nobody asked for: 1 of fma, where the text has 0"]


def test_more_of_an_operation_than_asked_is_found() -> None:
    """Where code is not repeated, each fma is one of the text's."""
    body = "KERNEL k0(float* x, float* y, float* z) { z[0] = f_fma(x[0], y[0], f_add(f_mul(x[1], y[1]), z[1])); }"
    assert rules(body) == set()
    made = compile_text(names("cuda") + CARELESS + body, 90, CONTRACTING, machine=False).ptx
    found = [v.text for v in audit(made, names("cuda") + body)]
    assert found == ["2 of fma, where the text has 1"]


def test_flushing_is_found() -> None:
    assert rules(options=(*EXACT[:3], "--ftz=true")) == {"subnormals are flushed to zero"}


def test_approximation_is_found() -> None:
    found = rules(options=("--use_fast_math",), dialect=CARELESS)
    assert {"an approximate operation", "subnormals are flushed to zero"} <= found
    for option in ("--prec-div=false", "--prec-sqrt=false"):
        assert rules(options=(option,), dialect=CARELESS) >= {"an approximate operation"}


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ("atomicAdd(x, y[0]);", "an atomic operation has no order"),
        ("x[0] = (float)((double)y[0] * 3.1);", "another format than binary32"),
        ("x[0] = fmaxf(y[0], z[0]);", "the compiler's own maximum treats NaN or zeros otherwise"),
        ("x[0] = fmaxf(y[0], -0.0f);", "the compiler's own maximum treats NaN or zeros otherwise"),
        ("x[0] = __expf(y[0]);", "an approximate operation"),
        ("x[0] = __fadd_rz(y[0], z[0]);", "its rounding is not named, so that it may be contracted"),
        ("x[0] = __saturatef(y[0]);", "a float operation that no plan asks for"),
        ('asm volatile("cp.async.bulk.wait_group 0;");', "an instruction that is not known to be exact"),
        (
            'uint r; asm("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(r) : "r"(0u)); x[0] = r;',
            "a tensor core has its own order",
        ),
        ("x[0] = __shfl_down_sync(0xffffffff, y[0], 1);", "an instruction that is not known to be exact"),
    ],
)
def test_each_rule(body: str, rule: str) -> None:
    assert rules(f"KERNEL k0(float* x, float* y, float* z) {{ {body} }}") >= {rule}


def test_a_choice_against_a_constant_is_allowed() -> None:
    """The compiler may write `x > c ? x : c` as max where that is the same to the bit."""
    for constant in ("0.0f", "1.0f", "-3.0f"):
        body = f"KERNEL k0(float* x, float* y, float* z) {{ x[0] = y[0] > {constant} ? y[0] : {constant}; }}"
        assert rules(body) == set()


def test_what_is_not_known_is_not_passed_over() -> None:
    with pytest.raises(Unreadable, match="line 2"):
        read(".visible .entry k(\n.strange .thing;\n")


def test_newer_compilers_print_parameters_otherwise() -> None:
    """As for sm_120: pointers say what they are."""
    compiled = compile_text(names("cuda") + BODY, 120, EXACT, machine=False)
    entries = read(compiled.ptx).entries
    assert [type_ for _, type_ in entries["k0"].params] == ["u64", "u64", "u64"]
    assert audit(compiled.ptx, names("cuda") + BODY) == []

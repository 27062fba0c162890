"""For each clause a deliberately broken OpenCL build, which the conformance pack refuses by that clause.

What is broken is the dialect's text, what a compiler makes of the text, or an order in the renderer; the sound build of
the same kernels passes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest

from jobspec.backends.c import column_folds, contract, kernels, row_folds, scalars, tree
from jobspec.backends.c.request import Launch, Request, spread
from jobspec.backends.c.scalars import Typed
from jobspec.backends.c.scope import digits
from jobspec.backends.c.source import source
from jobspec.backends.c.writer import Writer
from jobspec.backends.nest import Nest
from jobspec.backends.reference.numbers import Array
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Schedule
from tests.conformance.breaking import Broken, refused
from tests.opencl.conftest import device
from tests.opencl.native import trial

pytestmark = [pytest.mark.opencl, pytest.mark.usefixtures("device")]
__all__ = ["device"]

SEPARATE = "multiply and add stay two operations"
FLUSHED = (
    "f_flushed(({}) {} ({}))\n"
    "#define f_flushed(x) ((to_bits(x) & 0x7f800000u) ? (x) : to_float(to_bits(x) & 0x80000000u))"
)
QUOTIENTS = ("((float)((double)(a) / (double)(b)))", "((a) / (b))")
ROOTS = ("((float)sqrt((double)(a)))", "#define f_sqrt(a) sqrt(a)")
DIALECTS = {
    "flush-to-zero in products": Broken(
        "mul is IEEE binary32 and keeps subnormals", (("((a) * (b))", FLUSHED.format("a", "*", "b")),)
    ),
    "flush-to-zero in sums": Broken(
        "add is IEEE binary32 and keeps subnormals", (("((a) + (b))", FLUSHED.format("a", "+", "b")),)
    ),
    "approximate division": Broken(
        "div is correctly rounded", tuple((exact, "((a) * native_recip(b))") for exact in QUOTIENTS)
    ),
    "approximate square root": Broken(
        "sqrt is correctly rounded",
        ((ROOTS[0], "((a) * native_rsqrt(a))"), (ROOTS[1], "#define f_sqrt(a) ((a) * native_rsqrt(a))")),
    ),
    "fma of two roundings": Broken(
        "fma rounds once", (("#define f_fma(a, b, c) fma(a, b, c)", "#define f_fma(a, b, c) ((a) * (b) + (c))"),)
    ),
    "ties away from even": Broken("rint is exact", (("f_rint(a) rint(a)", "f_rint(a) round(a)"),)),
    "conversion that does not saturate": Broken(
        "f32 to i32 goes toward zero and saturates", (("return x >= 2147483648.0f ?", "return false ?"),)
    ),
    "integers rounded toward zero": Broken(
        "i32 to f32 rounds to nearest even", (("int_to_f(a) ((float)(a))", "int_to_f(a) convert_float_rtz(a)"),)
    ),
    "low word for the high": Broken("mulhi is the high word", (("mul_hi((uint)(a), (uint)(b))", "((a) * (b))"),)),
    "NaN stored as it is": Broken(
        "a NaN is stored as 0x7FC00000",
        (("((as_uint(a) & 0x7fffffffu) > 0x7f800000u ? as_float(0x7fc00000u) : (a))", "(a)"),),
    ),
}


def run(kernel: Kernel, arrays: Sequence[Array]) -> Sequence[Array]:
    """With one work-item for a row or a tile of few sums."""
    return trial().run(kernel, arrays, Schedule())[0]


def breaks(clause: str, monkeypatch: pytest.MonkeyPatch, text: Callable[[str], str]) -> None:
    assert refused(clause, run) == ""
    changed(monkeypatch, text)
    found = refused(clause, run)
    assert "differ, the first at" in found, found or "the broken build is accepted"


def changed(monkeypatch: pytest.MonkeyPatch, text: Callable[[str], str]) -> None:
    """From here on compilers get `text` of what is rendered."""
    monkeypatch.setattr("jobspec.backends.c.alone.source", lambda name, writer: text(source(name, writer)))


@pytest.mark.parametrize("name", DIALECTS)
def test_dialect(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    breaks(DIALECTS[name].clause, monkeypatch, DIALECTS[name].text)


def contracted(text: str) -> str:
    """What a compiler makes of it that contracts: a product that is added to is a fused one."""
    products = dict(re.findall(r"const float (\w+) = f_mul\((.*)\);", text))
    fused, times = re.subn(
        r"f_add\((\w+), (\w+)\)",
        lambda found: f"f_fma({products[found[1]]}, {found[2]})" if found[1] in products else found[0],
        text,
    )
    assert products and times and fused != text
    return fused


def test_contraction_on(monkeypatch: pytest.MonkeyPatch) -> None:
    breaks(SEPARATE, monkeypatch, contracted)


def larger(self: scalars.CScalars, a: Typed, b: Typed) -> Typed:
    return self._call("f32", "fmax", a, b)


def difference(self: scalars.CScalars, a: Typed) -> Typed:
    return self.sub(self.f32(0.0), a)


def chained(self: tree.Tree, number: str, value: str) -> None:
    """Results are folded one after another."""
    together = self.combine(f"{self.stack}[0]", value)
    self.writer.line(f"{self.stack}[0] = {number} ? {together} : {value}; {self.top} = 1;")


def by_atomics(q: Request, writer: Writer) -> list[Launch]:
    """A work-item for each contribution, the last ones first: an order that atomics allow."""
    rest, place = tuple(q.kernel.axes_of("rest")), tuple(q.kernel.axes_of("place"))
    nest = Nest(q.kernel, (rest, place), -1, 2)
    ((number, inst),) = ((i, inst) for i, inst in enumerate(q.kernel.body) if inst.op == "accumulate")
    live = nest.needed([number])
    with q.function(writer, q.name, nest, live) as top:
        count = nest.size(0) * nest.size(1)
        task, groups, items = spread(writer, q.index, count)
        axes = (*place, *rest)
        here = top.enter(axes, digits(writer, q.index, f"({count - 1} - {task})", [q.size(a) for a in axes]))
        here.run(live)
        cell = f"{here.site.pointer(inst['view'])} + {here.element(inst['view'])}"
        cell += f" + {here.picked(inst, here.values[inst.args[1]])}"
        writer.line(f"volatile GLOBAL uint* const cell = (volatile GLOBAL uint*)({cell});")
        writer.line("uint old, new;")
        writer.line(f"do {{ old = *cell; new = to_bits(to_float(old) + {here.values[inst.args[0]].text}); }}")
        writer.line("while (atomic_cmpxchg(cell, old, new) != old);")
    return [Launch(q.name, groups, items, q.turns)]


ORDERS: dict[str, tuple[str, object, str, object]] = {
    "sixteen lanes": ("row order of sum", row_folds, "LANES", 16),
    "shorter row blocks": ("row order of sum", row_folds, "ROW_BLOCK", 2048),
    "shorter column leaves": ("column order of sum", column_folds, "LEAF", 128),
    "column leaves one after another": ("column order of sum", tree.Tree, "push", chained),
    "shorter leaves of contractions": ("contraction order", contract, "LEAF", 128),
    "float atomics": ("scattered sums in ascending place", kernels, "RENDERERS", {"scatter": by_atomics}),
    "fmax": ("max is a comparison and a choice", scalars.CScalars, "max", larger),
    "negation by subtraction": ("neg is exact", scalars.CScalars, "neg", difference),
}


@pytest.mark.parametrize("name", ORDERS)
def test_order_or_operation(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clause, where, attribute, value = ORDERS[name]
    assert refused(clause, run) == ""
    monkeypatch.setattr(where, attribute, value)
    found = refused(clause, run)
    assert "differ, the first at" in found, found or "the broken build is accepted"


def test_last_of_equals(monkeypatch: pytest.MonkeyPatch) -> None:
    def later(text: str) -> str:
        return re.sub(r"(>= 0(?: &&|\) &) \(+\w+) > (best)", r"\1 >= \2", text)

    for kind in ("row", "column"):
        with monkeypatch.context() as patch:
            breaks(f"{kind} order of argmax", patch, later)

"""The library as a whole: straight lines of typed primitives, pinned bits, and wrong evaluators that are found out."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobspec.backends.reference.scalars import NumpyScalars
from jobspec.ir.library import LIBRARY, operand_type
from jobspec.ir.library.protocol import Scalars
from tests.numerics.conformance import by_numpy, committed, digest, digests, inputs
from tests.numerics.typed import METHODS, TypedScalars, Value

ROOT = Path(__file__).parents[2]


def counted(name: str) -> TypedScalars:
    """The evaluator after it has walked through one function."""
    b = TypedScalars()
    arity = len(inspect.signature(LIBRARY[name]).parameters) - 1
    kind = operand_type(name)[0]
    result = LIBRARY[name](b, *[Value(kind, f"x{i}") for i in range(arity)])
    assert result.type == {"random_bits": "u", "mod": "i"}.get(name, "f")
    return b


@pytest.mark.parametrize("name", LIBRARY)
def test_a_straight_line_of_well_typed_primitives(name: str) -> None:
    assert counted(name).counts.total() > 0


def test_the_typed_evaluator_refuses_what_it_should() -> None:
    b = TypedScalars()
    with pytest.raises(AssertionError):
        b.add(b.f32(1.0), b.u32(1))  # type: ignore[attr-defined]
    with pytest.raises(AssertionError):
        b.shr(b.u32(1), b.i32(1))  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="decide"):
        assert b.lt(b.f32(1.0), b.f32(2.0))  # type: ignore[attr-defined]


def test_evaluators_implement_the_whole_protocol() -> None:
    protocol = {name for name in vars(Scalars) if not name.startswith("_")}
    assert protocol == set(METHODS) | {"f32", "u32", "i32"}
    assert protocol <= set(dir(NumpyScalars))


def test_inner_loop_functions_stay_cheap() -> None:
    limits = {"exp": 18, "log": 29, "tanh": 30, "erf": 35, "sin": 102, "cos": 101, "pow": 102}
    assert {name: counted(name).counts.total() for name in limits} == limits


def test_the_bits_are_the_committed_ones() -> None:
    assert digests() == committed()


def test_the_table_is_what_the_fit_gives() -> None:
    pytest.importorskip("mpmath")
    done = subprocess.run([sys.executable, "tools/fit_library.py", "--check"], cwd=ROOT, check=False)
    assert done.returncode == 0


class Unfused(NumpyScalars):
    def fma(self, a: Any, b: Any, c: Any) -> Any:
        return self.add(self.mul(a, b), c)


class Flushing(NumpyScalars):
    @np.errstate(all="ignore")
    def mul(self, a: Any, b: Any) -> Any:
        product = np.multiply(a, b)
        return np.where(np.abs(product) < np.float32(2.0**-126), np.copysign(np.float32(0), product), product)


class MinOfNumbers(NumpyScalars):
    @np.errstate(all="ignore")
    def min(self, a: Any, b: Any) -> Any:
        return np.fmin(a, b)


class ShiftsZeros(NumpyScalars):
    def shr(self, a: Any, amount: Any) -> Any:
        return (a.view(np.uint32) >> (amount.view(np.uint32) & np.uint32(31))).view(a.dtype)


class UnmaskedShift(NumpyScalars):
    def shl(self, a: Any, amount: Any) -> Any:
        return np.where(amount < 32, super().shl(a, amount), np.zeros((), a.dtype))


class LowProduct(NumpyScalars):
    def mulhi(self, a: Any, b: Any) -> Any:
        return np.asarray(
            (np.asarray(a, np.uint64) * (np.asarray(b, np.uint64) & ~np.uint64(1))) >> np.uint64(32), np.uint32
        )


class ApproximateRoot(NumpyScalars):
    @np.errstate(all="ignore")
    def sqrt(self, a: Any) -> Any:
        return np.nextafter(np.sqrt(a), np.float32(0))


BROKEN: list[tuple[Callable[[], Any], str]] = [
    (Unfused, "exp"),
    (Unfused, "normal"),
    (Flushing, "exp"),
    (MinOfNumbers, "exp"),
    (MinOfNumbers, "tanh"),
    (ShiftsZeros, "log"),
    (UnmaskedShift, "sin"),
    (LowProduct, "sin"),
    (LowProduct, "random_bits"),
    (ApproximateRoot, "rsqrt"),
]


@pytest.mark.parametrize(("evaluator", "name"), BROKEN)
def test_a_broken_evaluator_is_found_out(evaluator: Callable[[], Any], name: str) -> None:
    assert digest(LIBRARY[name](evaluator(), *inputs(name))) != committed()[name]


def test_the_unbroken_one_is_not() -> None:
    assert digest(by_numpy("exp", inputs("exp"))) == committed()["exp"]

"""An LLVM module as text: its functions, the intrinsics they declare, what the target can do.

Takes: a Target. Promises: `text()` is a whole module for LLVM 22; equal calls give equal text; no
fast-math flag, no `nsw`, no library call can come out of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from jobspec.ir.target import Target


class Text(Protocol):
    """A finished function."""

    name: str

    def text(self) -> str: ...


_ATTRIBUTES = 'attributes #0 = { nounwind "prefer-vector-width"="512" "min-legal-vector-width"="512" }'
_V2 = frozenset({"sse3", "ssse3", "sse4.1", "sse4.2", "popcnt"})
_V3 = _V2 | {"avx", "avx2", "fma", "f16c", "bmi", "bmi2"}
#: features that a generic processor name brings with it; a real name's features stand in the target
GENERIC = {
    "x86-64": frozenset[str](),
    "x86-64-v2": _V2,
    "x86-64-v3": _V3,
    "x86-64-v4": _V3 | {"avx512f", "avx512vl", "avx512bw", "avx512dq", "avx512cd"},
}
#: features of other architectures that bring the same instructions: one rounding in fma, rounding to whole numbers
ALIKE = {"neon": frozenset({"fma", "sse4.1"})}


class Module:
    """Functions and declarations, in the order of their making."""

    def __init__(self, target: Target) -> None:
        self._features = features(target)
        self._declared: dict[str, str] = {}
        self._globals: dict[str, str] = {}
        self._functions: dict[str, Text] = {}

    def has(self, feature: str) -> bool:
        """Whether the target surely has `feature` (fma, sse4.1, avx512f, …)."""
        return feature in self._features

    def declare(self, result: str, name: str, params: tuple[str, ...], attributes: str = "") -> None:
        self._declared.setdefault(name, f"declare {result} @{name}({', '.join(params)}) {attributes}".rstrip())

    def define(self, name: str, text: str) -> None:
        """A global: `text` is everything after `@name = `."""
        self._globals.setdefault(name, f"@{name} = {text}")

    def add(self, function: Text) -> None:
        assert function.name not in self._functions, f"{function.name} is defined twice"
        self._functions[function.name] = function

    def once(self, name: str, build: Callable[[], Text]) -> None:
        """Build the internal function `name` unless the module has it already."""
        if name not in self._functions:
            self.add(build())

    def text(self) -> str:
        functions = [f.text() for f in self._functions.values()]
        return "\n".join([*self._globals.values(), *self._declared.values(), *functions, _ATTRIBUTES]) + "\n"


def features(target: Target) -> frozenset[str]:
    """Every feature that the target names (`+name`) or its generic processor name implies; the last word counts, as in
    LLVM."""
    found = set(GENERIC.get(target.cpu, ()))
    for word in target.features.split(","):
        sign, name = word[:1], word[1:]
        if sign == "+":
            found |= {name, *ALIKE.get(name, ())}
        elif sign == "-":
            found.discard(name)
    return frozenset(found)

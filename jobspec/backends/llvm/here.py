"""The panel of a contraction whose tiles are being made, as its generator hands it from step to step.

Takes: what contract.py finds where a panel begins. Promises: nothing is emitted here.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobspec.backends.llvm.builder import Int
from jobspec.backends.llvm.scope import WIDTH, Scope
from jobspec.backends.llvm.tile import Columns
from jobspec.backends.llvm.tiling import Kind
from jobspec.backends.llvm.values import Value


@dataclass(frozen=True)
class Here:
    """The panel whose tiles are being made. `outer`: number of the turn outside; `steps`: first and last + 1 of k;
    `a`, `source`: row 0 and column 0 of the operands at
    step 0; `b`: the columns as tiles read them, `fresh`: as the first one does,
    whose number is `first`. `used`: whether there is anything to multiply, None: always."""

    outer: Int
    group: Int
    column: Int
    kind: Kind
    steps: tuple[Int, Int]
    a: Value
    source: Value
    b: Columns
    fresh: Columns
    first: Int
    scope: Scope
    used: Value | None

    def lanes(self, vector: int) -> int:
        """Of a vector of the panel."""
        return self.kind.lanes if vector == self.kind.vectors - 1 else WIDTH

"""What exactness costs: the same backend with an order of accumulation that speed alone decides.

Takes: a process that will do nothing else. Promises: after `take`, a chain of a contraction or of a column runs to
4096 elements where the contract cuts it at 256, a row's to 65,536, and the code generator may fuse a product with a sum
and reorder sums (LLVM's flags `reassoc contract nsz`). Schedules, kernels and threads are those of the contract. No
option of `jobspec` leads here.
"""

from __future__ import annotations

from jobspec.backends.llvm import column_folds, sweeps, tile
from jobspec.backends.llvm.builder import Builder
from jobspec.backends.llvm.values import Value

LEAF, ROW_BLOCK = 4096, 65_536
FLAGS = "reassoc contract nsz"
FREED = ("fadd", "fsub", "fmul")


def take() -> None:
    """For the whole process, from now on."""
    changed = ((tile, "LEAF", LEAF), (column_folds, "LEAF", LEAF), (sweeps, "ROW_BLOCK", ROW_BLOCK))
    for module, constant, value in changed:
        assert hasattr(module, constant), f"{module.__name__} has no {constant}"
        setattr(module, constant, value)
    plain = Builder.binary

    def binary(self: Builder, op: str, a: Value, b: Value) -> Value:
        return plain(self, f"{op} {FLAGS}" if op in FREED else op, a, b)

    Builder.binary = binary  # type: ignore[method-assign]

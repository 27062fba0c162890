"""What exactness costs on devices that run rendered C: the same kernels in an order that speed alone decides.

Takes: a session that is opened and first run inside `taken`. Promises: there, a chain of a contraction or of a column
runs to 4096 elements where the contract cuts it at 256, a row's to 65,536, sums and products are plain operators, and
NVIDIA's compiler may fuse a product with a sum; nobody holds its PTX against the contract. Schedules, kernels and
memory are those of the contract. No option of `jobspec` leads here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from jobspec.backends.c import blocks, column_folds, contract, parted, row_folds, short, source, strips, tiled
from jobspec.backends.cuda import build
from jobspec.backends.cuda.nvrtc import EXACT

LEAF, ROW_BLOCK = 4096, 65_536
#: the names of cuda.h that say how they round, and what stands in their place
PLAIN = {"__fadd_rn(a, b)": "((a) + (b))", "__fadd_rn(acc, x)": "((acc) + (x))"}
PLAIN |= {"__fsub_rn(a, b)": "((a) - (b))", "__fmul_rn(a, b)": "((a) * (b))"}
FREE = ("--fmad=true", *(option for option in EXACT if "fmad" not in option))
ORDERED = (column_folds, contract, parted, strips, tiled)


@contextmanager
def taken() -> Iterator[None]:
    """Not safe beside another thread that compiles."""
    exact = source.names
    changes: list[tuple[ModuleType, str, object]] = [(module, "LEAF", LEAF) for module in ORDERED]
    changes += [(module, "ROW_BLOCK", ROW_BLOCK) for module in (blocks, row_folds, short)]
    changes += [(source, "names", lambda dialect: plain(exact(dialect)))]
    changes += [(build, "EXACT", FREE), (build, "audit", lambda ptx, text, matrices: [])]
    kept = [(module, name, getattr(module, name)) for module, name, _ in changes]
    put(changes)
    try:
        yield
    finally:
        put(kept)


def put(changes: list[tuple[ModuleType, str, object]]) -> None:
    for module, name, value in changes:
        setattr(module, name, value)


def plain(names: str) -> str:
    """The dialect with plain operators."""
    for exact, free in PLAIN.items():
        assert names.count(exact) == 1, f"cuda.h says {exact} {names.count(exact)} times"
        names = names.replace(exact, free)
    return names

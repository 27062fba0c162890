"""Constants and choices of the numerics contract `jobspec.f32.v1` (docs/numerics.md).

Promises: everything here is frozen with the profile's name; a change means a new profile. The
orders themselves are given in words here and by backends/reference/reductions.py to the bit.

    contraction   K flattened in a_over's order, cut in leaves of LEAF; in a leaf one ascending chain
                  acc = fma(a, b, acc) from +0.0; leaf results folded by the adjacent tree with add
    row order     the row flattened, cut in blocks of ROW_BLOCK; in a block lane l of LANES folds
                  x[l], x[l+LANES], … from x[l] itself; then a halving tree over lanes (lane i with lane
                  i+h for h = LANES/2 … 1, missing lanes skipped); block results folded by the adjacent tree
    column order  the reduced index flattened ascending, cut in leaves of LEAF; a sum's leaf is the chain
                  acc = acc + x from +0.0, a maximum's starts from the leaf's first element; leaf results
                  folded by the adjacent tree
    adjacent tree level by level, pairs (0,1), (2,3), …; an odd last one is carried up unchanged
    scatter_add   a chain from +0.0 per element, contributions in ascending flattened position
    argmax        position of the first element greater than all before it: scan `if x > best`
"""

from __future__ import annotations

PROFILE = "jobspec.f32.v1"
#: the same, but every contraction's operands are rounded to bfloat16 first
BF16_PROFILE = "jobspec.bf16.v1"
#: the same, and a leaf of a contraction is summed as the device's matrix instructions do it (docs/numerics.md 5.10)
FAST_PROFILE = "jobspec.fast.v1"
PROFILES = frozenset({PROFILE, BF16_PROFILE, FAST_PROFILE})
#: elements of K (or of a column) per chain
LEAF = 256
#: strided accumulators of a row
LANES = 32
#: elements of a row that one set of lanes takes
ROW_BLOCK = 4096
#: the bits every NaN gets where bits become visible: outputs, state, bitcast to an integer
CANONICAL_NAN = 0x7FC00000


def row_ordered(rank: int, axes: tuple[int, ...]) -> bool:
    """Whether `sum` and `reduce_max` over `axes` of a tensor of `rank` take row order: the axes are the last ones."""
    return axes == tuple(range(rank - len(axes), rank))

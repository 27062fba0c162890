"""Sizes that tiles on GPUs are made of, which schedulers count with and renderers build with.

Promises: said here once for both, as passes know no backend and backends no pass. Nothing of any target.
"""

from __future__ import annotations

#: floats between lines in shared memory, so that neighbours of a column lie in different banks
PAD = 4
#: bytes between two arrays there that nobody touches
GAP = 64
#: rows, columns and steps of k of a matrix instruction
DOWN, ACROSS, STEPS = 16, 8, 16
#: rows of one that works on the side, which are also the steps of a stage
BLOCK = 64
#: of three kernels as one launch (trio.py): work-items down a tile of scores at least, and across one of values; sums
#: of each across; steps of k at a time
HIGH, WIDE, COLUMNS, STAGE = 8, 16, 4, 16

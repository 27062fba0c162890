"""Which nodes are worth keeping rather than computing again.

Takes: a node. Promises: `expensive` says so for contractions, reductions, library functions, picks by index
and results of loops (a loop itself is no tensor); elementwise primitives and movement are cheap, they fuse
into whoever reads them.
"""

from __future__ import annotations

from jobspec.ir.ops import OPS
from jobspec.ir.program import Node

_KEPT_TRAITS = ("reduction", "library", "region")


def expensive(node: Node) -> bool:
    """Whether recomputing `node` costs more than storing and loading it."""
    if node.op == "loop":
        return False
    return node.op == "gather" or any(OPS[node.op].has(trait) for trait in _KEPT_TRAITS)

"""Maps that an index chooses: each token goes through the map of its expert.

Takes: values of tokens, maps or cotangents, an index of experts. Promises: every sum is the contract's contraction
(clause 5.2): along the map's input for a token, along an expert's own tokens in ascending position for its gradient;
tokens of other experts take no part. An index outside the experts is an error that says where it comes from.
"""

from __future__ import annotations

import numpy as np

from jobspec.backends.reference.contraction import multiply
from jobspec.backends.reference.indexing import refuse_outside
from jobspec.backends.reference.numbers import Array
from jobspec.ir.program import Node
from jobspec.ir.routing import Routing


def experts(node: Node, x: Array, w: Array, index: Array) -> Array:
    """x[l…, K], w[E, K, F], index[l…, q…] → [l…, q…, F]."""
    refuse_outside(node, index, w.shape[0])
    out = np.zeros((index.size, w.shape[2]), np.float32)
    for expert, tokens in tokens_of(index, w.shape[0]):
        out[tokens] = multiply(rows_of(x, index)[tokens][None], w[expert][None])[0]
    return out.reshape(node.shape)


def expert_sums(node: Node, x: Array, g: Array, index: Array) -> Array:
    """x[l…, K], g[l…, q…, F], index[l…, q…] → [size, K, F]."""
    refuse_outside(node, index, node["size"])
    left, right = rows_of(x, index), g.reshape(index.size, -1)
    out = np.zeros(node.shape, np.float32)
    for expert, tokens in tokens_of(index, node["size"]):
        out[expert] = multiply(left[tokens].T[None], right[tokens][None])[0]
    return out


def tokens_of(index: Array, size: int) -> list[tuple[int, Array]]:
    """The positions of each expert's tokens, ascending; experts without tokens are left out."""
    flat = index.reshape(-1)
    return [(e, np.flatnonzero(flat == e)) for e in range(size) if (flat == e).any()]


def rows_of(x: Array, index: Array) -> Array:
    """For each entry of the index, its row of x."""
    rows = x.reshape(-1, x.shape[-1])
    return np.repeat(rows, index.size // len(rows), 0)


def route(node: Node, index: Array) -> Array:
    """The table of `ir.routing`."""
    size = node["size"]
    refuse_outside(node, index, size)
    return routed(index.reshape(-1).astype(np.int64), Routing(index.size, size, node["block"]))


def routed(index: Array, r: Routing) -> Array:
    """The table, for an index that is in range."""
    counts = np.bincount(index, minlength=r.size)
    blocks = -(-counts // r.block)
    firsts = (np.cumsum(blocks) - blocks) * r.block
    owners = np.full(r.blocks, -1)
    owners[: blocks.sum()] = np.repeat(np.arange(r.size), blocks)
    order = np.argsort(index, kind="stable")
    before = np.cumsum(counts) - counts
    place = firsts[index[order]] + np.arange(index.size) - before[index[order]]
    tokens, slots = np.zeros(r.places, np.int64), np.empty(index.size, np.int64)
    tokens[place], slots[order] = order, place
    return np.concatenate([owners, tokens, slots, firsts, counts]).astype(np.int32)


def block_products(_: Node, x: Array, w: Array, owners: Array) -> Array:
    """x[P, M, K], w[E, K, F], owners[P] → [P, M, F]; +0.0 where the owner is -1."""
    out = np.zeros((*x.shape[:2], w.shape[2]), np.float32)
    used = owners >= 0
    if used.any():
        out[used] = multiply(x[used], w[owners[used]])
    return out


def segment_sums(_: Node, x: Array, g: Array, firsts: Array, counts: Array) -> Array:
    """x[S, K], g[S, F], firsts[E], counts[E] → [E, K, F]: a contraction over count positions from first on."""
    out = np.zeros((len(firsts), x.shape[1], g.shape[1]), np.float32)
    for e, (first, count) in enumerate(zip(firsts.tolist(), counts.tolist(), strict=True)):
        if count:
            span = slice(first, first + count)
            out[e] = multiply(x[span].T[None], g[span][None])[0]
    return out

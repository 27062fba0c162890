"""Digests of the library's answers over fixed inputs: the vectors by which a backend shows that it has the same bits.

    python -m tests.numerics.conformance      writes library_digests.json from the numpy evaluator

Takes: an evaluator. Promises: inputs that are the same everywhere (given by formulas, no generator), answers as
little-endian 32-bit words with every NaN 0x7FC00000, BLAKE3 over them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3

from jobspec.backends.reference.scalars import NumpyScalars
from jobspec.ir.library import DRAWS, LIBRARY
from tests.numerics.samples import U32, canonical, special_values

DIGESTS = Path(__file__).with_name("library_digests.json")
COUNT = 1 << 17

Evaluate = Callable[[str, list[Any]], Any]


def weyl(multiplier: int) -> U32:
    """k * multiplier modulo 2^32 for k below COUNT: an odd multiplier spreads them over all patterns."""
    return np.arange(COUNT, dtype=np.uint32) * np.uint32(multiplier)


def moderate(patterns: U32) -> U32:
    """The patterns with their exponents brought between 2^-16 and 2^16, where the functions are not constant."""
    return (patterns & np.uint32(0x80FFFFFF)) + (
        np.uint32(0x37800000) + (patterns >> np.uint32(25) & np.uint32(15)) * 0x01000000
    )


def inputs(name: str) -> list[Any]:
    """The arguments of a library function: f32 for functions, u32 for draws, i32 for the modulo."""
    if name in DRAWS:
        return [weyl(multiplier) for multiplier in (1, 0, 0x9E3779B9, 0x85EBCA6B, 0xC2B2AE35, 0x27D4EB2F)]
    any_bits, other = weyl(0x9E3779B1), weyl(0x85EBCA77)
    special = special_values().view(np.uint32)
    first = np.concatenate([any_bits, moderate(any_bits), special.repeat(special.size)]).view(np.float32)
    second = np.concatenate([other, moderate(other), np.tile(special, special.size)]).view(np.float32)
    if name == "mod":
        return [first.view(np.int32), second.view(np.int32) >> (np.arange(second.size, dtype=np.int32) % 32)]
    return [first, second] if name == "pow" else [first]


def digest(results: Any) -> str:
    return blake3(canonical(results).astype("<u4").tobytes()).hexdigest()


def by_numpy(name: str, arguments: list[Any]) -> Any:
    """The reference's answer, in blocks that stay in cache."""
    size, block = arguments[0].size, 1 << 14
    parts = [[a[start : start + block] for a in arguments] for start in range(0, size, block)]
    return np.concatenate([LIBRARY[name](NumpyScalars(), *part) for part in parts])


def digests(evaluate: Evaluate = by_numpy) -> dict[str, str]:
    """Name to digest; `evaluate(name, arguments)` gives the f32 or u32 answers."""
    return {name: digest(evaluate(name, inputs(name))) for name in LIBRARY}


def committed() -> dict[str, str]:
    result: dict[str, str] = json.loads(DIGESTS.read_text())
    return result


if __name__ == "__main__":
    DIGESTS.write_text(json.dumps(digests(), indent=1) + "\n")

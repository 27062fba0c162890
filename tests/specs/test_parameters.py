"""Full-size specs have just the parameters of their models' closed forms (docs/specs.md)."""

from __future__ import annotations

from math import prod
from pathlib import Path

import pytest

from jobspec.lang.check import load_file

SPECS = Path(__file__).parents[2] / "specs"


def llama(layers: int, width: int, queries: int, hidden: int) -> int:
    """8 heads of 128 for keys and values, `queries` for each; three maps in the mlp; two embeddings of 128,256."""
    attention = 2 * width * 8 * queries * 128 + 2 * width * 8 * 128
    return 2 * 128256 * width + layers * (attention + 3 * width * hidden + 2 * width) + width


def gpt2(v: int, t: int, d: int, layers: int) -> int:
    return v * d + t * d + layers * (12 * d * d + 13 * d) + 2 * d


def mixtral(v: int, d: int, layers: int, experts: int, hidden: int) -> int:
    layer = 2 * d * d + 2 * d * 8 * 128 + d * experts + 3 * experts * d * hidden + 2 * d
    return 2 * v * d + layers * layer + d


def t5(v: int, d: int, heads: int, hidden: int, layers: int) -> int:
    return v * d + 2 * 32 * heads + layers * (12 * d * heads * 64 + 4 * d * hidden + 5 * d) + 2 * d


def bert(v: int, t: int, d: int, layers: int) -> int:
    """With both heads: words (a map, a norm, a bias for each word) and next sentence (a pool, two scores)."""
    embeddings = (v + t + 2) * d + 2 * d
    heads = d * d + d + 2 * d + v + d * d + d + 2 * d + 2
    return embeddings + layers * (12 * d * d + 13 * d) + heads


def mamba(v: int, d: int, layers: int, rank: int) -> int:
    e, n = 2 * d, 16
    ssm = e * rank + 2 * e * n + rank * e + e + e * n + e
    return v * d + layers * (3 * d * e + 4 * e + e + ssm + d) + d


def deepseek() -> int:
    """As published, less the 256 biases of each layer with experts, which no gradient moves."""
    return 671_026_419_200 - 58 * 256


EXPECTED = {
    "gpt2_124m": gpt2(50304, 1024, 768, 12),
    "llama3_8b": llama(32, 4096, 4, 14336),
    "llama3_70b": llama(80, 8192, 8, 28672),
    "llama3_405b": llama(126, 16384, 16, 53248),
    "mixtral_8x7b": mixtral(32000, 4096, 32, 8, 14336),
    "deepseek_v3": deepseek(),
    "bert_base": bert(30522, 512, 768, 12),
    "t5_small": t5(32128, 512, 8, 2048, 6),
    "mamba_130m": mamba(50280, 768, 24, 48),
}
PUBLISHED = {"llama3_8b": 8_030_261_248, "llama3_405b": 405_853_388_800, "mamba_130m": 129_135_360}


@pytest.mark.parametrize("name", EXPECTED)
def test_parameters(name: str) -> None:
    job = load_file(SPECS / f"{name}.job")
    assert sum(prod(s.type.shape) for s in job.state if s.kind == "parameter") == EXPECTED[name]
    assert PUBLISHED.get(name, EXPECTED[name]) == EXPECTED[name]


def test_sizes_of_texts() -> None:
    sizes = {path.stem: path.stat().st_size for path in SPECS.glob("*.job")}
    assert max(sizes.values()) < 10_000 and sizes["llama3_405b"] < 5_000

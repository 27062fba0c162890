"""Shipped jobs at full size: each loads, is small, and has the parameters that its paper's sizes give."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from jobspec.ir.job import Job
from jobspec.lang.check import load
from jobspec.lang.format import format_source
from jobspec.lang.source import SIZE_LIMIT, Source

SPECS = Path(__file__).parents[2] / "specs"
ALL = sorted(path.stem for path in SPECS.glob("*.job"))


def llama(layers: int, d: int, heads: int, kv: int, hidden: int, vocabulary: int = 128_256) -> int:
    """Embedding and head; per layer queries and outputs, keys and values of the shared heads, three maps of the mlp,
    two norms; the last norm."""
    size = d // heads
    attention = 2 * d * heads * size + 2 * d * kv * size
    return 2 * vocabulary * d + layers * (attention + 3 * d * hidden + 2 * d) + d


def mixtral(layers: int, d: int, heads: int, kv: int, hidden: int, experts: int, vocabulary: int) -> int:
    """As Llama, but each expert has the three maps, and a router chooses."""
    attention = 2 * d * d + 2 * d * kv * (d // heads)
    return 2 * vocabulary * d + layers * (attention + experts * (3 * d * hidden + 1 * d) + 2 * d) + d


def gpt2(layers: int, d: int, vocabulary: int, context: int) -> int:
    """Token and place embeddings; per layer four square maps and two of 4 d, their biases, two norms; the last norm."""
    layer = 4 * d * d + 4 * d + 2 * 4 * d * d + 4 * d + d + 4 * d
    return vocabulary * d + context * d + layers * layer + 2 * d


def resnet18(classes: int) -> int:
    """He et al. 2015 with the 3×3 stem for 32×32: convolutions, two per norm's channel, the last map."""
    widths = [(64, 64), (64, 128), (128, 256), (256, 512)]
    total = 9 * 3 * 64 + 2 * 64
    for i, (a, b) in enumerate(widths):
        total += 9 * a * b + 3 * 9 * b * b + 4 * 2 * b
        total += (a * b + 2 * b) if i else 0
    return total + 512 * classes + classes


def resnet50(classes: int) -> int:
    """Bottlenecks of (width, blocks); each opens with a projection."""
    total, inside = 49 * 3 * 64 + 2 * 64, 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            total += inside * width + 9 * width * width + 4 * width * width + 2 * (2 * width + 4 * width)
            total += (inside * 4 * width + 2 * 4 * width) if block == 0 else 0
            inside = 4 * width
    return total + inside * classes + classes


COUNTS: Mapping[str, tuple[int, int]] = {
    "gpt2_124m": (gpt2(12, 768, 50_304, 1024), 124_475_904),
    "llama3_8b": (llama(32, 4096, 32, 8, 14_336), 8_030_261_248),
    "llama3_70b": (llama(80, 8192, 64, 8, 28_672), 70_553_706_496),
    "llama3_405b": (llama(126, 16_384, 128, 8, 53_248), 405_853_388_800),
    "mixtral_8x7b": (mixtral(32, 4096, 32, 8, 14_336, 8, 32_000), 46_702_792_704),
    "resnet18_cifar10": (resnet18(10), 11_173_962),
    "resnet50_imagenet": (resnet50(1000), 25_557_032),
}


def job_of(name: str) -> Job:
    return load(Source.read(SPECS / f"{name}.job"))


def parameters(job: Job) -> int:
    return sum(slot.type.size for slot in job.state if slot.kind == "parameter")


@pytest.mark.parametrize("name", COUNTS)
def test_the_closed_form_is_the_published_number(name: str) -> None:
    formula, published = COUNTS[name]
    assert formula == published


@pytest.mark.parametrize("name", [name for name in COUNTS if name in ALL])
def test_parameters(name: str) -> None:
    assert parameters(job_of(name)) == COUNTS[name][1]


@pytest.mark.parametrize("name", ALL)
def test_each_is_small_and_loads(name: str) -> None:
    path = SPECS / f"{name}.job"
    assert path.stat().st_size <= SIZE_LIMIT
    job = job_of(name)
    assert job.steps > 0 and parameters(job) > 0


def test_all_are_in_the_one_style() -> None:
    """As `jobspec fmt --check specs/*.job jobspec/std/*.job` says; a file that is not is named."""
    files = [*SPECS.glob("*.job"), *(SPECS.parent / "jobspec" / "std").glob("*.job")]
    assert len(files) > 30
    for file in files:
        source = Source.read(file)
        assert format_source(source) == source.text, f"`jobspec fmt {file}`"

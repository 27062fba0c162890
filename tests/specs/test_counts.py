"""Shipped jobs at full size: each loads, is small, and has the parameters and the operations that its paper's sizes
give (closed_forms.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from math import prod
from pathlib import Path

import pytest

from jobspec.backends.llvm.machine import target_of
from jobspec.ir.job import Job
from jobspec.lang.check import load
from jobspec.lang.format import format_source
from jobspec.lang.source import SIZE_LIMIT, Source
from jobspec.passes.pipeline import compile_routine
from jobspec.passes.tally import of_routine
from tests.specs import closed_forms as form

SPECS = Path(__file__).parents[2] / "specs"
ALL = sorted(path.stem for path in SPECS.glob("*.job"))

#: by the closed form; as published
COUNTS: Mapping[str, tuple[int, int]] = {
    "gpt2_124m": (form.gpt2(12, 768, 50_304, 1024), 124_475_904),
    "llama3_8b": (form.llama(32, 4096, 32, 8, 14_336), 8_030_261_248),
    "llama3_70b": (form.llama(80, 8192, 64, 8, 28_672), 70_553_706_496),
    "llama3_405b": (form.llama(126, 16_384, 128, 8, 53_248), 405_853_388_800),
    "mixtral_8x7b": (form.mixtral(32, 4096, 32, 8, 14_336, 8, 32_000), 46_702_792_704),
    # the published number has a bias for each of the 256 experts of 58 layers too, which is a state here
    "deepseek_v3": (form.deepseek(), 671_026_419_200 - 58 * 256),
    # bert-base-uncased, with both heads
    "bert_base": (form.bert(12, 768, 30_522, 512), 110_106_428),
    "t5_small": (form.t5(6, 512, 8, 64, 2048, 32_128), 60_506_624),
    "mamba_130m": (form.mamba(24, 768, 50_280, 48), 129_135_360),
    "resnet18_cifar10": (form.resnet18(10), 11_173_962),
    "resnet50_imagenet": (form.resnet50(1000), 25_557_032),
    # timm's 22,050,664 has 197 learned positions and a class token of 384 as well
    "vit_s16_imagenet": (form.vit(12, 384, 16, 1000), 22_050_664 - 198 * 384),
    # the authors' 675,129,632 counts 256 fixed positions of 1,152 as well
    "dit_xl2": (form.dit(28, 1152, 2, 4, 1000), 675_129_632 - 256 * 1152),
}
#: of one step, the way forward and, twice that, the way back
FLOP: Mapping[str, int] = {
    "gpt2_124m": 3 * 512 * 1024 * form.gpt2_flop(12, 768, 50_304, 1024),
    "llama3_8b": 3 * 512 * 8192 * form.llama_flop(32, 4096, 32, 8, 14_336),
    "llama3_70b": 3 * 512 * 8192 * form.llama_flop(80, 8192, 64, 8, 28_672),
    "llama3_405b": 3 * 1024 * 4096 * form.llama_flop(126, 16_384, 128, 8, 53_248, 4096),
    "mixtral_8x7b": 3 * 512 * 8192 * form.mixtral_flop(32, 4096, 32, 8, 14_336, 8, 32_000, 8192),
    "deepseek_v3": 3 * 15_360 * 4096 * form.deepseek_flop(),
    "bert_base": 3 * 256 * form.bert_flop(12, 768, 30_522, 512),
    "t5_small": 3 * 128 * form.t5_flop(6, 512, 512, 2048, 32_128, 28 * 18, 28 * 4),
    # less what is a product without a sum on the way back: by a convolved channel, by a state
    "mamba_130m": 256 * 2048 * (3 * form.mamba_flop(24, 768, 50_280, 48) - 24 * 2 * 1536 * (4 + 16)),
}


@cache
def job_of(name: str) -> Job:
    return load(Source.read(SPECS / f"{name}.job"))


def parameters(job: Job) -> int:
    return sum(prod(slot.type.shape) for slot in job.state if slot.kind == "parameter")


@pytest.mark.parametrize("name", COUNTS)
def test_parameters(name: str) -> None:
    formula, published = COUNTS[name]
    assert (parameters(job_of(name)), formula) == (published, published)


@pytest.mark.parametrize("name", FLOP)
def test_operations(name: str) -> None:
    """Of all contractions of the first phase's step, exactly."""
    job = job_of(name)
    routine = compile_routine(job, *job.programs[1], target_of("x86-64-v3"))
    assert routine.name == job.step_names[0] and of_routine(routine).contractions == FLOP[name]


@pytest.mark.parametrize("name", ALL)
def test_each_is_small_and_loads(name: str) -> None:
    job = job_of(name)
    assert (SPECS / f"{name}.job").stat().st_size <= SIZE_LIMIT and job.steps > 0 and parameters(job) > 0


def test_the_largest_is_under_5_kb() -> None:
    assert (SPECS / "llama3_405b.job").stat().st_size < 5_000


def test_all_are_in_the_one_style() -> None:
    """As `jobspec fmt --check specs/*.job jobspec/std/*.job` says; a file that is not is named."""
    files = [*SPECS.glob("*.job"), *(SPECS.parent / "jobspec" / "std").glob("*.job")]
    assert len(files) > 30
    for file in files:
        source = Source.read(file)
        assert format_source(source) == source.text, f"`jobspec fmt {file}`"

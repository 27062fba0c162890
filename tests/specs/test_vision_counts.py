"""Parameters of the vision transformers at full size, from the sizes in their papers; layer by layer."""

from __future__ import annotations

from math import prod

import pytest

from jobspec.lang.check import load
from jobspec.lang.source import Source
from tests.specs.tiny import SPECS


def mapped(*sizes: int) -> int:
    """A map and its bias."""
    return prod(sizes) + sizes[-1]


def vit(layers: int, d: int, patch: int, classes: int) -> int:
    """Fixed positions and no class token; two norms a layer, one at the end."""
    layer = 4 * mapped(d, d) + mapped(d, 4 * d) + mapped(4 * d, d) + 4 * d
    return mapped(patch * patch * 3, d) + layers * layer + 2 * d + mapped(d, classes)


def dit(layers: int, d: int, patch: int, channels: int, classes: int) -> int:
    """Norms without weights; six modulations a layer, two at the end; a class for none; noise and width come out."""
    layer = 4 * mapped(d, d) + mapped(d, 4 * d) + mapped(4 * d, d) + mapped(d, 6 * d)
    ends = mapped(patch * patch * channels, d) + mapped(d, 2 * d) + mapped(d, patch * patch * 2 * channels)
    return ends + mapped(256, d) + mapped(d, d) + (classes + 1) * d + layers * layer


COUNTS = {
    # timm's 22,050,664 has 197 learned positions and a class token of 384 as well
    "vit_s16_imagenet": (vit(12, 384, 16, 1000), 22_050_664 - 198 * 384),
    # the authors' 675,129,632 counts 256 fixed positions of 1,152 as well
    "dit_xl2": (dit(28, 1152, 2, 4, 1000), 675_129_632 - 256 * 1152),
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameters(name: str) -> None:
    job = load(Source.read(SPECS / f"{name}.job"))
    found = sum(prod(slot.type.shape) for slot in job.state if slot.kind == "parameter")
    assert (found, found) == COUNTS[name]

"""The library's augmentations: each does to an image what its line says, and its draws have the right spread."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.lang.computing import Bench, arrays

torch = pytest.importorskip("torch", reason="the library is compared with PyTorch: pip install '.[oracle]'")

pytestmark = pytest.mark.oracle

Array = NDArray[np.float32]
DIMS = {"B": 400, "Y": 6, "X": 5, "R": 8, "S": 9, "N": 30}


def made(body: str, x: Array, axes: str) -> Array:
    return Bench(body, DIMS, {"x": (x, axes)}, "import std.augment").array()[0]


def test_shift() -> None:
    """Five shifts, each about as often; what comes in is `value`."""
    x = np.repeat(arrays(1, 6), 400, 0)
    found, border = made("augment.shift[B Y](x, 2, 9)", x, "B Y"), np.full(2, 9, np.float32)
    places = np.concatenate([border, x[0], border])
    moved = [places[n : n + 6] for n in range(5)]
    counts = [sum(np.array_equal(row, one) for row in found) for one in moved]
    assert sum(counts) == 400 and min(counts) > 50


def test_mirror() -> None:
    x = np.repeat(arrays(1, 6, 5), 400, 0)
    found = made("augment.mirror[B X](x)", x, "B Y X")
    same, mirrored = ((found == one).all((1, 2)) for one in (x, x[:, :, ::-1]))
    assert (same | mirrored).all() and 150 < same.sum() < 250


@pytest.mark.parametrize(("low", "span"), [(0.0, 1.0), (0.25, 0.5)])
def test_resample(low: float, span: float) -> None:
    """PyTorch's linear interpolation, of the whole and, by `grid_sample`, of a part."""
    x = arrays(400, 8)
    found = made(f"augment.resample[B R N](x, {low}, {span})", x, "B R")
    at = low + (torch.arange(30) + 0.5) / 30 * span
    grid = torch.stack([at * 2 - 1, torch.zeros(30)], -1).expand(400, 1, 30, 2)
    expected = torch.nn.functional.grid_sample(
        torch.from_numpy(x)[:, None, None], grid, padding_mode="border", align_corners=False
    )
    torch.testing.assert_close(torch.from_numpy(found), expected[:, 0, 0], rtol=1e-4, atol=1e-5)


def test_resized_crop() -> None:
    """A slope stays one: its rise over the crop is the crop's side, and areas and ratios are within what is said."""
    ramp = np.arange(8, dtype=np.float32)[:, None] + 100 * np.arange(9, dtype=np.float32)
    found = made("out: B Y X = augment.resized_crop[B R S Y X](x, .3)\nout", np.repeat(ramp[None], 400, 0), "B R S")
    inner = found[:, 2:4, 2:4]
    tall, wide = (inner[:, 1, 0] - inner[:, 0, 0]) * 6 / 8, (inner[:, 0, 1] - inner[:, 0, 0]) * 5 / 900
    area = tall * wide
    assert 0.25 < area.min() < 0.4 and area.max() > 0.9 and tall.max() <= 1.001 and wide.max() <= 1.001
    assert (tall / wide).max() < 4 / 3 + 0.01 and (wide / tall).max() < 4 / 3 + 0.01
    assert np.std(tall / wide) > 0.05 and len(np.unique(inner[:, 0, 0])) > 300


def test_beta() -> None:
    """Mean 1/2 and variance 1/(4(2a + 1)): of 400 draws within five deviations."""
    drawn = made("x = augment.beta[B N](.4) + 0*x\nx", np.zeros(400, np.float32), "B")
    assert (drawn >= 0).all() and (drawn <= 1).all()
    assert abs(drawn.mean() - 0.5) < 5 * (1 / 7.2) ** 0.5 / 20 and abs(drawn.var() - 1 / 7.2) < 0.03


def test_mix() -> None:
    x = arrays(400, 5)
    found = made("augment.mix[B](x, .25)", x, "B X")
    np.testing.assert_allclose(found, 0.25 * x + 0.75 * x[::-1], rtol=1e-6, atol=1e-6)

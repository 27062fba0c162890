"""Random draws: counters are the row-major index, however many elements there are; a draw goes by seed, name, step,
example and element, and by nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.program import Program
from jobspec.lang import draws
from jobspec.lang.refusal import Refusal
from tests.lang.small import HEAD, TRAIN, TWO, first, job, stepped


@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 3, 1, 5)])
def test_both_ways_to_count_agree(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    plain = draws.indices(shape)
    monkeypatch.setattr(draws, "LONGEST_AXIS", 2)
    by_axes = draws.indices(shape)
    assert by_axes is not plain
    found = evaluate(Program((), (("plain", plain), ("by_axes", by_axes))), {})
    assert np.array_equal(found["plain"], found["by_axes"])
    assert np.array_equal(found["plain"].reshape(-1), np.arange(found["plain"].size))


def test_more_than_an_axis_can_hold() -> None:
    """The routed experts of one layer of DeepSeek-V3."""
    assert draws.indices((256, 7168, 2048)).shape == (256, 7168, 2048)
    with pytest.raises(Refusal, match="2\\^32"):
        draws.indices((1 << 16, 1 << 16))


# ---- in a step, in an evaluation ----

NOISY = """layer net(x) { param w: X -> H ~ normal(1)
  state s: B X = 0
  if training { s := rand[B X]() }
  sum[H]((x + s) @ w) }"""


def test_draws_depend_on_step_example_and_element_alone() -> None:
    def seen(size: int, number: int) -> np.ndarray:
        found = job(NOISY, head=HEAD.replace("B=4", f"B={size}"))
        return stepped(found, number)["s"]

    np.testing.assert_array_equal(seen(4, 2), seen(7, 2)[:4])
    assert not np.array_equal(seen(4, 2), seen(4, 3))
    assert len(set(seen(7, 2).ravel().tolist())) == 21


def test_every_draw_is_its_own() -> None:
    """Two calls, two layers of one repeat, two visits of shared weights: all draw other numbers."""
    text = """layer noise(x) { state last: B X = 0
      if training { last := rand[B X]() }
      x + last }
    layer net(x) { param w: X -> H ~ normal(1)
      x = a:noise(b:noise(x))
      repeat L { x = c:noise(x) }
      sum[H](x @ w) }"""
    after = stepped(job(text))
    drawn = [after["a.last"], after["b.last"], *after["c.last"]]
    assert len({d.tobytes() for d in drawn}) == 7


def drawn(batch: int, dims: str = "dim B=4, X=3, H=2, L=5") -> dict[str, np.ndarray]:
    """Metrics of one batch of an evaluation that draws."""
    layer = "layer net(x) { param w: X = 0; dot[X](x, w) + rand[B]() }\n"
    section = "eval { on = d; every = 3; steps = 2\n  a = sum[B](rand[B]())\n  b = sum[B](rand[B]())\n"
    section += "  c = sum[H](rand[H]())\n  n = sum[B](net(batch.x))\n  m = sum[B](2*net(batch.x)) }\n"
    found = job(layer, TRAIN + section, head=HEAD.replace("dim B=4, X=3, H=2, L=5", dims))
    program = found.evaluations[0].program
    size = found.evaluations[0].batches.size
    state = first(found)
    return evaluate(program, {**state, "batch.x": np.zeros((size, 3), np.float32), "step": np.array(batch, np.int32)})


def test_an_evaluation_draws_by_example_and_batch() -> None:
    zero, one = drawn(0), drawn(1)
    assert zero == drawn(0)
    assert len({float(zero[f"metric.{m}"]) for m in "abcn"}) == 4
    assert all(zero[f"metric.{m}"] != one[f"metric.{m}"] for m in "abcn")
    assert zero["metric.m"] == 2 * zero["metric.n"]


def test_draws_of_an_evaluation_do_not_depend_on_its_batches() -> None:
    narrow, wide = [drawn(i) for i in range(4)], [drawn(i, "dim B=8, X=3, H=2, L=5") for i in range(2)]
    for metric in ("metric.a", "metric.n"):
        np.testing.assert_allclose(sum(x[metric] for x in narrow), sum(x[metric] for x in wide), rtol=1e-6)


def test_an_evaluation_without_draws_has_no_step() -> None:
    (found,) = job(TWO, TRAIN + "eval { on = d; every = 3; m = mean[B](batch.y) }\n").evaluations
    assert "step" not in [node["name"] for node in found.program.inputs]

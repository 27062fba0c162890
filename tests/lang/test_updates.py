"""`update`, `clip`, `lr`, `t`: what happens to each parameter in a step."""

from __future__ import annotations

import numpy as np

from tests.lang.small import HEAD, TRAIN, TWO, first, job, names, stepped

MIXED = """optim heavy(p, g, lr) { state m = 0, n: H = 2
  m := m + g
  p := p - lr*m }
layer net(x) { param w: X -> H ~ normal(1), b: H = 0, k: H = 0
  sum[H](x @ w + b + k) }"""


def test_each_selector_has_its_optimizer() -> None:
    found = job(
        MIXED,
        TRAIN.replace("update all by sgd(.5)", 'update matrices by heavy(.5)\n update "b" by sgd(.25)\n freeze k'),
    )
    assert names(found) == ["w", "b", "k", "w/m", "w/n"]
    before, after = first(found), stepped(found)
    np.testing.assert_allclose(after["w"], before["w"] - 0.5, rtol=1e-6)
    assert after["b"].tolist() == [-0.25] * 2 and after["k"].tolist() == [0, 0]
    assert after["w/m"].tolist() == [[1, 1]] * 3 and after["w/n"].tolist() == [2, 2]


def test_the_pattern_of_an_optimizer_names_both_sides() -> None:
    head = HEAD + "optim rows(p: I -> O, g, lr) { state r: I = 0\n r := sum[O](g)\n p := p - lr*r/O }\n"
    found = job(
        "layer net(x) { param w: X -> H B' ~ normal(1)\n sum[H B'](x @ w) }",
        TRAIN.replace("sgd(.5)", "rows(8)"),
        head=head,
    )
    before, after = first(found), stepped(found)
    assert found.slot("w/r").axes == ("X",) and after["w/r"].tolist() == [8] * 3
    np.testing.assert_allclose(after["w"], before["w"] - 8, rtol=1e-6)


ROWS = """
optim rows(p: I -> O, g, lr) { state r: I = 0, c: O = 0
  r := r + sum[O](g)
  c := c + sum[I](g)
  both: I O = r*c
  p := p - lr*both }
optim whole(p: A, g, lr) { p := p - lr*g/sum[A](abs(g)) }
"""


def test_a_pattern_is_for_each_layer_of_a_repeat() -> None:
    """States and statements with the pattern's axes have the repeated axis too; `p: A` names all axes but that one.
    X -> X has X on both sides: the pattern keeps them apart."""
    body = "y = x\n repeat L { param w: X -> X ~ normal(1), b: X = 0\n y = y @ w + b }\n sum[X](y)"
    train = TRAIN.replace("all by sgd(.5)", "matrices by rows(.5)\n update vectors by whole(.5)")
    found = job(f"layer net(x) {{ {body} }}", train, head=HEAD + ROWS)
    before, after = first(found), stepped(found)
    assert found.slot("w/r").type.shape == found.slot("w/c").type.shape == (5, 3)
    moved = before["w"] - after["w"]
    np.testing.assert_allclose(moved, 0.5 * after["w/r"][:, :, None] * after["w/c"][:, None, :], rtol=1e-5)
    np.testing.assert_allclose(np.abs(after["b"]).sum(1), [0.5] * 5, rtol=1e-5)


def test_clip_scales_by_one_norm_of_all() -> None:
    found = job(TWO, TRAIN.replace("update", "clip = .5; update"))
    plain, clipped = stepped(job(TWO)), stepped(found)
    norm = np.sqrt(6 + 6 + 2)
    assert abs(clipped["report.grad_norm"] - norm) < 1e-5
    np.testing.assert_allclose(first(found)["b"] - clipped["b"], 0.5 * 0.5 / norm, rtol=1e-5)
    np.testing.assert_allclose(first(found)["b"] - plain["b"], 0.5, rtol=1e-5)
    wide = stepped(job(TWO, TRAIN.replace("update", "clip = 50; update")))
    np.testing.assert_array_equal(wide["w"], plain["w"])


def test_clip_takes_a_map_from_an_axis_to_itself() -> None:
    net = "layer net(x) {\n param w: X -> X = 1\n sum[X](x @ w)\n}"
    moved = first(job(net))["w"] - stepped(job(net, TRAIN.replace("update", "clip = .5; update")))["w"]
    np.testing.assert_allclose(moved, np.full((3, 3), 0.5 * 0.5 / 3), rtol=1e-6)


def test_reports_say_the_learning_rate() -> None:
    found = job(TWO, TRAIN.replace("sgd(.5)", "sgd(lr=.5*(1 - step/steps))"))
    assert float(stepped(found, 3)["report.lr"]) == 0.25


def test_t_counts_from_one() -> None:
    head = HEAD.replace("p := p - lr*g", "p := p - t + 0*lr*g")
    found = job(TWO, head=head)
    np.testing.assert_array_equal(stepped(found, 4)["b"], [-2, -2])

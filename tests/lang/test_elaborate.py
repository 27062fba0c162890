"""From text to a checked job: names, first values, state, settings, sections."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.check import check
from jobspec.ir.codec.job import decode_job, encode_job
from jobspec.ir.job import Job
from jobspec.ir.program import order
from jobspec.ir.types import Type
from jobspec.lang.check import load, load_file
from jobspec.lang.source import Source
from jobspec.passes.differentiate import differentiate

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.job"))
ROOT = "b3:00000000"
SGD = "optim sgd(p, g, lr) { p := p - lr*g }\n"
HEAD = f"""job j "a title"
dim B=4, X=3, H=2, L=5
data d = table({ROOT}, x=f32[X], y=u8)
{SGD}"""
RUN = "run { mesh = [dp=1]; shard L H over dp }"
TRAIN = """train { seed = 1; steps = 6; batch = shuffle(d)
  loss = mean[B](net(batch.x))
  update all by sgd(.5) }
"""


def job(layers: str, train: str = TRAIN, catalog: Callable[[str], int | None] | None = None, head: str = HEAD) -> Job:
    """`L` counts as used: it is mentioned in `run`."""
    return load(Source("j.job", f"{head}{layers}\n{train}{RUN}\n"), catalog=catalog)


def names(found: Job) -> list[str]:
    return [slot.name for slot in found.state]


def first(found: Job) -> dict[str, np.ndarray]:
    return evaluate(found.init, {})


def stepped(found: Job, number: int = 0, state: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
    """The outputs of a step on a batch of ones (field y: 1)."""
    types = {feed.name: feed.type for feed in found.phases[0].batches.feeds}
    kinds = {"f32": np.float32, "u8": np.uint8, "u16": np.uint16}
    batch = {name: np.ones(t.shape, kinds[t.dtype]) for name, t in types.items()}
    given = {**(state or first(found)), **batch, "step": np.array(number, np.int32)}
    return evaluate(differentiate(found.phases[0].step), given)


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_specs_are_jobs_that_survive_their_own_record(path: Path) -> None:
    found = load_file(path)
    for program in (found.init, found.phases[0].step, *(e.program for e in found.evaluations)):
        check(program)
    again = decode_job(encode_job(found))
    assert again == found


# ---- names ----

NESTED = """
layer inner(x) { param w: X -> X' ~ normal(1)
  (x @ w)[X'->X] }
layer outer(x) {
  x = inner(x)
  x = a:inner(x)
  b:inner(x)
}
layer net(x) { sum[X](outer(o1:outer(x))) }
"""


def test_names_are_label_paths() -> None:
    assert names(job(NESTED)) == [
        "o1.inner.w", "o1.a.w", "o1.b.w", "outer.inner.w", "outer.a.w", "outer.b.w",
    ]  # fmt: skip


def test_a_label_on_the_whole_model_is_part_of_its_names() -> None:
    found = job(NESTED, TRAIN.replace("net(", "m:net("))
    assert names(found)[0] == "m.o1.inner.w"


def test_one_label_twice_shares_the_weights() -> None:
    shared = "layer f(x) { param w: X -> X' ~ normal(1)\n (x @ w)[X'->X] }\nlayer net(x) { sum[X](a:f(a:f(x))) }"
    found = job(shared)
    assert names(found) == ["a.w"]
    w, ones = first(found)["a.w"], np.ones((4, 3), np.float32)
    np.testing.assert_allclose(stepped(found)["report.loss"], (ones @ w @ w).sum(1).mean(), rtol=1e-5)


def test_repeat_stacks_parameters_and_keeps_their_names() -> None:
    found = job("""layer block(x) { param w: X -> X' ~ normal(.3)
      (x @ w)[X'->X] }
    layer net(x) { repeat L { x = x + block(x) }
      sum[X](x) }""")
    (slot,) = found.state
    assert (slot.name, slot.axes, slot.type) == ("block.w", ("L", "X", "X'"), Type("f32", (5, 3, 3)))


def test_growing_a_repeat_keeps_the_first_layers() -> None:
    text = "layer net(x) { repeat L { param w: X -> X' ~ normal(.3)\n x = (x @ w)[X'->X] }; sum[X](x) }"
    small, large = first(job(text)), first(job(text, head=HEAD.replace("L=5", "L=9")))
    np.testing.assert_array_equal(small["w"], large["w"][:5])
    assert len({layer.tobytes() for layer in large["w"]}) == 9


# ---- first values ----

TWO = "layer net(x) { param w: X -> H ~ normal(.1), u: X -> H ~ uniform(.2), b: H = 3\n sum[H](x @ w + x @ u + b) }"


def test_first_values_depend_on_seed_and_name_alone() -> None:
    other = (
        "layer net(x) { param b: H = 3, u: X -> H ~ uniform(.2), w: X -> H ~ normal(.1)\n sum[H](b + x @ w + x @ u) }"
    )
    one, two = first(job(TWO)), first(job(other))
    assert all(np.array_equal(one[name], two[name]) for name in ("w", "u", "b"))
    reseeded = first(job(TWO, TRAIN.replace("seed = 1", "seed = 2")))
    assert not np.array_equal(one["w"], reseeded["w"]) and not np.array_equal(one["u"], reseeded["u"])
    renamed = first(job(TWO.replace("w:", "v:").replace("@ w", "@ v")))
    assert not np.array_equal(one["w"], renamed["v"])


def test_first_values_have_the_written_distribution() -> None:
    head = HEAD.replace("X=3, H=2", "X=300, H=200")
    found = first(job(TWO, head=head))
    assert abs(found["w"].mean()) < 1e-3 and abs(found["w"].std() - 0.1) < 1e-3
    assert found["u"].min() >= -0.2 and found["u"].max() < 0.2 and abs(found["u"].std() - 0.2 / 3**0.5) < 1e-3
    assert (found["b"] == 3).all()


# ---- state ----

COUNTED = """layer net(x) { param w: X -> H ~ normal(1)
  state seen: X = 0
  if training { seen := .5*seen + mean[B](x) }
  sum[H]((x + seen) @ w) }"""


def test_a_layer_keeps_state_and_reads_the_new_value() -> None:
    found = job(COUNTED)
    assert [(s.name, s.kind) for s in found.state] == [("w", "parameter"), ("seen", "layer")]
    once = stepped(found)
    twice = stepped(found, 1, {name: once[name] for name in names(found)})
    assert once["seen"].tolist() == [1] * 3 and twice["seen"].tolist() == [1.5] * 3
    np.testing.assert_allclose(once["report.loss"], 2 * first(found)["w"].sum(), rtol=1e-6)


def test_state_in_a_repeat_is_stacked_and_assigned_turn_by_turn() -> None:
    found = job("""layer block(x) { param w: X -> X' ~ normal(.1)
      state s: X = 1
      if training { s := s + mean[B](x) }
      (x @ w)[X'->X] }
    layer net(x) { repeat L { x = x + block(x) }
      sum[X](x) }""")
    after = stepped(found)["block.s"]
    assert after.shape == (5, 3) and after[0].tolist() == [2] * 3 and not np.array_equal(after[0], after[1])


def test_an_evaluation_reads_state_and_assigns_none() -> None:
    found = job(COUNTED, TRAIN + "eval { on = d; every = 2; m = mean[B](net(batch.x)) }\n")
    (evaluation,) = found.evaluations
    state = {"w": np.ones((3, 2), np.float32), "seen": np.full(3, 5, np.float32)}
    value = evaluate(evaluation.program, {**state, "batch.x": np.ones((4, 3), np.float32)})["metric.m"]
    assert value == 36


# ---- updates ----

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


# ---- draws while training ----

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


# ---- settings, data, sections ----


def test_what_a_job_says_of_itself() -> None:
    found = job(TWO)
    assert (found.name, found.title, found.seed, found.steps) == ("j", "a title", 1, 6)
    assert found.sizes == (("B", 4), ("X", 3), ("H", 2), ("L", 5))
    assert found.phases[0].batches.size == 4 and [f.field for f in found.phases[0].batches.feeds] == ["x"]
    assert found.sources[0].fields == (("x", Type("f32", (3,))), ("y", Type("u8")))


def test_epochs_count_records() -> None:
    epochs = TRAIN.replace("steps = 6", "epochs = 3")
    assert job(TWO, epochs, lambda root: 10).steps == 8
    assert job(TWO, epochs, lambda root: 8).steps == 6
    assert job(TWO, epochs).steps == 3


@pytest.mark.parametrize(("records", "size", "count"), [(10, 2, 5), (12, 4, 3), (7, 1, 7), (3, 3, 1)])
def test_an_evaluation_covers_every_example_once(records: int, size: int, count: int) -> None:
    section = "eval e { on = d; every = 1 * epoch; best = max(m); m = mean[B](net(batch.x)) }\n"
    (found,) = job(TWO, TRAIN + section, lambda root: records).evaluations
    assert (found.batches.size, found.count, found.batches.stream.order) == (size, count, "sequence")
    assert (found.name, found.every, found.best) == ("e", -(-records // 4), ("max", "m"))


def test_an_evaluation_of_so_many_batches() -> None:
    section = "eval { on = d; every = 2; steps = 9; m = mean[B](net(batch.x)) }\n"
    (found,) = job(TWO, TRAIN + section, lambda root: 10).evaluations
    assert (found.batches.size, found.count) == (4, 9)


def test_saving() -> None:
    kept = job(TWO, TRAIN + "save { every = 3; keep = 9 }\n")
    assert (kept.save_every, kept.keep) == (3, 9)
    assert job(TWO, TRAIN + "save { keep = all }\n").keep == 0
    rooted = job(TWO, TRAIN.replace("seed", "roots = 2; seed"))
    assert (rooted.roots_every, job(TWO).roots_every) == (2, 100)


def test_tokens() -> None:
    head = (
        f"job t\ndim B=2, T=4, V=9, L=5, H=2\ndata d = tokens({ROOT}, u16)\noptim sgd(p, g, lr) {{ p := p - lr*g }}\n"
    )
    train = TRAIN.replace("mean[B](net(batch.x))", "mean[B T](net(batch.tok) - batch.next)")
    found = job("layer net(x) { param e: V = 1\n e[V: x] }", train, head=head)
    assert [(f.name, f.type) for f in found.phases[0].batches.feeds] == [
        ("batch.next", Type("u16", (2, 4))),
        ("batch.tok", Type("u16", (2, 4))),
    ]
    assert found.phases[0].batches.stream.window == 4


def test_tokens_along_another_axis() -> None:
    head = f"job t\ndim B=2, C=4, L=5, H=2\ndata d = tokens({ROOT}, u8[C])\n{SGD}"
    found = job("layer net(x) { param e: C = 1\n mean[C](e*x) }", TRAIN.replace("batch.x", "batch.tok"), head=head)
    assert found.phases[0].batches.stream.window == 4


def test_layout_and_local_names_change_nothing() -> None:
    plain = job(TWO)
    written = job(TWO.replace("(x)", "(input)").replace("x @", "input @").replace("\n", "  # comment\n\n"))
    assert plain == written


def test_the_name_of_the_data_changes_no_order() -> None:
    other = load(
        Source(
            "j.job", f"{HEAD}{TWO}\n{TRAIN}{RUN}".replace("d = t", "e = t").replace("(d)", "(e)")
        )
    )
    assert other.phases[0].batches.stream.key == job(TWO).phases[0].batches.stream.key


def test_every_node_of_the_step_has_a_place() -> None:
    found = job(TWO)
    text = f"{HEAD}{TWO}\n{TRAIN}".splitlines()
    inputs = {"input", "gradient", "const"}
    for node in order(found.phases[0].step.results):
        if node.op not in inputs and node in found.places:
            line, column = found.places[node]
            assert 1 <= line <= len(text) and 1 <= column <= len(text[line - 1])
    placed = [node.op for node in order(found.phases[0].step.results) if node in found.places]
    assert placed.count("contract") == 2 and "sum" in placed


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

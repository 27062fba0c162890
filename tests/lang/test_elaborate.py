"""From text to a checked job: names, first values, state, settings, sections."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.check import check
from jobspec.ir.codec.job import decode_job, encode_job
from jobspec.ir.program import order
from jobspec.ir.types import Type
from jobspec.lang.check import load
from jobspec.lang.source import Source
from tests.lang.small import HEAD, ROOT, RUN, SGD, TRAIN, TWO, first, job, names, stepped

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.job"))


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_specs_are_jobs_that_survive_their_own_record(path: Path) -> None:
    found = load(Source.read(path))
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

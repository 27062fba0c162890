"""`average … by`: slots, the step, evaluations that measure averages; recomputed in numpy."""

from __future__ import annotations

import numpy as np
import pytest

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.job import Job
from jobspec.lang.check import load
from jobspec.lang.diagnostics import DiagnosticsError
from jobspec.lang.source import Source
from jobspec.passes.pipeline import lower_program

F32 = np.float32
HEAD = """job j
import std.optim
dim B=4, X=3, L=2
data d = table(b3:00000000, x=f32[X], y=f32)
layer net(x) {
  param w: X -> X' ~ normal(.5), b: X = .25
  x = (x @ w)[X'->X] + b
  repeat L { param u: X = 1
    x = x*u }
  sum[X](x)
}
"""
TRAIN = """train { seed = 1; steps = 6; batch = shuffle(d)
  loss = mean[B]((net(batch.x) - batch.y)^2)
  update all by optim.momentum(.05)
  AVERAGE
}
"""
EVAL = "eval { on = d; every = 2; weights = average\n  out = mean[B](net(batch.x)) }\n"


def job(average: str, more: str = "", train: str = TRAIN) -> Job:
    return load(Source("j.job", HEAD + train.replace("AVERAGE", average) + more))


def run(found: Job, steps: int) -> list[dict[str, np.ndarray]]:
    """States before the first step and after each."""
    random, states = np.random.default_rng(3), [evaluate(found.init, {})]
    ends = np.cumsum([phase.steps for phase in found.phases])
    programs = [lower_program(phase.step, checked=True) for phase in found.phases]
    for step in range(steps):
        batch = {"batch.x": random.normal(size=(4, 3)).astype(F32), "batch.y": random.normal(size=4).astype(F32)}
        program = programs[int(np.searchsorted(ends, step, side="right"))]
        states.append(evaluate(program, {**states[-1], **batch, "step": np.array(step, np.int32)}))
    return states


def test_an_exponential_average_to_the_last_bit() -> None:
    states = run(job("average all by optim.ema(.9)"), 6)
    for name in ("w", "b", "u"):
        a = states[0][name]
        np.testing.assert_array_equal(states[0][f"{name}/average"], a)
        for state in states[1:]:
            a = F32(0.9) * a + F32(1 - 0.9) * state[name]
            np.testing.assert_array_equal(state[f"{name}/average"], a)
        assert np.any(a != state[name])


def test_a_mean_of_all_steps() -> None:
    states = run(job('average "u" by optim.polyak()'), 6)
    seen = np.array([state["u"].astype(np.float64) for state in states[1:]])
    for n in range(1, 7):
        np.testing.assert_allclose(states[n]["u/average"], seen[:n].mean(0), rtol=n * 2.0**-22)
    assert {name for name in states[0] if name.endswith("average")} == {"u/average"}


def test_the_updates_do_not_see_it() -> None:
    with_it, without = run(job("average all by optim.ema(.5)"), 3), run(job(""), 3)
    for name in without[-1]:
        np.testing.assert_array_equal(with_it[-1][name], without[-1][name])


def test_a_rule_may_keep_more() -> None:
    rule = "optim later(p, a) {\n state n = 0\n n := n + p\n a := a + n }\n"
    states = run(load(Source("j", HEAD + rule + TRAIN.replace("AVERAGE", "average b by later()"))), 2)
    total = states[1]["b"] + states[2]["b"]
    np.testing.assert_array_equal(states[2]["b/average/n"], total)
    np.testing.assert_array_equal(states[2]["b/average"], (states[0]["b"] + states[1]["b"]) + total)


def test_an_evaluation_measures_the_averages() -> None:
    found = job(
        "average matrices by optim.ema(.5)", EVAL + EVAL.replace("eval", "eval plain").replace("weights = average", "")
    )
    state = run(found, 3)[-1]
    x = {"batch.x": np.random.default_rng(5).normal(size=found.evaluations[0].batches.feeds[0].type.shape).astype(F32)}
    averages, plain = (e.program for e in found.evaluations)
    put = {**state, "w": state["w/average"]}
    assert "w" not in {n["name"] for n in averages.inputs}
    want = evaluate(plain, {**put, **x})["metric.out"]
    np.testing.assert_array_equal(evaluate(averages, {**state, **x})["metric.out"], want)
    assert evaluate(plain, {**state, **x})["metric.out"] != want


PHASES = TRAIN.replace("steps = 6; ", "").replace(
    "AVERAGE", "phase a { steps = 2 }\n phase b { steps = 3\n average all by optim.polyak() }"
)


def test_an_average_of_a_phase_begins_with_it() -> None:
    states = run(job("", train=PHASES), 5)
    np.testing.assert_array_equal(states[2]["b/average"], states[0]["b"])
    for n in (1, 2, 3):
        seen = np.array([state["b"].astype(np.float64) for state in states[3 : 3 + n]])
        np.testing.assert_allclose(states[2 + n]["b/average"], seen.mean(0), rtol=n * 2.0**-22)
    ema = run(job("", train=PHASES.replace("polyak()", "ema(.5)")), 5)
    np.testing.assert_array_equal(ema[3]["w/average"], F32(0.5) * ema[2]["w"] + F32(0.5) * ema[3]["w"])


@pytest.mark.parametrize(
    ("average", "code"),
    [
        ("average all by optim.sgd(.1)", "E0307"),
        ("average all by net", "E0307"),
        ('average all by optim.ema(.5)\n average "w" by optim.polyak()', "E0319"),
        ('average "nothing" by optim.polyak()', "E0304"),
        ("average all by optim.ema()", "E0261"),
    ],
)
def test_refused(average: str, code: str) -> None:
    with pytest.raises(DiagnosticsError) as caught:
        job(average)
    assert {d.code for d in caught.value.diagnostics} == {code}

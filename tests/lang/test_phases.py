"""Phases: settings that change on the way, as the job that the text becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.codec.job import decode_job, encode_job, job_hash
from jobspec.ir.job import Job, Phase
from jobspec.lang.check import load
from jobspec.lang.diagnostics import DiagnosticsError
from jobspec.lang.source import Source

HEAD = """job j
dim B=4, T=8, S=T, V=16, D=4, X=3
data words = tokens(b3:{}, u16)
data more = tokens(b3:{}, u16)
data rows = table(b3:{}, x=f32[X], y=f32)
layer net(tok) {{
  param e: V -> D ~ normal(.1), w: D = 1
  h = e[V: tok]
  see: B T S D = select(iota[S] <= iota[T], 1, 0) * h[T->S]
  sum[D](w * sum[S](see))
}}
layer flat(x) {{
  param k: X = .5
  sum[X](x * k)
}}
optim sgd(p, g, lr) {{ p := p - lr*g }}
optim mom(p, g, lr) {{ state m = 0
  m := .9*m + g
  p := p - lr*m }}
train {{ seed = 1
""".format("11" * 32, "22" * 32, "33" * 32)
TOKENS = """
  batch = shuffle(words)
  loss = mean[B T](net(batch.tok)^2)
  update all by sgd(lr)
"""


def job(train: str, after: str = "", head: str = HEAD) -> Job:
    return load(Source("j.job", f"{head}{train}\n}}\n{after}"), catalog=lambda root: 33)


def values(phase: Phase, job: Job, report: str = "lr") -> list[float]:
    """A report at each of the phase's steps that depends on the step alone."""
    first = next(end - p.steps for p, end in zip(job.phases, job.borders, strict=True) if p is phase)
    node = dict(phase.step.outputs)[f"report.{report}"]
    program = type(phase.step)(tuple(n for n in phase.step.inputs if n["name"] == "step"), (("out", node),))
    steps = (np.array(first + i, np.int32) for i in range(phase.steps))
    return [float(evaluate(program, {"step": step})["out"]) for step in steps]


def test_a_job_without_phases_has_one() -> None:
    (only,) = job("lr = .1; steps = 5" + TOKENS).phases
    assert (only.name, only.steps, only.batches.size, only.batches.first) == ("", 5, 4, 0)


def test_dims_and_what_follows_from_them() -> None:
    found = job("lr = .1" + TOKENS + "phase a { steps = 2 }\n phase b { T = 16; B = 2*B; steps = 3 }")
    a, b = found.phases
    assert (a.batches.size, a.batches.stream.window) == (4, 8)
    assert (b.batches.size, b.batches.stream.window) == (8, 16)
    assert dict(found.sizes)["T"] == 8 and found.steps == 5 and found.step_names == ("step.a", "step.b")
    assert b.batches.feeds[0].type.shape == (8, 16)
    assert decode_job(encode_job(found)) == found


def test_until_counts_tokens_over_the_run() -> None:
    phases = "phase a { until = 100 }\n phase b { T = 16; until = 1k }\n phase c { B = 1; steps = 2 }"
    found = job("lr = tokens/1000" + TOKENS + phases)
    assert [p.steps for p in found.phases] == [4, 14, 2]
    seen = [32 * i for i in range(4)] + [128 + 64 * i for i in range(14)] + [1024, 1032]
    rates = [rate for phase in found.phases for rate in values(phase, found)]
    assert np.allclose(rates, np.array(seen) / 1000, rtol=1e-6)


def test_until_counts_examples_of_a_table() -> None:
    text = "lr = .1; batch = shuffle(rows); loss = mean[B]((flat(batch.x) - batch.y)^2); update all by sgd(lr)\n"
    unused = HEAD.replace(", T=8, S=T, V=16, D=4", "").replace("data words", "#").replace("data more", "#")
    head = unused[: unused.index("layer net")] + unused[unused.index("layer flat") :]
    found = job(text + "phase a { until = 10 }\n phase b { B = 8; until = 30 }", head=head)
    assert [p.steps for p in found.phases] == [3, 3]


def test_schedules_of_a_phase() -> None:
    phases = """phase a { steps = 4; lr = phase_step }
      phase b { steps = 5; lr = phase_frac }
      phase c { steps = 2; lr = step/steps + phase_steps }"""
    found = job("lr = 1" + TOKENS + phases)
    assert values(found.phases[0], found) == [0, 1, 2, 3]
    assert np.allclose(values(found.phases[1], found), [0, 0.2, 0.4, 0.6, 0.8])
    assert np.allclose(values(found.phases[2], found), [9 / 11 + 2, 10 / 11 + 2])


def test_before_is_the_last_step_of_the_phase_before() -> None:
    phases = """phase a { steps = 4 }
      phase b { steps = 5; lr = lr.before * (1 - phase_frac) }
      phase c { steps = 2; lr = lr.before + top.before
        top = 7 }"""
    found = job("top = 3; lr = top*(1 + step)" + TOKENS + phases.replace("\n        top = 7", ""))
    assert np.allclose(values(found.phases[1], found), [12, 9.6, 7.2, 4.8, 2.4])
    assert np.allclose(values(found.phases[2], found), [2.4 + 3] * 2)


def test_equal_phases_share_a_step() -> None:
    text = "lr = .1/(step+1)" + TOKENS + "phase a { steps = 2 }\n phase b { steps = 3; B = 2 }\n phase c { steps = 4 }"
    found = job(text)
    assert found.step_names == ("step.a", "step.b", "step.a")
    assert [p.batches.first for p in found.phases] == [0, 8, 14]


def test_a_phase_reads_another_stream_from_its_start() -> None:
    phases = """phase a { steps = 2 }
      phase b { steps = 3; batch = shuffle(more) }
      phase c { steps = 4 }
      phase d { steps = 1; T = 16 }
      phase e { steps = 1; batch = sequence(words) }"""
    found = job("lr = .1" + TOKENS + phases)
    assert [p.batches.first for p in found.phases] == [0, 0, 8, 0, 0]
    assert found.training_sources == ("words", "more")


def test_a_phase_has_its_own_updates() -> None:
    phases = "phase a { steps = 2; freeze e; update w by sgd(lr) }\n phase b { steps = 3; update all by mom(lr) }"
    found = job("lr = .1" + TOKENS.replace("update all by sgd(lr)", "update all by sgd(.5*lr)") + phases)
    assert [s.name for s in found.state] == ["e", "w", "e/m", "w/m"]
    first, second = found.phases
    assert first.step.output("e").op == "input" and first.step.output("e/m").op == "input"
    assert second.step.output("e").op != "input" and second.step.output("e/m").op != "input"


def test_a_new_name_comes_in_front_of_what_uses_it() -> None:
    found = job("lr = .1" + TOKENS + "phase a { steps = 2; low = .01; lr = low }\n phase b { steps = 2 }")
    assert [values(p, found)[0] for p in found.phases] == [np.float32(0.01), np.float32(0.1)]


def test_evaluations_have_the_dims_at_the_top() -> None:
    after = "eval { on = more; every = 2; steps = 3; m = mean[B T](net(batch.tok)) }"
    (found,) = job("lr = .1" + TOKENS + "phase a { steps = 2; T = 16; B = 2 }", after).evaluations
    assert (found.batches.size, found.batches.stream.window, found.count) == (4, 8, 3)


def test_checkpoints_at_the_end_of_phases() -> None:
    text = "lr = .1" + TOKENS + "phase a { steps = 2 }\n phase b { steps = 3; lr = .2 }\n phase c { steps = 4 }"
    found, plain = job(text, "save { also = [c, a] }"), job(text)
    assert found.also == ("c", "a") and found.milestones == {2, 9} and plain.milestones == set()
    assert job_hash(found) == job_hash(plain)


@pytest.mark.parametrize(
    ("phases", "words"),
    [
        ("phase a { steps = 2 }\n phase b { steps = 1; until = 5 }", "says both `steps` and `until`"),
        ("phase a { steps = 2 }\n phase b { T = 16 }", "the phase `b` does not say how long it is"),
        ("spare = 1\n phase a { steps = 2 }", "`spare` is no setting of `train`"),
        ("phase a { steps = 2; spare = 1 }", "`spare` is no setting of `train`"),
        ("phase a { steps = 2 }\n phase b { steps = 2; T = 0 }", "at least 1 is needed"),
        ("phase a { steps = 1 }\n phase b { steps = 2147483647 }", r"fewer than 2\^31 steps"),
    ],
)
def test_refused(phases: str, words: str) -> None:
    with pytest.raises(DiagnosticsError, match=words):
        job("lr = .1" + TOKENS + phases)


def test_a_name_that_one_phase_uses_is_used() -> None:
    found = job("low = .01; lr = .1" + TOKENS + "phase a { steps = 2 }\n phase b { steps = 2; lr = low }")
    assert values(found.phases[1], found)[0] == np.float32(0.01)


# ---- documents, mixtures ----


def test_tokens_offer_documents_and_places() -> None:
    head = HEAD.replace("u16)\ndata more", "u16, end=3)\ndata more")
    text = "lr = .1" + TOKENS.replace("net(batch.tok)^2", "(net(batch.tok)*batch.doc + batch.pos)^2") + "steps = 2"
    found = job(text, head=head)
    assert found.sources[0].end == 3
    feeds = {feed.field: feed.type for feed in found.phases[0].batches.feeds}
    assert {name: (t.dtype, t.shape) for name, t in feeds.items()} == {
        "tok": ("u16", (4, 8)),
        "doc": ("i32", (4, 8)),
        "pos": ("i32", (4, 8)),
    }
    assert job_hash(found) != job_hash(job(text))
    plain = "lr = .1; steps = 2" + TOKENS
    assert job_hash(job(plain, head=head)) == job_hash(job(plain))


def parts(text: str, **head: Any) -> dict[str, int]:
    found = job(f"lr = .1; steps = 2\n {text}" + TOKENS.replace("shuffle(words)", "shuffle(m)"), **head)
    stream = found.phases[0].batches.stream
    return {part.source: part.count for part in stream.parts}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("m = mix(words=.5, more=.5)", {"words": 1, "more": 1}),
        ("m = mix(words=.17, more=.83)", {"words": 17, "more": 83}),
        ("m = mix(words=1/3, more=2/3)", {"words": 1, "more": 2}),
        ("m = mix(words=1 - .125, more=.5^3)", {"words": 7, "more": 1}),
        ("a = mix(words=.75, more=.25); m = mix(a=.8, more=.2)", {"words": 3, "more": 2}),
        ("a = mix(words=1); m = mix(a=.1, words=.2, more=.7)", {"words": 3, "more": 7}),
        ("m = mix(more=1)", {"more": 1}),
    ],
)
def test_weights_are_exact(text: str, wanted: dict[str, int]) -> None:
    assert parts(text) == wanted


def test_a_mixture_stands_where_a_data_set_does() -> None:
    text = "lr = .1; steps = 2" + TOKENS.replace("shuffle(words)", "sequence(mix(words=.5, more=.5))")
    stream = job(text).phases[0].batches.stream
    assert (stream.order, stream.block, stream.window, stream.sources) == ("sequence", 2, 8, ("words", "more"))


def test_a_mixture_of_one_is_the_data_set() -> None:
    mixed = job("lr = .1; steps = 2" + TOKENS.replace("shuffle(words)", "shuffle(mix(words=1))"))
    assert job_hash(mixed) == job_hash(job("lr = .1; steps = 2" + TOKENS))


def test_the_largest_job_is_one() -> None:
    """Llama 3 405B in ten phases: its mixtures come out exact, and its tokens are those of the text."""
    found = load(Source.read(Path(__file__).parent / "jobs" / "llama3_405b.job"))
    assert sum(s.type.size for s in found.state if s.kind == "parameter") == 405_853_388_800
    assert [p.name for p in found.phases][::9] == ["ramp1", "anneal"]
    assert found.also == ("ramp2", "bulk", "ctx6", "anneal")
    seen = sum(p.steps * p.batches.size * p.batches.stream.window for p in found.phases)
    assert 15.6e12 <= seen < 15.6e12 + 128 * 2**17
    counts = {part.source: part.count for part in found.phases[3].batches.stream.parts}
    assert counts == {"general": 50, "math": 25, "code": 17, "multi": 8, "long": 25}

"""Small jobs for the elaborator's tests: texts around a layer, what they begin with, and a step of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.job import Job
from jobspec.lang.check import load
from jobspec.lang.source import Source
from jobspec.passes.differentiate import differentiate

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
TWO = "layer net(x) { param w: X -> H ~ normal(.1), u: X -> H ~ uniform(.2), b: H = 3\n sum[H](x @ w + x @ u + b) }"


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

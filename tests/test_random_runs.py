"""Random models (tests/models) as whole runs, on data, natively and by the reference: the same receipts.

    streams      shuffled or in order, one data set or a mixture of two
    start        from a file of another seed's weights, under other names, some of them fresh
    stops        taken up again after any step, with another number of threads

Steps, phases, averages, evaluations and bests come from the text.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobspec import api
from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.codec.job import decode_job, encode_job, job_hash
from jobspec.ir.errors import JobspecError
from jobspec.lang.check import load
from jobspec.lang.source import Source
from jobspec.runtime.engine import lowered
from jobspec.runtime.safetensors import to_chunks
from jobspec.store.files import write_file
from jobspec.store.home import Home
from jobspec.store.shards import write_table
from tests.models.texts import FIELDS, OF_DATA, ROOT, models

CALM = {"deadline": None, "suppress_health_check": list(HealthCheck)}
STREAMS = ("sequence(d)", "shuffle(d)", "shuffle(mix(d=.75, e=.25))", "sequence(mix(d=1/3, e=2/3))")


@dataclass(frozen=True)
class Way:
    """How a text is run. `start`: whether it begins with weights of another seed; `stop`: after so many steps."""

    stream: str
    start: bool
    stop: int
    threads: int


ways = st.builds(Way, st.sampled_from(STREAMS), st.booleans(), st.integers(1, 3), st.sampled_from([1, 2]))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("random_runs"))


def stored(home: Home, text: str, rows: int, seed: int) -> str:
    """The root of a table of random records that suits the text."""
    random, sizes = np.random.default_rng(seed), dict(load(Source("random.job", text)).sizes)
    columns = {name: column(random, kind, (rows, *(sizes[a] for a in axes.split())))
               for name, (kind, axes) in FIELDS.items()}  # fmt: skip
    return str(write_table(home.data(), columns).root)


def column(random: np.random.Generator, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    if kind == "f32":
        return random.standard_normal(shape).astype("<f4")
    return random.integers(0, 2, shape).astype(np.uint8)


def with_start(home: Home, text: str) -> str:
    """The text beginning with what another seed would give; the map that every text has stays fresh."""
    job = load(Source("random.job", text.replace("seed = ", "seed = 1")))
    held, kept = evaluate(lowered(job).init, {}), ("parameter", "layer")
    weights = {f"old.{s.name}": held[s.name] for s in job.state if s.kind in kept and s.name != "w0"}
    path = home.folder / "old.safetensors"
    write_file(home.files, path, to_chunks(weights, {}))
    name = home.data().put_file(path)
    renamed = f'load({name}, "old.*" -> "*", fresh="w0")' if weights else ""
    return text.replace("train {\n", f"train {{\n  start = {renamed}\n") if weights else text


def prepared(home: Home, text: str, way: Way) -> str:
    """The text with data, a stream and a start of its own."""
    first, second = (stored(home, text, rows, rows) for rows in (7, 5))
    text = text.replace("batch = sequence(d)", f"batch = {way.stream}")
    text = text.replace("\noptim plain", f"\ndata e = table({second}, {OF_DATA})\noptim plain", 1)
    return (with_start(home, text) if way.start else text).replace(ROOT, first)


def check_runs(home: Home, text: str, way: Way) -> None:
    spec = api.load(prepared(home, text, way), home=home.folder)
    assert job_hash(decode_job(encode_job(spec.job))) == job_hash(spec.job)
    receipts = []
    for on, stop in (("reference", None), ("llvm", min(way.stop, spec.job.steps)), ("llvm", None)):
        if stop is not None:
            part = api.run(spec, on, home=home.folder, again=True, until=stop, threads=3 - way.threads)
            assert part.steps == stop
        done = api.run(spec, on, home=home.folder, again=stop is None, threads=way.threads)
        receipts.append((done.state, evidence(done)))
    assert receipts[1:] == receipts[:-1]


def evidence(run: api.Run) -> dict[str, bytes]:
    """All that was measured on the way."""
    assert run.receipt is not None and Path(run.receipt).is_file()
    return {name: values.tobytes() for name, values in run.metrics.items()}


def calm(home: Home, text: str, way: Way) -> None:
    """A run that becomes infinite does so on both: then there is no more to compare."""
    try:
        check_runs(home, text, way)
    except JobspecError as error:
        if error.code != "E0502":
            raise


@settings(max_examples=4, **CALM)
@given(models(steps=8), ways)
def test_runs_are_the_reference_s(home: Home, text: str, way: Way) -> None:
    calm(home, text, way)


@pytest.mark.slow
@settings(max_examples=300, **CALM)
@given(models(steps=14), ways)
def test_many_runs(home: Home, text: str, way: Way) -> None:
    calm(home, text, way)

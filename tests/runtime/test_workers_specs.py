"""The reference specs, made small, on one to four workers: the receipt of one process."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache

import pytest

from jobspec import api
from jobspec.loading import Spec, read_spec
from jobspec.runtime.workers.cutting import Cutting
from jobspec.runtime.workers.hands import Patience
from jobspec.runtime.workers.scheduler import Scheduler
from jobspec.runtime.workers.session import WorkersSession
from jobspec.runtime.workers.worker import Setup, Worker
from jobspec.store.home import Home
from tests.runtime.crews import StandIns
from tests.runtime.test_workers import faultless
from tests.spec_jobs import SMALL, SPECS, made_up, roots

SETS = {"train.steps": "4", "eval.every": "2"}
#: what `shards` is: batch norm needs its statistics by piece
PIECES = {"mnist_cnn": "per_piece(4)", "char_gpt": "4"}
WORKERS = [*(pytest.param(count, marks=pytest.mark.slow) for count in (1, 2, 4)), 3]
PATIENCE = Patience(least=1000, first=1000, empty=1000)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return made_up(tmp_path_factory.mktemp("home"))


@cache
def spec(name: str, home: Home, batch: str, shards: str) -> Spec:
    values = {**SMALL[name], **SETS, **roots(name, home), "B": batch, "train.shards": shards}
    return read_spec(SPECS / f"{name}.job", values, home)


@cache
def alone(name: str, home: Home, batch: str, shards: str) -> bytes:
    return receipt(api.compile(spec(name, home, batch, shards), home=home.folder), home)


def receipt(program: api.Program, home: Home) -> bytes:
    run = api.run(program, again=True, home=home.folder)
    assert run.receipt is not None
    return run.receipt.read_bytes()


def on_workers(one: Spec, home: Home, workers: int, shared: bool) -> bytes:
    """On a crew in this process."""
    program = api.compile(one, home=home.folder)
    compiled, setup = program.compiled, Setup("llvm", 1, one.job.profile, home.cache)
    crew = StandIns(faultless(workers), setup=setup)
    scheduler = Scheduler(crew, Worker(setup, crew.fetch).said, 0.1, PATIENCE, chance=random.Random(1))
    session = WorkersSession(one.job, compiled.plan, scheduler, Cutting(one.job, workers, shared).routine)
    backend = replace(compiled.backend, open=lambda *_: session, on_host=False)
    return receipt(replace(program, compiled=replace(compiled, backend=backend)), home)


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("shards", ["5", "8"])
def test_pieces(home: Home, shards: str, workers: int) -> None:
    one = spec("digits", home, "40", shards)
    assert on_workers(one, home, workers, shared=workers > 2) == alone("digits", home, "40", shards)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@pytest.mark.parametrize("name", PIECES)
def test_specs(home: Home, name: str, workers: int) -> None:
    one = spec(name, home, "8", PIECES[name])
    assert on_workers(one, home, workers, shared=workers > 2) == alone(name, home, "8", PIECES[name])

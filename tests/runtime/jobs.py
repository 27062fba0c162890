"""Tiny jobs built by hand, and stores that hold their data."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np

from jobspec.backends.registry import backend
from jobspec.ir.build import full
from jobspec.ir.digest import Digest
from jobspec.ir.job import Batches, Evaluation, Feed, Job, Part, Phase, Slot, Source, Stream
from jobspec.ir.program import Node, Program, make
from jobspec.ir.types import Type
from jobspec.passes.pipeline import compile_job
from jobspec.runtime.engine import Compiled
from jobspec.runtime.outcome import Result
from jobspec.runtime.reporter import Reporter
from jobspec.runtime.run import Order, run
from jobspec.runtime.sampling import Positions, examples_of
from jobspec.store.datasets import DataSet, open_set
from jobspec.store.files import FileLayer
from jobspec.store.home import Home
from jobspec.store.shards import write_table, write_tokens

F32 = Type("f32")
KEY = bytes(range(32))
SIZE, WIDTH, ROWS = 4, 3, 10


def node(name: str, dtype: str, *shape: int) -> Node:
    return make("input", name=name, dtype=dtype, shape=shape)


def constant(*values: float) -> Node:
    bits = tuple(struct.unpack("<I", struct.pack("<f", v))[0] for v in values)
    return make("const", dtype="f32", shape=(len(values),), bits=bits)


def scaled(x: Node, by: Node) -> Node:
    """x times a scalar."""
    return make("mul", x, make("broadcast", by, shape=x.shape, axes=()))


def regression_step(rate: float = 0.05, size: int = SIZE) -> Program:
    """Least squares with momentum; the rate falls with the step, so that order and number of steps matter."""
    x, y = node("batch.x", "f32", size, WIDTH), node("batch.y", "f32", size)
    w, b, m, step = node("w", "f32", WIDTH), node("b", "f32"), node("w/m", "f32", WIDTH), node("step", "i32")
    dot = make("contract", x, w, a_over=(1,), b_over=(0,), a_batch=(), b_batch=())
    error = make("sub", make("add", dot, make("broadcast", b, shape=(size,), axes=())), y)
    loss = make("sum", make("mul", error, error), axes=(0,))
    gradient = make("contract", error, x, a_over=(0,), b_over=(0,), a_batch=(), b_batch=())
    one = full(F32, 1.0)
    falling = make("div", full(F32, rate), make("add", one, make("cast", step, dtype="f32")))
    momentum = make("add", scaled(m, full(F32, 0.5)), gradient)
    w_after = make("sub", w, scaled(momentum, falling))
    b_after = make("sub", b, make("mul", falling, make("sum", error, axes=(0,))))
    outputs = (("w", w_after), ("b", b_after), ("w/m", momentum), ("report.loss", loss), ("report.lr", falling))
    return Program((w, b, m, x, y, step), outputs)


def evaluation(every: int = 4, count: int = 2, best: tuple[str, str] | None = None) -> Evaluation:
    """Mean absolute error over the first `count` batches."""
    x, y = node("test.x", "f32", SIZE, WIDTH), node("test.y", "f32", SIZE)
    w, b = node("w", "f32", WIDTH), node("b", "f32")
    dot = make("contract", x, w, a_over=(1,), b_over=(0,), a_batch=(), b_batch=())
    error = make("sub", make("add", dot, make("broadcast", b, shape=(SIZE,), axes=())), y)
    total = make("sum", make("abs", error), axes=(0,))
    program = Program((w, b, x, y), (("metric.error", make("div", total, full(F32, SIZE))),))
    feeds = (Feed("test.x", "x", Type("f32", (SIZE, WIDTH))), Feed("test.y", "y", Type("f32", (SIZE,))))
    batches = Batches(Stream((Part("train"),), "sequence", 0, bytes(32)), SIZE, feeds)
    return Evaluation("held", every, batches, count, program, best)


def regression(root: str, steps: int = 12, rate: float = 0.05) -> Job:
    """w: 3 weights, b: a bias, w/m: momentum, on a table with x=f32[3], y=f32."""
    zeros = full(Type("f32", (WIDTH,)), 0)
    start = Program((), (("w", constant(0.5, -0.25, 1.0)), ("b", full(F32, 0)), ("w/m", zeros)))
    return Job(
        name="line",
        title="least squares",
        profile="jobspec.f32.v1",
        seed=7,
        sources=(Source("train", root, "table", (("x", Type("f32", (WIDTH,))), ("y", F32))),),
        state=(
            Slot("w", "parameter", Type("f32", (WIDTH,)), ("X",)),
            Slot("b", "parameter", F32, ()),
            Slot("w/m", "optimizer", Type("f32", (WIDTH,)), ("X",)),
        ),
        init=start,
        phases=(Phase("", steps, regression_step(rate), regression_batches(SIZE)),),
        evaluations=(evaluation(),),
        roots_every=5,
        save_every=3,
        keep=2,
        sizes=(("B", SIZE), ("X", WIDTH)),
    )


def regression_batches(size: int, first: int = 0) -> Batches:
    feeds = (Feed("batch.x", "x", Type("f32", (size, WIDTH))), Feed("batch.y", "y", Type("f32", (size,))))
    return Batches(Stream((Part("train"),), "shuffle", 0, KEY), size, feeds, first)


def phased(root: str) -> Job:
    """The regression in three phases: batches of 4 for 7 steps, of 3 for 4 steps, of 4 again for 5 steps."""
    sizes, lengths = (SIZE, 3, SIZE), (7, 4, 5)
    firsts = (0, 28, 40)
    phases = [
        Phase(name, steps, regression_step(size=size), regression_batches(size, first))
        for name, steps, size, first in zip(("warm", "main", "cool"), lengths, sizes, firsts, strict=True)
    ]
    return replace(regression(root), phases=tuple(phases))


def regression_data(home: Home, rows: int = ROWS) -> Digest:
    """A table on which least squares has an answer."""
    random = np.random.default_rng(3)
    x = random.normal(size=(rows, WIDTH)).astype("<f4")
    y = (x @ np.array([1, -2, 0.5], "<f4") + np.float32(0.25)).astype("<f4")
    return write_table(home.data(), {"x": x, "y": y}, shard=64).root


def counting(root: str, steps: int = 6, size: int = 7) -> Job:
    """Adds to one counter per token: indices out of the data. `size`: counters."""
    tok, following = node("t.tok", "u16", 2, 3), node("t.next", "u16", 2, 3)
    counts = node("counts", "f32", size)
    index = make("cast", make("reshape", tok, shape=(6,)), dtype="i32")
    ones = full(Type("f32", (6,)), 1)
    added = make("scatter_add", ones, index, batch=0, size=size)
    seen = make("cast", make("cast", make("reshape", following, shape=(6,)), dtype="i32"), dtype="f32")
    outputs = (("counts", make("add", counts, added)), ("report.loss", make("sum", seen, axes=(0,))))
    step = Program((counts, tok, following), outputs)
    feeds = (Feed("t.tok", "tok", Type("u16", (2, 3))), Feed("t.next", "next", Type("u16", (2, 3))))
    return Job(
        name="counting",
        title="",
        profile="jobspec.f32.v1",
        seed=0,
        sources=(Source("text", root, "tokens", (("tok", Type("u16")),)),),
        state=(Slot("counts", "parameter", Type("f32", (size,)), ("V",)),),
        init=Program((), (("counts", full(Type("f32", (size,)), 0)),)),
        phases=(Phase("", steps, step, Batches(Stream((Part("text"),), "shuffle", 3, KEY), 2, feeds)),),
        evaluations=(),
        roots_every=2,
        save_every=0,
        keep=0,
    )


def token_data(home: Home, tokens: int = 20) -> Digest:
    return write_tokens(home.data(), np.arange(tokens, dtype="<u2") % 7).root


def examples_at(stream: Stream, examples: int, first: int, count: int) -> Positions:
    """Example numbers at the positions first … first+count-1."""
    return examples_of(stream, examples, np.arange(first, first + count, dtype=np.int64))


def home_at(folder: Path, files: FileLayer | None = None) -> Home:
    return Home(folder, files or FileLayer())


def compiled(job: Job, name: str = "reference") -> Compiled:
    chosen = backend(name)
    return Compiled(job, compile_job(job, chosen.target), chosen)


def sets_of(job: Job, home: Home) -> dict[str, DataSet]:
    return {source.name: open_set(home.data(), Digest.parse(source.root)) for source in job.sources}


def train(
    job: Job,
    home: Home,
    until: int | None = None,
    again: bool = False,
    threads: int = 1,
    reporter: Reporter | None = None,
) -> Result:
    return run(compiled(job), lambda: sets_of(job, home), home, Order(threads, until, again), reporter)

"""A job's parts against one another.

Takes: a job, from the language or from foreign bytes. Promises: `check_job` returns only where every name
has its one meaning, every program reads and writes what the runtime gives and takes, and every feed can be
filled from its source; otherwise RecordError or IllFormed with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import gcd

from jobspec.ir.check import check
from jobspec.ir.codec.values import distinct, require
from jobspec.ir.job import Batches, Evaluation, Feed, Job, Phase, Source, Stream, routine_name
from jobspec.ir.program import Program
from jobspec.ir.types import Type

SLOT_KINDS = ("parameter", "optimizer", "layer")
SOURCE_KINDS = ("table", "tokens")
ORDERS = ("shuffle", "sequence")
SCALAR = Type("f32")
STEP = Type("i32")
#: examples of a mixture's block, so that the order within one is computed at once
MOST_BLOCK = 1 << 20
#: data sets that a receipt has room for
MOST_SOURCES = 16


def check_job(job: Job) -> None:
    """Raise RecordError or IllFormed where a part does not fit."""
    distinct((slot.name for slot in job.state), "the slot")
    distinct((source.name for source in job.sources), "the source")
    distinct(["init", "step", *(e.name for e in job.evaluations)], "the evaluation")
    distinct((phase.name for phase in job.phases), "the phase")
    distinct(job.also, "the phase to keep")
    require({*job.also} <= {phase.name for phase in job.phases}, "it keeps the end of a phase that it has not")
    for name in names_of(job):
        require(name.isprintable(), f"a name holds what cannot be printed: {name[:40]!r}")
    require(len(job.training_sources) <= MOST_SOURCES, f"it trains on more than {MOST_SOURCES} data sets")
    require(0 < job.steps < 1 << 31, "the phases are no number of steps that fits an i32")
    _check_state(job)
    for source in job.sources:
        _check_source(source)
    _check_init(job)
    _check_start(job)
    for phase in job.phases:
        _check_phase(job, phase)
    for evaluation in job.evaluations:
        _check_evaluation(job, evaluation)


def names_of(job: Job) -> Iterator[str]:
    """All that is printed as it stands."""
    yield job.name
    yield from (slot.name for slot in job.state)
    yield from (axis for slot in job.state for axis in slot.axes)
    yield from (name for source in job.sources for name in (source.name, *(field for field, _ in source.fields)))
    yield from (name for phase in job.phases for name in (phase.name, *(name for name, _ in phase.step.outputs)))
    yield from (name for each in job.evaluations for name in (each.name, *(name for name, _ in each.program.outputs)))


def _check_state(job: Job) -> None:
    for slot in job.state:
        require(slot.kind in SLOT_KINDS, f"slot `{slot.name}` has the unknown kind `{slot.kind}`")
        require(len(slot.axes) == slot.type.rank, f"slot `{slot.name}` has not one axis name per axis")


def _check_source(source: Source) -> None:
    require(source.kind in SOURCE_KINDS, f"source `{source.name}` has the unknown kind `{source.kind}`")
    distinct((name for name, _ in source.fields), f"source `{source.name}`: the field")
    if source.kind == "tokens":
        alone = [(name, type.shape) for name, type in source.fields] == [("tok", ())]
        require(alone, f"token source `{source.name}` has not the one scalar field `tok`")
    require(source.end is None or source.kind == "tokens", f"source `{source.name}` is a table and has no documents")


def _check_start(job: Job) -> None:
    if job.start is not None:
        floats = {slot.name for slot in job.state if slot.type.dtype == "f32"}
        distinct((slot for slot, _ in job.start.tensors), "the started slot")
        require({slot for slot, _ in job.start.tensors} <= floats, "`start` sets what is no float32 slot")


def _check_init(job: Job) -> None:
    check(job.init, stage="surface")
    require(not job.init.inputs, "`init` has inputs")
    _check_outputs("init", job.init, {slot.name: slot.type for slot in job.state}, exact=True)


def _check_phase(job: Job, phase: Phase) -> None:
    what, step = routine_name(phase), phase.step
    check(step, stage="surface")
    _check_batches(job, phase.batches)
    _check_inputs(what, step, job, phase.batches)
    _check_outputs(what, step, {slot.name: slot.type for slot in job.state}, prefix="report.")
    require("report.loss" in dict(step.outputs), f"`{what}` has no `report.loss`")


def _check_evaluation(job: Job, evaluation: Evaluation) -> None:
    check(evaluation.program, stage="surface")
    _check_batches(job, evaluation.batches)
    _check_inputs(evaluation.name, evaluation.program, job, evaluation.batches)
    _check_outputs(evaluation.name, evaluation.program, {}, prefix="metric.")
    if evaluation.best is not None:
        how, metric = evaluation.best
        known = f"metric.{metric}" in dict(evaluation.program.outputs)
        require(how in ("min", "max") and known, f"evaluation `{evaluation.name}`: `best` names no metric")


def _check_batches(job: Job, batches: Batches) -> None:
    stream = batches.stream
    _check_parts(stream)
    require(stream.order in ORDERS, f"the stream has the unknown order `{stream.order}`")
    require(len(stream.key) == 32, "the stream's key is not 32 bytes")
    distinct((feed.name for feed in batches.feeds), "the feed")
    for name in stream.sources:
        source = next((s for s in job.sources if s.name == name), None)
        require(source is not None, f"the stream's source `{name}` is not one of the job's")
        assert source is not None
        require((stream.window > 0) == (source.kind == "tokens"), "a window belongs to a token stream, and only there")
        for feed in batches.feeds:
            _check_feed(feed, batches, source)


def _check_parts(stream: Stream) -> None:
    distinct(stream.sources, "the part of a stream")
    require(bool(stream.parts), "the stream has no part")
    require(len(stream.parts) > 1 or stream.block == 1, "a stream of one part has blocks of one")
    require(gcd(*(part.count for part in stream.parts)) == 1, "the counts of a stream's parts have a common divisor")
    require(stream.block <= MOST_BLOCK, f"the stream has blocks of more than {MOST_BLOCK}")


def _check_feed(feed: Feed, batches: Batches, source: Source) -> None:
    fields = dict(source.fields)
    window: tuple[int, ...] = ()
    if source.kind == "tokens":
        fields = {"tok": fields["tok"], "next": fields["tok"], "doc": Type("i32"), "pos": Type("i32")}
        window = (batches.stream.window,)
    record = fields.get(feed.field)
    require(record is not None, f"feed `{feed.name}`: the source has no field `{feed.field}`")
    assert record is not None
    wanted = Type(record.dtype, (batches.size, *window, *record.shape))
    require(feed.type == wanted, f"feed `{feed.name}` is {feed.type} where its source gives {wanted}")


def _check_inputs(what: str, program: Program, job: Job, batches: Batches) -> None:
    given: dict[str, Type] = {slot.name: slot.type for slot in job.state}
    named = [*given, *(feed.name for feed in batches.feeds), "step"]
    distinct(named, "the input")
    given |= {feed.name: feed.type for feed in batches.feeds} | {"step": STEP}
    distinct((node["name"] for node in program.inputs), f"`{what}`: the input")
    for node in program.inputs:
        fits = given.get(node["name"]) == node.type
        require(fits, f"`{what}` reads `{node['name']}` as {node.type}, which nothing gives")


def _check_outputs(
    what: str, program: Program, slots: Mapping[str, Type], prefix: str = "", exact: bool = False
) -> None:
    """The slots in order, then scalars called `prefix…`."""
    names = [name for name, _ in program.outputs]
    distinct(names, f"`{what}`: the output")
    require(names[: len(slots)] == list(slots), f"`{what}` does not give every slot, in state order")
    for name, type in slots.items():
        fits = program.output(name).type == type
        require(fits, f"`{what}` gives `{name}` as another type than the slot's {type}")
    rest = names[len(slots) :]
    require(not (exact and rest), f"`{what}` gives more than the slots")
    _check_scalars(what, program, rest, prefix)


def _check_scalars(what: str, program: Program, names: Iterable[str], prefix: str) -> None:
    for name in names:
        require(name.startswith(prefix), f"`{what}` gives `{name}`, which is not called `{prefix}…`")
        require(program.output(name).type == SCALAR, f"`{what}` gives `{name}`, which is no f32 scalar")

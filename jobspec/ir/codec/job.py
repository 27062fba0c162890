"""Jobs as canonical bytes, and the job hash.

Takes: a checked job, or bytes that may come from anywhere. Promises: `decode_job(encode_job(job)) == job`
but for places in the text; bytes are accepted in their one form only, every part checked; the job hash is
over what decides the state after the last step and the chain that leads there, and over nothing else.

    in the hash   profile, seed, roots_every, state (names, kinds, types, axes), init, start, and of each phase its
                  number of steps, step, data's root, stream, batches and the fields they take
    left out      the job's name and title, evaluations, checkpoints, sizes, and the names that a job gives
                  to its phases, data and batches
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jobspec.ir.canonical import CanonicalError, Limits, Value, decode, encode
from jobspec.ir.check import IllFormed
from jobspec.ir.codec.job_check import check_job
from jobspec.ir.codec.parts import Parts, part_digests, root_of
from jobspec.ir.codec.values import as_text, keys, read_each, read_type, require, root_value, type_value
from jobspec.ir.digest import Digest
from jobspec.ir.job import Batches, Evaluation, Feed, Job, Part, Phase, Slot, Source, Start, Stream
from jobspec.ir.ops import IllTyped
from jobspec.ir.program import Node, Program, make, replace
from jobspec.ir.record import Record, RecordError, as_array, as_digest, as_integer
from jobspec.ir.text import TextError, parse_program, print_program
from jobspec.ir.types import Type

FORMAT = 2
LIMITS = Limits(size=64 << 20, depth=8, items=1 << 20)

JOB_KEYS = keys(
    "format name title profile seed sources state init steps phases evaluations "
    "roots_every save_every keep also start sizes"
)
SLOT_KEYS = keys("name kind type axes")
SOURCE_KEYS = keys("name root kind fields end")
STREAM_KEYS = keys("parts order window key")
FEED_KEYS = keys("name field type")
BATCHES_KEYS = keys("stream size feeds first")
PHASE_KEYS = keys("name steps step batches")
EVALUATION_KEYS = keys("name every batches count program best")

MOST = (1 << 63) - 1
#: steps of a run, as a step number is an i32
MOST_STEPS = (1 << 31) - 1


class JobFormatError(ValueError):
    """Bytes that are not a job in its canonical form."""


def job_hash(job: Job) -> Digest:
    """What the job computes: equal for texts that mean the same training, different wherever one decides otherwise."""
    return root_of("job", job_parts(job))


def job_parts(job: Job) -> Parts:
    """The named parts of the job hash, with their digests."""
    return part_digests("job", deciding_values(job))


def differing_parts(first: Job, second: Job) -> list[str]:
    """Names of the job hash's parts that differ; none where the hashes are equal."""
    mine, other = dict(job_parts(first)), dict(job_parts(second))
    return [name for name in {**mine, **other} if mine.get(name) != other.get(name)]


def deciding_values(job: Job) -> list[tuple[str, Value]]:
    """What the job hash is over, in order. From `steps` on, a list has an entry per phase."""
    return [
        ("profile", job.profile),
        ("seed", job.seed),
        ("roots", job.roots_every),
        ("state", [slot_value(slot) for slot in job.state]),
        ("init", print_program(job.init)),
        *([("start", start_value(job.start))] if job.start else []),
        ("steps", [phase.steps for phase in job.phases]),
        ("step", _deciding_steps(job)),
        ("data", [_deciding_data(job, phase.batches) for phase in job.phases]),
        ("stream", [_deciding_stream(phase.batches) for phase in job.phases]),
        ("batches", [_deciding_batches(phase.batches) for phase in job.phases]),
    ]


def _deciding_steps(job: Job) -> Value:
    """Each different step once, and for each phase which one it runs."""
    texts = [_deciding_step(phase) for phase in job.phases]
    known = list(dict.fromkeys(texts))
    return [[*known], [known.index(text) for text in texts]]


def _deciding_step(phase: Phase) -> str:
    names = {feed.name: f"feed {number}" for number, feed in enumerate(phase.batches.feeds)}
    return print_program(with_names(phase.step, names))


def _deciding_data(job: Job, batches: Batches) -> Value:
    """Of each part its root, kind, share, and its end of documents where the step asks for documents."""
    documents = any(feed.field in ("doc", "pos") for feed in batches.feeds)
    parts = [(job.source(part.source), part.count) for part in batches.stream.parts]
    return [[root_value(s.root), s.kind, count, s.end if documents else None] for s, count in parts]


def _deciding_stream(batches: Batches) -> Value:
    stream = batches.stream
    return [stream.order, stream.window, stream.key, batches.first]


def _deciding_batches(batches: Batches) -> Value:
    return [batches.size, [[feed.field, type_value(feed.type)] for feed in batches.feeds]]


def with_names(program: Program, names: Mapping[str, str]) -> Program:
    """The same program with some inputs called otherwise."""
    inputs = tuple(_called(node, names) for node in program.inputs)
    results = replace(program.results, dict(zip(program.inputs, inputs, strict=True)))
    outputs = tuple(zip((name for name, _ in program.outputs), results, strict=True))
    return Program(inputs, outputs)


def _called(node: Node, names: Mapping[str, str]) -> Node:
    name = names.get(node["name"], node["name"])
    return make("input", name=name, dtype=node.dtype, shape=node.shape)


def encode_job(job: Job) -> bytes:
    """The job's canonical bytes, evaluations and all; places in the text are left out."""
    return encode(job_value(job))


def job_value(job: Job) -> Value:
    return {
        "format": FORMAT,
        "name": job.name,
        "title": job.title,
        "profile": job.profile,
        "seed": job.seed,
        "sources": [source_value(source) for source in job.sources],
        "state": [slot_value(slot) for slot in job.state],
        "init": print_program(job.init),
        "steps": [print_program(step) for step in different_steps(job)],
        "phases": [phase_value(phase, different_steps(job)) for phase in job.phases],
        "evaluations": [evaluation_value(evaluation) for evaluation in job.evaluations],
        "roots_every": job.roots_every,
        "save_every": job.save_every,
        "keep": job.keep,
        "also": list(job.also),
        "start": start_value(job.start),
        "sizes": [[name, size] for name, size in job.sizes],
    }


def start_value(start: Start | None) -> Value:
    return None if start is None else [root_value(start.root), [[slot, source] for slot, source in start.tensors]]


def slot_value(slot: Slot) -> Value:
    return {"name": slot.name, "kind": slot.kind, "type": type_value(slot.type), "axes": list(slot.axes)}


def source_value(source: Source) -> Value:
    fields: list[Value] = [[name, type_value(type)] for name, type in source.fields]
    return {
        "name": source.name,
        "root": root_value(source.root),
        "kind": source.kind,
        "fields": fields,
        "end": source.end,
    }


def stream_value(stream: Stream) -> Value:
    parts: list[Value] = [[part.source, part.count] for part in stream.parts]
    return {"parts": parts, "order": stream.order, "window": stream.window, "key": stream.key}


def different_steps(job: Job) -> list[Program]:
    """Each step program once, in the order of the phases."""
    return list(dict.fromkeys(phase.step for phase in job.phases))


def phase_value(phase: Phase, steps: Sequence[Program]) -> Value:
    """`step`: the number of its program."""
    return {
        "name": phase.name,
        "steps": phase.steps,
        "step": steps.index(phase.step),
        "batches": batches_value(phase.batches),
    }


def batches_value(batches: Batches) -> Value:
    feeds: list[Value] = [{"name": f.name, "field": f.field, "type": type_value(f.type)} for f in batches.feeds]
    return {
        "stream": stream_value(batches.stream),
        "size": batches.size,
        "feeds": feeds,
        "first": batches.first,
    }


def evaluation_value(evaluation: Evaluation) -> Value:
    return {
        "name": evaluation.name,
        "every": evaluation.every,
        "batches": batches_value(evaluation.batches),
        "count": evaluation.count,
        "program": print_program(evaluation.program),
        "best": None if evaluation.best is None else list(evaluation.best),
    }


def decode_job(data: bytes) -> Job:
    """The job whose canonical bytes are `data`. Raises JobFormatError with the reason."""
    try:
        job = read_job(decode(data, LIMITS))
        require(encode_job(job) == data, "its programs are not in their canonical text")
        return job
    except (CanonicalError, RecordError, TextError, IllTyped, IllFormed, ValueError) as error:
        raise JobFormatError(f"not a job: {error}") from error


def read_job(value: Value) -> Job:
    """The job a decoded value describes, checked in all its parts."""
    record = Record(value, "the job", JOB_KEYS)
    record.integer("format", FORMAT, FORMAT)
    steps = read_each(record.get("steps"), "step", _read_program)
    job = Job(
        name=record.text("name"),
        title=record.text("title"),
        profile=record.text("profile"),
        seed=record.integer("seed", 0, (1 << 64) - 1),
        sources=read_each(record.get("sources"), "source", _read_source),
        state=read_each(record.get("state"), "slot", _read_slot),
        init=parse_program(record.text("init")),
        phases=read_each(record.get("phases"), "phase", lambda value, what: _read_phase(value, what, steps)),
        evaluations=read_each(record.get("evaluations"), "evaluation", _read_evaluation),
        roots_every=record.integer("roots_every", 1, MOST),
        save_every=record.integer("save_every", 0, MOST),
        keep=record.integer("keep", 0, MOST),
        also=read_each(record.get("also"), "also", as_text),
        start=None if record.get("start") is None else _read_start(record.get("start")),
        sizes=read_each(record.get("sizes"), "size", _read_size),
    )
    check_job(job)
    return job


def _read_program(value: Value, what: str) -> Program:
    return parse_program(as_text(value, what))


def _read_phase(value: Value, what: str, steps: Sequence[Program]) -> Phase:
    record = Record(value, what, PHASE_KEYS)
    step = steps[record.integer("step", 0, len(steps) - 1)]
    batches = _read_batches(record.get("batches"), f"{what}: batches")
    return Phase(record.text("name"), record.integer("steps", 1, MOST_STEPS), step, batches)


def _read_start(value: Value) -> Start:
    root, tensors = as_array(value, "the start", 2)
    return Start(str(as_digest(root, "the start's root")), read_each(tensors, "started slot", _read_started))


def _read_started(value: Value, what: str) -> tuple[str, str]:
    slot, source = as_array(value, what, 2)
    return as_text(slot, what), as_text(source, what)


def _read_source(value: Value, what: str) -> Source:
    record = Record(value, what, SOURCE_KEYS)
    fields = read_each(record.get("fields"), f"{what}: field", _read_field)
    end = None if record.get("end") is None else record.integer("end", 0, (1 << 32) - 1)
    return Source(record.text("name"), str(record.digest("root")), record.text("kind"), fields, end)


def _read_field(value: Value, what: str) -> tuple[str, Type]:
    name, type = as_array(value, what, 2)
    return as_text(name, f"the name of {what}"), read_type(type, what)


def _read_slot(value: Value, what: str) -> Slot:
    record = Record(value, what, SLOT_KEYS)
    axes = read_each(record.get("axes"), f"{what}: axis", as_text)
    return Slot(record.text("name"), record.text("kind"), read_type(record.get("type"), what), axes)


def _read_stream(value: Value, what: str) -> Stream:
    record = Record(value, f"{what}: stream", STREAM_KEYS)
    key = as_digest(record.get("key"), f"{what}: key").raw
    parts = read_each(record.get("parts"), f"{what}: part", _read_part)
    return Stream(parts, record.text("order"), record.integer("window"), key)


def _read_part(value: Value, what: str) -> Part:
    name, count = as_array(value, what, 2)
    return Part(as_text(name, what), as_integer(count, what, 1, MOST))


def _read_batches(value: Value, what: str) -> Batches:
    record = Record(value, what, BATCHES_KEYS)
    feeds = read_each(record.get("feeds"), f"{what}: feed", _read_feed)
    stream, size = _read_stream(record.get("stream"), what), record.integer("size", 1, 1 << 40)
    return Batches(stream, size, feeds, record.integer("first", 0, MOST))


def _read_feed(value: Value, what: str) -> Feed:
    record = Record(value, what, FEED_KEYS)
    return Feed(record.text("name"), record.text("field"), read_type(record.get("type"), what))


def _read_evaluation(value: Value, what: str) -> Evaluation:
    record = Record(value, what, EVALUATION_KEYS)
    return Evaluation(
        name=record.text("name"),
        every=record.integer("every", 0, MOST),
        batches=_read_batches(record.get("batches"), f"{what}: batches"),
        count=record.integer("count", 1, MOST),
        program=parse_program(record.text("program")),
        best=_read_best(record.get("best"), what),
    )


def _read_best(value: Value, what: str) -> tuple[str, str] | None:
    if value is None:
        return None
    how, metric = as_array(value, f"{what}: best", 2)
    return as_text(how, f"{what}: best"), as_text(metric, f"{what}: best")


def _read_size(value: Value, what: str) -> tuple[str, int]:
    name, size = as_array(value, what, 2)
    require(isinstance(size, int) and not isinstance(size, bool), f"{what} is no integer")
    assert isinstance(size, int)
    return as_text(name, what), size

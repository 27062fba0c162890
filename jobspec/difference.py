"""In what two jobs differ, in the words of their texts.

Takes: two jobs, each with its text where there is one. Promises: every named part of the job hash that differs is
explained by at least one difference of that part; what decides nothing (name, evaluations, checkpoints) is marked so.
Values are shown as the text writes them; places are lines of the texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from jobspec.ir.codec.job import job_hash
from jobspec.ir.digest import Digest
from jobspec.ir.divergence import Side, divergence
from jobspec.ir.job import Evaluation, Job, Phase, Slot, routine_name
from jobspec.ir.program import Node
from jobspec.lang.changes import changes
from jobspec.lang.parse import parse
from jobspec.lang.source import Source, Span

#: what is said of values that have no short form
OTHERWISE = "computed otherwise"


@dataclass(frozen=True)
class Known:
    """A job and what it was called on the command line. `text`: None where only the job is known."""

    name: str
    job: Job
    text: Source | None = None

    @property
    def hash(self) -> Digest:
        return job_hash(self.job)


@dataclass(frozen=True)
class Difference:
    """`part`: of the job; `name`: which one of several; `first`, `second`: in the two jobs, None where it has none.
    `decides`: whether the result can depend on it."""

    part: str
    name: str
    first: str | None
    second: str | None
    decides: bool = True


@dataclass(frozen=True)
class Line:
    """A line of a text, without blanks around it."""

    number: int
    text: str


@dataclass(frozen=True)
class Places:
    """`where`: an item of the texts, or a program; the lines that differ there."""

    where: str
    first: tuple[Line, ...]
    second: tuple[Line, ...]


# ---- values ----


def differences(first: Known, second: Known) -> list[Difference]:
    """Values that differ, part by part."""
    return list(both(first.job, second.job))


def both(a: Job, b: Job) -> Iterator[Difference]:
    yield from one("name", a.name, b.name, decides=False)
    yield from one("title", a.title, b.title, decides=False)
    yield from one("profile", a.profile, b.profile)
    yield from tables("axis", a, b, axes)
    yield from one("seed", a.seed, b.seed)
    yield from tables("phase", a, b, phases)
    yield from tables("batch", a, b, batches)
    yield from tables("data", a, b, data)
    yield from tables("parameter", a, b, lambda job: slots(job, "parameter"))
    yield from first_values(a, b)
    yield from optimizer_state(a, b)
    yield from tables("layer state", a, b, lambda job: slots(job, "layer"))
    yield from one("state order", *orders(a, b))
    yield from one("roots", a.roots_every, b.roots_every)
    yield from tables("evaluation", a, b, evaluations, decides=False)
    yield from one("save.every", a.save_every, b.save_every, decides=False)
    yield from one("save.keep", a.keep, b.keep, decides=False)


def one(part: str, first: object, second: object, *, decides: bool = True) -> Iterator[Difference]:
    if first != second:
        yield Difference(part, "", str(first), str(second), decides)


def tables(
    part: str, a: Job, b: Job, table: Callable[[Job], Mapping[str, str]], *, decides: bool = True
) -> Iterator[Difference]:
    mine, other = table(a), table(b)
    for name in {**mine, **other}:
        if mine.get(name) != other.get(name):
            yield Difference(part, name, mine.get(name), other.get(name), decides)


def axes(job: Job) -> dict[str, str]:
    return {name: str(size) for name, size in job.sizes}


def phases(job: Job) -> dict[str, str]:
    return {phase.name: f"{phase.steps} steps" for phase in job.phases}


def batches(job: Job) -> dict[str, str]:
    return {phase.name: batch(job, phase) for phase in job.phases}


def batch(job: Job, phase: Phase) -> str:
    stream, fields = phase.batches.stream, " ".join(sorted(feed.field for feed in phase.batches.feeds))
    window = f", windows of {stream.window}" if stream.window else ""
    first = f", from example {phase.batches.first}" if phase.batches.first else ""
    mix = ", ".join(part.source if len(stream.parts) == 1 else f"{part.source}={part.count}" for part in stream.parts)
    return f"{phase.batches.size} of {stream.order}({mix}): {fields}{window}{first}"


def data(job: Job) -> dict[str, str]:
    """Of training; an evaluation's data is named with the evaluation."""
    return {name: f"{job.source(name).kind} {job.source(name).root}" for name in job.training_sources}


def slots(job: Job, kind: str) -> dict[str, str]:
    return {slot.name: shown(slot) for slot in job.state if slot.kind == kind}


def optimizer_state(a: Job, b: Job) -> Iterator[Difference]:
    """Of parameters that are the same: the state of the others follows them."""
    mine, other = (slots(job, "parameter") for job in (a, b))
    for difference in tables("optimizer state", a, b, lambda job: slots(job, "optimizer")):
        parameter = difference.name.partition("/")[0]
        if mine.get(parameter) == other.get(parameter):
            yield difference


def shown(slot: Slot) -> str:
    return " ".join(f"{a}={n}" for a, n in zip(slot.axes, slot.type.shape, strict=True)) or "one number"


def first_values(a: Job, b: Job) -> Iterator[Difference]:
    """Of slots that are the same; another seed draws all of them anew and is said alone."""
    other = {slot: b.init.output(slot.name) for slot in b.state}
    for slot in a.state if a.seed == b.seed else ():
        if slot in other and other[slot] is not a.init.output(slot.name):
            yield Difference("first value", slot.name, OTHERWISE, OTHERWISE)


def orders(a: Job, b: Job) -> tuple[str, str]:
    """The order of the slots that both have."""
    names = [{slot.name: slot for slot in job.state} for job in (a, b)]
    first, second = ([n for n in mine if n in names[0] and n in names[1]] for mine in names)
    return " ".join(first), " ".join(second)


def evaluations(job: Job) -> dict[str, str]:
    return {e.name: described(job, e) for e in job.evaluations}


def described(job: Job, e: Evaluation) -> str:
    metrics = " ".join(name.removeprefix("metric.") for name, _ in e.program.outputs)
    roots = " ".join(job.source(name).root for name in e.batches.stream.sources)
    size = f"{e.count} batches of {e.batches.size} of {roots}"
    best = f", best {e.best[0]}({e.best[1]})" if e.best else ""
    return f"every {e.every}: {metrics} on {size}{best}"


# ---- texts and programs ----


def text_changes(first: Known, second: Known) -> list[Places]:
    """Statements that differ, item by item; none where a job has no text."""
    if first.text is None or second.text is None:
        return []
    found: dict[str, tuple[list[Line], list[Line]]] = {}
    for change in changes(parse(first.text), parse(second.text)):
        mine, other = found.setdefault(change.where, ([], []))
        mine += lines_of(change.first)
        other += lines_of(change.second)
    return [Places(where, tuple(dict.fromkeys(a)), tuple(dict.fromkeys(b))) for where, (a, b) in found.items()]


def lines_of(span: Span | None) -> list[Line]:
    """The lines of a span, but for the blanks behind it."""
    if span is None:
        return []
    last = span.line + span.source.text[span.start : span.end].rstrip().count("\n")
    return [Line(number, span.source.line(number).strip()) for number in range(span.line, last + 1)]


def program_changes(first: Known, second: Known) -> list[Places]:
    """Lines at which the programs of training part; empty where they differ and no text is known."""
    a, b = first.job, second.job
    pairs = {routine_name(p): (side(p), side(q)) for p, q in zip(a.phases, b.phases, strict=False)}
    found = []
    for name, (mine, other) in pairs.items():
        if mine.program != other.program:
            nodes = divergence(mine, other, sizes=a.sizes == b.sizes)
            found.append(Places(name, *telling(first, second, placed(first, nodes[0]), placed(second, nodes[1]))))
    return found


def side(phase: Phase) -> Side:
    return Side(phase.step, {feed.name: feed.field for feed in phase.batches.feeds})


def placed(known: Known, nodes: Iterable[Node]) -> tuple[Line, ...]:
    """The lines that nodes come from, each once, in the order of the text."""
    if known.text is None:
        return ()
    numbers = sorted({known.job.places[node][0] for node in nodes if node in known.job.places})
    return tuple(Line(number, known.text.line(number).strip()) for number in numbers)


def telling(
    first: Known, second: Known, mine: tuple[Line, ...], other: tuple[Line, ...]
) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
    """Where sizes differ, a line that both texts have says nothing new: its numbers follow the sizes."""
    if first.job.sizes == second.job.sizes or first.text is None or second.text is None:
        return mine, other
    texts = [{said(line) for line in known.splitlines()} for known in (first.text.text, second.text.text)]
    return (
        tuple(line for line in mine if said(line.text) not in texts[1]),
        tuple(line for line in other if said(line.text) not in texts[0]),
    )


def said(line: str) -> str:
    """A line without its comment and blanks."""
    return "".join(line.partition("#")[0].split())

"""Meaning of `train { … }`: the step program, and what a run of it is.

Takes: the section as a phase has it, the job's sizes and data. Promises: seed, steps and stream; the loss and its
parameters; the new value of every slot; the reports of a step. Settings are read first, so their order does not matter;
values are computed in the order of the text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from jobspec.ir.contract import BF16_PROFILE, FAST_PROFILE, PROFILE
from jobspec.ir.program import Node, Program, make
from jobspec.lang import averages, shards, tree, updates
from jobspec.lang.builtins import MIX
from jobspec.lang.clock import times
from jobspec.lang.data import BATCH, batch_of
from jobspec.lang.diagnostics import did_you_mean
from jobspec.lang.dispatch import execute
from jobspec.lang.frame import Frame, Located
from jobspec.lang.hints import SETTINGS
from jobspec.lang.lengths import Seen, epoch_steps, no_epoch, step_count, tell_assumed
from jobspec.lang.phases import GROUPED, LENGTHS, Setting
from jobspec.lang.refusal import Refusal, Silenced, need
from jobspec.lang.scope import Bound
from jobspec.lang.settings import Settings, misspelt, setting_name
from jobspec.lang.shards import WHOLE, Shards, shards_of
from jobspec.lang.source import Span
from jobspec.lang.start import Begin, begin_of
from jobspec.lang.things import DataSet, Mixture, Ordered, kind_of, need_number, need_whole
from jobspec.lang.values import Tensor, described

#: settings that are numbers known before the step, and those that the step computes
STATIC = ("seed", *LENGTHS, "shards", "compute", "start", "roots")
COMPUTED = ("batch", "loss", "clip")
ROOTS_EVERY = 100
NOTHING = Seen()
#: `compute = …` → profile
COMPUTE = {"f32": PROFILE, "bf16": BF16_PROFILE, "fast": FAST_PROFILE}


@dataclass(frozen=True)
class Course:
    """What is known of a phase before its step is. `steps`: of the whole run; `length`: the phase's own; `seen`: what
    stands before it; `first`: its place in its stream; `epoch`: steps of one, None for a mixture; `mixtures`: names
    that it reads to find its batch."""

    seed: int
    roots_every: int
    stream: Ordered
    epoch: float | None
    phase: str = ""
    length: int = 0
    steps: int = 0
    seen: Seen = NOTHING
    first: int = 0
    mixtures: Mapping[str, Bound] = field(default_factory=dict)
    shards: Shards = WHOLE
    profile: str = PROFILE
    start: Begin | None = None


@dataclass(frozen=True)
class Step:
    """Outputs of the step program. `names`: what the section's names were bound to."""

    course: Course
    state: Mapping[str, Node]
    reports: tuple[tuple[str, Node], ...]
    names: Mapping[str, Bound]


def course(frame: Frame, phase: Setting, seen: Seen) -> Course:
    """What is known of the phase, but for the run's steps and its place in its stream. Raises Silenced."""
    node = phase.section
    settings = Settings(frame, node.body, (*STATIC, "batch"))
    execute(frame, tuple(s for s in settings.others if is_mixture(frame, s)))
    stream = settings.value("batch", need_stream)
    required(frame, node, settings, "batch", "batch = shuffle(train)")
    seed = settings.value("seed", need_whole)
    required(frame, node, settings, "seed", "seed = 7")
    roots = settings.value("roots", lambda x: need_whole(x, 1))
    length = step_count(frame, phase, settings, stream, seen)
    need_seed(frame, node, seed)
    return Course(
        seed,
        roots or ROOTS_EVERY,
        stream,
        epoch_steps(frame, stream),
        phase.name,
        length,
        seen=seen,
        mixtures=frame.scope.names,
        shards=shards_of(settings),
        profile=profile_of(settings),
        start=begin_of(settings),
    )


def required(frame: Frame, node: tree.Section, settings: Settings, name: str, example: str) -> None:
    if name not in settings.given:
        help = misspelt(settings, name) or f"as in `{example}`"
        frame.report(Refusal("E0313", f"`{node.kind}` does not say its `{name}`", help=help), keyword(node))
        raise Silenced


def keyword(node: tree.Section) -> Any:
    """The section's first word."""
    return replace(node.span, end=node.span.start + len(node.kind))


def need_seed(frame: Frame, node: tree.Section, seed: int) -> None:
    if seed >= 2**64:
        frame.report(Refusal("E0222", "a seed is less than 2^64"), keyword(node))
        raise Silenced


def need_stream(value: Any) -> Ordered:
    if isinstance(value, Ordered):
        return value
    help = (
        "say the order: `shuffle(d)`, or `sequence(d)`"
        if isinstance(value, DataSet | Mixture)
        else "as in `batch = shuffle(train)`"
    )
    raise Refusal("E0314", f"a batch comes from a stream of examples, this is {kind_of(value)}", help=help)


def profile_of(settings: Settings) -> str:
    """`compute = bf16`, `fast`: the operands of contractions are rounded. Raises Silenced after a report."""
    word = settings.given.get("compute")
    if word is None:
        return PROFILE
    if isinstance(word, tree.Name) and word.id in COMPUTE:
        return COMPUTE[word.id]
    refusal = Refusal("E0318", "`compute` is f32, bf16 or fast", help="f32 is what is taken without it: leave it out")
    settings.frame.report(refusal, word.span)
    raise Silenced


def is_mixture(frame: Frame, statement: tree.Statement) -> bool:
    """`name = mix(…)`: known before the step is. A text may have a `mix` of its own."""
    match statement:
        case tree.Let(value=tree.Call(function=tree.Name(id=name))):
            return name == MIX and name not in frame.module.functions
    return False


def step_of(frame: Frame, node: tree.Section, known: Course) -> Step:
    """The step program's outputs. Raises Silenced after reports."""
    shards.enter(frame, known.shards)
    bind_names(frame, known)
    epoch = frame.scope.names["epoch"]
    lets = [
        s
        for s in node.body
        if not isinstance(s, GROUPED) and setting_name(s) not in (*STATIC, "batch") and not is_mixture(frame, s)
    ]
    execute(frame, tuple(lets))
    loss = scalar_named(frame, node, "loss")
    clip = limit(frame, node)
    changes = updates.plan(frame, node, loss)
    norm, gradients = updates.clipped(changes, clip)
    lr = updates.apply_all(frame, changes, gradients)
    averages.average_all(frame, node)
    if epoch.used:
        tell_assumed(frame, known.stream)
    reports = [("report.loss", loss.node)]
    reports += [("report.grad_norm", norm)] if norm is not None else []
    reports += [("report.lr", lr)] if lr is not None else []
    state = [(name, t.node) for name, t in frame.region.assigned.items()]
    outputs = shards.finished(frame, known.shards, [*state, *reports])
    return Step(known, dict(outputs[: len(state)]), tuple(outputs[len(state) :]), frame.scope.names)


def bind_names(frame: Frame, known: Course) -> None:
    """What the text may mention: the batch, the step's number, and how long the run is."""
    assert frame.work.step is not None
    frame.scope.bind("batch", batch_of(frame.work, known.stream.leading))
    frame.scope.bind("step", frame.work.step)
    bind_lengths(frame, known)
    per_step = frame.work.sizes[BATCH] * known.stream.window
    for name, value in times(frame.work.step, known.seen.steps, known.length, known.seen.tokens, per_step).items():
        frame.scope.bind(name, value)


def bind_lengths(frame: Frame, known: Course) -> None:
    """`steps` of the run, and of an epoch; a mixture says that it has none."""
    frame.scope.bind("steps", known.steps)
    epoch = known.epoch
    if epoch is None:
        frame.scope.bind("epoch", no_epoch("write a number of steps"))
    else:
        frame.scope.bind("epoch", int(epoch) if epoch == int(epoch) else epoch)


def scalar_named(frame: Frame, node: tree.Section, name: str) -> Tensor:
    """The float32 scalar that the section binds to `name`."""
    found = frame.scope.find(name)
    if found is None:
        help = f"as in `{name} = mean[B](…)`"
        frame.report(Refusal("E0313", f"`train` does not say its `{name}`", help=help), keyword(node))
        raise Silenced
    value = frame.scope.read(name)
    if not isinstance(value, Tensor) or value.axes or value.dtype != "f32":
        shown = described(value) if isinstance(value, Tensor) else kind_of(value)
        folds = isinstance(value, Tensor) and value.axes
        advice = f"fold its axes: `mean[{' '.join(value.axes)}](…)`" if folds else None
        frame.report(
            Refusal(
                "E0315",
                f"`{name}` must be one float32 number that depends on the parameters",
                label=f"axes: {shown}",
                help=advice,
            ),
            found[0].span or keyword(node),
        )
        raise Silenced
    return value


def limit(frame: Frame, node: tree.Section) -> float | None:
    """`clip = c`: a compile-time number above 0."""
    found = frame.scope.find("clip")
    if found is None:
        return None
    value = frame.scope.read("clip")
    try:
        number = need_number(value)
        need(number > 0, "E0222", "`clip` is a norm, so it is above 0")
    except Refusal as refusal:
        frame.report(refusal, found[0].span or keyword(node))
        raise Silenced from None
    return number


def unused_names(frame: Frame, steps: Sequence[Step]) -> None:
    """A name that the section binds and no phase reads is a slip: a setting misspelt, or a value forgotten."""
    read: dict[tuple[str, Span], bool] = {}
    for step in steps:
        for name, bound in {**step.course.mixtures, **step.names}.items():
            if bound.span is not None and name not in COMPUTED:
                read[name, bound.span] = read.get((name, bound.span), False) or bound.used
    for (name, span), used in read.items():
        if not used:
            help = SETTINGS.get(name) or did_you_mean(name, (*STATIC, *COMPUTED)) or "use it, or take it out"
            frame.report(Located("E0311", f"`{name}` is no setting of `train`, and nothing uses it", span, help), span)


def step_input() -> Tensor:
    return Tensor(make("input", name="step", dtype="i32", shape=()), ())


def program(frame: Frame, outputs: list[tuple[str, Node]]) -> Program:
    """The step program: a slot each, a feed each, the step."""
    work = frame.work
    assert work.step is not None
    inputs = [h.tensor.node for h in work.registry.ordered()]
    inputs += [t.node for _, t in sorted(work.feeds.items())]
    return Program((*inputs, work.step.node), tuple(outputs))

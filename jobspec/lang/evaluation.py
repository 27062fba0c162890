"""Meaning of `eval { … }`: metrics over fixed examples in order.

Takes: the section, the state that training declared. Promises: a program from state and batch to scalars. A layer
means the trained one, so every metric may call it again without a label. Without `steps`, the batch is the largest
divisor of the number of examples up to B, so every example counts once; with `steps = n`, n batches of B. `frame` has
the dims as the section rebinds them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jobspec.ir.job import Evaluation
from jobspec.ir.program import Node, Program, order
from jobspec.ir.program import replace as exchanged
from jobspec.lang import tree
from jobspec.lang.averages import measured
from jobspec.lang.data import BATCH, batch_of, batches_of, examples_of
from jobspec.lang.dispatch import execute
from jobspec.lang.frame import Activation, Frame, Located
from jobspec.lang.refusal import Refusal, Silenced
from jobspec.lang.scope import Scope
from jobspec.lang.settings import Settings, setting_name
from jobspec.lang.things import DataSet, Ordered, kind_of, need_number, need_whole
from jobspec.lang.training import Course, bind_lengths, keyword, required, step_input
from jobspec.lang.values import Tensor, described, floats
from jobspec.lang.work import Work

STATIC = ("every", "on", "steps", "best", "weights")
EXTREMES = ("min", "max")


def evaluation(frame: Frame, node: tree.Section, known: Course) -> Evaluation:
    """The evaluation that the section describes; `frame` has no names yet. Raises Silenced after reports."""
    bind_lengths(frame, known)
    settings = Settings(frame, node.body, STATIC)
    required(frame, node, settings, "on", "on = test")
    required(frame, node, settings, "every", "every = 200")
    data = settings.value("on", need_data)
    every = settings.value("every", need_interval)
    size, count = portions(frame, data, settings)
    work = Work(
        False,
        frame.work.seed,
        {**frame.work.sizes, BATCH: size},
        frame.work.registry,
        frame.work.reporter,
        frame.work.places,
        step_input(),
        used_axes=frame.work.used_axes,
        notes=frame.work.notes,
    )
    metrics = metrics_of(work, frame, node, data, settings)
    best = best_of(settings, [name for name, _ in metrics])
    name = node.name.text if node.name else "eval"
    batches = batches_of(work, Ordered(data, "sequence"))
    return Evaluation(name, every, batches, count, program(work, metrics, measured(settings)), best)


def need_data(value: Any) -> DataSet:
    if isinstance(value, DataSet):
        return value
    raise Refusal("E0321", f"an evaluation runs on a data set, this is {kind_of(value)}", help="as in `on = test`")


def need_interval(value: Any) -> int:
    """A number of steps; a fraction of one (`1 * epoch`) is rounded up."""
    return need_whole(math.ceil(need_number(value)), 1)


def portions(frame: Frame, data: DataSet, settings: Settings) -> tuple[int, int]:
    """Batch size and number of batches."""
    most = frame.work.sizes[BATCH]
    steps = settings.value("steps", lambda x: need_whole(x, 1))
    if steps is not None:
        return most, steps
    examples = examples_of(data)
    if not examples:
        return most, 1
    size = max(d for d in range(1, min(most, examples) + 1) if examples % d == 0)
    return size, examples // size


def metrics_of(
    work: Work, frame: Frame, node: tree.Section, data: DataSet, settings: Settings
) -> list[tuple[str, Node]]:
    inside = replace(frame, work=work, scope=Scope(work.root), activation=Activation(is_section=True))
    inside.scope.bind("batch", batch_of(work, data))
    drawn = 0
    for statement in settings.others:
        activation = Activation(is_section=True, draws=drawn)
        execute(replace(inside, activation=activation), (statement,))
        drawn = activation.draws
    if work.reporter.diagnostics:
        raise Silenced
    found = [(s, setting_name(s)) for s in settings.others if setting_name(s)]
    metrics = [(name, metric(inside, s, name)) for s, name in found if is_metric(inside, name)]
    if not metrics:
        frame.report(
            Refusal("E0322", "this evaluation names no metric", help="as in `acc = mean[B](…)`"), keyword(node)
        )
        raise Silenced
    return metrics


def is_metric(inside: Frame, name: str) -> bool:
    """Scalars are metrics; anything else that is read by a later statement is a step on the way."""
    bound = inside.scope.names[name]
    return not bound.used or (isinstance(bound.value, Tensor) and not bound.value.axes)


def metric(inside: Frame, statement: tree.Statement, name: str) -> Node:
    value = inside.scope.read(name)
    if isinstance(value, Tensor) and not value.axes:
        return floats(value).node
    shown = f"axes: {described(value)}" if isinstance(value, Tensor) else kind_of(value)
    help = f"fold its axes: `mean[{' '.join(value.axes)}](…)`" if isinstance(value, Tensor) else None
    inside.report(
        Located(
            "E0323", f"the metric `{name}` must be one number that depends on the batch", statement.span, help, shown
        ),
        statement.span,
    )
    raise Silenced


def best_of(settings: Settings, metrics: list[str]) -> tuple[str, str] | None:
    """`best = min(loss)`: which metric's least or greatest value keeps a checkpoint."""
    node = settings.given.get("best")
    if node is None:
        return None
    match node:
        case tree.Call(function=tree.Name(id=extreme), arguments=(tree.Name(id=name),), keywords=()) if (
            extreme in EXTREMES and name in metrics
        ):
            return extreme, name
    refusal = Refusal("E0324", "`best` names a metric of this evaluation", help=f"as in `best = min({metrics[0]})`")
    settings.frame.report(refusal, node.span)
    raise Silenced


def program(work: Work, metrics: list[tuple[str, Node]], instead: Mapping[Node, Node]) -> Program:
    """State of the model and a batch in, metrics out; `step`, here the batch's number, where something is drawn.
    `instead`: inputs that stand for parameters."""
    held = [h.tensor.node for h in work.registry.ordered() if h.slot.kind != "optimizer"]
    inputs = [instead.get(node, node) for node in held]
    inputs += [t.node for _, t in sorted(work.feeds.items())]
    values = exchanged([node for _, node in metrics], instead)
    assert work.step is not None
    inputs += [n for n in order(values) if n is work.step.node]
    named = zip((name for name, _ in metrics), values, strict=True)
    return Program(tuple(inputs), tuple((f"metric.{name}", node) for name, node in named))

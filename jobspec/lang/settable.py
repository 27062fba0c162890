"""What of a job's text `--set` can exchange, and where it stands.

Takes: a tree. Promises: a path for every dim (`B`), every `name = value` of a section (`train.steps`,
`train.warm.until` in `phase warm`, `eval.every`, `eval.small.every` for `eval small`, `save.keep`) and every data set
(`data.train`), each with the place of its value; and where a setting can go that the language knows and the text
leaves out. A path without a dot that begins with a small letter belongs to `train`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jobspec.lang import evaluation, saving, training, tree
from jobspec.lang.phases import LENGTHS
from jobspec.lang.settings import setting_name
from jobspec.lang.source import Span

#: sections that say how long; a text says it in one of the ways
TIMED = ("train", "phase")
#: settings that may be put where the text leaves them out
ADDABLE = {
    "train": {*training.STATIC, "clip"},
    "eval": set(evaluation.STATIC),
    "save": set(saving.STATIC),
}


@dataclass(frozen=True)
class Place:
    """Where a value goes. `span`: what it replaces; `before`, `after`: what is written around it."""

    span: Span
    before: str = ""
    after: str = ""


def full_path(path: str) -> str:
    """`steps` is short for `train.steps`."""
    return path if "." in path or not path[:1].islower() else f"train.{path}"


def settable(job: tree.Job) -> Iterator[tuple[str, Place]]:
    """What the text states, in its order."""
    for item in job.items:
        if isinstance(item, tree.DimDef):
            yield item.axis.text, Place(item.value.span)
        elif isinstance(item, tree.DataDef):
            yield f"data.{item.name.text}", Place(item.value.span)
        elif isinstance(item, tree.Section):
            yield from stated(section_path(item), item.body)


def section_path(section: tree.Section) -> str:
    return f"{section.kind}.{section.name.text}" if section.name else section.kind


def stated(path: str, body: tree.Body) -> Iterator[tuple[str, Place]]:
    """`name = value`, `AXIS = value`, and the same in phases."""
    for statement in body:
        if isinstance(statement, tree.Phase):
            yield from stated(f"{path}.{statement.name.text}", statement.body)
        elif isinstance(statement, tree.SetDim):
            yield f"{path}.{statement.axis.text}", Place(statement.value.span)
        elif isinstance(statement, tree.Let) and not isinstance(statement.value, tree.Scan):
            (target, *others) = statement.targets
            if not others:
                yield f"{path}.{target.name.text}", Place(statement.value.span)


def addable(job: tree.Job) -> Iterator[tuple[str, Place]]:
    """What the language knows and the text leaves out; a length in place of another way to say it."""
    sections = [item for item in job.items if isinstance(item, tree.Section)]
    for item in sections:
        yield from left_out(section_path(item), item.kind, item.body)
    if "save" not in {item.kind for item in sections}:
        end = job.span.source.span(len(job.span.source.text), len(job.span.source.text))
        for name in saving.STATIC:
            yield f"save.{name}", Place(end, f"\nsave {{ {name} = ", " }\n")


def left_out(path: str, kind: str, body: tree.Body) -> Iterator[tuple[str, Place]]:
    here = {setting_name(statement): statement for statement in body}
    lengths = LENGTHS if kind in TIMED else ()
    length = next((here[name] for name in lengths if name in here), None)
    if length:
        for name in lengths:
            yield f"{path}.{name}", Place(length.span, f"{name} = ")
    for name in sorted(ADDABLE.get(kind, set()).difference(lengths)) if body else ():
        start = body[0].span.start
        yield f"{path}.{name}", Place(body[0].span.source.span(start, start), f"{name} = ", "; ")
    for phase in body:
        if isinstance(phase, tree.Phase):
            yield from left_out(f"{path}.{phase.name.text}", "phase", phase.body)

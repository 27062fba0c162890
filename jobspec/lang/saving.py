"""Meaning of `save { … }` and `run { … }`: what does not decide the result.

Takes: the sections. Promises: how often a checkpoint is kept and how many; the words of `run` are checked and then left
to whoever runs the job, because no mesh changes a bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobspec.lang import tree
from jobspec.lang.evaluation import need_interval
from jobspec.lang.frame import Frame
from jobspec.lang.refusal import Refusal
from jobspec.lang.settings import Settings
from jobspec.lang.things import need_whole
from jobspec.lang.training import Course

#: settings that a text may have
STATIC = ("every", "keep")
PARTS = 10
KEEP = 2


@dataclass(frozen=True)
class Saving:
    """`every`: steps between checkpoints. `keep`: how many stay."""

    every: int
    keep: int


def saving(frame: Frame, sections: Sequence[tree.Section], known: Course) -> Saving:
    """Ten checkpoints a run, the last two kept, unless the text says otherwise."""
    every, keep = max(1, known.steps // PARTS), KEEP
    frame.scope.bind("epoch", known.epoch)
    frame.scope.bind("steps", known.steps)
    for node in sections:
        settings = Settings(frame, node.body, (*STATIC, "also"))
        settings.refuse("also", "`also` belongs to phases, which are not carried through yet")
        settings.only("save", STATIC)
        every = settings.value("every", need_interval) or every
        keep = settings.value("keep", lambda x: need_whole(x, 1)) or keep
    return Saving(every, keep)


def ignored_run(frame: Frame, node: tree.Section) -> None:
    """Refuses what is no setting of `run`; axes that are sharded count as used."""
    settings = Settings(frame, node.body, ("mesh", "on"))
    for statement in list(settings.others):
        if isinstance(statement, tree.ShardOver):
            try:
                frame.resolve_all(statement.axes)
            except Refusal as refusal:
                frame.report(refusal, statement.span)
            settings.others.remove(statement)
    settings.only("run", ("mesh", "on", "shard"))

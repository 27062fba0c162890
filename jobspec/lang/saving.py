"""Meaning of `save { … }`, which does not decide the result.

Takes: the sections. Promises: how often a checkpoint is kept and how many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobspec.lang import tree
from jobspec.lang.diagnostics import did_you_mean
from jobspec.lang.evaluation import need_interval
from jobspec.lang.frame import Frame
from jobspec.lang.refusal import Refusal
from jobspec.lang.settings import Settings
from jobspec.lang.things import need_whole
from jobspec.lang.training import Course, bind_lengths

#: settings that a text may have
STATIC = ("every", "keep", "also")
PARTS = 10
KEEP = 2


@dataclass(frozen=True)
class Saving:
    """`every`: steps between checkpoints. `keep`: how many stay, 0: all. `also`: phases whose end keeps one."""

    every: int
    keep: int
    also: tuple[str, ...] = ()


def saving(frame: Frame, sections: Sequence[tree.Section], known: Course, phases: Sequence[str]) -> Saving:
    """Ten checkpoints a run, the last two kept, unless the text says otherwise. `phases`: their names."""
    every, keep = max(1, known.steps // PARTS), KEEP
    also: tuple[str, ...] = ()
    bind_lengths(frame, known)
    for node in sections:
        settings = Settings(frame, node.body, STATIC)
        settings.only("save", STATIC)
        every = settings.value("every", need_interval) or every
        keep = kept(settings, keep)
        also = phases_in(frame, settings, "also", phases) or also
    return Saving(every, keep, also)


def kept(settings: Settings, otherwise: int) -> int:
    """How many checkpoints stay; `all`: 0."""
    node = settings.given.get("keep")
    if isinstance(node, tree.Name) and node.id == "all":
        return 0
    return settings.value("keep", lambda x: need_whole(x, 1)) or otherwise


def phases_in(frame: Frame, settings: Settings, name: str, phases: Sequence[str]) -> tuple[str, ...]:
    """`[warm, main]`: names of phases; none where the setting is not given. What is none is reported."""
    node = settings.given.get(name)
    items = node.items if isinstance(node, tree.ListExpr) else () if node is None else (node,)
    for item in items:
        word = item.id if isinstance(item, tree.Name) else ""
        if word not in phases or not word:
            help = did_you_mean(word, phases) or f"as in `{name} = [{next(filter(None, phases), 'warm')}]`"
            frame.report(Refusal("E0345", f"`{name}` lists phases of `train`", help=help), item.span)
    return tuple(dict.fromkeys(item.id for item in items if isinstance(item, tree.Name)))

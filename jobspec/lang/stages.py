"""A phase, or an evaluation, with the sizes and data that are its own.

Takes: a setting of the text, the sizes at the top. Promises: plain values; what is wrong with a size or a length is
reported where it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jobspec.lang import training, tree
from jobspec.lang.diagnostics import Reporter
from jobspec.lang.dispatch import evaluate
from jobspec.lang.frame import Frame
from jobspec.lang.phases import Setting
from jobspec.lang.refusal import Refusal, Silenced, need
from jobspec.lang.things import Module, need_whole

LARGEST = 2**31


@dataclass(frozen=True)
class Stage:
    """A phase, or an evaluation, with the sizes and data that it has. `notes`: what its errors say besides."""

    setting: Setting
    sizes: Mapping[str, int]
    module: Module
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Made:
    """A phase's step, and where it was made."""

    frame: Frame
    step: training.Step


def size_of(frame: Frame, node: tree.Expr) -> int:
    """The size that a dim is given; 1 after a report."""
    try:
        size = need_whole(evaluate(frame, node), 1)
        need(size < LARGEST, "E0222", f"an axis has fewer than 2^31 places, not {size}")
        return size
    except Refusal as refusal:
        frame.report(refusal, node.span)
    except Silenced:
        pass
    return 1


def said(setting: Setting, number: int) -> tuple[str, ...]:
    """What errors of the phase's step say besides; those of the first phase are the text's own."""
    return (f"in the phase `{setting.name}`",) if number else ()


def need_steps(reporter: Reporter, last: Stage, steps: int) -> None:
    if steps >= LARGEST:
        reporter.error("E0222", f"a run has fewer than 2^31 steps, not {steps:,}", last.setting.word)
        reporter.stop()

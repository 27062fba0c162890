"""Meaning of `start = …`: a run that begins with weights that are there, named by their hash.

Takes: the setting, the parameters and layer states that the steps declared, and, where the file is at hand, the names
and shapes in it. Promises: for each of them the tensor that it begins with, or its own first value where it is said to
be `fresh`; an average begins as its parameter does. The answer follows from the text alone; the file only decides
whether it can be had.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from jobspec.ir.build import zeros
from jobspec.ir.job import Start
from jobspec.ir.program import Node
from jobspec.lang import tree
from jobspec.lang.averages import AVERAGE
from jobspec.lang.diagnostics import did_you_mean
from jobspec.lang.frame import Frame, Located
from jobspec.lang.refusal import Refusal, Silenced
from jobspec.lang.registry import Held
from jobspec.lang.settings import Settings
from jobspec.lang.source import Span

#: hash of a file or of a state → shape by name of what is in it; None where it is not at hand
Weights = Callable[[str], Mapping[str, tuple[int, ...]] | None]
KINDS = ("parameter", "layer")
EXAMPLE = 'start = load(b3:…, "enc.*" -> "dec.*", fresh="head.*")'


@dataclass(frozen=True)
class Begin:
    """The setting, read. `renames`: name in the file and name here, patterns with `*`; `fresh`: patterns of names
    here."""

    root: str
    renames: tuple[tree.Rename, ...]
    fresh: tuple[tree.Str, ...]
    span: Span


def begin_of(settings: Settings) -> Begin | None:
    """`start = b3:…` or `start = load(b3:…, …)`. Raises Silenced after a report."""
    node = settings.given.get("start")
    if node is None:
        return None
    try:
        return read(node)
    except Refusal as refusal:
        settings.frame.report(refusal, node.span)
        raise Silenced from None


def read(node: tree.Expr) -> Begin:
    match node:
        case tree.Hash(text=root):
            return Begin(root, (), (), node.span)
        case tree.Call(function=tree.Name(id="load"), arguments=(tree.Hash(text=root), *renames)):
            for rename in renames:
                check_rename(rename)
            return Begin(root, tuple(r for r in renames if isinstance(r, tree.Rename)), fresh_of(node), node.span)
    raise Refusal("E0350", "`start` is the hash of weights, alone or in `load(…)`", help=f"as in `{EXAMPLE}`")


def check_rename(node: tree.Expr) -> None:
    if not isinstance(node, tree.Rename):
        raise Located("E0350", "behind the hash stand renames", node.span, help='as in `"enc.*" -> "dec.*"`')
    if node.old.value.count("*") != node.new.value.count("*"):
        raise Located("E0350", "both sides of a rename have as many `*`", node.span)


def fresh_of(call: tree.Call) -> tuple[tree.Str, ...]:
    """`fresh="lora.*"`, or several in a list."""
    found: list[tree.Str] = []
    for keyword in call.keywords:
        value = keyword.value
        items = list(value.items) if isinstance(value, tree.ListExpr) and not value.keywords else [value]
        texts = [item for item in items if isinstance(item, tree.Str)]
        if keyword.name.text != "fresh" or len(texts) < len(items):
            raise Located(
                "E0350", "`load` takes `fresh`, with names or globs in quotes", keyword.span, f"as in `{EXAMPLE}`"
            )
        found += texts
    return tuple(found)


def start_of(frame: Frame, begin: Begin, held: Sequence[Held], weights: Weights) -> Start:
    """What each slot begins with. Raises Silenced after reports."""
    model = [h for h in held if h.slot.kind in KINDS]
    check_patterns(frame, begin, [h.slot.name for h in model])
    found = {h.slot.name: source_name(begin, h.slot.name) for h in model if not is_fresh(begin, h.slot.name)}
    at_hand = weights(begin.root)
    if at_hand is not None:
        for h in model:
            if h.slot.name in found:
                check_tensor(frame, begin, h, found[h.slot.name], at_hand)
    if frame.work.reporter.diagnostics:
        raise Silenced
    averages = {f"{name}/{AVERAGE}": source for name, source in found.items()}
    names = [h.slot.name for h in held]
    return Start(begin.root, tuple((n, s) for n in names if (s := found.get(n) or averages.get(n)) is not None))


def is_fresh(begin: Begin, name: str) -> bool:
    return any(fnmatchcase(name, pattern.value) for pattern in begin.fresh)


def source_name(begin: Begin, name: str) -> str:
    """What the file calls `name`: by the first rename whose right side fits, else the same."""
    for rename in begin.renames:
        pattern = "(.*)".join(map(re.escape, rename.new.value.split("*")))
        fits = re.fullmatch(pattern, name)
        if fits:
            pieces = rename.old.value.split("*")
            return pieces[0] + "".join(found + piece for found, piece in zip(fits.groups(), pieces[1:], strict=True))
    return name


def check_patterns(frame: Frame, begin: Begin, names: Sequence[str]) -> None:
    """A pattern that fits nothing is a slip."""
    for node in (*(r.new for r in begin.renames), *begin.fresh):
        if not any(fnmatchcase(name, node.value) for name in names):
            help = did_you_mean(node.value, names) or f"there are: {', '.join(names)}"
            frame.report(
                Located("E0353", f"`{node.value}` names no parameter or state here", node.span, help), node.span
            )


def check_tensor(frame: Frame, begin: Begin, held: Held, source: str, at_hand: Mapping[str, tuple[int, ...]]) -> None:
    name, shape = held.slot.name, held.slot.type.shape
    if source not in at_hand:
        asked = f"`{source}`, which `{name}` begins with" if source != name else f"`{name}`"
        help = did_you_mean(source, tuple(at_hand)) or f'say `fresh="{name}"` for its own first value'
        frame.report(Refusal("E0351", f"{begin.root[:15]}… has no {asked}", help=help), begin.span)
    elif at_hand[source] != shape:
        frame.report(
            Refusal(
                "E0352",
                f"`{name}` is {words(shape)} here and {words(at_hand[source])} in {begin.root[:15]}…",
                label=f"axes: {' '.join(held.slot.axes) or 'none'}",
                help=f'start it anew, `fresh="{name}"`, or give its axes the sizes of the file',
            ),
            begin.span,
        )


def words(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "one number"


def first_values(held: Sequence[Held], start: Start | None) -> tuple[tuple[str, Node], ...]:
    """Outputs of the job's init: zeros where `start` gives the value."""
    given = dict(start.tensors) if start else {}
    return tuple((h.slot.name, zeros(h.slot.type) if h.slot.name in given else h.initial) for h in held)

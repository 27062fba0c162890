"""Another name for an axis, a value, a function, a parameter or a label, everywhere it is meant.

Takes: an index, an offset, a new name. Promises: edits after which every word means what it meant before, or an
EditError that says why there are none. What is promised is tried out: the new text is read again, its words must fall
into the same groups, and where the old text was a job the new one is a job that computes the same. A parameter's name
is part of what the job computes (its first values are drawn under it), so there the operations must be the same.

    kind                                            renamed        job hash
    value, argument, axis parameter, def, data      yes            stays
    axis                                            yes            changes if a parameter or state has the axis
    parameter, state, label, layer                  yes            changes if a name of the job's state does
    setting, section, field, library, word          no: they belong to the language or to the data
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase

from jobspec.editor.index import Index, World, examined
from jobspec.editor.names import Mention, Symbol
from jobspec.editor.record import place
from jobspec.ir.errors import UsageError
from jobspec.ir.job import Job
from jobspec.ir.program import Program
from jobspec.ir.text import print_program
from jobspec.lang import tree
from jobspec.lang.data import BATCH, TIME
from jobspec.lang.grammar import load_table
from jobspec.lang.source import Source, Span
from jobspec.lang.tokens import words as reserved

AXES = ("axis", "axis parameter")
#: kinds whose name is part of the names of the job's state, or of its axes
IN_STATE = ("axis", "parameter", "state", "label", "layer")
RENAMED = ("axis", "axis parameter", "function", "layer", "optimizer", "argument", "value", "parameter", "state",
           "label", "data")  # fmt: skip


class EditError(UsageError):
    """A rename that cannot be: nothing is changed."""

    def __init__(self, reason: str, help: str | None = None) -> None:
        super().__init__("E0831", reason, help=help)


@dataclass(frozen=True)
class Renaming:
    """Spans of the old text and the new name for all of them. `note`: what it does to the job hash."""

    spans: tuple[Span, ...]
    name: str
    note: str


def renamable(index: Index, offset: int) -> Mention:
    """The mention that a rename here would be of. Raises EditError."""
    mention = index.mention(offset)
    if mention is None:
        raise EditError("nothing that has a name stands here")
    kind, name = mention.symbol.kind, mention.symbol.name
    if kind not in RENAMED:
        raise EditError(f"`{name}` is a {kind}: its name is not this text's to choose")
    if any(m.span.source is not index.source for m in mention.symbol.mentions):
        raise EditError(f"`{name}` is of another file")
    if kind == "axis" and name == BATCH:
        raise EditError(f"{BATCH} is the axis of the batch: the language calls it so")
    return mention


def rename(index: Index, offset: int, name: str, world: World) -> Renaming:
    """The edits. Raises EditError."""
    symbol = renamable(index, offset).symbol
    check_form(symbol, name)
    spans = sorted({*mentions(symbol), *in_selectors(index, symbol)}, key=lambda span: span.start)
    after = examined(Source(index.source.name, replaced(index.source.text, spans, name)), world)
    check_same_words(index, after, spans, len(name) - len(symbol.name))
    return Renaming(tuple(spans), name, check_same_job(index, after, symbol))


def mentions(symbol: Symbol) -> list[Span]:
    """Where the word itself is written: a lone selector, a keyword and a label are."""
    return [mention.span for mention in symbol.mentions]


def check_form(symbol: Symbol, name: str) -> None:
    """Axes begin with a capital letter, values with a small one; neither is a reserved word."""
    wanted = "AXIS" if symbol.kind in AXES else "NAME"
    pattern = next(t.pattern for t in load_table().terminals if t.name == wanted)
    if not re.fullmatch(pattern, name, re.ASCII) or name.endswith("'"):
        first = "a capital" if wanted == "AXIS" else "a small"
        raise EditError(f"`{name}` is no name for this", f"begin with {first} letter; go on with letters and digits")
    if name in reserved():
        raise EditError(f"`{name}` is a word of the language")
    if name == symbol.name:
        raise EditError("that is its name already")


# ---- selectors ----


def in_selectors(index: Index, symbol: Symbol) -> list[Span]:
    """The name inside of selectors that select a parameter with it: `"blocks.*.w1"`."""
    if index.file is None or symbol.kind not in ("parameter", "label", "layer"):
        return []
    mine = [name for name in parameter_names(index) if has_part(index, symbol, name)]
    found: list[Span] = []
    for node in tree.walk(index.file):
        if isinstance(node, tree.Update | tree.Freeze):
            for selector in node.selectors:
                word = selector.value if isinstance(selector, tree.Str) else selector.text
                if any(fnmatchcase(name, word) for name in mine):
                    found += parts_called(selector, symbol.name)
    return found


def parameter_names(index: Index) -> list[str]:
    job = index.job or (index.good.job if index.good else None)
    return [slot.name for slot in job.state if slot.kind == "parameter"] if job else []


def has_part(index: Index, symbol: Symbol, name: str) -> bool:
    """Whether the label path has the symbol's name where such a symbol can stand in it."""
    if symbol.kind != "parameter":
        return symbol.name in name.split(".")[:-1]
    held = [h.slot.name for m in symbol.definitions for h in index.held(place(m.span))]
    return name in held


def parts_called(selector: tree.Ident | tree.Str, name: str) -> list[Span]:
    """Spans of the parts of a selector's path that are just this name."""
    text, start = selector.span.text, selector.span.start
    word = re.compile(rf"(?<![\w*?\[\]]){re.escape(name)}(?![\w*?\[\]])")
    return [Span(selector.span.source, start + m.start(), start + m.end()) for m in word.finditer(text)]


# ---- trying it out ----


def replaced(text: str, spans: list[Span], name: str) -> str:
    for span in reversed(spans):
        text = text[: span.start] + name + text[span.end :]
    return text


def check_same_words(before: Index, after: Index, spans: list[Span], growth: int) -> None:
    """Every mention names the same thing as before, so nothing was caught by another thing of the new name."""
    if before.names is None or after.names is None or after.file is None:
        raise EditError("the text would not be read any more")
    old = groups(before.names.mentions, [span.start for span in spans], growth)
    if old != groups(after.names.mentions, [], 0):
        raise EditError("the new name means something else here already", "choose a name that is free")


def groups(mentions: list[Mention], moved: list[int], growth: int) -> set[frozenset[int]]:
    """Places of mentions, grouped by what they name; a place moves by `growth` for each edit before it."""
    found: dict[int, set[int]] = {}
    for mention in mentions:
        start = mention.span.start
        found.setdefault(id(mention.symbol), set()).add(start + growth * sum(edit < start for edit in moved))
    return {frozenset(places) for places in found.values()}


def check_same_job(before: Index, after: Index, symbol: Symbol) -> str:
    """What the rename does to the job hash. Raises EditError where the job would be another one."""
    if before.job is None:
        return ""
    if after.job is None:
        first = after.diagnostics[0]
        silent = "`tokens(…, u16)` runs along T without saying so: write `u16[T]` first"
        help = silent if (symbol.kind, symbol.name) == ("axis", TIME) else first.help
        raise EditError(f"the text would not be a job any more: {first.message}", help)
    if same_bits(before.job, after.job):
        return ""
    if symbol.kind not in IN_STATE or not same_work(before.job, after.job):
        raise EditError("the job would compute something else")
    return f"This rename changes the job hash: `{symbol.name}` is in the names or axes of the job's state."


def same_bits(a: Job, b: Job) -> bool:
    """Whether both have the same state and the same programs, names and all."""
    return a.state == b.state and [*map(print_program, programs(a))] == [*map(print_program, programs(b))]


def programs(job: Job) -> list[Program]:
    """First values, and the step of each phase."""
    return [job.init, *(phase.step for phase in job.phases)]


def same_work(a: Job, b: Job) -> bool:
    """Whether both do the same operations on state of the same kinds and shapes."""
    kinds = [[(slot.kind, slot.type) for slot in job.state] for job in (a, b)]
    return kinds[0] == kinds[1] and [*map(operations, programs(a))] == [*map(operations, programs(b))]


def operations(program: Program) -> Counter[tuple[str, object]]:
    return Counter((node.op, node.type if node.op != "loop" else None) for node in program.nodes())

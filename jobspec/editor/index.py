"""Everything an editor asks about one text, found out once.

Takes: a text, and what is known of data and of imported files. Promises: `examined` always answers, whatever the text
is: its errors, what could be read of it, which word means what, and what each part of it is (axes, sizes, slots of
state). Where the text has errors, what its parts are is remembered from the last text that had none, moved to where
those parts stand now.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

from jobspec.editor.names import Mention, at
from jobspec.editor.record import Place, Recorder, Seen
from jobspec.editor.resolve import Resolver, resolved
from jobspec.ir.errors import JobspecError
from jobspec.ir.job import Job
from jobspec.lang import tree
from jobspec.lang.check import load
from jobspec.lang.data import Catalog
from jobspec.lang.diagnostics import Diagnostic, DiagnosticsError, Reporter
from jobspec.lang.modules import Fetch, Importer
from jobspec.lang.parse import read
from jobspec.lang.registry import Held
from jobspec.lang.source import SIZE_LIMIT, Source, too_large
from jobspec.lang.tokens import Token, tokenize
from jobspec.lang.values import Axes

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class World:
    """What a text may refer to: sizes of data sets and imported files, as far as they are at hand."""

    catalog: Catalog | None = None
    fetch: Fetch | None = None


@dataclass(frozen=True, eq=False)
class Index:
    """`file`: what could be read, None where nothing could. `job`: None where the text is none. `good`: the index of an
    earlier text that was a job; `moved`: a place of this text → the place it had there, None for one that is new."""

    source: Source
    diagnostics: tuple[Diagnostic, ...] = ()
    file: tree.Job | None = None
    names: Resolver | None = None
    job: Job | None = None
    record: Recorder | None = None
    good: Index | None = None
    moved: Callable[[Place], Place | None] = field(default=lambda place: None)

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """Of the whole text, but for comments."""
        return tuple(t for t in tokenize(self.source, Reporter()) if t.kind != "COMMENT")

    def mention(self, offset: int) -> Mention | None:
        return at(self.names.mentions, offset) if self.names else None

    def values(self, place: Place) -> list[Seen]:
        """What the part at this place was, each time it was reached."""
        return self.noted(lambda record, place: record.values.get(place, []), place)

    def held(self, place: Place) -> list[Held]:
        """Slots of state that the name at this place declares."""
        return self.noted(lambda record, place: record.held.get(place, []), place)

    def axes(self, place: Place) -> list[dict[str, Axes]]:
        """What the axis parameters of the function whose name is at this place stood for."""
        return self.noted(lambda record, place: record.axes.get(place, []), place)

    def noted(self, look: Callable[[Recorder, Place], list[T]], place: Place) -> list[T]:
        found = look(self.record, place) if self.record else []
        before = self.moved(place) if self.good and not found else None
        return self.good.noted(look, before) if self.good and before else found

    def size(self, axis: str) -> int | None:
        sizes = (index.record.sizes for index in (self, self.good) if index and index.record)
        return next((table[axis] for table in sizes if axis in table), None)


def examined(source: Source, world: World, good: Index | None = None) -> Index:
    """The index of a text. `good`: that of an earlier state of the same text, when it was a job."""
    index = parsed(source, world)
    if not index.diagnostics and index.file is not None and index.file.kind == "job":
        index = checked(index, world)
    if index.job is not None or good is None:
        return index
    return replace(index, good=good, moved=backwards(good.source.text, source.text))


def parsed(source: Source, world: World) -> Index:
    """Syntax, imports and names. What follows from broken statements is not looked for."""
    reporter = Reporter()
    file = tree_of(source, reporter)
    if file is None:
        return Index(source, tuple(reporter.diagnostics))
    broken = bool(reporter.diagnostics)
    module = Importer(Reporter() if broken or file.kind == "job" else reporter, world.fetch).module(source, file)
    return Index(source, tuple(reporter.diagnostics), file, resolved(file, module))


def tree_of(source: Source, reporter: Reporter) -> tree.Job | None:
    try:
        size = len(source.text.encode())
        if size > SIZE_LIMIT:
            raise too_large(source.name, size, SIZE_LIMIT)
        return read(source, reporter)
    except DiagnosticsError as error:
        for diagnostic in error.diagnostics:
            reporter.add(diagnostic)
    except JobspecError as error:
        reporter.add(whole(source, error))
    return None


def whole(source: Source, error: JobspecError) -> Diagnostic:
    """An error of the file, shown at its first line."""
    return Diagnostic(error.code, error.reason, source.span(0, len(source.line(1))), help=error.help)


def checked(index: Index, world: World) -> Index:
    """The job of a text that parses, or its errors; what was seen before the first error is kept."""
    recorder = Recorder(index.source)
    try:
        job = load(index.source, catalog=world.catalog, fetch=world.fetch, watcher=recorder)
    except DiagnosticsError as error:
        return replace(index, diagnostics=error.diagnostics, record=recorder)
    except JobspecError as error:
        return replace(index, diagnostics=(whole(index.source, error),), record=recorder)
    return replace(index, job=job, record=recorder)


def backwards(old: str, text: str) -> Callable[[Place], Place | None]:
    """Places of `text` that stand before or behind all changes → their places in `old`."""
    head = common_head(old, text)
    tail = common_head(old[head:][::-1], text[head:][::-1])
    shift, changed = len(old) - len(text), len(text) - tail

    def back(place: Place) -> Place | None:
        start, end = place
        if end <= head:
            return place
        return (start + shift, end + shift) if start >= changed else None

    return back


def common_head(a: str, b: str) -> int:
    """How many letters two texts have in common before they differ."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))

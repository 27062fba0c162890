"""`fmt --inline`: a job with its libraries written into it.

Takes: a job's source, and a way to files that it imports by hash. Promises: a text of the same meaning that imports
nothing: the functions that the sections lead to, the author's and the libraries', each under a name of its own.
A function keeps its name where that is free; a layer that gets another one is labelled where it is called, because
its name was its label. Comments inside of functions, and right above those of libraries, stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jobspec.lang import tree
from jobspec.lang.builtins import BUILTINS, CONSTANTS
from jobspec.lang.diagnostics import Reporter
from jobspec.lang.dispatch import bound_by
from jobspec.lang.format import format_source
from jobspec.lang.modules import Fetch, Importer
from jobspec.lang.parse import parse
from jobspec.lang.source import Source, Span
from jobspec.lang.things import Module

#: names that mean something wherever no one else has them
LANGUAGE = frozenset({*BUILTINS, *CONSTANTS, "training"})


@dataclass(frozen=True, eq=False)
class Use:
    """A function that an item mentions. `span`: the mention; `call`: the call without a label that it is part of."""

    home: Module
    name: str
    span: Span
    call: tree.Call | None


@dataclass(frozen=True, eq=False)
class Piece:
    """An item of a file that is kept, and what it mentions."""

    module: Module
    item: tree.Item
    uses: tuple[Use, ...]

    @property
    def key(self) -> tuple[Module, str]:
        """What others call it by; a section has no name."""
        return self.module, self.item.name.text if isinstance(self.item, tree.Def) else ""


def inlined(source: Source, fetch: Fetch | None = None) -> str:
    """The closed text, in the one style. Raises DiagnosticsError where the job or an import cannot be read."""
    job = parse(source)
    reporter = Reporter()
    main = Importer(reporter, fetch).module(source, job)
    reporter.stop_if_any()
    pieces = list(reached(main, job))
    names = named(main, job, pieces)
    text = "".join(chunks(main, job, pieces, names))
    return format_source(Source(f"{source.name}, inlined", text))


# ---- what is needed ----


def reached(main: Module, job: tree.Job) -> Iterator[Piece]:
    """The sections and every function that they lead to, each once."""
    waiting = [Piece(main, item, tuple(uses_in(main, item))) for item in job.items if is_root(item)]
    seen: set[tuple[Module, str]] = set()
    while waiting:
        piece = waiting.pop(0)
        yield piece
        for use in piece.uses:
            if (use.home, use.name) not in seen:
                seen.add((use.home, use.name))
                item = use.home.functions[use.name]
                waiting.append(Piece(use.home, item, tuple(uses_in(use.home, item))))


def is_root(item: tree.Item) -> bool:
    return not isinstance(item, tree.Import | tree.Def)


def uses_in(module: Module, node: tree.Node, call: tree.Call | None = None) -> Iterator[Use]:
    """Mentions of functions below a node, in the order of the text."""
    rest: list[tree.Node]
    match node:
        case tree.Field(value=tree.Name(id=alias)) if alias in module.imports:
            home = module.imports[alias]
            if node.name.text in home.functions:
                yield Use(home, node.name.text, node.span, call)
            return
        case tree.Name(id=name):
            if name in module.functions:
                yield Use(module, name, node.span, call)
            return
        case tree.Call(label=None):
            yield from uses_in(module, node.function, node)
            rest = [*node.arguments, *node.keywords]
        case tree.View():
            yield from uses_in(module, node.value, call)
            rest = [*node.items]
        case _:
            rest = list(tree.children(node))
    for child in rest:
        yield from uses_in(module, child)


# ---- what it is called ----


def named(main: Module, job: tree.Job, pieces: list[Piece]) -> dict[tuple[Module, str], str]:
    """A name for each function, free wherever the function is mentioned. The author's keep theirs; then layers."""
    data = {item.name.text for item in job.items if isinstance(item, tree.DataDef)}
    names = {piece.key: piece.key[1] for piece in pieces if piece.module is main and piece.key[1]}
    taken = {*LANGUAGE, *data, *names.values()}
    foreign = [piece for piece in pieces if piece.module is not main]
    for piece in sorted(foreign, key=lambda p: isinstance(p.item, tree.Def) and p.item.kind != "layer"):
        local = {name for user in pieces if mentions(user, piece) for name in locals_of(user.item)}
        names[piece.key] = free_name(piece, taken | local)
        taken.add(names[piece.key])
    return names


def mentions(user: Piece, piece: Piece) -> bool:
    """Whether `user` will call `piece` by a name that one of its own could hide; within a file none did before."""
    return user.module is not piece.module and any((use.home, use.name) == piece.key for use in user.uses)


def locals_of(item: tree.Item) -> Iterator[str]:
    """Every name that the item binds somewhere inside."""
    for node in tree.walk(item):
        yield from bound_by(node)
        if isinstance(node, tree.Param):
            yield node.name.text
        elif isinstance(node, tree.Repeat) and node.index:
            yield node.index.text


def free_name(piece: Piece, taken: set[str]) -> str:
    """Its own, with the library's name before it, or with a number behind."""
    name = piece.key[1]
    library = piece.module.source.name.rpartition("/")[2].removesuffix(".job")
    prefix = library if library.isidentifier() else "imported"
    candidates = (name, f"{prefix}_{name}", *(f"{prefix}_{name}{n}" for n in range(2, len(taken) + 3)))
    return next(candidate for candidate in candidates if candidate not in taken)


# ---- the new text ----


def chunks(
    main: Module, job: tree.Job, pieces: list[Piece], names: dict[tuple[Module, str], str]
) -> Iterator[str]:
    """The author's file without imports and what nothing uses, the libraries' functions in front of the first
    function or section."""
    kept = {piece.item: piece for piece in pieces}
    foreign = [piece for piece in pieces if piece.module is not main]
    edits: list[tuple[Span, str]] = []
    for item in job.items:
        if item in kept:
            edits += renames(kept[item], names)
        elif isinstance(item, tree.Import | tree.Def):
            edits.append((with_end(item.span), ""))
    first = next((i for i in job.items if isinstance(i, tree.Def | tree.Section)), None)
    at = line_start(first.span) if first else len(job.span.source.text)
    library = "".join(f"{comment(piece)}{edited(piece.item.span, renames(piece, names))}\n\n" for piece in foreign)
    whole = main.source.span(0, len(main.source.text))
    yield edited(whole, [(main.source.span(at, at), library), *edits])


def renames(piece: Piece, names: dict[tuple[Module, str], str]) -> list[tuple[Span, str]]:
    """Edits of one item: its own name, its mentions of others, labels of layers that are called otherwise now."""
    found: list[tuple[Span, str]] = []
    if isinstance(piece.item, tree.Def):
        found.append((piece.item.name.span, names[piece.key]))
    for use in piece.uses:
        name = names[use.home, use.name]
        found.append((use.span, name))
        if name != use.name and use.call and isinstance(piece.item, tree.Def) and is_layer(use):
            start = use.call.span.start
            found.append((use.call.span.source.span(start, start), f"{use.name}:"))
    return found


def is_layer(use: Use) -> bool:
    return use.home.functions[use.name].kind == "layer"


def edited(span: Span, edits: Iterable[tuple[Span, str]]) -> str:
    """The text of `span` with the edits in it; of two at one place the emptier comes first."""
    text, at = "", span.start
    for edit, new in sorted(edits, key=lambda e: (e[0].start, e[0].end)):
        text += span.source.text[at : edit.start] + new
        at = edit.end
    return text + span.source.text[at : span.end]


def comment(piece: Piece) -> str:
    """The lines of comments right above an item."""
    source, line = piece.item.span.source, piece.item.span.line
    first = line
    while first > 1 and source.line(first - 1).lstrip().startswith("#"):
        first -= 1
    return "".join(f"{source.line(n)}\n" for n in range(first, line))


def line_start(span: Span) -> int:
    return span.source.line_starts[span.line - 1]


def with_end(span: Span) -> Span:
    """The item and the end of its line, where nothing else stands on the line."""
    text = span.source.text
    after = text.find("\n", span.end)
    if text[line_start(span) : span.start].strip() or after < 0 or text[span.end : after].strip():
        return span
    return span.source.span(line_start(span), after + 1)

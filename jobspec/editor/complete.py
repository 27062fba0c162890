"""What could be written at the cursor.

Takes: an index and an offset. Promises: words that can stand there, with what they are: members behind a dot, axes in a
bracket, names in scope, functions, arguments of the call at hand, settings of the section at hand. An editor filters
them by the letters that are there already. Unfinished text is no hindrance: tokens say where the cursor stands, names
come from the last text that could be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jobspec.editor import describe, words
from jobspec.editor.index import Index
from jobspec.editor.names import Symbol
from jobspec.editor.resolve import SETTINGS, Resolver
from jobspec.lang import tree
from jobspec.lang.builtins import BUILTINS, CONSTANTS
from jobspec.lang.modules import std_names
from jobspec.lang.tokens import END, Token
from jobspec.lang.tokens import words as reserved

OPEN, CLOSE = ("LPAR", "LSQB", "LBRACE"), ("RPAR", "RSQB", "RBRACE")
ITEMS = ("import", "dim", "def", "layer", "optim", "data", "train", "eval", "save", "run")
STATEMENTS = {
    "layer": ("param", "state", "repeat", "if"),
    "optim": ("state", "if"),
    "def": ("repeat", "if"),
    "train": ("update", "freeze", "if"),
    "eval": (),
    "save": (),
    "run": ("shard",),
}


@dataclass(frozen=True)
class Offer:
    """A word, what it is (a kind of names.py, `keyword`, `member` or `named argument`), and a line about it."""

    text: str
    kind: str
    detail: str = ""
    remark: str = ""


def offers(index: Index, offset: int) -> list[Offer]:
    """All that can stand at the offset, each word once."""
    before = [t for t in index.tokens if t.end < offset or (t.end == offset and not is_word(t))]
    found: dict[str, Offer] = {}
    for offer in offered(index, before, offset):
        found.setdefault(offer.text, offer)
    return list(found.values())


def is_word(token: Token) -> bool:
    return token.kind in ("NAME", "AXIS", *reserved().values())


def offered(index: Index, before: list[Token], offset: int) -> Iterator[Offer]:
    last = before[-1].kind if before else ""
    if last == "DOT":
        yield from members(index, before)
        return
    opened = unclosed(before)
    if names_axes(before, opened):
        yield from axes(index, offset)
        return
    if opened and before[opened[-1]].kind == "LPAR":
        yield from arguments(index, before, opened[-1])
    starts = last in ("", END, "LBRACE", "RBRACE")
    if starts:
        yield from beginnings(before, opened)
    if opened or not starts:
        yield from values(index, offset)
        yield from axes(index, offset)


def unclosed(before: list[Token]) -> list[int]:
    """Places of the brackets that are open at the end, outermost first."""
    stack: list[int] = []
    for i, token in enumerate(before):
        if token.kind in OPEN:
            stack.append(i)
        elif token.kind in CLOSE and stack:
            stack.pop()
    return stack


def names_axes(before: list[Token], opened: list[int]) -> bool:
    """Whether an axis must stand next: in a view, but behind the `:` of a place."""
    if not opened or before[opened[-1]].kind != "LSQB" or opened[-1] == 0:
        return False
    viewed = before[opened[-1] - 1].kind in ("NAME", "RSQB", "RPAR")
    return viewed and before[-1].kind in ("LSQB", "AXIS", "COMMA", "ARROW", "BY")


# ---- behind a dot ----


def members(index: Index, before: list[Token]) -> Iterator[Offer]:
    owner = before[-2].text if len(before) > 1 else ""
    resolver = names_of(index)
    if owner == "std":
        yield from (Offer(name, "library", f"import std.{name}") for name in std_names())
    elif resolver and owner in resolver.module.imports:
        for definition in resolver.module.imports[owner].functions.values():
            yield function_offer(definition)
    elif owner == "batch" and resolver:
        yield from (Offer(name, "field", detail) for name, detail in batch_fields(resolver))


def function_offer(definition: tree.Def) -> Offer:
    kind = {"def": "function", "layer": "layer", "optim": "optimizer"}[definition.kind]
    remark = describe.comment_above(definition.span.source, definition.span)
    return Offer(definition.name.text, kind, describe.signature(definition), remark)


def batch_fields(resolver: Resolver) -> Iterator[tuple[str, str]]:
    """Fields of all data sets of the text."""
    for symbol in resolver.data.values():
        call = symbol.declared.value if isinstance(symbol.declared, tree.DataDef) else None
        if isinstance(call, tree.Call):
            kind = call.function.id if isinstance(call.function, tree.Name) else ""
            yield from ((k.name.text, k.value.span.text) for k in call.keywords)
            yield from ((word, call.arguments[-1].span.text) for word in ("tok", "next") if kind == "tokens")


# ---- in brackets ----


def axes(index: Index, offset: int) -> Iterator[Offer]:
    resolver, home = names_of(index), home_at(index, offset)
    if resolver is None:
        return
    own = {m.symbol: None for m in resolver.mentions if m.symbol.kind == "axis parameter" and m.symbol.home is home}
    yield from (Offer(symbol.name, symbol.kind, "axis parameter") for symbol in own)
    for name in resolver.axes:
        size = index.size(name)
        yield Offer(name, "axis", f"dim {name} = {size}" if size else f"dim {name}")


def arguments(index: Index, before: list[Token], opened: int) -> Iterator[Offer]:
    """`name=` for the arguments of the call whose bracket was opened last."""
    callee, owner = called(before, opened)
    for name, detail in argument_names(index, callee, owner):
        yield Offer(f"{name}=", "named argument", detail)


def called(before: list[Token], opened: int) -> tuple[str, str]:
    """The function's name and the library before its dot, if there is one; its own bracket is skipped."""
    at = opened - 1
    while at > 0 and before[at].kind == "RSQB":
        at = max((i for i in range(at) if before[i].kind == "LSQB"), default=0) - 1
    callee = before[at].text if at >= 0 else ""
    return callee, before[at - 2].text if at >= 2 and before[at - 1].kind == "DOT" else ""


def argument_names(index: Index, callee: str, owner: str) -> Iterable[tuple[str, str]]:
    resolver = names_of(index)
    module = resolver.module.imports.get(owner) if resolver and owner else resolver.module if resolver else None
    if module and callee in module.functions:
        definition = module.functions[callee]
        return [(p.name.text, describe.signature(definition)) for p in definition.params]
    if not owner and callee in BUILTINS and not BUILTINS[callee].rest:
        entry = words.meaning(callee)
        return [(name, entry[0] if entry else "") for name in BUILTINS[callee].arguments]
    return []


# ---- statements and values ----


def beginnings(before: list[Token], opened: list[int]) -> Iterator[Offer]:
    """Words that begin a part of the file, or a statement of the block at hand."""
    if not opened:
        yield from (keyword(word) for word in ITEMS)
        return
    section = section_word(before, opened[0])
    yield from (keyword(word) for word in STATEMENTS.get(section, ()))
    for name in SETTINGS.get(section, ()):
        entry = words.meaning(name, section)
        yield Offer(name, "setting", entry[0] if entry else "", entry[1] if entry else "")


def keyword(word: str) -> Offer:
    entry = words.meaning(word)
    return Offer(word, "keyword", entry[0] if entry else "", entry[1] if entry else "")


def section_word(before: list[Token], opened: int) -> str:
    """The first word of the item whose block is open."""
    start = opened
    depth = 0
    while start > 0 and (depth or before[start - 1].kind not in (END, "RBRACE")):
        start -= 1
        depth += (before[start].kind in CLOSE) - (before[start].kind in OPEN)
    return before[start].text


def values(index: Index, offset: int) -> Iterator[Offer]:
    """Names in scope, functions and libraries of the file, functions of the language."""
    resolver = names_of(index)
    if resolver:
        yield from (symbol_offer(index, symbol) for symbol in in_scope(index, resolver, offset))
        yield from (function_offer(definition) for definition in resolver.module.functions.values())
        yield from (Offer(name, "library") for name in resolver.libraries)
        yield from (Offer(name, "data") for name in resolver.data)
    for word in (*BUILTINS, *CONSTANTS, "training", *words.tables()["names"]):
        entry = words.meaning(word)
        yield Offer(word, "word", entry[0] if entry else "", entry[1] if entry else "")


def in_scope(index: Index, resolver: Resolver, offset: int) -> list[Symbol]:
    """Values of the definition or section around that are bound before the offset."""
    home = home_at(index, offset)
    kinds = ("argument", "value", "parameter", "state", "setting")
    bound = [m for m in resolver.mentions if m.defines and m.symbol.kind in kinds and m.symbol.home is home]
    return list(dict.fromkeys(m.symbol for m in bound if m.span.start < offset or m.symbol.kind == "argument"))


def symbol_offer(index: Index, symbol: Symbol) -> Offer:
    seen = (describe.values(index.values((m.span.start, m.span.end))) for m in symbol.definitions)
    return Offer(symbol.name, symbol.kind, next((lines[0] for lines in seen if lines), ""))


def names_of(index: Index) -> Resolver | None:
    """Names of the text, or of the last one that was a job."""
    if index.names and index.names.mentions:
        return index.names
    return index.good.names if index.good else None


def home_at(index: Index, offset: int) -> tree.Node | None:
    """The definition or section around the offset, in the text that the names are of."""
    file = index.file
    if index.names is None or not index.names.mentions:
        file = index.good.file if index.good else None
    items = file.items if file else ()
    begun = [item for item in items if item.span.start <= offset]
    return begun[-1] if begun and isinstance(begun[-1], tree.Def | tree.Section) else None

"""The parts of a text, and the kinds of its words.

Takes: an index. Promises: a tree of named parts for an editor's outline; the mentions in the order of the text, each
with the kind that an editor colours it by, none of them overlapping.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jobspec.editor.describe import signature, slot
from jobspec.editor.index import Index
from jobspec.editor.names import Mention
from jobspec.editor.record import place
from jobspec.lang import tree
from jobspec.lang.source import Span

#: kind of symbol → type of token in the protocol; words of the language are left to the grammar's colours
TOKEN_TYPES = {
    "axis": "type",
    "axis parameter": "typeParameter",
    "function": "function",
    "layer": "class",
    "optimizer": "function",
    "argument": "parameter",
    "value": "variable",
    "parameter": "property",
    "state": "property",
    "label": "enumMember",
    "data": "variable",
    "field": "property",
    "library": "namespace",
    "setting": "keyword",
}


@dataclass(frozen=True)
class Part:
    """`kind`: of names.py, or `job`. `span`: all of it; `name_span`: what is shown when it is chosen."""

    name: str
    kind: str
    detail: str
    span: Span
    name_span: Span
    parts: tuple[Part, ...] = ()


def outline(index: Index) -> list[Part]:
    """The items of the file, parameters and states inside of them."""
    return [part for item in (index.file.items if index.file else ()) for part in parts_of(index, item)]


def parts_of(index: Index, item: tree.Item) -> Iterator[Part]:
    match item:
        case tree.Import():
            word = item.alias or (item.source[-1] if isinstance(item.source, tuple) else None)
            if word:
                yield Part(word.text, "library", "", item.span, word.span)
        case tree.DimDef():
            size = index.size(item.axis.text)
            yield Part(item.axis.text, "axis", str(size or ""), item.span, item.axis.span)
        case tree.DataDef():
            yield Part(item.name.text, "data", "", item.span, item.name.span)
        case tree.Def():
            kind = {"def": "function", "layer": "layer", "optim": "optimizer"}[item.kind]
            yield Part(item.name.text, kind, signature(item), item.span, item.name.span, declared(index, item))
        case tree.Section():
            start = Span(item.span.source, item.span.start, item.span.start + len(item.kind))
            name = item.name.text if item.name else item.kind
            yield Part(name, "section", item.kind, item.span, start, values(item))


def declared(index: Index, item: tree.Def) -> tuple[Part, ...]:
    found = [node for node in tree.walk(item) if isinstance(node, tree.Parameter | tree.State)]
    return tuple(
        Part(node.name.text, "parameter", first_slot(index, node), node.name.span, node.name.span) for node in found
    )


def first_slot(index: Index, node: tree.Parameter | tree.State) -> str:
    held = index.held(place(node.name.span))
    return slot(held[0]).replace("`", "") if held else ""


def values(item: tree.Section) -> tuple[Part, ...]:
    lets = [statement for statement in item.body if isinstance(statement, tree.Let)]
    return tuple(
        Part(target.name.text, "value", "", let.span, target.name.span) for let in lets for target in let.targets
    )


def coloured(index: Index) -> list[tuple[Mention, str]]:
    """Mentions with the type of token that they are."""
    mentions = index.names.mentions if index.names else []
    return [(m, TOKEN_TYPES[m.symbol.kind]) for m in mentions if m.symbol.kind in TOKEN_TYPES]

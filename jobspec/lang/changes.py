"""What two job texts say differently, statement by statement.

Takes: two trees. Promises: pairs of places, one in each text or None where one has nothing there; items belong together
by kind and name, statements by their order, and what a block holds is compared inside of it. How a text is laid out and
commented, and the order of its items, is no difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from jobspec.lang import tree
from jobspec.lang.source import Span

Block = tree.Repeat | tree.If | tree.Phase


@dataclass(frozen=True)
class Change:
    """`where`: the item (`layer net`, `train`). `first`, `second`: places in the two texts."""

    where: str
    first: Span | None
    second: Span | None


def changes(first: tree.Job, second: tree.Job) -> Iterator[Change]:
    """In the order of the first text, then what only the second has. The job's name and title are left out."""
    mine, other = ({called(item): item for item in job.items} for job in (first, second))
    for name, item in mine.items():
        yield from item_changes(name, item, other.get(name))
    for name, item in other.items():
        if name not in mine:
            yield from item_changes(name, None, item)


def called(item: tree.Item) -> str:
    match item:
        case tree.Import():
            return imported(item)
        case tree.DimDef():
            return f"dim {item.axis.text}"
        case tree.Def():
            return f"{item.kind} {item.name.text}"
        case tree.DataDef():
            return f"data {item.name.text}"
        case tree.Section():
            return f"{item.kind} {item.name.text}" if item.name else item.kind


def imported(node: tree.Import) -> str:
    alias = f" as {node.alias.text}" if node.alias else ""
    source = node.source.text if isinstance(node.source, tree.Hash) else ".".join(word.text for word in node.source)
    return f"import {source}{alias}"


def item_changes(where: str, first: tree.Item | None, second: tree.Item | None) -> Iterator[Change]:
    if first == second:
        return
    if isinstance(first, tree.Def | tree.Section) and isinstance(second, tree.Def | tree.Section):
        if replace(first, body=()) != replace(second, body=()):
            yield Change(where, head(first), head(second))
        yield from body_changes(where, first.body, second.body)
    else:
        yield Change(where, head(first) if first else None, head(second) if second else None)


def head(item: tree.Item) -> Span:
    """The item up to its body."""
    body = item.body if isinstance(item, tree.Def | tree.Section) else ()
    if not body:
        return item.span
    brace = item.span.source.text.rfind("{", item.span.start, body[0].span.start)
    return replace(item.span, end=brace + 1 if brace >= 0 else body[0].span.start)


def body_changes(where: str, first: Sequence[tree.Statement], second: Sequence[tree.Statement]) -> Iterator[Change]:
    for kind, a, b, c, d in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        if kind != "equal":
            yield from stretch(where, first[a:b], second[c:d])


def stretch(where: str, first: Sequence[tree.Statement], second: Sequence[tree.Statement]) -> Iterator[Change]:
    """Statements that stand for one another, pair by pair; a block that only differs inside is opened."""
    for i in range(max(len(first), len(second))):
        old, new = (side[i] if i < len(side) else None for side in (first, second))
        if isinstance(old, Block) and isinstance(new, Block) and emptied(old) == emptied(new):
            for before, after in zip(bodies(old), bodies(new), strict=True):
                yield from body_changes(where, before, after)
        else:
            yield Change(where, old.span if old else None, new.span if new else None)


def bodies(block: Block) -> tuple[tree.Body, ...]:
    return (block.then, block.orelse or ()) if isinstance(block, tree.If) else (block.body,)


def emptied(block: Block) -> Block:
    return replace(block, then=(), orelse=()) if isinstance(block, tree.If) else replace(block, body=())

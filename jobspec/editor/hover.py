"""What stands under the cursor.

Takes: an index and an offset. Promises: Markdown that says what the word is, its axes and sizes where they are known,
shapes and counts of parameters, the meaning of a word of the language; and the stretch of text that it is about. None
where there is nothing to say.
"""

from __future__ import annotations

from jobspec.editor import describe, words
from jobspec.editor.index import Index
from jobspec.editor.names import Mention, Symbol
from jobspec.editor.record import place
from jobspec.lang import tree
from jobspec.lang.source import Span
from jobspec.lang.tokens import Token
from jobspec.lang.tokens import words as reserved

PARAMETER_NOTE = "A new name changes the job hash and this parameter's first random values."
AXIS_NOTE = "Its name is in the job hash where a parameter or state has it."


def hover(index: Index, offset: int) -> tuple[str, Span] | None:
    """Markdown, and what it is about."""
    mention = index.mention(offset)
    if mention:
        lines = about(index, mention)
        return ("\n\n".join(lines), mention.span) if lines else None
    return word_under(index, offset) or value_under(index, offset)


def about(index: Index, mention: Mention) -> list[str]:
    symbol = mention.symbol
    if symbol.kind in ("axis", "axis parameter"):
        return axis(index, symbol)
    if symbol.kind in ("function", "layer", "optimizer") and isinstance(symbol.declared, tree.Def):
        return function(index, symbol.declared)
    if symbol.kind in ("parameter", "state"):
        return parameter(index, mention)
    if symbol.kind == "word":
        return in_words(symbol.name)
    if symbol.kind == "library":
        return library(index, symbol)
    return value(index, mention)


def axis(index: Index, symbol: Symbol) -> list[str]:
    if symbol.kind == "axis":
        size = index.size(symbol.name)
        return [describe.code(f"dim {symbol.name} = {size}" if size else f"dim {symbol.name}"), AXIS_NOTE]
    home = symbol.home
    given = index.axes(place(home.name.span)) if isinstance(home, tree.Def) else []
    stands = {" ".join(sized(index, a) for a in axes[symbol.name]): None for axes in given if symbol.name in axes}
    return [f"axis parameter `{symbol.name}`" + (f": here {', or '.join(stands)}" if stands else "")]


def sized(index: Index, axis: str) -> str:
    size = index.size(axis.rstrip("'"))
    return f"{axis} {size}" if size else axis


def function(index: Index, definition: tree.Def) -> list[str]:
    lines = describe.function(definition)
    if definition.span.source is not index.source:
        return [*lines, f"from `{definition.span.source.name}`"]
    return [*lines, *parameters_within(index, definition)]


def parameters_within(index: Index, definition: tree.Def) -> list[str]:
    """How much state a layer of this text holds in the job."""
    if definition.kind != "layer" or index.names is None:
        return []
    mine = [m for m in index.names.mentions if m.defines and m.symbol.home is definition]
    held = [one for m in mine if m.symbol.kind in ("parameter", "state") for one in index.held(place(m.span))]
    if not held:
        return []
    numbers = sum(one.slot.type.size for one in held)
    return [f"holds {numbers:,} numbers of its own, in {len(held)} tensor{'s' if len(held) > 1 else ''}"]


def parameter(index: Index, mention: Mention) -> list[str]:
    symbol = mention.symbol
    (first, *_) = symbol.definitions or [mention]
    lines = [describe.code(f"{'param' if symbol.kind == 'parameter' else 'state'} {symbol.name}")]
    lines += describe.values(index.values(place(mention.span)))[:1]
    held = describe.slots(index.held(place(first.span)))
    lines += ["\n".join(f"- {line}" for line in held)] if held else []
    return [*lines, PARAMETER_NOTE]


def library(index: Index, symbol: Symbol) -> list[str]:
    module = index.names.module.imports.get(symbol.name) if index.names else None
    return describe.named(module) or [] if module else [f"library `{symbol.name}`"]


def value(index: Index, mention: Mention) -> list[str]:
    """A value, argument, label, setting, data set, field: its name and what it is."""
    symbol = mention.symbol
    found = known(index, mention)
    setting = words.meaning(symbol.name, section_of(symbol)) if symbol.kind == "setting" else None
    head = describe.code(setting[0] if setting else f"{symbol.name}: {found[0]}" if found else symbol.name)
    lines = [head, *([setting[1]] if setting else []), *(found if setting else found[1:])]
    return [*lines, *(labelled(index, symbol.name) if symbol.kind == "label" else [])]


def known(index: Index, mention: Mention) -> list[str]:
    """What the word is here, or where else it stands if it is never reached here."""
    places = [mention, *(mention.symbol.mentions if mention.symbol.kind != "value" else ())]
    found = (describe.values(index.values(place(m.span))) for m in places)
    return next((lines for lines in found if lines), [])


def labelled(index: Index, label: str) -> list[str]:
    """What of the job's state carries this label in its name."""
    job = index.job or (index.good.job if index.good else None)
    names = [slot.name for slot in job.state if slot.kind != "optimizer"] if job else []
    mine = [f"`{name}`" for name in names if label in name.split(".")[:-1]]
    return [f"a label: {', '.join(mine)}" if mine else "a label", PARAMETER_NOTE]


def section_of(symbol: Symbol) -> str:
    return symbol.home.kind if isinstance(symbol.home, tree.Section) else ""


def in_words(word: str) -> list[str]:
    entry = words.meaning(word)
    return [describe.code(entry[0]), entry[1]] if entry else []


def word_under(index: Index, offset: int) -> tuple[str, Span] | None:
    """A word of the language that names nothing: a reserved one, `batch`, `uniform`, `train`."""
    token = token_under(index, offset)
    if token is None or token.kind not in ("NAME", *reserved().values()):
        return None
    span = index.source.span(token.start, token.end)
    lines = in_words(token.text)
    found = describe.values(index.values(place(span)))
    return ("\n\n".join([*lines, *found]), span) if lines else None


def token_under(index: Index, offset: int) -> Token | None:
    return next((t for t in index.tokens if t.start <= offset <= t.end and t.kind != "_END"), None)


def value_under(index: Index, offset: int) -> tuple[str, Span] | None:
    """The smallest expression around the cursor that has a value."""
    for node in around(index.file, offset):
        lines = describe.values(index.values(place(node.span)))
        if lines:
            return describe.code(lines[0]) + "".join(f"\n\n{line}" for line in lines[1:]), node.span
    return None


def around(node: tree.Node | None, offset: int) -> list[tree.Node]:
    """Nodes that hold the offset, the innermost first."""
    found: list[tree.Node] = []
    while node is not None:
        found.insert(0, node)
        node = next((c for c in tree.children(node) if c.span.start <= offset <= c.span.end), None)
    return found

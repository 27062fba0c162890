"""What the rooms of the editor say, as objects of the protocol.

Takes: diagnostics, mentions, offers, parts. Promises: lsprotocol values and nothing else; a place in another file is
given with that file's address where it lies on this disk, and left out where it does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from lsprotocol import types

from jobspec.editor.complete import Offer
from jobspec.editor.names import Mention
from jobspec.editor.outline import TOKEN_TYPES, Part
from jobspec.editor.positions import Positions
from jobspec.lang.diagnostics import Diagnostic, Edit
from jobspec.lang.modules import STD
from jobspec.lang.source import Source, Span

LEGEND = types.SemanticTokensLegend(sorted(set(TOKEN_TYPES.values())), ["declaration"])
ITEM_KINDS = {
    "axis": types.CompletionItemKind.TypeParameter,
    "axis parameter": types.CompletionItemKind.TypeParameter,
    "function": types.CompletionItemKind.Function,
    "layer": types.CompletionItemKind.Class,
    "optimizer": types.CompletionItemKind.Function,
    "library": types.CompletionItemKind.Module,
    "field": types.CompletionItemKind.Field,
    "setting": types.CompletionItemKind.Property,
    "parameter": types.CompletionItemKind.Property,
    "state": types.CompletionItemKind.Property,
    "named argument": types.CompletionItemKind.Property,
    "keyword": types.CompletionItemKind.Keyword,
    "word": types.CompletionItemKind.Function,
}
PART_KINDS = {
    "axis": types.SymbolKind.Constant,
    "data": types.SymbolKind.Array,
    "function": types.SymbolKind.Function,
    "layer": types.SymbolKind.Class,
    "library": types.SymbolKind.Module,
    "optimizer": types.SymbolKind.Function,
    "parameter": types.SymbolKind.Property,
    "section": types.SymbolKind.Namespace,
    "value": types.SymbolKind.Variable,
}


def address(source: Source) -> str | None:
    """Where a file of this edition's library lies."""
    folder, _, name = source.name.rpartition("/")
    path = Path(str(STD / name))
    return path.as_uri() if folder == "std" and path.is_file() else None


def location(span: Span, here: Positions, uri: str) -> types.Location | None:
    """The span in this file, or in the library's."""
    if span.source is here.source:
        return types.Location(uri, here.range(span))
    other = address(span.source)
    return types.Location(other, Positions(span.source, here.encoding).range(span)) if other else None


def diagnostic(found: Diagnostic, here: Positions, uri: str) -> types.Diagnostic:
    """Message, label and help in one text; labels elsewhere and notes as related places."""
    lines = [found.message, *([found.label] if found.label else []), *([f"help: {found.help}"] if found.help else [])]
    marks = [*found.labels, *((found.span, f"note: {note}") for note in found.notes)]
    places = [(location(span, here, uri), text) for span, text in marks]
    related = [types.DiagnosticRelatedInformation(place, text) for place, text in places if place]
    return types.Diagnostic(
        range=here.range(found.span) if found.span.source is here.source else here.range(here.source.span(0, 0)),
        message="\n".join(lines),
        severity=types.DiagnosticSeverity.Error,
        code=found.code,
        source="jobspec",
        related_information=related or None,
    )


def completion(offer: Offer) -> types.CompletionItem:
    return types.CompletionItem(
        label=offer.text,
        kind=ITEM_KINDS.get(offer.kind, types.CompletionItemKind.Variable),
        detail=offer.detail or None,
        documentation=offer.remark or None,
    )


def symbol(part: Part, here: Positions) -> types.DocumentSymbol:
    return types.DocumentSymbol(
        name=part.name,
        kind=PART_KINDS[part.kind],
        range=here.range(part.span),
        selection_range=here.range(part.name_span),
        detail=part.detail or None,
        children=[symbol(inner, here) for inner in part.parts],
    )


def tokens(coloured: Iterable[tuple[Mention, str]], here: Positions) -> list[int]:
    """Five numbers a token: lines and units since the last one, length, type, whether it declares."""
    data: list[int] = []
    line = column = 0
    for mention, kind in coloured:
        start = here.position(mention.span.start)
        step = start.line - line
        data += [step, start.character - (0 if step else column), here.units(mention.span.text)]
        data += [LEGEND.token_types.index(kind), int(mention.defines)]
        line, column = start.line, start.character
    return data


def edits(spans: Sequence[Span], text: str, here: Positions) -> list[types.TextEdit]:
    return [types.TextEdit(here.range(span), text) for span in spans]


def proposal(found: Diagnostic) -> Edit | None:
    """The edit of a help line; `did you mean` is one where the error is of a single word."""
    meant = re.search(r"did you mean `([\w']+)`", found.help or "")
    if found.edit is None and meant and re.fullmatch(r"[\w']+", found.span.text):
        return Edit(found.span, meant[1])
    return found.edit


def fixes(found: Iterable[Diagnostic], here: Positions, uri: str) -> list[types.CodeAction]:
    """The edits that help lines propose."""
    proposed = [(one, edit) for one in found if (edit := proposal(one))]
    return [
        types.CodeAction(
            title=one.help or f"write `{edit.text}`",
            kind=types.CodeActionKind.QuickFix,
            diagnostics=[diagnostic(one, here, uri)],
            edit=types.WorkspaceEdit(changes={uri: edits([edit.span], edit.text, here)}),
        )
        for one, edit in proposed
        if edit.span.source is here.source
    ]

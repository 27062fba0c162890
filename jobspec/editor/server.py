"""The language server: the protocol's requests in, calls of this room out.

Takes: what is known of data and of imported files. Promises: every request on every text is answered, on broken text
from what could be read of it; errors appear a moment after the last keystroke. Nothing is written to disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from jobspec.editor import wire
from jobspec.editor.complete import offers
from jobspec.editor.hover import hover
from jobspec.editor.index import Index, World, examined
from jobspec.editor.names import Mention
from jobspec.editor.outline import coloured, outline
from jobspec.editor.positions import Positions
from jobspec.editor.rename import EditError, renamable, rename
from jobspec.ir.version import VERSION
from jobspec.lang.diagnostics import DiagnosticsError
from jobspec.lang.explain import explain
from jobspec.lang.format import format_source
from jobspec.lang.source import Source

#: seconds without a keystroke before a text is examined
CALM = 0.15
REQUEST_FAILED = -32803


@dataclass(frozen=True)
class Page:
    """One open file as it is now."""

    uri: str
    index: Index
    here: Positions

    def location(self, mention: Mention) -> types.Location | None:
        return wire.location(mention.span, self.here, self.uri)


class Server(LanguageServer):
    """`indexes`: of the open files, by address; `good`: of their last states that were jobs."""

    def __init__(self, world: World) -> None:
        super().__init__("jobspec", VERSION, text_document_sync_kind=types.TextDocumentSyncKind.Full)
        self.world = world
        self.indexes: dict[str, Index] = {}
        self.good: dict[str, Index] = {}
        self.waiting: dict[str, asyncio.TimerHandle] = {}

    def index(self, uri: str) -> Index:
        """The index of the text as it stands; examined anew only if it was changed."""
        text = self.workspace.get_text_document(uri).source
        index = self.indexes.get(uri)
        if index is None or index.source.text != text:
            index = examined(Source(uri, text), self.world, self.good.get(uri))
            self.indexes[uri] = index
            if index.job is not None:
                self.good[uri] = index
        return index

    def page(self, uri: str) -> Page:
        index, encoding = self.index(uri), self.server_capabilities.position_encoding
        return Page(uri, index, Positions(index.source, str(getattr(encoding, "value", encoding) or "utf-16")))

    def publish(self, uri: str) -> None:
        """Sends the errors of a text."""
        self.stop_waiting(uri)
        page = self.page(uri)
        found = [wire.diagnostic(d, page.here, uri) for d in page.index.diagnostics]
        version = self.workspace.get_text_document(uri).version
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, found, version))

    def publish_soon(self, uri: str) -> None:
        self.stop_waiting(uri)
        self.waiting[uri] = asyncio.get_running_loop().call_later(CALM, self.publish, uri)

    def stop_waiting(self, uri: str) -> None:
        if uri in self.waiting:
            self.waiting.pop(uri).cancel()


# ---- files ----


def opened(ls: Server, params: types.DidOpenTextDocumentParams) -> None:
    ls.publish(params.text_document.uri)


async def changed(ls: Server, params: types.DidChangeTextDocumentParams) -> None:
    ls.publish_soon(params.text_document.uri)


def closed(ls: Server, params: types.DidCloseTextDocumentParams) -> None:
    uri = params.text_document.uri
    ls.stop_waiting(uri)
    ls.indexes.pop(uri, None)
    ls.good.pop(uri, None)
    ls.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))


# ---- requests ----


def spot(ls: Server, params: Any) -> tuple[Page, int]:
    """The file and the offset of a request."""
    page = ls.page(params.text_document.uri)
    return page, page.here.offset(params.position)


def hovered(ls: Server, params: types.HoverParams) -> types.Hover | None:
    page, offset = spot(ls, params)
    errors = [d for d in page.index.diagnostics if d.span.start <= offset <= d.span.end]
    parts = [explain(d.code) for d in errors]
    found = hover(page.index, offset)
    if not found and not parts:
        return None
    text = "\n\n---\n\n".join([*([found[0]] if found else []), *(f"```text\n{part}\n```" for part in parts)])
    span = found[1] if found else errors[0].span
    return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, text), page.here.range(span))


def defined(ls: Server, params: types.DefinitionParams) -> list[types.Location]:
    page, offset = spot(ls, params)
    mention = page.index.mention(offset)
    places = [page.location(m) for m in mention.symbol.definitions[:1]] if mention else []
    return [place for place in places if place]


def referred(ls: Server, params: types.ReferenceParams) -> list[types.Location]:
    page, offset = spot(ls, params)
    mention = page.index.mention(offset)
    wanted = (
        [m for m in mention.symbol.mentions if params.context.include_declaration or not m.defines] if mention else []
    )
    return [place for place in map(page.location, wanted) if place]


def highlighted(ls: Server, params: types.DocumentHighlightParams) -> list[types.DocumentHighlight]:
    page, offset = spot(ls, params)
    mention = page.index.mention(offset)
    spans = [m.span for m in mention.symbol.mentions if m.span.source is page.index.source] if mention else []
    return [types.DocumentHighlight(page.here.range(span)) for span in spans]


def rename_prepared(ls: Server, params: types.PrepareRenameParams) -> types.PrepareRenamePlaceholder:
    page, offset = spot(ls, params)
    mention = refused(lambda: renamable(page.index, offset))
    return types.PrepareRenamePlaceholder(page.here.range(mention.span), mention.span.text)


def renamed(ls: Server, params: types.RenameParams) -> types.WorkspaceEdit:
    page, offset = spot(ls, params)
    found = refused(lambda: rename(page.index, offset, params.new_name, ls.world))
    if found.note:
        ls.window_show_message(types.ShowMessageParams(types.MessageType.Info, found.note))
    return types.WorkspaceEdit(changes={page.uri: wire.edits(found.spans, found.name, page.here)})


def refused(action: Callable[[], Any]) -> Any:
    """The action's answer; a refusal becomes the protocol's error, so that the editor shows it."""
    try:
        return action()
    except EditError as error:
        help = f" ({error.help})" if error.help else ""
        raise JsonRpcException(f"{error.reason}{help} [{error.code}]", REQUEST_FAILED) from None


def formatted(ls: Server, params: types.DocumentFormattingParams) -> list[types.TextEdit]:
    page = ls.page(params.text_document.uri)
    try:
        text = format_source(page.index.source)
    except DiagnosticsError:
        return []
    return [types.TextEdit(page.here.whole(), text)] if text != page.index.source.text else []


def completed(ls: Server, params: types.CompletionParams) -> list[types.CompletionItem]:
    page, offset = spot(ls, params)
    return [wire.completion(offer) for offer in offers(page.index, offset)]


def outlined(ls: Server, params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
    page = ls.page(params.text_document.uri)
    return [wire.symbol(part, page.here) for part in outline(page.index)]


def tokened(ls: Server, params: types.SemanticTokensParams) -> types.SemanticTokens:
    page = ls.page(params.text_document.uri)
    return types.SemanticTokens(wire.tokens(coloured(page.index), page.here))


def acted(ls: Server, params: types.CodeActionParams) -> list[types.CodeAction]:
    page = ls.page(params.text_document.uri)
    start, end = page.here.offset(params.range.start), page.here.offset(params.range.end)
    touched = [d for d in page.index.diagnostics if d.span.start <= end and start <= d.span.end]
    return wire.fixes(touched, page.here, page.uri)


FEATURES: tuple[tuple[str, Callable[..., Any], Any], ...] = (
    (types.TEXT_DOCUMENT_DID_OPEN, opened, None),
    (types.TEXT_DOCUMENT_DID_CHANGE, changed, None),
    (types.TEXT_DOCUMENT_DID_CLOSE, closed, None),
    (types.TEXT_DOCUMENT_HOVER, hovered, None),
    (types.TEXT_DOCUMENT_DEFINITION, defined, None),
    (types.TEXT_DOCUMENT_REFERENCES, referred, None),
    (types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT, highlighted, None),
    (types.TEXT_DOCUMENT_PREPARE_RENAME, rename_prepared, None),
    (types.TEXT_DOCUMENT_RENAME, renamed, types.RenameOptions(prepare_provider=True)),
    (types.TEXT_DOCUMENT_FORMATTING, formatted, None),
    (types.TEXT_DOCUMENT_COMPLETION, completed, types.CompletionOptions(trigger_characters=[".", "["])),
    (types.TEXT_DOCUMENT_DOCUMENT_SYMBOL, outlined, None),
    (types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, tokened, wire.LEGEND),
    (types.TEXT_DOCUMENT_CODE_ACTION, acted, None),
)


def server(world: World) -> Server:
    """A server with all features, not yet started."""
    made = Server(world)
    for name, handler, options in FEATURES:
        made.feature(name, options)(handler)
    return made


def serve(world: World) -> None:
    """Answers on standard input and output until the editor ends it."""
    server(world).start_io()

"""An editor, as far as tests need one: pygls' own client, which starts `jobspec lsp` and talks to it over stdio.

Promises: `with_client(story)` runs the coroutine `story(Client)` to its end, and the server with it; a server that dies
or says nothing for two minutes fails the test.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from lsprotocol import types
from pygls.lsp.client import BaseLanguageClient

ROOT = Path(__file__).parents[2]
START = "from jobspec.cli import main; main()"
LONGEST = 120


class Client(BaseLanguageClient):
    """`errors`: the diagnostics that were published last, by address. `messages`: what the server said to the user."""

    def __init__(self) -> None:
        super().__init__("tests", "1")
        self.errors: dict[str, list[types.Diagnostic]] = {}
        self.messages: list[str] = []
        self.published = asyncio.Event()

    async def begin(self) -> types.InitializeResult:
        await self.start_io(sys.executable, "-c", START, "lsp", "--stdio", cwd=ROOT)
        params = types.InitializeParams(capabilities=types.ClientCapabilities(), root_uri=ROOT.as_uri())
        result = await self.initialize_async(params)
        self.initialized(types.InitializedParams())
        return result

    async def end(self) -> int:
        await self.shutdown_async(None)
        self.exit(None)
        assert self._server is not None
        code = await self._server.wait()
        await self.stop()
        return code

    def open(self, text: str, uri: str = "file:///t.job") -> str:
        self.published.clear()
        item = types.TextDocumentItem(uri, "jobspec", 1, text)
        self.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return uri

    def change(self, text: str, uri: str = "file:///t.job", version: int = 2) -> None:
        self.published.clear()
        document = types.VersionedTextDocumentIdentifier(version, uri)
        whole = types.TextDocumentContentChangeWholeDocument(text)
        self.text_document_did_change(types.DidChangeTextDocumentParams(document, [whole]))

    async def wait_for_errors(self, uri: str = "file:///t.job") -> list[types.Diagnostic]:
        await asyncio.wait_for(self.published.wait(), LONGEST)
        return self.errors[uri]


def made() -> Client:
    client = Client()

    @client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    def publish(params: types.PublishDiagnosticsParams) -> None:
        client.errors[params.uri] = list(params.diagnostics)
        client.published.set()

    @client.feature(types.WINDOW_SHOW_MESSAGE)
    def show(params: types.ShowMessageParams) -> None:
        client.messages.append(params.message)

    return client


def with_client(story: Callable[[Client], Awaitable[None]]) -> None:
    async def told() -> None:
        client = made()
        await client.begin()
        await story(client)
        assert await client.end() == 0

    asyncio.run(asyncio.wait_for(told(), 3 * LONGEST))


def spot(text: str, mark: str, delta: int = 0, turn: int = 0) -> types.Position:
    """The place where `mark` stands in `text` for the `turn`th time, `delta` letters further."""
    at = -1
    for _ in range(turn + 1):
        at = text.index(mark, at + 1)
    before = text[: at + delta]
    return types.Position(before.count("\n"), len(before) - before.rfind("\n") - 1)


def document(uri: str = "file:///t.job") -> types.TextDocumentIdentifier:
    return types.TextDocumentIdentifier(uri)

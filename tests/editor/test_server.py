"""The server over stdio, with pygls' own client for an editor."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from jobspec.editor.wire import LEGEND
from jobspec.lang.format import format_source
from jobspec.lang.source import Source
from tests.editor.client import ROOT, Client, document, spot, with_client

TEXT = (ROOT / "specs" / "char_gpt.job").read_text()


def test_errors_as_one_types() -> None:
    async def story(client: Client) -> None:
        client.open(TEXT.replace("x @ wq", "x @ wqq").replace("schedule.warmup_cosine", "schedule.warmup_cosin"))
        both = await client.wait_for_errors()
        client.change(TEXT.replace("dim V=65", "dim V==65").replace("clip = 1.0", "clip = = 1.0"))
        syntax = await client.wait_for_errors()
        for version in range(3, 9):
            client.change(TEXT + "\n" * version, version=version)
        good = await client.wait_for_errors()
        client.text_document_did_close(types.DidCloseTextDocumentParams(document()))
        assert [e.code for e in both] == ["E0202"] * 2
        assert both[0].range.start.line == TEXT[: TEXT.index("x @ wq")].count("\n")
        assert "did you mean `wq`?" in both[0].message
        assert len(syntax) == 2 and good == []

    with_client(story)


def test_an_error_in_the_library_is_shown_at_the_call_and_leads_there() -> None:
    text = TEXT.replace("nn.softmax[T'](s)", "nn.softmax[T'](q)")

    async def story(client: Client) -> None:
        client.open(text)
        (error,) = await client.wait_for_errors()
        assert error.code == "E0203" and error.range.start.line == text[: text.index("nn.softmax")].count("\n")
        assert error.related_information
        place = error.related_information[0].location
        assert place.uri.endswith("std/nn.job") and place.range.start.line > 0
        shown = await client.text_document_hover_async(types.HoverParams(document(), error.range.start))
        assert shown and isinstance(shown.contents, types.MarkupContent) and "E0203: " in shown.contents.value

    with_client(story)


def test_questions_about_a_word() -> None:
    async def story(client: Client) -> None:
        client.open(TEXT)
        assert await client.wait_for_errors() == []
        await hover_and_definition(client)
        await references_and_rename(client)

    with_client(story)


async def hover_and_definition(client: Client) -> None:
    shown = await client.text_document_hover_async(types.HoverParams(document(), spot(TEXT, "q = x")))
    assert shown and isinstance(shown.contents, types.MarkupContent) and "B 12 · T 64" in shown.contents.value
    inside = await client.text_document_definition_async(types.DefinitionParams(document(), spot(TEXT, "mlp(n2")))
    assert isinstance(inside, list) and inside[0].range.start == spot(TEXT, "layer mlp", 6)
    library = await client.text_document_definition_async(types.DefinitionParams(document(), spot(TEXT, "gelu(x")))
    (place,) = library if isinstance(library, list) else [library]
    assert isinstance(place, types.Location)
    lines = Path(place.uri.removeprefix("file://")).read_text().splitlines()
    assert lines[place.range.start.line][place.range.start.character :].startswith("gelu(x)")


async def references_and_rename(client: Client) -> None:
    context = types.ReferenceContext(include_declaration=True)
    found = await client.text_document_references_async(
        types.ReferenceParams(context, document(), spot(TEXT, "wte: V"))
    )
    assert found and len(found) == 3
    edit = await client.text_document_rename_async(types.RenameParams(document(), spot(TEXT, "wte: V"), "embed"))
    assert edit and edit.changes and [e.new_text for e in edit.changes["file:///t.job"]] == ["embed"] * 3
    assert len(client.messages) == 1 and "changes the job hash" in client.messages[0]
    with pytest.raises(JsonRpcException, match="means something else here already"):
        await client.text_document_rename_async(types.RenameParams(document(), spot(TEXT, "wte: V"), "wpe"))
    with pytest.raises(JsonRpcException, match="is a setting"):
        await client.text_document_prepare_rename_async(types.PrepareRenameParams(document(), spot(TEXT, "seed = ")))


def test_questions_about_the_file() -> None:
    messy = TEXT.replace("  q = x @ wq", "      q   =   x@wq")

    async def story(client: Client) -> None:
        client.open(messy)
        await client.wait_for_errors()
        options = types.FormattingOptions(tab_size=2, insert_spaces=True)
        edits = await client.text_document_formatting_async(types.DocumentFormattingParams(document(), options))
        assert edits and edits[0].new_text == format_source(Source("t", TEXT))
        await parts_and_tokens(client)
        client.change("job t\nlayer x(")
        await client.wait_for_errors()
        assert not await client.text_document_formatting_async(types.DocumentFormattingParams(document(), options))

    with_client(story)


async def parts_and_tokens(client: Client) -> None:
    parts = await client.text_document_document_symbol_async(types.DocumentSymbolParams(document()))
    names = [part.name for part in parts or [] if isinstance(part, types.DocumentSymbol)]
    assert names[-7:] == ["norm", "attention", "mlp", "gpt", "objective", "train", "eval"]
    tokens = await client.text_document_semantic_tokens_full_async(types.SemanticTokensParams(document()))
    assert tokens and len(tokens.data) % 5 == 0
    assert LEGEND.token_types[tokens.data[3]] == "namespace"
    items = await client.text_document_completion_async(types.CompletionParams(document(), spot(TEXT, "nn.gelu", 3)))
    assert isinstance(items, list) and "gelu" in [item.label for item in items]


def test_quick_fixes_are_the_edits_of_the_help_lines() -> None:
    text = TEXT.replace("x @ wq", "x @ wqq")

    async def story(client: Client) -> None:
        client.open(text)
        (error,) = await client.wait_for_errors()
        params = types.CodeActionParams(document(), error.range, types.CodeActionContext([error]))
        actions = await client.text_document_code_action_async(params)
        (action,) = actions or []
        assert isinstance(action, types.CodeAction) and action.edit and action.edit.changes
        (edit,) = action.edit.changes["file:///t.job"]
        assert edit.new_text == "wq" and edit.range == error.range

    with_client(story)


def test_nonsense_in_a_hurry() -> None:
    """Texts cut anywhere, questions without waiting for answers: every one is answered."""

    async def story(client: Client) -> None:
        client.open(TEXT)
        asked = []
        for version, end in enumerate(range(0, len(TEXT), 400), 2):
            client.change(TEXT[:end] + "\N{GRINNING FACE} (", version=version)
            params = types.HoverParams(document(), types.Position(version, 3))
            asked.append(client.text_document_hover_async(params))
            asked.append(client.text_document_completion_async(types.CompletionParams(document(), params.position)))
        await asyncio.gather(*asked)
        client.change(TEXT, version=1000)
        while await client.wait_for_errors():
            client.published.clear()

    with_client(story)

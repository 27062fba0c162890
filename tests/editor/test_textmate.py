"""The colours: the grammar is the language's own, and every word of every shipped text has the scope that it should."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobspec.editor.textmate import FILE, grammar, written
from jobspec.lang.builtins import BUILTINS
from jobspec.lang.diagnostics import Reporter
from jobspec.lang.modules import std_names, std_tree
from jobspec.lang.source import Source
from jobspec.lang.tokens import tokenize, words
from tests.editor.textmate import tokenized

ROOT = Path(__file__).parents[2]
GRAMMAR = grammar()
TEXTS = {path.stem: path.read_text() for path in sorted((ROOT / "specs").glob("*.job"))}
TEXTS |= {f"std/{name}": std_tree(name)[0].text for name in std_names()}
#: kind of token → what its scope begins with
SCOPES = {
    "COMMENT": "comment.", "STRING": "string.", "HASH": "constant.other.hash", "AXIS": "entity.name.type.axis",
    "NUMBER": "constant.numeric", "ARROW": "keyword.operator.arrow", "RANGE": "keyword.operator.arrow",
    "BECOMES": "keyword.operator.assignment", "TILDE": "keyword.operator.assignment",
    "EQUAL": "keyword.operator.assignment", "COMPARE": "keyword.operator.comparison",
    "PLUS": "keyword.operator.arithmetic", "MINUS": "keyword.operator.arithmetic",
    "TIMES": "keyword.operator.arithmetic", "POWER": "keyword.operator.arithmetic",
    "VBAR": "keyword.operator.arithmetic",
}  # fmt: skip
OF_NAMES = ("entity.name.", "variable.", "support.function", "constant.language", "storage.type", "keyword.control")


def scopes(text: str) -> dict[str, str | None]:
    return dict(tokenized(GRAMMAR, text))


def test_the_file_is_what_the_language_says() -> None:
    assert FILE.read_text("utf-8") == written(), "python -m jobspec.editor.textmate"


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_pieces_are_the_tokens_of_the_language(name: str) -> None:
    """The same cuts as the language's own, and scopes that fit their kinds."""
    text = TEXTS[name]
    tokens = [t for t in tokenize(Source(name, text), Reporter()) if t.kind != "_END" or t.text == ";"]
    found = tokenized(GRAMMAR, text)
    assert [piece for piece, _ in found] == [t.text for t in tokens]
    for (piece, scope), token in zip(found, tokens, strict=True):
        assert scope and scope.startswith(wanted(token.kind)), (piece, scope, token.kind)


def wanted(kind: str) -> tuple[str, ...] | str:
    if kind == "NAME":
        return OF_NAMES
    return ("keyword.", "storage.type") if kind in words().values() else SCOPES.get(kind, "punctuation")


@pytest.mark.parametrize("word", sorted(words()))
def test_every_reserved_word_is_highlighted_but_not_behind_a_dot(word: str) -> None:
    scope = scopes(f"{word} ")[word]
    assert scope and scope.startswith(("keyword.", "storage.type"))
    assert tokenized(GRAMMAR, f"batch.{word}")[-1] == (word, "variable.other.member.jobspec")
    assert tokenized(GRAMMAR, f"{word}s")[-1] == (f"{word}s", "variable.other.jobspec")


@pytest.mark.parametrize("word", sorted(BUILTINS))
def test_every_function_of_the_language_is_highlighted(word: str) -> None:
    assert scopes(f"y = {word}[A](x)")[word] == "support.function.jobspec"


@pytest.mark.parametrize(
    ("text", "piece", "scope"),
    [
        ("layer net[A B](x) {", "net", "entity.name.function"),
        ("layer net[A B](x) {", "layer", "storage.type"),
        ("data train = table(b3:00c0ffee, x=u8[X])", "train", "variable.other.constant"),
        ("train {", "train", "keyword.control"),
        ("eval small {", "small", "entity.name.section"),
        ("  on = train", "train", "variable.other"),
        ("  y = n1:norm(x)", "n1", "entity.name.label"),
        ("  y = s1:basic[C1 C2](x)", "s1", "entity.name.label"),
        ("  q: B T = x", "q", "variable.other"),
        ("  nn.softmax[T](s)", "softmax", "entity.name.function.member"),
        ("  batch.tok + 1", "tok", "variable.other.member"),
        ("  x[T: 2..n]", "n", "variable.other"),
        ("  x[T->T']", "T'", "entity.name.type.axis"),
        ("lr = 1e-3", "1e-3", "constant.numeric"),
        ("T = 4Ki", "4Ki", "constant.numeric"),
        ('freeze "enc.*" # why', "# why", "comment.line.number-sign"),
        ('job a "x # y"', '"x # y"', "string.quoted.double"),
        ("b3:00c0ffee", "b3:00c0ffee", "constant.other.hash"),
    ],
)
def test_scopes(text: str, piece: str, scope: str) -> None:
    assert scopes(text)[piece] == f"{scope}.jobspec"


def test_the_extension_names_files_that_are_there() -> None:
    folder = ROOT / "editors"
    contributes = json.loads((folder / "package.json").read_text())["contributes"]
    assert (folder / contributes["grammars"][0]["path"]).resolve() == FILE
    assert (folder / contributes["languages"][0]["configuration"]).is_file()
    assert contributes["grammars"][0]["scopeName"] == GRAMMAR["scopeName"]

"""The TextMate grammar: colours for .job files in editors that read such grammars (VS Code, Sublime Text, GitHub, …).

Takes: the terminals and reserved words of grammar.lark, the functions of the language. Promises: `grammar()` is what
editors/jobspec.tmLanguage.json holds (a test compares them): single-line matches only, so no unclosed bracket colours
the rest of a file. Refresh: `python -m jobspec.editor.textmate`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jobspec.lang.build_items import FUNCTIONS, SECTIONS
from jobspec.lang.builtins import BUILTINS, CONSTANTS
from jobspec.lang.grammar import load_table
from jobspec.lang.tokens import words

FILE = Path(__file__).parents[2] / "editors" / "jobspec.tmLanguage.json"
OPERATOR_WORDS = ("and", "or", "not")
#: reserved words that declare something; all others steer
DECLARING = ("job", "library", "import", "dim", "param", "state")
OTHERS = ("uniform", "table", "tokens")
NAME = r"[a-z_][A-Za-z0-9_]*"
END = r"(?![\w'])"


def pattern(terminal: str) -> str:
    return next(t.pattern for t in load_table().terminals if t.name == terminal)


def any_of(found: Iterable[str]) -> str:
    return "|".join(sorted(found, key=lambda word: (-len(word), word)))


def rule(scope: str, match: str, **captures: str) -> dict[str, Any]:
    """A match; `_1="scope"` gives its first group another scope."""
    named = {key[1:]: {"name": f"{value}.jobspec"} for key, value in captures.items()}
    return {"match": match, **({"name": f"{scope}.jobspec"} if scope else {}), **({"captures": named} if named else {})}


def reserved(kind: str) -> list[str]:
    """Reserved words of one of the three kinds."""
    kinds = {word: "declaring" if word in DECLARING else "operator" if word in OPERATOR_WORDS else "control"
             for word in words()}  # fmt: skip
    return [word for word in words() if kinds[word] == kind]


def repository() -> dict[str, dict[str, Any]]:
    """Rules by name, in the order in which they are tried."""
    types, sections = any_of(FUNCTIONS), any_of(SECTIONS)
    functions = any_of({*BUILTINS, *OTHERS})
    declares = {"_1": "storage.type", "_2": "entity.name.function"}
    return {
        "comment": rule("comment.line.number-sign", pattern("COMMENT")),
        "string": rule("string.quoted.double", pattern("STRING")),
        "hash": rule("constant.other.hash", pattern("HASH")),
        "header": rule("", rf"\b(job|library)\s+({NAME})", _1="storage.type", _2="entity.name.section"),
        "definition": rule("", rf"^\s*({types})\s+({NAME})(?=\s*[\[(])", **declares),
        "data": rule("", rf"^\s*(data)\s+({NAME})(?=\s*=)", _1="storage.type", _2="variable.other.constant"),
        "section": rule("", rf"^\s*({sections})\b(?:\s+({NAME}))?(?=\s*\{{)", _1="keyword.control",
                        _2="entity.name.section"),
        "member": rule("entity.name.function.member", rf"(?<=\.)(?<!\.\.){NAME}{END}(?=\s*[\[(])"),
        "field": rule("variable.other.member", rf"(?<=\.)(?<!\.\.){NAME}{END}"),
        "declaration": rule("storage.type", rf"\b(?:{any_of(reserved('declaring'))}){END}"),
        "word-operator": rule("keyword.operator.word", rf"\b(?:{any_of(reserved('operator'))}){END}"),
        "control": rule("keyword.control", rf"\b(?:{any_of(reserved('control'))}){END}"),
        "constant": rule("constant.language", rf"\b(?:{any_of({*CONSTANTS, 'training'})}){END}"),
        "label": rule("entity.name.label", rf"{NAME}(?=:{NAME}[\w.]*[\[(])"),
        "builtin": rule("support.function", rf"\b(?:{functions}){END}(?=\s*[\[(])"),
        "call": rule("entity.name.function", rf"{NAME}{END}(?=\s*[\[(])"),
        "axis": rule("entity.name.type.axis", pattern("AXIS")),
        "number": rule("constant.numeric", pattern("NUMBER")),
        "name": rule("variable.other", rf"{NAME}{END}"),
        "arrow": rule("keyword.operator.arrow", r"->|\.\."),
        "assignment": rule("keyword.operator.assignment", r":=|(?<![<>=!])=(?!=)|~"),
        "comparison": rule("keyword.operator.comparison", r"<=|>=|==|!=|<|>"),
        "arithmetic": rule("keyword.operator.arithmetic", r"[-+*/%@^|]"),
        "punctuation": rule("punctuation", r"[()\[\]{},;:.]"),
    }  # fmt: skip


def grammar() -> dict[str, Any]:
    rules = repository()
    return {
        "$schema": "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
        "name": "jobspec",
        "scopeName": "source.jobspec",
        "fileTypes": ["job"],
        "patterns": [{"include": f"#{name}"} for name in rules],
        "repository": rules,
    }


def written() -> str:
    return json.dumps(grammar(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(written(), "utf-8")

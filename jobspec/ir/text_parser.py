"""Parser of the text form (text.py has its grammar).

Takes: text, which may come from anywhere. Promises: a well-formed program at stage `surface`, or TextError with
the line and the reason; nothing else is raised, whatever the text. Result types in the text must be what the
ops' rules give.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from jobspec.ir.attributes import ATTRIBUTES
from jobspec.ir.check import IllFormed, check
from jobspec.ir.ops import IllTyped
from jobspec.ir.program import Node, Program, make
from jobspec.ir.types import DTYPES, Type

DEEPEST = 32
_TOKEN = re.compile(
    r'(?P<space>[ \n]+)|(?P<node>%[0-9]{1,9}(?![0-9]))'
    r'|(?P<number>0x[0-9a-f]{1,8}(?![0-9a-z])|-?[0-9]{1,18}(?![0-9a-z]))'
    r'|(?P<text>"(?:[^"\\\n]|\\.)*")|(?P<word>[a-z_][a-z_0-9]*)|(?P<mark>[={}()\[\]:,])'
)


class TextError(ValueError):
    """Text that is not the text form of a program; `line` counts from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    line: int


def tokens(text: str) -> list[Token]:
    """The tokens of `text` and a last one of kind `end`."""
    found, at, line = [], 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise TextError(line, f"nothing starts with {text[at]!r}")
        if match.lastgroup != "space":
            found.append(Token(str(match.lastgroup), match.group(), line))
        line += match.group().count("\n")
        at = match.end()
    return [*found, Token("end", "", line)]


def parse_program(text: str) -> Program:
    """The program that `text` is the text form of. Raises TextError."""
    reader = Reader(tokens(text))
    program = reader.program(0)
    reader.take("end", "")
    try:
        check(program)
    except IllFormed as error:
        raise TextError(1, str(error)) from None
    return program


@dataclass
class Scope:
    """What one program's lines have defined so far."""

    nodes: dict[str, Node] = field(default_factory=dict)
    inputs: list[Node] = field(default_factory=list)
    outputs: list[tuple[str, Node]] = field(default_factory=list)


class Reader:
    """Walks over tokens; methods are named after what they read."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def next(self) -> Token:
        return self._tokens[self._at]

    def refuse(self, reason: str) -> TextError:
        return TextError(self.next.line, reason)

    def take(self, kind: str, text: str | None = None) -> str:
        """The text of the next token, which has to be of `kind` (and to read `text`)."""
        token = self.next
        if token.kind != kind or (text is not None and token.text != text):
            raise self.refuse(f"{text or kind!r} expected, not {token.text!r}")
        self._at += 1
        return token.text

    def mark(self, text: str) -> None:
        self.take("mark", text)

    def meets(self, text: str) -> bool:
        """Whether the next token reads `text`; if so it is taken."""
        found = self.next.text == text and self.next.kind in ("mark", "word")
        self._at += found
        return found

    def program(self, depth: int) -> Program:
        if depth > DEEPEST:
            raise self.refuse(f"loops deeper than {DEEPEST}")
        self.take("word", "program")
        self.mark("{")
        scope = Scope()
        while not self.meets("}"):
            self.line(scope, depth)
        return Program(tuple(scope.inputs), tuple(scope.outputs))

    def line(self, scope: Scope, depth: int) -> None:
        if self.meets("output"):
            name = self.name()
            self.mark("=")
            scope.outputs.append((name, self.operand(scope)))
            return
        number = self.take("node")
        if number in scope.nodes:
            raise self.refuse(f"{number} is defined twice")
        self.mark("=")
        node = self.node(scope, depth)
        scope.nodes[number] = node
        if node.op == "input":
            scope.inputs.append(node)

    def node(self, scope: Scope, depth: int) -> Node:
        op = self.take("word")
        if op not in ATTRIBUTES:
            raise self.refuse(f"no operation is called {op!r}")
        operands = self.operands(scope)
        attrs = {key: self.attribute(key, kind, depth) for key, kind in sorted(ATTRIBUTES[op].items())}
        try:
            node = make(op, *operands, **attrs)
        except (IllTyped, IndexError) as error:
            raise self.refuse(str(error)) from None
        self.mark(":")
        self.types(node)
        return node

    def operands(self, scope: Scope) -> list[Node]:
        self.mark("(")
        found: list[Node] = []
        while not self.meets(")"):
            if found:
                self.mark(",")
            found.append(self.operand(scope))
        return found

    def operand(self, scope: Scope) -> Node:
        number = self.next.text
        if number not in scope.nodes:
            raise self.refuse(f"{number!r} is not defined above")
        self.take("node")
        return scope.nodes[number]

    def attribute(self, key: str, kind: str, depth: int) -> Any:
        self.take("word", key)
        self.mark("=")
        if kind == "body":
            return self.program(depth + 1)
        if kind == "name":
            return self.name()
        if kind in ("ints", "patterns"):
            return self.numbers()
        return self.number() if kind in ("int", "bits") else self.word(kind)

    def name(self) -> str:
        text = self.take("text")
        try:
            name: str = json.loads(text)
        except ValueError:
            raise self.refuse(f"{text} is no name") from None
        return name

    def number(self) -> int:
        text = self.take("number")
        return int(text, 16 if text.startswith("0x") else 10)

    def numbers(self) -> tuple[int, ...]:
        self.mark("[")
        found = []
        while not self.meets("]"):
            found.append(self.number())
        return tuple(found)

    def word(self, kind: str) -> bool | str:
        word = self.take("word")
        if word not in (DTYPES if kind == "dtype" else ("true", "false")):
            raise self.refuse(f"{word!r} is no {kind}")
        return word if kind == "dtype" else word == "true"

    def types(self, node: Node) -> None:
        """The types after the colon, which have to be the node's."""
        for expected in node.result if isinstance(node.result, tuple) else (node.result,):
            line = self.next.line
            dtype = self.take("word")
            if expected != Type(dtype, self.numbers()):
                raise TextError(line, f"the result is {expected}")

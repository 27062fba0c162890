"""The text form of a program, which parses back to the same program.

Takes: a program, or its text. Promises: `parse_program(print_program(p)) == p`, and the text depends on the
program alone; bit patterns are hexadecimal; any other text raises TextError with its line.

    program := "program" "{" line* "}"
    line    := "%N" "=" op "(" "%N"… ")" attribute… ":" type…        inputs first, then operands before users
             | "output" "name" "=" "%N"
    attribute := key "=" value              in the order of the keys; a loop's body is a program in braces
    value   := number | 0xhex | [number…] | true | false | dtype | "text" | program
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from jobspec.ir.attributes import ATTRIBUTES
from jobspec.ir.program import Node, Program
from jobspec.ir.text_parser import TextError, parse_program

__all__ = ["TextError", "parse_program", "print_program"]


def print_program(program: Program) -> str:
    """The text of `program`, ending in a newline."""
    return "\n".join(program_lines(program, "")) + "\n"


def program_lines(program: Program, indent: str) -> Iterator[str]:
    nodes = list(dict.fromkeys([*program.inputs, *program.nodes()]))
    numbers = {node: number for number, node in enumerate(nodes)}
    yield "program {"
    for node in nodes:
        yield from node_lines(node, numbers, indent + "  ")
    for name, node in program.outputs:
        yield f"{indent}  output {json.dumps(name)} = %{numbers[node]}"
    yield indent + "}"


def node_lines(node: Node, numbers: dict[Node, int], indent: str) -> Iterator[str]:
    """One line, or several where an attribute is a program."""
    operands = ", ".join(f"%{numbers[a]}" for a in node.args)
    text = f"{indent}%{numbers[node]} = {node.op}({operands})"
    for key, kind in sorted(ATTRIBUTES[node.op].items()):
        first, *rest = value_lines(kind, node[key], indent)
        if rest:
            yield f"{text} {key}={first}"
            yield from rest[:-1]
            text = rest[-1]
        else:
            text = f"{text} {key}={first}"
    yield f"{text} : {types_text(node)}"


def value_lines(kind: str, value: Any, indent: str) -> list[str]:
    if kind == "body":
        return list(program_lines(value, indent))
    if kind == "name":
        return [json.dumps(value)]
    if kind in ("ints", "patterns"):
        return [f"[{' '.join(number_text(kind, item) for item in value)}]"]
    return [number_text(kind, value) if kind in ("int", "bits") else str(value).lower()]


def number_text(kind: str, value: int) -> str:
    return f"{value:#x}" if kind in ("bits", "patterns") else str(value)


def types_text(node: Node) -> str:
    results = node.result if isinstance(node.result, tuple) else (node.result,)
    return " ".join(map(str, results))

"""The LALR table of grammar.lark, as plain data.

Takes: nothing. Promises: `load_table()`, built once a process. The table is read from grammar.json if that file was
made from this very grammar (it carries the digest), and is built by lark otherwise; both ways give equal tables
(tests/lang/test_grammar.py). Reading takes a few milliseconds, building a quarter of a second.
Refresh after a change of the grammar: `python -m jobspec.lang.grammar`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

GRAMMAR = files("jobspec") / "grammar.lark"
STORED = files("jobspec") / "grammar.json"


@dataclass(frozen=True)
class Terminal:
    """A kind of token: its pattern (a regular expression), or its exact text."""

    name: str
    pattern: str
    exact: bool


@dataclass(frozen=True)
class Rule:
    """`head` from `size` symbols; the node is called `name` and keeps the children at the places `keep`.

    `splice`: the children stand for themselves in the parent; `single`: one child stands for the node.
    """

    head: str
    name: str
    size: int
    keep: tuple[int, ...]
    splice: bool
    single: bool


@dataclass(frozen=True)
class Table:
    """`states[s][symbol]` is the next state, or `~r` to reduce by rule r. Accepts in state `end`."""

    digest: str
    terminals: tuple[Terminal, ...]
    ignored: tuple[str, ...]
    rules: tuple[Rule, ...]
    states: tuple[dict[str, int], ...]
    start: int
    end: int


@cache
def load_table() -> Table:
    """The table of the grammar that is installed."""
    digest = hashlib.sha256(GRAMMAR.read_bytes()).hexdigest()
    stored = read_table(STORED.read_text("utf-8")) if STORED.is_file() else None
    return stored if stored and stored.digest == digest else build_table(GRAMMAR.read_text("utf-8"), digest)


def read_table(text: str) -> Table:
    """The inverse of `write_table`."""
    raw: dict[str, Any] = json.loads(text)
    return Table(
        digest=raw["digest"],
        terminals=tuple(Terminal(*row) for row in raw["terminals"]),
        ignored=tuple(raw["ignored"]),
        rules=tuple(read_rule(*row) for row in raw["rules"]),
        states=tuple(raw["states"]),
        start=raw["start"],
        end=raw["end"],
    )


def read_rule(head: str, name: str, size: int, keep: list[int], splice: bool, single: bool) -> Rule:
    return Rule(head, name, size, tuple(keep), splice, single)


def write_table(table: Table) -> str:
    """One line per terminal, rule and state, so that a change of the grammar shows as a small difference."""
    rows = {
        "digest": json.dumps(table.digest),
        "terminals": lines_of(astuple(terminal) for terminal in table.terminals),
        "ignored": json.dumps(table.ignored),
        "rules": lines_of(astuple(rule) for rule in table.rules),
        "states": lines_of(table.states),
        "start": str(table.start),
        "end": str(table.end),
    }
    return "{\n" + ",\n".join(f'"{key}": {text}' for key, text in rows.items()) + "\n}\n"


def lines_of(rows: Iterable[object]) -> str:
    return "[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]"


def build_table(grammar: str, digest: str) -> Table:
    """Lark's LALR table in our numbering, which depends on the grammar alone."""
    from lark import Lark  # takes longer to load than a job takes to check, and is seldom needed

    lark = Lark(grammar, parser="lalr", strict=True, lexer=no_lexer())
    states, start, end = numbered(lark)
    return Table(
        digest=digest,
        terminals=tuple(terminal_of(terminal) for terminal in lark.terminals),
        ignored=tuple(sorted(lark.ignore_tokens)),
        rules=tuple(rule_of(rule) for rule in lark.rules),
        states=states,
        start=start,
        end=end,
    )


def no_lexer() -> Any:
    """A lexer that is never run: tokens.py has the newline rules that lark's lexers lack."""
    from lark.lexer import Lexer

    return type("NoLexer", (Lexer,), {"__init__": lambda self, config: None, "lex": None})


def terminal_of(terminal: Any) -> Terminal:
    exact = type(terminal.pattern).__name__ == "PatternStr"
    return Terminal(terminal.name, terminal.pattern.value, exact)


def rule_of(rule: Any) -> Rule:
    head = rule.origin.name
    keep = tuple(i for i, symbol in enumerate(rule.expansion) if not (symbol.is_term and symbol.filter_out))
    single = rule.options.expand1 and not rule.alias and len(keep) == 1
    return Rule(head, rule.alias or head, len(rule.expansion), keep, head.startswith("_"), single)


def numbered(lark: Any) -> tuple[tuple[dict[str, int], ...], int, int]:
    """The states in the order in which a walk from the start meets them, symbols by name; start; end."""
    table = lark.parser.parser._parse_table
    rules = {rule: i for i, rule in enumerate(lark.rules)}
    order = [table.start_states["start"]]
    for state in order:
        order += [s for s in dict.fromkeys(successors(table.states[state])) if s not in order]
    number = {state: i for i, state in enumerate(order)}
    states = tuple(renumbered(table.states[state], rules, number) for state in order)
    return states, 0, number[table.end_states["start"]]


def renumbered(row: dict[str, tuple[Any, Any]], rules: dict[Any, int], number: dict[Any, int]) -> dict[str, int]:
    actions = sorted(row.items())
    return {symbol: ~rules[to] if action.name == "Reduce" else number[to] for symbol, (action, to) in actions}


def successors(row: dict[str, tuple[Any, Any]]) -> Iterator[Any]:
    return (to for _, (action, to) in sorted(row.items()) if action.name != "Reduce")


def refresh() -> None:
    """Writes grammar.json anew."""
    digest = hashlib.sha256(GRAMMAR.read_bytes()).hexdigest()
    Path(str(STORED)).write_text(write_table(build_table(GRAMMAR.read_text("utf-8"), digest)), "utf-8")


if __name__ == "__main__":
    refresh()

"""What the LALR table says about a stack of states.

Takes: the states of a parser's stack, top last. Promises: whether a kind of token can stand next, and all that can;
the stack is not changed. A table with merged lookaheads may reduce before it finds an error; these answers do not.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobspec.lang.grammar import load_table


def accepts(states: Sequence[int], kind: str) -> bool:
    """Whether a token of this kind can be shifted, after reductions."""
    table, stack = load_table(), list(states)
    while (action := table.states[stack[-1]].get(kind)) is not None and action < 0:
        rule = table.rules[~action]
        del stack[-rule.size :]
        stack.append(table.states[stack[-1]][rule.head])
    return action is not None or (kind == "$END" and stack[-1] == table.end)


def expected(states: Sequence[int]) -> set[str]:
    """All kinds of tokens that can stand next."""
    table = load_table()
    kinds = {kind for kind in table.states[states[-1]] if kind not in rule_names()}
    return {kind for kind in kinds if accepts(states, kind)}


def rule_names() -> set[str]:
    return {rule.head for rule in load_table().rules}

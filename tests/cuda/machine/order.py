"""Registers of matrix instructions that work on the side: who touches them, and when.

Takes: an entry of PTX. Promises: a Fault where, on some way through it, sums are used before the group of instructions
that adds to them was committed and waited for, or an instruction takes registers that others have touched and that no
`wgmma.fence` has put in order since (PTX ISA 9.0, 9.7.15.7.1: in the beginning none is).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from jobspec.backends.cuda.ptx import Entry, Instruction, Label
from tests.cuda.machine.faults import Fault

PRODUCT = re.compile(r"wgmma\.mma_async\.sync\.aligned\.m64n(64|128|256)k16\.f32\.bf16\.bf16")
REGISTER = re.compile(r"%[A-Za-z]+\d+")
EARLY, LOOSE = "sums of a matrix instruction used before they are waited for", "registers that no wgmma.fence orders"

Item = Instruction | Label


def is_product(i: Instruction) -> bool:
    return PRODUCT.fullmatch(".".join(i.op)) is not None


def named(text: str) -> frozenset[str]:
    return frozenset(REGISTER.findall(text))


@dataclass(frozen=True)
class Standing:
    """`flying`: sums whose instructions are not committed; `sent`: committed, not waited for; `loose`: touched since
    the last fence."""

    flying: frozenset[str] = frozenset()
    sent: frozenset[str] = frozenset()
    loose: frozenset[str] = frozenset()

    def joined(self, other: Standing) -> Standing:
        return Standing(self.flying | other.flying, self.sent | other.sent, self.loose | other.loose)


def need_order(entry: Entry) -> None:
    """Raises Fault."""
    sums = frozenset[str]().union(*(named(i.args[0]) for i in entry.instructions if is_product(i)))
    if not sums:
        return
    labels = {item.name: n for n, item in enumerate(entry.body) if isinstance(item, Label)}
    before: dict[int, Standing] = {0: Standing(loose=sums)}
    ways = [0]
    while ways:
        for n, standing in walked(entry, sums, ways.pop(), before, labels):
            known = before.get(n)
            now = known.joined(standing) if known else standing
            if now != known:
                before[n] = now
                ways.append(n)


def walked(
    entry: Entry, sums: frozenset[str], first: int, before: dict[int, Standing], labels: dict[str, int]
) -> Iterator[tuple[int, Standing]]:
    """From a place on to the next label or the end: (label, how things stand there) of each that may come next."""
    now = before[first]
    for n in range(first, len(entry.body)):
        item = entry.body[n]
        if isinstance(item, Label):
            if n > first:
                yield n, now
                return
            continue
        now = behind(entry.name, item, now, sums)
        if item.op[0] == "bra":
            yield labels[item.args[0]], now
        if item.op[0] in ("bra", "ret", "exit") and not item.guard:
            return


def behind(name: str, i: Instruction, now: Standing, sums: frozenset[str]) -> Standing:
    """How things stand behind an instruction."""
    if is_product(i):
        own = named(i.args[0])
        need(not own & now.loose, LOOSE, name, i)
        return replace(now, flying=now.flying | own)
    if i.op[0] == "wgmma":
        empty = frozenset[str]()
        match i.op[1]:
            case "fence":
                return replace(now, loose=empty)
            case "commit_group":
                return replace(now, flying=empty, sent=now.sent | now.flying)
            case "wait_group":
                return replace(now, sent=empty)
    touched = named(" ".join((*i.args, i.guard))) & sums
    need(not touched & (now.flying | now.sent), EARLY, name, i)
    return replace(now, loose=now.loose | touched) if touched else now


def need(good: bool, rule: str, name: str, i: Instruction) -> None:
    if not good:
        raise Fault(f"{rule}: {name}, line {i.line} of the PTX: {i}")

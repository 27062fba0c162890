"""Which registers are still needed where threads wait for each other.

Takes: an entry's body. Promises: for each barrier the registers whose values are read later on some way; nothing else
has to be kept while a thread waits. An instruction on matrices is a barrier too: the threads take of each other's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from jobspec.backends.cuda.ptx import Entry, Instruction, Label

REGISTER = re.compile(r"%[A-Za-z]+\d*")
#: they write no register
SINKS = ("st", "cp", "bra", "bar", "barrier", "ret", "exit")
#: the threads of a group take of each other's there
TOGETHER = ("mma", "ldmatrix")
BARRIERS = ("bar", "barrier", *TOGETHER)


def is_register(name: str) -> bool:
    return REGISTER.fullmatch(name) is not None


def written(i: Instruction) -> list[str]:
    """Registers that the instruction sets."""
    return [] if i.op[0] in SINKS or not i.args else REGISTER.findall(i.args[0])


def read(i: Instruction) -> set[str]:
    """Registers that it uses, those of the hardware (`%tid.x`) among them."""
    sources = i.args if i.op[0] in (*SINKS, "wgmma") else i.args[1:]
    return set(REGISTER.findall(" ".join((*sources, i.guard))))


def kept(entry: Entry) -> dict[int, list[str]]:
    """Position of a barrier in the body → what is live behind it."""
    body, labels = entry.body, {item.name: n for n, item in enumerate(entry.body) if isinstance(item, Label)}
    live: list[frozenset[str]] = [frozenset()] * (len(body) + 1)
    changed = True
    while changed:
        changed = False
        for n in reversed(range(len(body))):
            now = before(body[n], live, n, labels)
            changed, live[n] = changed or now != live[n], now
    known = set(registers(entry))
    return {n: sorted(behind(item, live[n + 1]) & known) for n, item in enumerate(body) if is_barrier(item)}


def behind(item: Instruction | Label, live: frozenset[str]) -> frozenset[str]:
    """What a thread keeps while it waits: of a product of matrices the sums that it adds to."""
    if isinstance(item, Label) or item.op[0] not in TOGETHER:
        return live
    added = REGISTER.findall(item.args[3]) if item.op[0] == "mma" else []
    return (live - frozenset(written(item))) | frozenset(added)


def before(item: Instruction | Label, live: list[frozenset[str]], n: int, labels: dict[str, int]) -> frozenset[str]:
    """What is live before position `n`."""
    if isinstance(item, Label):
        return live[n + 1]
    after = live[n + 1] if item.guard or item.op[0] not in ("bra", "ret", "exit") else frozenset()
    if item.op[0] == "bra":
        after |= live[labels[item.args[0]]]
    kills = frozenset() if item.guard else frozenset(written(item))
    return (after - kills) | read(item)


def is_barrier(item: Instruction | Label) -> bool:
    return isinstance(item, Instruction) and (item.op[0] in BARRIERS or is_fence(item))


def is_fence(i: Instruction) -> bool:
    """Where the threads that take a matrix instruction on the side come together."""
    return i.op[:2] == ("wgmma", "fence")


def registers(entry: Entry) -> Iterable[str]:
    """Every register that an instruction sets."""
    return dict.fromkeys(name for i in entry.instructions for name in written(i))

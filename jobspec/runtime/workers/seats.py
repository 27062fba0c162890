"""Which workers there are to be.

Takes: what was asked for, in words. Promises: so many workers of each backend, or one for each machine of a cluster.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from jobspec.ir.errors import UsageError
from jobspec.runtime.workers.tally import Tally
from jobspec.runtime.workers.timeline import Timeline

#: the share of answers that are computed a second time where nothing else is said
RECHECK = 0.01
WORD = re.compile(r"(?:([a-z]+)=)?(\d{1,4})")


@dataclass(frozen=True)
class Asked:
    """`backends`: of each worker; empty: one `default` worker for each machine. `address`: of a cluster, None for one
    that is started here. `recheck`: the share of answers that are computed again; `threads`: of each worker; `shared`:
    updates are shared out too; `tally`, `timeline`: tell what happens."""

    backends: tuple[str, ...]
    default: str
    address: str | None = None
    recheck: float = RECHECK
    threads: int | None = None
    shared: bool = False
    tally: Tally = field(default_factory=Tally, compare=False)
    timeline: Timeline = field(default_factory=Timeline, compare=False)


def asked_of(
    workers: int | str | None,
    address: str | None,
    default: str,
    recheck: float | None = None,
    threads: int | None = None,
    shared: bool = False,
) -> Asked | None:
    """What was asked for; None for no workers. Raises UsageError E0864, E0869."""
    if workers is None and address is None:
        need_nothing(recheck, shared)
        return None
    backends = () if workers is None else backends_of(str(workers), default)
    return Asked(backends, default, address, RECHECK if recheck is None else recheck, threads, shared)


def need_nothing(recheck: float | None, shared: bool) -> None:
    """Raises UsageError E0869 for what only workers could do."""
    asked = [option for option, given in (("--recheck", recheck is not None), ("--share-updates", shared)) if given]
    if asked:
        reason = f"`{asked[0]}` says how workers work, and none are asked for"
        raise UsageError("E0869", reason, help=f"say `--workers N` or `--ray ADDRESS`, or leave out `{asked[0]}`")


def backends_of(words: str, default: str) -> tuple[str, ...]:
    """`4`, or `llvm=2,opencl=1`. Raises UsageError E0864."""
    found: list[str] = []
    for word in words.replace(" ", "").split(","):
        match = WORD.fullmatch(word)
        if match is None or int(match[2]) < 1:
            reason = f"`--workers {words}` names no workers"
            help = "say how many, `--workers 4`, or of which backends, `--workers llvm=2,opencl=1`"
            raise UsageError("E0864", reason, help=help)
        found += [match[1] or default] * int(match[2])
    return tuple(found)

"""A GPU examined in a process of its own: `python -m jobspec.backends.cuda.child [examine]`.

Promises: without a word, one JSON line that names the GPU; with it, a JSON line per clause as it is answered. A driver
that aborts, aborts this process alone.
"""

from __future__ import annotations

import sys

from jobspec.backends.conformance.asking import say
from jobspec.backends.conformance.examine import agreeing, examine
from jobspec.backends.cuda.driver import Driver
from jobspec.backends.cuda.matrix_clause import ASIDE_CLAUSE, CLAUSE, aside_clause, matrix_clause
from jobspec.backends.cuda.pycuda_driver import PycudaDriver
from jobspec.backends.cuda.target import ASIDE_LEVEL
from jobspec.backends.cuda.trial import Trial
from jobspec.ir.classes import MATRICES
from jobspec.ir.plan import Schedule

#: schedules of each kind that a plan may hold; every one must give the same bits
SCHEDULES: dict[str, tuple[Schedule, ...]] = {
    "rows": (Schedule(), Schedule((("team", 32),)), Schedule((("each", 4), ("rows", 4)))),
    "columns": (Schedule(), Schedule((("each", 4),)), Schedule((("beside", 4), ("each", 4), ("parts", 4)))),
    "fill": (Schedule(), Schedule((("each", 4),))),
    "contract": (
        Schedule(),
        Schedule((("columns", 4), ("rows", 4))),
        Schedule((("columns", 4), ("high", 8), ("rows", 4), ("stage", 16), ("wide", 8))),
        Schedule((("columns", 8), ("high", 16), ("rows", 8), ("stage", 16), ("swap", 1), ("wide", 16))),
    ),
}


def main(driver: Driver, asked: bool) -> None:
    if not asked:
        say(name=driver.name, level=driver.level, speaks=driver.speaks)
        return
    for clause, wrong in examine(agreeing(Trial(driver).arrays, SCHEDULES)):
        say(clause=clause, wrong=wrong)
    if driver.level >= MATRICES:
        say(clause=CLAUSE, wrong=matrix_clause(Trial(driver).arrays))
    if driver.level == ASIDE_LEVEL:
        say(clause=ASIDE_CLAUSE, wrong=aside_clause(Trial(driver, aside=True).arrays))


if __name__ == "__main__":
    device = PycudaDriver()
    try:
        main(device, "examine" in sys.argv[1:])
    finally:
        device.close()

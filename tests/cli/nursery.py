"""A warm interpreter that forks a process of the program for every line it is told, and kills it in time.

Takes: on standard input lines of JSON, `[home, words, seconds]`: the store, the program's arguments, and when it gets
SIGKILL (null: never). Promises: a line back for each, the status that `waitpid` gave. What the program says goes to the
file `said` in the store.
Python and the packages are loaded once, so a kill costs milliseconds; what is killed is a process that writes.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable

import jobspec.commands.run
import jobspec.commands.verify  # noqa: F401
from jobspec.backends.registry import backend
from jobspec.cli import exit_code

#: seconds after which a child that nobody kills is ended by SIGALRM
HANGING = 120

Call = Callable[[list[str]], int]


def serve(call: Call) -> None:
    backend("llvm")
    for line in sys.stdin:
        home, words, seconds = json.loads(line)
        print(status_of(call, home, words, seconds), flush=True)


def status_of(call: Call, home: str, words: list[str], seconds: float | None) -> int:
    """Run it as a child; it is not reaped before it is killed, so its number is nobody else's."""
    child = os.fork()
    if child == 0:
        os._exit(child_of(call, home, words))
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def child_of(call: Call, home: str, words: list[str]) -> int:
    signal.alarm(HANGING)
    os.environ["JOBSPEC_HOME"] = home
    said = os.open(f"{home}/said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    try:
        code = call(words)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return code


if __name__ == "__main__":
    serve(exit_code)

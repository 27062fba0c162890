"""A warm interpreter that forks a process of the program for every line it is told, and kills it in time.

Takes: on standard input lines of JSON, `[home, words, seconds]`: the store, the program's arguments, and when it gets
SIGKILL (null: never). Promises: a line back for each, the status that `waitpid` gave. What the program says goes to
standard error.
Python and the packages are loaded once, so a kill costs milliseconds; what is killed is a process that writes.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import jobspec.commands.run
import jobspec.commands.verify  # noqa: F401
from jobspec.backends.registry import backend
from jobspec.cli import exit_code


def main() -> None:
    backend("llvm")
    for line in sys.stdin:
        os.environ["JOBSPEC_HOME"], words, seconds = json.loads(line)
        print(status_of(words, seconds), flush=True)


def status_of(words: list[str], seconds: float | None) -> int:
    """Run it as a child; it is not reaped before it is killed, so its number is nobody else's."""
    child = os.fork()
    if child == 0:
        os.dup2(2, 1)
        os._exit(exit_code(words))
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


if __name__ == "__main__":
    main()

"""The program `jobspec`, and `python -m jobspec`: imports the command line where Ctrl-C is answered already.

Promises: an interrupt while modules are imported, when nothing is done yet, ends the process as a later one does,
without a traceback. Where interrupts are ignored, as behind nohup, they stay so.
"""

from __future__ import annotations

import os
from importlib import import_module

#: as in `typing`, which takes longer than all that is here
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

#: as jobspec.cli has it, which is not imported yet
INTERRUPTED = 130


def leave(*_: object) -> NoReturn:
    """At once: nothing is open, and what an import is at would print the interrupt and go on."""
    os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)


def main() -> None:
    """The program; once the command line is there, it answers interrupts itself."""
    try:
        import signal

        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, leave)
        import_module("jobspec.cli").main()
    except KeyboardInterrupt:
        leave()


if __name__ == "__main__":
    main()

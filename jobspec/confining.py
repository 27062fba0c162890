"""A run in a process of its own that shuts itself in: the way of plans from strangers.

Takes: a command line. Promises: the child sees the plan file, its data and the store, and nothing else, and writes
nothing but the store's runs; it prints as
the run itself would, and its exit code is the run's. Ctrl-C and SIGTERM reach it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import click

from jobspec.backends.registry import DEFAULT, before_walls
from jobspec.ir.codec.plan_file import LIMITS
from jobspec.runtime.forecast import machine_memory
from jobspec.runtime.made import is_ours
from jobspec.sandbox.confine import confine
from jobspec.store.files import explained, make_folders
from jobspec.store.home import Home, beside

CONFINED = "--confined"
PLAN = ".plan"


def is_strange(file: Path, home: Home) -> bool:
    """Whether a plan file comes from elsewhere. Nothing in it is read but its bytes' hash."""
    if not file.exists():
        return False
    with explained("read", file):
        return not is_ours(home, home.files.read(file, LIMITS.size + 1))


def run_confined(arguments: Sequence[str], home: Home) -> int:
    """Run the command line in a child that shuts itself in; its exit code."""
    make_folders(home.files, home.folder)
    child = subprocess.Popen([sys.executable, "-m", "jobspec", *arguments, CONFINED])

    def passed_on(number: int, frame: FrameType | None) -> None:
        child.send_signal(number)

    # the terminal sends Ctrl-C to both: the child ends its run, and we wait for it
    before = {signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN)}
    before |= {number: signal.signal(number, passed_on) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        return exit_code(child.wait())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_code(code: int) -> int:
    """A child that a signal ended has none of its own."""
    if code >= 0:
        return code
    reason = "more processor time than reading a plan may take" if code == -signal.SIGXCPU else f"signal {-code}"
    click.echo(f"error[E0514]: the confined run was ended: {reason}", err=True)
    return 1


def shut_in(file: Path, home: Home, memory: int | None, on: str = DEFAULT) -> None:
    """Shut this process in, before it reads `file`; the backend `on` is found before. Of the store it may write the
    runs alone: not the compiled code that other runs take up, nor the list of plans that are our own."""
    seen = file if file.suffix == PLAN else file.absolute().parent  # a text may import what lies beside it
    make_folders(home.files, home.runs)
    before_walls(on)
    walls = confine([seen, *beside(file), home.folder], [home.runs], memory or machine_memory())
    for missing in walls.missing:
        click.echo(f"note: {missing}", err=True)

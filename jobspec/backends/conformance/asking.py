"""Devices asked in a process of their own, and what they answered kept.

Takes: a module that prints a JSON line per answer. Promises: a driver that aborts or hangs takes that process with it
and no other, and its end is an answer too; an answer is kept per device, driver and version of our own code.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

from jobspec.ir.digest import digest

#: seconds that a driver has for its answers
PATIENCE = 120
#: how the end of a child begins that a signal ended: the driver's own fault, as it would be another time
ABORTED = "it stopped with code -"
#: lines that a driver's last words may take
SAID = 5
Wrong = tuple[tuple[str, str], ...]


def say(**answer: object) -> None:
    """A child's line."""
    print(json.dumps(answer), flush=True)


def asked(module: str, *arguments: str) -> tuple[list[dict[str, str]], str]:
    """The lines of a child that runs `module`, and what there is to say about its end: nothing of a good one."""
    command = [sys.executable, "-m", module, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        return answers(done.stdout), ended(done.returncode, done.stderr)
    except subprocess.TimeoutExpired as error:
        return answers(error.stdout or b""), f"no answer in {PATIENCE} seconds"


def answers(output: str | bytes) -> list[dict[str, str]]:
    text = output if isinstance(output, str) else output.decode(errors="replace")
    return [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]


def ended(code: int, complaint: str) -> str:
    """Of an error of Python's the last line, of a process that its driver ended the last few."""
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    last = lines[-SAID if code < 0 else -1 :]
    return "" if code == 0 else f"it stopped with code {code}: {' / '.join(last) or 'nothing was said'}"


def never(seen: str) -> bool:
    return False


def examined(file: Path, module: str, *arguments: str, comes: Callable[[str], bool] = never) -> Wrong:
    """The clauses that the child finds broken, each with what was seen; from `file` if it is there. What may be
    otherwise another time (a device that is in use, a machine too slow to answer, what `comes` says of) is not kept."""
    try:
        return tuple((clause, wrong) for clause, wrong in json.loads(file.read_text()))
    except (OSError, ValueError):
        pass
    lines, end = asked(module, *arguments)
    wrong = [(line["clause"], line["wrong"]) for line in lines if line["wrong"]]
    if end and not end.startswith(ABORTED):
        return (*wrong, ("the driver runs", end))
    wrong += [("the driver runs", end)] if end else []
    if any(comes(seen) for _, seen in wrong):
        return tuple(wrong)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(wrong))
    return tuple(wrong)


def key(domain: str, packages: Sequence[str], *named: str) -> str:
    """What an answer depends on: device, driver, and all code of ours in `packages`."""
    listed = (sorted(resources.files(package).iterdir(), key=lambda f: f.name) for package in packages)
    files = [file for package in listed for file in package if file.is_file()]
    parts = [*(name.encode() for name in named), *(f.read_bytes() for f in files)]
    return digest(domain, b"".join(len(part).to_bytes(8, "little") + part for part in parts)).hex

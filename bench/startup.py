"""How long one waits: compiling a job, and from the command to the first finished step.

Takes: a job file with values set, the store with its data. Promises: cold means an empty cache of compiled code; warm
the same again with what the first left. Compiling is timed in a process that has done nothing before, without its
imports; the command is timed from outside, from its start to its end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jobspec.store.home import Home


@dataclass(frozen=True)
class Startup:
    """Seconds. `plan`: from text to plan; `code_cold`, `code_warm`: from plan to loaded code of all routines;
    `step_cold`, `step_warm`: of the command `jobspec run SPEC --until 1`, None where that was not timed."""

    plan: float
    code_cold: float
    code_warm: float
    step_cold: float | None = None
    step_warm: float | None = None


def startup(file: Path, values: Mapping[str, str], home: Home, threads: int, tries: int, *, runs: bool) -> Startup:
    """The least of `tries` tries of each; `runs`: the whole command as well."""
    sets = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    compiled = [compile_seconds(file, values, home, threads) for _ in range(tries)]
    plan = min(seconds[0] for pair in compiled for seconds in pair)
    cold, warm = (min(pair[i][1] for pair in compiled) for i in (0, 1))
    if not runs:
        return Startup(plan, cold, warm)
    stepped = [step_seconds(file, sets, home, threads) for _ in range(tries)]
    return Startup(plan, cold, warm, *(min(pair[i] for pair in stepped) for i in (0, 1)))


def compile_seconds(file: Path, values: Mapping[str, str], home: Home, threads: int) -> list[tuple[float, float]]:
    """Cold, then warm: text to plan, plan to code."""
    with tempfile.TemporaryDirectory() as cache:
        given = [str(file), json.dumps(dict(values)), str(home.folder), str(threads), cache]
        words = [sys.executable, "-m", "bench.compiling", *given]
        answers = [subprocess.run(words, check=True, capture_output=True, text=True) for _ in range(2)]
    return [tuple(json.loads(answer.stdout)) for answer in answers]


def step_seconds(file: Path, sets: list[str], home: Home, threads: int) -> list[float]:
    """Cold, then warm: the whole command, in a store of its own that sees the data of `home`."""
    with tempfile.TemporaryDirectory() as folder:
        data = home.folder / "data"
        if data.is_dir():
            (Path(folder) / "data").symlink_to(data)
        words = [sys.executable, "-m", "jobspec.cli", "run", str(file), *sets, "--until", "1"]
        words += ["--threads", str(threads), "--again"]
        return [seconds_of(words, folder) for _ in range(2)]


def seconds_of(words: list[str], home: str) -> float:
    start = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True, env=installed() | {"JOBSPEC_HOME": home})
    return time.perf_counter() - start


def installed() -> dict[str, str]:
    """The surroundings of someone who has installed us: Python keeps its compiled modules."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

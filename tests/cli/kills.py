"""Runs that are killed at random moments, over and over, and what must hold after each.

Takes: a job's file, the words of its run, a store with its data. Promises: `Killing.often` raises AssertionError where
a kill loses what was saved, leaves a blob or a receipt that is not whole, or leads to another receipt than the run left
alone.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from jobspec.runtime.folder import RunFolder
from jobspec.runtime.journal import read_history
from jobspec.store.checkpoint import load
from jobspec.store.home import Home
from tests.cli.conftest import ROOT

#: seconds of work that a process may get before it is killed
WORK = 0.3


class Nursery:
    """The warm interpreter, a context manager; `module`: what it runs."""

    def __init__(self, module: str = "tests.cli.nursery") -> None:
        self._module = module

    def __enter__(self) -> Nursery:
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-W", "error", "-m", self._module]
        pipe, quiet = subprocess.PIPE, subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=quiet, text=True, env=env)
        return self

    def run(self, home: Path, words: list[str], seconds: float | None = None) -> int:
        """The child's status, as `waitpid` gives it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(home), words, seconds]) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()


class Killing:
    """One job on one backend. `words`: how to run it; `home`: the store that is killed in, `alone`: another."""

    def __init__(self, nursery: Nursery, words: list[str], home: Path, alone: Path, seed: int) -> None:
        self.nursery, self.words, self.home = nursery, words, home
        self.moments, self.kills, self.lives, self.least = random.Random(seed), 0, 0, 0
        self.wanted = self._left_alone(alone)
        begun = time.monotonic()
        assert self.nursery.run(alone, [*words, "--again", "--until", "0"]) == 0
        self.start = time.monotonic() - begun

    def _left_alone(self, alone: Path) -> bytes:
        """The receipt of the uninterrupted run; what it compiled is there for the others too."""
        alone.mkdir()
        (alone / "data").symlink_to(self.home / "data")
        assert self.nursery.run(alone, self.words) == 0
        if (alone / "cache").is_dir():
            shutil.copytree(alone / "cache", self.home / "cache")
        return next(alone.glob("runs/*/receipt.cbor")).read_bytes()

    def often(self, times: int) -> None:
        """Kill so many processes while they are at work; each run that gets to its end is begun anew."""
        while self.kills < times:
            status = self.nursery.run(self.home, self.words, self._moment())
            killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
            assert killed or status == 0, status
            self.kills += killed
            self._check()
            if not killed:
                self._end()
        assert self.nursery.run(self.home, self.words) == 0
        self._check()
        self._end()

    def _moment(self) -> float:
        """Seconds until the kill: sometimes while the process starts, mostly while it trains."""
        starting = self.moments.uniform(0, self.start)
        if self.moments.random() < 0.25:
            return starting
        return 0.9 * self.start + self.moments.uniform(0, max(WORK, self.start / 2))

    def _check(self) -> None:
        """What is there is whole; nothing that was saved is lost."""
        for path in self.home.glob("runs/*"):
            folder = RunFolder(path, Home(self.home).files)
            for name in folder.states.names():
                folder.states.get(name)
            if folder.receipt.is_file():
                assert folder.receipt.read_bytes() == self.wanted
            if folder.log.is_file():
                self._check_log(folder)

    def _check_log(self, folder: RunFolder) -> None:
        saved = read_history(folder).saved
        newest = max(saved, key=lambda s: s.chain.done, default=None)
        if newest is not None:
            assert newest.chain.done >= self.least
            load(folder.states, newest.name)
            self.least = newest.chain.done

    def _end(self) -> None:
        """The run is done; the next begins from nothing."""
        assert next(self.home.glob("runs/*/receipt.cbor")).read_bytes() == self.wanted
        shutil.rmtree(self.home / "runs")
        self.lives, self.least = self.lives + 1, 0

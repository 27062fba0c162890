"""Fixtures of the command line's tests: a store with data, a small job, a way to call."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobspec.cli import INTERRUPTED, exit_code
from jobspec.store.home import open_home
from jobspec.store.shards import write_table

ROOT = Path(__file__).parents[2]

TINY = """job tiny "a line through points"
dim B=4, X=3, Y=2
data train = table({root}, x=f32[X], y=u8)

layer net(x) {{
  param w: X -> Y ~ normal(.5), b: Y = 0
  x @ w + b
}}

optim sgd(p, g, lr) {{
  state m = 0
  m := .5*m + g
  p := p - lr*m
}}

train {{
  seed = 3
  steps = 12
  batch = shuffle(train)
  loss = mean[B Y]((net(batch.x) - batch.y)^2)
  lr = .1 * (1 - step/steps)
  update all by sgd(lr)
}}

eval {{
  every = 4
  on = train
  error = mean[B Y](abs(net(batch.x) - batch.y))
}}

save {{
  every = 3
}}
"""


@dataclass
class Answer:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return found


Call = Callable[..., Answer]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store that JOBSPEC_HOME names."""
    folder = tmp_path / "home"
    monkeypatch.setenv("JOBSPEC_HOME", str(folder))
    monkeypatch.delenv("JOBSPEC_DEBUG", raising=False)
    return folder


@pytest.fixture
def tiny(home: Path, tmp_path: Path) -> Path:
    """The file of a job that trains in no time; its data is in the store."""
    random = np.random.default_rng(1)
    x = random.normal(size=(10, 3)).astype("<f4")
    y = (x[:, 0] > 0).astype("u1")
    root = write_table(open_home().data(), {"x": x, "y": y}).root
    path = tmp_path / "tiny.job"
    path.write_text(TINY.format(root=root))
    return path


@pytest.fixture
def call(home: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """`call("run", path, "--json")` in this process."""

    def called(*words: object) -> Answer:
        capsys.readouterr()
        code = exit_code([str(word) for word in words])
        said = capsys.readouterr()
        assert "Traceback" not in said.err + said.out
        if said.err.endswith("interrupted\n") and code == INTERRUPTED:
            raise KeyboardInterrupt  # whoever stops the tests means the tests
        return Answer(code, said.out, said.err)

    return called


def spawn(*words: object, **more: Any) -> subprocess.Popen[str]:
    """A process of the program, in the environment of the test."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **more.pop("env", {})}
    command = [sys.executable, "-W", "error", "-m", "jobspec.cli", *map(str, words)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=env, **more)


def behind() -> None:
    """Of a process that is to be met at work: where the machine is busy, whoever waits for it goes first."""
    os.nice(19)


def finished(process: subprocess.Popen[str], timeout: float = 120) -> Answer:
    out, err = process.communicate(timeout=timeout)
    assert "Traceback" not in out + err
    return Answer(process.returncode, out, err)

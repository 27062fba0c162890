"""What the head of a run on workers needs of memory: not the state, however large it is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from jobspec.runtime.workers.shelf import LARGE
from jobspec.store.home import Home
from jobspec.store.shards import write_table

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: pip install '.[ray]'"),
]
ROOT = Path(__file__).parents[2]
LAYERS = range(6)
TEXT = """job wide
dim B=2, N=4, X={width}
data d = table({root}, x=f32[N])
optim keep(p, g) {{ state m = 0
  m := .5*m + g
  p := p - .001*m }}
layer net(x) {{
  param {params}
  {calls}
}}
train {{
  seed = 1; shards = 2; roots = 1
  steps = 6
  batch = shuffle(d)
  loss = mean[B X](net(batch.x)^2)
  update all by keep()
}}
save {{ every = 3 }}
"""


def job(folder: Path, home: Home, width: int) -> Path:
    """Six square layers and their momentum."""
    root = write_table(home.data(), {"x": np.ones((8, 4), "<f4")}).root
    params = "v: N -> X ~ normal(.5), " + ", ".join(f"w{i}: X -> X' ~ normal(.01)" for i in LAYERS)
    calls = "h = x @ v\n  " + "\n  ".join(f"h = (h @ w{i})[X'->X]" for i in LAYERS) + "\n  h"
    path = folder / f"wide{width}.job"
    path.write_text(TEXT.format(width=width, root=root, params=params, calls=calls))
    return path


def most(path: Path, home: Home) -> int:
    """Bytes of its own that the head had at most. Nothing is computed again: with one worker the head would do it."""
    words = [sys.executable, "-m", "jobspec", "run", str(path), "--workers", "1", "--recheck", "0"]
    environment = {**os.environ, "JOBSPEC_HOME": str(home.folder)}
    found = 0
    with subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as head:
        while head.poll() is None:
            found = max(found, own(head.pid))
            time.sleep(0.01)
    assert head.returncode == 0
    return found


def own(process: int) -> int:
    """Its memory that lies in no file."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon"))


def test_the_head_does_not_hold_the_state(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    width = 2560
    state, one = 12 * 4 * width**2, 4 * width**2
    assert state > LARGE
    small, large = most(job(tmp_path, home, 32), home), most(job(tmp_path, home, width), home)
    print(f"head {small >> 20} MB with a small state, {large >> 20} MB with one of {state >> 20} MB")
    assert large - small < 2 * one < state / 5

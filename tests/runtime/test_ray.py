"""Jobs on clusters of Ray: however many workers, of whichever backends, whatever becomes of them, one receipt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from jobspec import api
from jobspec.backends.registry import surveyed
from jobspec.ir.codec.job import job_hash
from jobspec.ir.errors import UsageError
from jobspec.loading import Spec, read_spec
from jobspec.runtime.folder import run_folder
from jobspec.runtime.journal import read_history
from jobspec.runtime.workers.seats import Asked
from jobspec.store.home import Home
from tests.runtime.clusters import Killer, Nodes, cluster
from tests.spec_jobs import SMALL, SPECS, made_up, roots

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: pip install '.[ray]'"),
]
ROOT = Path(__file__).parents[2]
SETS = {**SMALL["digits"], "train.shards": "5", "eval.every": "40"}


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with cluster(2) as made:
        yield made


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return made_up(tmp_path_factory.mktemp("home"))


def digits(home: Home, steps: int, **sets: str) -> Spec:
    values = {**SETS, **roots("digits", home), "train.steps": str(steps), **sets}
    return read_spec(SPECS / "digits.job", values, home)


def by_one(spec: Spec, home: Home) -> bytes:
    """The receipt of a run without workers."""
    run = api.run(api.compile(spec, home=home.folder), home=home.folder)
    assert run.receipt is not None
    return run.receipt.read_bytes()


def on(spec: Spec, home: Home, asked: Asked, listener: Killer | bool = False) -> bytes:
    run = api.run(api.compile(spec, home=home.folder), again=True, workers=asked, progress=listener, home=home.folder)
    assert run.receipt is not None
    return run.receipt.read_bytes()


def killed_in(runs: int, nodes: Nodes, home: Home, steps: int) -> tuple[list[str], int]:
    """Runs, in each of which a node is killed at a moment drawn by chance and another joins; every second one with the
    update shared out. What was said in them, and how many tasks were done again."""
    spec, before = digits(home, steps), nodes.killed
    want = by_one(spec, home)
    notes, redone = list[str](), 0
    for seed in range(runs):
        killer = Killer(nodes, seed, most=1)
        asked = Asked((), "llvm", nodes.address, recheck=0.02, shared=seed % 2 == 1)
        assert on(spec, home, asked, killer) == want
        assert nodes.killed == before + seed + 1
        notes += killer.notes
        redone += asked.tally.redone
    return notes, redone


def test_nodes_are_killed_and_others_join(nodes: Nodes, home: Home, capfd: pytest.CaptureFixture[str]) -> None:
    notes, redone = killed_in(3, nodes, home, 120)
    assert redone > 0 and any("left: its " in note for note in notes)
    said = capfd.readouterr().out.splitlines()
    assert set(said) == set(notes)
    assert any(home.runs.glob("*/workers.json"))


def test_the_head_is_killed(tmp_path: Path) -> None:
    """The command line, killed while it trains on workers; again, on a new cluster, it goes on from the checkpoint."""
    home = made_up(tmp_path)
    sets = {**SETS, **roots("digits", home), "train.steps": "300", "save.every": "20"}
    spec = read_spec(SPECS / "digits.job", sets, home)
    words = [f"--set={name}={value}" for name, value in sets.items()]
    words = [sys.executable, "-m", "jobspec", "run", str(SPECS / "digits.job"), *words, "--workers", "2"]
    environment = {**os.environ, "JOBSPEC_HOME": str(home.folder)}
    head = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    folder = run_folder(home, job_hash(spec.job))
    while not (folder.log.is_file() and read_history(folder).saved) and head.poll() is None:
        time.sleep(0.1)
    head.send_signal(signal.SIGKILL)
    assert head.wait() == -signal.SIGKILL
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    assert "step 1/" not in done.stdout and "2 workers" in done.stdout
    receipt = Path(done.stdout.split()[-1]).read_bytes()
    run = api.run(api.compile(spec, home=home.folder), again=True, home=home.folder)
    assert run.receipt is not None and run.receipt.read_bytes() == receipt


def test_a_cluster_that_is_not_there(home: Home) -> None:
    with pytest.raises(UsageError) as raised:
        on(digits(home, 40), home, Asked(("llvm",), "llvm", "127.0.0.1:1"))
    assert raised.value.code == "E0867"


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_any_number_of_workers(home: Home, workers: int) -> None:
    spec = digits(home, 40)
    assert on(spec, home, Asked(("llvm",) * workers, "llvm")) == by_one(spec, home)


@pytest.mark.slow
def test_mixed_backends(nodes: Nodes, home: Home) -> None:
    """All that this machine has, and updates shared out."""
    found = dict.fromkeys(device.backend for device in surveyed() if not device.wrong)
    nodes.add(max(0, len(found) - len(nodes.alive)))
    spec = digits(home, 40)
    asked = Asked(tuple(found), "llvm", nodes.address, recheck=0.2, shared=True)
    assert on(spec, home, asked) == by_one(spec, home)
    assert asked.tally.checked > 10


@pytest.mark.slow
def test_nodes_are_killed_in_fifty_runs(nodes: Nodes, home: Home) -> None:
    notes, redone = killed_in(50, nodes, home, 200)
    assert redone >= 25 and sum("left: its " in note for note in notes) >= 25

"""Workers on other machines, as far as a network can tell: a link that is cut and comes back changes no bit."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from jobspec import api
from jobspec.loading import read_spec
from jobspec.store.home import Home
from tests.runtime.networks import PORT, Network, Refused, network
from tests.spec_jobs import SMALL, SPECS, made_up, roots

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: pip install '.[ray]'"),
]
SETS = {**SMALL["digits"], "train.shards": "4", "train.steps": "3000", "eval.every": "1000"}
#: a node that does not answer for three seconds is dead to Ray
HASTY = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Network]:
    """A head and two others."""
    try:
        with network(3, tmp_path) as made:
            yield made
    except Refused as refused:
        pytest.skip(f"needs network namespaces: {refused}")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return made_up(tmp_path / "home")


class Driven:
    """A run on machine 0, with what it says."""

    def __init__(self, machines: Network, home: Home) -> None:
        self.machines, self.home = machines, home
        self.sets = {**SETS, **roots("digits", home)}
        words = [sys.executable, "-m", "jobspec", "run", str(SPECS / "digits.job"), "--again"]
        words += [f"--set={name}={value}" for name, value in self.sets.items()]
        words += ["--ray", f"{machines.address(0)}:{PORT}"]
        self.process = machines.start(0, words, {"JOBSPEC_HOME": str(home.folder)})
        self.said: list[str] = []

    def wait_for(self, text: str) -> None:
        """Read on until a line has it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if text in line:
                return
        raise AssertionError("".join(self.said))

    def receipt(self) -> bytes:
        """Of the run at its end."""
        assert self.process.stdout is not None
        self.said += self.process.stdout
        assert self.process.wait(timeout=300) == 0, "".join(self.said)
        return Path(self.said[-1].split()[-1]).read_bytes()

    def alone(self) -> bytes:
        """Of the same job in one process."""
        spec = read_spec(SPECS / "digits.job", self.sets, self.home)
        run = api.run(api.compile(spec, home=self.home.folder), again=True, home=self.home.folder)
        assert run.receipt is not None
        return run.receipt.read_bytes()


def start_nodes(machines: Network, environment: dict[str, str]) -> None:
    for machine in machines.machines:
        node = machines.node(machine, environment)
        assert node.stdout is not None
        while "Ray runtime started" not in (line := node.stdout.readline()):
            assert line, f"Ray did not start on machine {machine}"


def test_a_machine_whose_ray_was_killed(machines: Network, home: Home) -> None:
    """It is no member any more, and told at once how to become one."""
    start_nodes(machines, {})
    machines.clear(1)
    sets = [f"--set={name}={value}" for name, value in roots("digits", home).items()]
    words = ["run", str(SPECS / "digits.job"), *sets, "--ray", f"{machines.address(0)}:{PORT}"]
    command = [sys.executable, "-m", "jobspec", *words]
    said, _ = machines.start(1, command, {"JOBSPEC_HOME": str(home.folder)}).communicate(timeout=60)
    assert "error[E0867]" in said and f"ray start --address={machines.address(0)}:{PORT}" in said


def test_a_link_that_is_cut_for_a_moment(machines: Network, home: Home) -> None:
    start_nodes(machines, {})
    run = Driven(machines, home)
    for _ in range(3):
        run.wait_for("2 workers")
        machines.link(1, "down")
        time.sleep(3)
        machines.link(1, "up")
    assert run.receipt() == run.alone()


def test_a_link_that_is_cut_until_the_machine_is_given_up(machines: Network, home: Home) -> None:
    """Its tasks are done elsewhere; when it is back it joins anew."""
    start_nodes(machines, HASTY)
    run = Driven(machines, home)
    run.wait_for("2 workers")
    machines.link(1, "down")
    run.wait_for("left: ")
    run.wait_for("1 worker ")
    machines.clear(1)
    machines.link(1, "up")
    machines.node(1, HASTY)
    run.wait_for("2 workers")
    assert run.receipt() == run.alone()
    assert any("redone" in line for line in run.said)

"""Machines on this machine: network namespaces at a bridge; what goes between them goes over links that can be cut.

Takes: how many, a folder. Promises: each has an address, a loopback, shared memory and a place for Ray's sockets of its
own, and sees the others over its link alone. Other files and the numbers of processes are common to all, so `ray stop`
must not be said. Nothing of it is left afterwards. Needs the rights of root and the command `ip`.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from jobspec.runtime.workers.ray_cluster import SETTINGS

ROOT = Path(__file__).parents[2]
RAY = Path(sys.executable).with_name("ray")
PORT = 6390
ROOM = 80 << 20


class Refused(Exception):
    """Namespaces are not to be had here."""


def ip(*words: str) -> str:
    """What the command says. Raises Refused."""
    try:
        done = subprocess.run(["ip", *words], capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise Refused("there is no command `ip`") from error
    except subprocess.CalledProcessError as error:
        raise Refused(f"`ip {' '.join(words)}` says: {error.stderr.strip()}") from error
    return done.stdout


class Network:
    """Machine 0 is the one with the bridge. `prefix`: of the namespaces' names."""

    def __init__(self, machines: int, folder: Path) -> None:
        self.folder = folder
        self.prefix = f"job{os.getpid()}"
        self.machines = range(machines)
        self.token = secrets.token_hex(32)
        self.started: list[subprocess.Popen[str]] = []

    def name(self, machine: int) -> str:
        return f"{self.prefix}m{machine}"

    def address(self, machine: int) -> str:
        return f"10.77.83.{machine + 1}"

    def make(self) -> None:
        for machine in self.machines:
            ip("netns", "add", self.name(machine))
            ip("-n", self.name(machine), "link", "set", "lo", "up")
        ip("-n", self.name(0), "link", "add", "bridge", "type", "bridge")
        ip("-n", self.name(0), "addr", "add", f"{self.address(0)}/24", "dev", "bridge")
        ip("-n", self.name(0), "link", "set", "bridge", "up")
        ip("-n", self.name(0), "route", "add", "default", "dev", "bridge")  # Ray asks which way it would go out
        for machine in self.machines[1:]:
            self._join(machine)

    def _join(self, machine: int) -> None:
        there, here, at = self.name(machine), self.name(0), f"port{machine}"
        ip("-n", here, "link", "add", at, "type", "veth", "peer", "name", "eth0", "netns", there)
        ip("-n", there, "addr", "add", f"{self.address(machine)}/24", "dev", "eth0")
        ip("-n", there, "link", "set", "eth0", "up")
        ip("-n", there, "route", "add", "default", "via", self.address(0))
        ip("-n", here, "link", "set", at, "master", "bridge", "up")

    def link(self, machine: int, state: str) -> None:
        """`up`, or `down` as if its cable were pulled."""
        ip("-n", self.name(0), "link", "set", f"port{machine}", state)

    def start(self, machine: int, words: Sequence[str], environment: Mapping[str, str] = {}) -> subprocess.Popen[str]:
        """A command there."""
        own = self.folder / self.name(machine)
        own.mkdir(exist_ok=True)
        inside = f'mount -t tmpfs tmpfs /dev/shm && mkdir -p /tmp/ray && mount --bind {own} /tmp/ray && exec "$@"'
        command = ["ip", "netns", "exec", self.name(machine), "unshare", "--mount", "sh", "-c", inside, "sh", *words]
        ours = {"PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token, **SETTINGS}
        everything = {**os.environ, **ours, **environment}
        out, both = subprocess.PIPE, subprocess.STDOUT
        self.started.append(subprocess.Popen(command, cwd=ROOT, env=everything, stdout=out, stderr=both, text=True))
        return self.started[-1]

    def node(self, machine: int, environment: Mapping[str, str] = {}) -> subprocess.Popen[str]:
        """Ray there, with one processor; the head of the cluster, on machine 0, has none."""
        where = [f"--address={self.address(0)}:{PORT}", "--num-cpus=1"]
        if machine == 0:
            where = ["--head", f"--port={PORT}", "--num-cpus=0", "--include-dashboard=false"]
        own = [f"--node-ip-address={self.address(machine)}", f"--object-store-memory={ROOM}", "--block"]
        return self.start(machine, [str(RAY), "start", *where, *own], environment)

    def pids(self, machine: int) -> list[int]:
        return [int(word) for word in ip("netns", "pids", self.name(machine)).split()]

    def clear(self, machine: int) -> None:
        """End whatever runs there."""
        while pids := self.pids(machine):
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)

    def remove(self) -> None:
        for machine in self.machines:
            with suppress(Refused):
                self.clear(machine)
                ip("netns", "del", self.name(machine))
        for process in self.started:
            assert process.stdout is not None
            process.stdout.close()
            process.wait()


@contextmanager
def network(machines: int, folder: Path) -> Iterator[Network]:
    """Raises Refused."""
    made = Network(machines, folder)
    try:
        made.make()
        yield made
    finally:
        made.remove()

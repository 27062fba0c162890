"""Who sits where in a crew of Ray's, with a Ray that is made up: nobody is waited for who cannot come."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobspec.backends.registry import BACKENDS, Backend
from jobspec.backends.registry import backend as backend_of
from jobspec.ir.contract import PROFILE
from jobspec.ir.digest import Digest
from jobspec.ir.errors import JobspecError, UsageError
from jobspec.ir.plan import Schedule
from jobspec.runtime.tuning import Carried
from jobspec.runtime.workers import ray_cluster, ray_crew
from jobspec.runtime.workers.crew import Joined
from jobspec.runtime.workers.opening import need_backends
from jobspec.runtime.workers.ray_cluster import SILENT, Pulse, need_member, sockets_of_ray
from jobspec.runtime.workers.ray_crew import STARTS, RayCrew, words_of
from jobspec.runtime.workers.seats import Asked
from jobspec.runtime.workers.station import Ready, Station, own_sources
from jobspec.runtime.workers.worker import Setup


class Actor:
    """An actor's class and its only actor; a call's answer is at once there."""

    def __init__(self, word: Ready) -> None:
        self.word = word

    def options(self, **_: Any) -> Actor:
        return self

    def remote(self, *_: Any) -> Any:
        return SimpleNamespace(ready=SimpleNamespace(remote=lambda: (object(), self.word)))


class MadeUp:
    """What of Ray a crew without work asks for. `words`: the first word of the actors of each machine."""

    exceptions = SimpleNamespace(RayError=KeyError)

    def __init__(self, word: Ready, machines: int, gpus: int = 0) -> None:
        self.word, self.machines, self.gpus, self.killed = word, machines, gpus, 0

    def remote(self, _: type) -> Actor:
        return Actor(self.word)

    def get_runtime_context(self) -> SimpleNamespace:
        return SimpleNamespace(gcs_address="10.0.0.5:6379")

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": self.resources(), "NodeID": str(i)} for i in range(self.machines)]

    def resources(self) -> dict[str, float]:
        return {"CPU": 2.0} | ({"GPU": float(self.gpus)} if self.gpus else {})

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0 * self.machines}

    def wait(self, refs: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
        return refs, []

    def get(self, ref: tuple[object, Ready]) -> Ready:
        return ref[1]

    def kill(self, _: object) -> None:
        self.killed += 1


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda **_: None)
    monkeypatch.setattr(ray_crew, "LOOK", 0.0)
    monkeypatch.setattr(ray_crew, "PAUSE", 0.0)
    monkeypatch.setattr(ray_crew, "import_module", lambda _: nothing)
    monkeypatch.setattr(ray_cluster, "need_listener", lambda _: None)


def setup_of(backend: str, schedules: Carried | None = None) -> Setup:
    return Setup(backend, 1, PROFILE, Path("/nonexistent"), schedules or Carried())


def crew_of(ray: MadeUp, asked: Asked, told: list[str]) -> RayCrew:
    return RayCrew(ray, asked, setup_of, "claim", told.append)


@pytest.mark.parametrize("asked", [Asked((), "cuda", "auto"), Asked(("cuda", "cuda"), "cuda")], ids=["each", "two"])
def test_machines_that_cannot_are_not_waited_for(asked: Asked) -> None:
    told: list[str] = []
    crew = crew_of(MadeUp(Ready(wrong="no CUDA device"), 2), asked, told)
    with pytest.raises(JobspecError) as raised:
        for _ in range(STARTS + 2):
            assert crew.poll(0) == []
    assert raised.value.code == "E0521" and "no CUDA device" in raised.value.reason
    assert sum("cannot work: no CUDA device" in text for text in told) == 2 * STARTS


def test_while_there_are_no_machines_they_are_waited_for() -> None:
    crew = crew_of(MadeUp(Ready(wrong="no CUDA device"), 0), Asked((), "cuda", "auto"), [])
    assert [crew.poll(0) for _ in range(STARTS + 2)] == [[]] * (STARTS + 2)


def test_who_worked_once_may_be_followed_by_others() -> None:
    ray = MadeUp(Ready("about", own_sources(), "claim"), 1)
    crew = crew_of(ray, Asked((), "llvm", "auto"), [])
    assert crew.poll(0) == [Joined("worker 1", "about")]
    crew.dismiss("worker 1", for_good=True)
    assert crew.poll(0) == []
    ray.machines = 2
    assert crew.poll(0) == [Joined("worker 2", "about")]


def test_who_finds_no_room_is_told_at_once() -> None:
    told: list[str] = []
    crew_of(MadeUp(Ready(), 2), Asked(("llvm", "llvm", "llvm", "cuda"), "llvm", "auto"), told)
    assert told == ["the cluster has 0 of the 1 GPUs that workers need: who finds none is waited for"]
    told.clear()
    crew_of(MadeUp(Ready(), 1), Asked(("llvm",) * 3, "llvm", "auto"), told)
    assert told == ["the cluster has 2 of the 3 processors that workers need: who finds none is waited for"]


def test_a_backend_that_this_machine_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers on it could not come; on a cluster's machines they may."""

    def absent() -> Backend:
        raise UsageError("E0837", "no GPU")

    monkeypatch.setitem(BACKENDS, "cuda", absent)
    need_backends(Asked(("llvm", "cuda"), "llvm", "auto"))
    for asked, code in ((("llvm", "cuda"), "E0837"), (("llvm", "cpu"), "E0811")):
        with pytest.raises(UsageError) as raised:
            need_backends(Asked(asked, "llvm"))
        assert raised.value.code == code


@pytest.mark.parametrize("gpus", [0, 1])
def test_a_machine_without_a_gpu_says_so_itself(gpus: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray is asked for one only where there is one: it would wait."""
    options: list[dict[str, Any]] = []

    def kept(self: Actor, **given: Any) -> Actor:
        options.append(given)
        return self

    monkeypatch.setattr(Actor, "options", kept)
    crew_of(MadeUp(Ready(wrong="no CUDA device"), 1, gpus), Asked((), "cuda", "auto"), []).poll(0)
    assert [given.get("num_gpus", 0) for given in options] == [gpus]


@pytest.mark.parametrize(("backend", "own"), [("reference", True), ("llvm", False)])
def test_schedules_for_another_device_are_said_to_be(backend: str, own: bool) -> None:
    schedules = Carried(backend_of("llvm").target, ((Digest(bytes(32)), Schedule()),))
    assert Station(setup_of(backend, schedules), lambda _: None).ready().own == own  # type: ignore[arg-type, return-value]
    told: list[str] = []
    crew = crew_of(MadeUp(Ready("", own_sources(), "claim", own), 1), Asked(("llvm",), "llvm"), told)
    assert crew.poll(0) == [Joined("worker 1 (llvm)", "")]
    assert len(told) == own


def test_a_machine_without_ray_is_told_how_to_join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a node's process is seen, and its socket is another machine's, or left by one that was killed."""
    monkeypatch.setattr(ray_cluster, "sockets_of_ray", lambda: iter([str(tmp_path / "raylet")]))
    with pytest.raises(UsageError) as raised:
        need_member("10.0.0.5:6379")
    assert raised.value.code == "E0867" and "ray start --address=10.0.0.5:6379" in str(raised.value.help)
    need_member("ray://10.0.0.5:10001")
    with socket.socket(socket.AF_UNIX) as node:
        node.bind(str(tmp_path / "raylet"))
        node.listen()
        need_member("10.0.0.5:6379")
        need_member("auto")


def test_a_head_that_is_silent_for_long_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before Ray ends the process; one that comes back in time is not told of."""
    pulse, there = Pulse("10.0.0.5:6379"), [False]

    def asked(_: str) -> None:
        if not there[0]:
            raise ConnectionRefusedError

    monkeypatch.setattr(ray_cluster, "need_listener", asked)
    pulse.take(0.0)
    pulse.take(SILENT - 1)
    assert not pulse.there
    there[0] = True
    pulse.take(SILENT)
    assert pulse.there
    there[0] = False
    pulse.take(SILENT + 1)
    with pytest.raises(JobspecError) as raised:
        pulse.take(2 * SILENT + 1)
    assert raised.value.code == "E0521" and "10.0.0.5:6379" in raised.value.reason


def test_nodes_are_known_by_their_processes() -> None:
    words = [sys.executable, "-c", "print(flush=True); input()", "--raylet_socket_name=/a/raylet"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as node:
        assert node.stdout and node.stdout.readline()  # it has begun: its words are known
        assert "/a/raylet" in sockets_of_ray()
        node.communicate(b"\n")


class ActorDiedError(Exception):
    """As Ray's is called."""


IMPORT = """The actor died because of an error raised in its creation task, ray::Actor.__init__() (pid=1, ip=10.0.0.6)
RuntimeError: The actor with name Actor failed to import on the worker.
Traceback (most recent call last):
  File "loads", line 1, in loads
ModuleNotFoundError: No module named 'jobspec'
"""


def test_what_ray_says_in_a_line() -> None:
    assert words_of(ActorDiedError(IMPORT)) == "ModuleNotFoundError: No module named 'jobspec'"
    died = "The actor died unexpectedly before finishing this task.\n\tclass_name: Actor"
    assert words_of(ActorDiedError(died)) == "its process or its machine died"
    assert words_of(KeyError()) == "KeyError" and words_of(ValueError("one\ntwo")) == "one"

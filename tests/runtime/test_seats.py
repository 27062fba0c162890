"""Who sits where in a crew of Ray's, with a Ray that is made up: nobody is waited for who cannot come."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobspec.backends.registry import backend as backend_of
from jobspec.ir.contract import PROFILE
from jobspec.ir.digest import Digest
from jobspec.ir.errors import JobspecError
from jobspec.ir.plan import Schedule
from jobspec.runtime.tuning import Carried
from jobspec.runtime.workers import ray_crew
from jobspec.runtime.workers.crew import Joined
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

    def __init__(self, word: Ready, machines: int) -> None:
        self.word, self.machines, self.killed = word, machines, 0

    def remote(self, _: type) -> Actor:
        return Actor(self.word)

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 2}, "NodeID": str(i)} for i in range(self.machines)]

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
    assert len(told) == 2 * STARTS


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


@pytest.mark.parametrize(("backend", "own"), [("reference", True), ("llvm", False)])
def test_schedules_for_another_device_are_said_to_be(backend: str, own: bool) -> None:
    schedules = Carried(backend_of("llvm").target, ((Digest(bytes(32)), Schedule()),))
    assert Station(setup_of(backend, schedules), lambda _: None).ready().own == own  # type: ignore[arg-type, return-value]
    told: list[str] = []
    crew = crew_of(MadeUp(Ready("", own_sources(), "claim", own), 1), Asked(("llvm",), "llvm"), told)
    assert crew.poll(0) == [Joined("worker 1 (llvm)", "")]
    assert len(told) == own


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

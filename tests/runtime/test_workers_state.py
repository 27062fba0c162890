"""The state among workers: what the head has of it, and what it believes of what it has not."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from jobspec.ir.digest import Digest
from jobspec.ir.job import Slot
from jobspec.ir.types import Type
from jobspec.runtime.roots import Elsewhere
from jobspec.runtime.workers import session
from jobspec.runtime.workers.crew import Parcel
from jobspec.runtime.workers.shelf import LARGE, Shelf, shelf_for
from jobspec.runtime.workers.state import Place, State
from jobspec.runtime.workers.trouble import Tainted
from jobspec.store.checkpoint import array_digest
from tests.runtime.crews import StandIns
from tests.runtime.test_workers import STEPS, Trial, faultless, rows, wanted

Array = np.ndarray
#: 4 MB
BIG = Type("f32", (1024, 1024))
SLOTS = [Slot(f"w{i}", "parameter", BIG, ("X", "Y")) for i in range(8)]


class Far(StandIns):
    """Values that are made when they are fetched: `held` is what they are full of."""

    def fetch(self, parcel: Parcel) -> Array:
        return np.full((512, 1024) if parcel.held < 0 else BIG.shape, abs(parcel.held), np.float32)


def far(folder: Path, halves: bool) -> State:
    state = State(Far({}), SLOTS, Shelf(folder))
    for i, slot in enumerate(SLOTS, 1):
        names = [f"{slot.name} {n}:{n + 512} 0:1024" for n in (0, 512)] if halves else [slot.name]
        boxes = [((n, n + 512), (0, 1024)) if halves else None for n in (0, 512)]
        state.places |= {name: Place(slot.name, box) for name, box in zip(names, boxes, strict=False)}
        state.put(slot.name, {name: Parcel(Digest(bytes(32)), BIG.nbytes, -i if halves else i) for name in names})
    return state


@pytest.mark.parametrize("halves", [False, True])
def test_a_large_state_takes_the_memory_of_one_tensor(tmp_path: Path, halves: bool) -> None:
    state = far(tmp_path / "cache", halves)
    tracemalloc.start()
    try:
        kept = state.kept()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [float(array.min()) == float(array.max()) == i for i, array in enumerate(kept.values(), 1)] == [True] * 8
    assert peak < 1.5 * BIG.nbytes
    assert not list((tmp_path / "cache").iterdir())


def test_small_ones_and_small_states_stay_in_memory(tmp_path: Path) -> None:
    tiny = Type("f32", (3,))
    array = np.ones(3, np.float32)
    assert Shelf(tmp_path).put(tiny, array) is array
    assert shelf_for(LARGE, tmp_path / "none").put(BIG, array) is array
    assert shelf_for(LARGE + 1, tmp_path).put(tiny, array) is array


def begun(crew: StandIns, steps: int) -> Trial:
    trial = Trial(crew, blocks=1)
    trial.session.run("init", 0, np.zeros((1, 0), np.uint8))
    for first in range(steps):
        trial.session.run("step", first, rows(trial.job)[first : first + 1])
    return trial


def test_roots_without_a_look_at_the_state() -> None:
    crew = StandIns(faultless(2))
    trial = begun(crew, STEPS)
    assert isinstance(trial.session, Elsewhere)
    before = crew.fetched
    found = {slot.name: trial.session.digest(slot.name) for slot in trial.job.state}
    assert crew.fetched == before
    assert {name: array_digest(trial.session.peek(name)) for name in found} == found


#: the first state, pieces, update: what the worker is asked for
UPDATE = 2


def test_a_hash_that_is_wrong_is_found_by_who_takes_the_value() -> None:
    trial = begun(StandIns({"w0": ["ok"] * UPDATE + ["slip"]}), 0)
    for first in range(STEPS):
        trial.session.run("step", first, rows(trial.job)[first : first + 1])
    found = {slot.name: trial.session.read(slot.name).tobytes() for slot in trial.job.state}
    assert found.items() <= wanted().items()


def test_a_hash_that_is_wrong_and_was_handed_out_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a root that is not the state's would stand in the log."""
    monkeypatch.setattr(session, "KEEP", 1000.0)
    trial = begun(StandIns({"w0": ["ok"] * UPDATE + ["slip"]}), 1)
    for slot in trial.job.state:
        trial.session.digest(slot.name)
    with pytest.raises(Tainted) as raised:
        trial.session.run("step", 1, rows(trial.job)[1:2])
    assert raised.value.code == "E0523" and raised.value.since == 0

"""`jobspec store …`: what is listed, checked, cleared, sent and fetched."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Call

REFERENCE = ("--on", "reference")
START = "  start = load({root})\n"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    return tmp_path / "there"


@pytest.fixture
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another store; the test goes on there with `monkeypatch`."""
    return tmp_path / "away"


def go(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("JOBSPEC_HOME", str(home))


def test_a_job_s_data_and_run_there_and_back(
    call: Call, tiny: Path, there: Path, away: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = call("run", tiny, *REFERENCE, "--json").json
    sent = call("store", "push", there, tiny, "--json").json
    assert [row["kept"] for row in sent["sent"]] == [0, 0] and sent["left"] == []
    again = call("store", "push", there, "--json").json
    assert [row["files"] for row in again["sent"]] == [0, 3]
    go(monkeypatch, away)
    assert call("store", "pull", there, tiny).code == 0
    known = call("run", tiny, *REFERENCE, "--json").json
    assert known["known"] and known["state"] == done["state"]
    assert call("store", "verify").code == 0


def test_data_beside_the_job_is_taken_along(
    call: Call, tiny: Path, home: Path, there: Path, away: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.move(home / "data", tiny.parent / "data")
    said = call("store", "push", there, tiny)
    assert said.code == 0 and "left out" not in said.err
    shutil.rmtree(tiny.parent / "data")
    go(monkeypatch, away)
    assert call("store", "pull", there, tiny).code == 0
    assert call("run", tiny, *REFERENCE).code == 0


def test_what_is_not_there_is_said(call: Call, tiny: Path, home: Path, there: Path) -> None:
    shutil.rmtree(home / "data")
    for verb in ("push", "pull"):
        said = call("store", verb, there, tiny)
        assert said.code == 0 and "left out: the data set b3:" in said.err and "`train`" in said.err


def test_weights_to_start_from_are_taken_along(
    call: Call, tiny: Path, there: Path, away: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("run", tiny, *REFERENCE).code == 0
    state = call("run", tiny, *REFERENCE, "--json").json
    weights = call("weights", "add", state["weights"], "--json").json["hash"]
    later = tmp_path / "later.job"
    later.write_text(tiny.read_text().replace("  seed = 3\n", f"  seed = 3\n{START.format(root=weights)}"))
    assert call("store", "push", there, later).code == 0
    from_state = tmp_path / "state.job"
    from_state.write_text(tiny.read_text().replace("  seed = 3\n", f"  seed = 3\n{START.format(root=state['state'])}"))
    assert "a state moves with the run" in call("store", "push", there, from_state).err
    trained = call("run", later, *REFERENCE, "--json").json
    go(monkeypatch, away)
    assert call("store", "pull", there, later).code == 0
    assert call("run", later, *REFERENCE, "--json").json["state"] == trained["state"]


def test_shards_stream_from_there(
    call: Call, tiny: Path, there: Path, away: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("store", "push", there).code == 0
    go(monkeypatch, away)
    assert call("run", tiny, *REFERENCE).code == 5
    monkeypatch.setenv("JOBSPEC_REMOTE", str(there))
    assert call("run", tiny, *REFERENCE).code == 0


def test_names_and_hashes(call: Call, tiny: Path, home: Path, there: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((3, 2), "<f4"))
    line = call("data", "add", tmp_path / "x.npy", "--name", "zeros").out
    root = line[line.index("b3:") :][:67]
    assert [row["hash"] for row in call("store", "push", there, "zeros", "--json").json["sent"]] == [root]
    assert call("store", "push", there, root[:14], "--json").json["sent"][0]["kept"] > 0
    for wrong in ("ones", "b3:0123456789"):
        said = call("store", "push", there, wrong)
        assert said.code == 2 and "error[E0861]" in said.err


def test_listing_checking_clearing(call: Call, tiny: Path, home: Path) -> None:
    assert "no runs in" in call("store", "ls").out
    run = call("run", tiny, *REFERENCE, "--until", "5", "--json").json
    (listed,) = call("store", "ls", "--json").json["runs"]
    assert (listed["job"], listed["steps"], listed["of"], listed["closed"]) == (run["job"], 5, 12, False)
    blob = next((home / "runs").glob("*/states/*"))
    data = blob.read_bytes()
    blob.write_bytes(data[:-1])
    said = call("store", "verify")
    assert said.code == 5 and blob.name in said.err
    blob.write_bytes(data)
    assert call("store", "gc", "--dry-run").code == call("store", "gc").code == 0
    assert "ok: every blob" in call("store", "verify").out


def test_nothing_to_move(call: Call, home: Path, tmp_path: Path) -> None:
    said = call("store", "push", tmp_path / "there")
    assert said.code == 0 and f"there is nothing to send in {home}" in said.out
    said = call("store", "pull", tmp_path / "there")
    assert said.code == 0 and f"there is nothing to fetch at {tmp_path}/there" in said.out

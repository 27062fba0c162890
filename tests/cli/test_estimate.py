"""`jobspec estimate`: its answers, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Call

SPECS = ROOT / "specs"
CLUSTER = SPECS / "clusters" / "h100_16384.toml"
NODE = SPECS / "clusters" / "h100_8.toml"
#: a job whose data is named in full but is not here
SMALL = ("--set", "train.shards=64", "--set", "run.mesh=[dp=8]")


def test_its_answer_adds_up(home: Path, call: Call) -> None:
    found = call("estimate", SPECS / "gpt2_124m.job", "--on", NODE, *SMALL, "--json").json
    (phase,) = found["phases"]
    assert (found["devices"], found["fits"], phase["steps"], phase["micro_batches"]) == (8, True, 18_865, 8)
    assert phase["mesh"] == {"tensor": 1, "context": 1, "pipeline": 1, "data": 8}
    assert sum(phase["spent"].values()) == pytest.approx(phase["step_seconds"])
    parts = {key: value for key, value in phase["memory"].items() if key not in ("total", "limit")}
    assert sum(parts.values()) == pytest.approx(phase["memory"]["total"])
    hours = 18_865 * phase["step_seconds"] / 3600 / found["checkpoint"]["effective"]
    assert found["hours"] == pytest.approx(hours) and found["device_hours"] == pytest.approx(8 * hours)
    assert found["cost"] == pytest.approx(2.5 * found["device_hours"])
    assert phase["mfu"] == pytest.approx(phase["model_flop"] / 8 / phase["step_seconds"] / 67e12)


def test_for_people(home: Path, call: Call) -> None:
    said = call("estimate", SPECS / "llama3_70b.job", "--on", CLUSTER)
    assert said.code == 0 and "tensor 8 × pipeline 8 × data 64" in said.out
    assert "fits into 80 GB" in said.out and "calibration contractions 0.549" in said.out


def test_a_job_without_a_mesh_is_spread_by_its_pieces(home: Path, call: Call, tiny: Path) -> None:
    alone = call("estimate", tiny, "--on", NODE, "--json").json
    spread = call("estimate", tiny, "--on", NODE, "--set", "train.shards=4", "--json").json
    assert (alone["devices"], spread["devices"]) == (1, 4)


@pytest.mark.parametrize(
    ("values", "code", "said"),
    [
        (("--set", "run.mesh=[dp=16]"), "E0873", "the mesh [dp=16] has 16 positions, and h100_8.toml says 8 devices"),
        (("--set", "train.shards=4"), "E0874", "the batch has 4 pieces, and 8 replicas are to share it"),
    ],
)
def test_meshes_that_do_not_fit(home: Path, call: Call, values: tuple[str, ...], code: str, said: str) -> None:
    found = call("estimate", SPECS / "gpt2_124m.job", "--on", NODE, *values)
    assert found.code == 2 and f"error[{code}]: {said}" in found.err and "help:" in found.err


def test_what_does_not_fit_into_memory_is_said(home: Path, call: Call, tmp_path: Path) -> None:
    cluster = tmp_path / "small.toml"
    cluster.write_text(NODE.read_text().replace("memory = 80e9", "memory = 2e9"))
    found = call("estimate", SPECS / "gpt2_124m.job", "--on", cluster, *SMALL)
    assert found.code == 0 and "does not fit into 2 GB" in found.out
    assert "what goes into each layer, computed again" in found.out


def test_a_rate_that_is_not_there(home: Path, call: Call, tmp_path: Path) -> None:
    cluster = tmp_path / "other.toml"
    cluster.write_text(NODE.read_text().replace("f32 = 67e12", ""))
    found = call("estimate", SPECS / "gpt2_124m.job", "--on", cluster, *SMALL)
    assert found.code == 2 and "error[E0872]: other.toml says no rate for f32" in found.err

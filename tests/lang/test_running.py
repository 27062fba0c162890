"""`run { … }`: a mesh is read and checked, and decides nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobspec.ir.codec.job import encode_job, job_hash
from jobspec.ir.codec.plan import encode_plan
from jobspec.ir.errors import UsageError
from jobspec.ir.job import Job
from jobspec.ir.mesh import ALONE, Mesh
from jobspec.ir.target import Target
from jobspec.lang.check import load
from jobspec.lang.source import Source
from jobspec.passes.pipeline import compile_job
from tests.lang.examples import compiled

SPECS = Path(__file__).parents[2] / "specs"
DATA = f"data d = table(b3:{64 * '0'}, x=f32[X], y=f32)\n"
PHASES = """
layer net(x) {
  param first: X -> H ~ normal(.1)
  h = x @ first
  repeat L { param w: H -> H' ~ normal(.1); h = h + (h @ w)[H'->H] }
  sum[H](h)
}
train {
  seed = 1; batch = shuffle(d); loss = mean[B]((net(batch.x) - batch.y)^2); update all by sgd(.1)
  phase warm { steps = 2 }
  phase main { steps = 3; B = 8 }
  phase late { steps = 3; B = 6 }
}
"""


def test_mesh_is_read() -> None:
    job = compiled("run { mesh = [tp=3, dp=2]; shard X over tp; shard B over dp }")
    assert job.runs == (Mesh((("tp", 3), ("dp", 2)), (("X", "tp"), ("B", "dp"))),)
    mesh = job.mesh("")
    assert (mesh.count, mesh.size("dp"), mesh.size("pp"), mesh.over("X"), mesh.parts("X")) == (6, 2, 1, "tp", 3)
    assert mesh.positions() == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]


def test_without_a_section_there_is_one_position() -> None:
    job = compiled("dim X=3")
    assert job.runs == () and job.mesh("") == ALONE and ALONE.count == 1


def test_phases_run_on_their_own_mesh() -> None:
    """B = 6 of `late` has no four parts, and need not have them: it has a mesh of its own."""
    own = "run { mesh = [dp=4]; shard B over dp }\nrun more { on = [late]; mesh = [dp=3]; shard B over dp }"
    job = compiled(f"dim L=5\n{PHASES}{own}")
    assert [job.mesh(phase).size("dp") for phase in ("warm", "main", "late")] == [4, 4, 3]


def test_what_is_cut_is_said_once() -> None:
    """A section that says no `shard` has those of the section for all phases; what its mesh lacks stays whole."""
    general = "run { mesh = [dp=2]; shard B over dp; shard X over tp }\n"
    job = compiled(f"dim L=5\n{PHASES}{general}run more {{ on = [late]; mesh = [tp=3, dp=3] }}")
    assert [job.mesh(phase).shards for phase in ("main", "late")] == [(("B", "dp"),), (("B", "dp"), ("X", "tp"))]
    assert [job.mesh(phase).parts("X") for phase in ("main", "late")] == [1, 3]


def test_an_axis_by_its_other_name_is_the_axis() -> None:
    assert compiled("run { mesh = [tp=3]; shard X' over tp }").mesh("").shards == (("X", "tp"),)


def test_stages_may_differ_by_a_turn() -> None:
    """L = 5 layers are two stages; five equal slices there would not be."""
    job = compiled(f"dim L=5\n{PHASES}run {{ mesh = [pp=2]; shard L over pp }}")
    assert job.mesh("main").parts("L") == 2


def without(axis: str) -> str:
    return f"leave {axis} out of what `shard` cuts"


@pytest.mark.parametrize(
    ("run", "reason", "help"),
    [
        ("mesh = [tp=2]; shard X over tp", "X = 3 has no 2 equal parts", f"say `tp=1` or `tp=3`, or {without('X')}"),
        (
            "mesh = [dp=8]; shard B over dp",
            "B = 4 in the phase `warm` has no 8 equal parts",
            f"say `dp=2` or `dp=4`, or {without('B')}, or give it a mesh of its own: `run NAME {{ on = [warm]; … }}`",
        ),
        ("mesh = [pp=6]; shard L over pp", "L = 5 has no 6 equal parts", f"say `pp=1` or `pp=5`, or {without('L')}"),
        (
            "on = [late]; mesh = [dp=4]; shard B over dp",
            "B = 6 has no 4 equal parts",
            f"say `dp=2` or `dp=3`, or {without('B')}",
        ),
    ],
)
def test_only_who_uses_a_mesh_is_told_that_it_does_not_fit(run: str, reason: str, help: str) -> None:
    job = compiled(f"dim L=5\n{PHASES}run {{ {run} }}")
    with pytest.raises(UsageError) as caught:
        job.runs[0].need_fit()
    assert caught.value.code == "E0868" and caught.value.reason.startswith(reason)
    assert caught.value.help == help


def plain(job: Job) -> tuple[object, bytes, bytes]:
    plan = compile_job(job, Target("reference"))
    return job_hash(job), encode_job(job), encode_plan(plan)


def test_no_hash_and_no_plan_is_over_the_mesh() -> None:
    without = compiled(DATA)
    cut = compiled(DATA + "run { mesh = [tp=3, dp=2]; shard X over tp; shard B over dp }")
    assert plain(without) == plain(cut) and without == cut and hash(without) == hash(cut)


def test_the_meshes_of_the_specs_fit() -> None:
    said = [path for path in sorted(SPECS.glob("*.job")) if "\nrun " in path.read_text("utf-8")]
    assert len(said) > 1
    for path in said:
        for mesh in load(Source.read(path)).runs:
            mesh.need_fit()


@pytest.mark.parametrize(("phase", "positions"), [("bulk", 16384), ("ctx5", 16384)])
def test_the_largest_spec_says_where_it_runs(phase: str, positions: int) -> None:
    job = load(Source.read(SPECS / "llama3_405b.job"))
    assert job.mesh(phase).count == positions and job.mesh(phase).parts("L") == 16

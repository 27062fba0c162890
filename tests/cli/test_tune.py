"""`jobspec tune`: measured schedules come into plans that ask for them, and change no bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jobspec import api
from jobspec.ir.codec.plan_file import decode_plan_file, encode_plan_file
from jobspec.ir.plan import Plan, Schedule
from jobspec.passes.schedule import possible_schedules
from jobspec.runtime.tune import decided
from jobspec.runtime.tuning import Tunings, key_of, tuned
from jobspec.store.home import open_home
from jobspec.store.shards import write_table
from tests.cli.conftest import Call

NET = """job net "two layers whose tiles can be cut in several ways"
import std.optim
dim B=24, X=48, H=80
data train = table({root}, x=f32[X])
layer net(x) {{
  param a: X -> H ~ normal(.1), b: H -> X ~ normal(.1)
  tanh(x @ a) @ b
}}
train {{
  seed = 3
  steps = 6
  batch = shuffle(train)
  loss = mean[B X]((net(batch.x) - batch.x)^2)
  update all by optim.adamw(lr=1e-3)
}}
"""


@pytest.fixture
def net(home: Path, tmp_path: Path) -> Path:
    x = np.random.default_rng(1).normal(size=(100, 48)).astype("<f4")
    path = tmp_path / "net.job"
    path.write_text(NET.format(root=write_table(open_home().data(), {"x": x}).root))
    return path


def others(plan: Plan) -> None:
    """Keep for every contraction of `plan` the schedule that the scheduler likes least."""
    for routine in plan.routines:
        for kernel in routine.kernels:
            if kernel.kind == "contract":
                Tunings(open_home()).keep(kernel, plan.target, possible_schedules(kernel, plan.target)[-1])


def test_tuned_plans_give_the_same_bits(call: Call, net: Path) -> None:
    plain = call("run", net, "--json").json
    others(api.compile(net).compiled.plan)
    assert call("run", net, "--json", "--again").json["plan"] == plain["plan"]
    other = call("run", net, "--tuned", "--again", "--json").json
    assert other["plan"] != plain["plan"]
    assert [other[key] for key in ("job", "state", "metrics")] == [plain[key] for key in ("job", "state", "metrics")]


def test_what_is_found_is_kept_and_written(call: Call, net: Path, tmp_path: Path) -> None:
    path = tmp_path / "best.plan"
    found = call("tune", net, "--candidates", "3", "--rounds", "2", "-o", path, "--json").json
    compiled = call("compile", net, "--tuned", "-o", tmp_path / "same.plan", "--json").json
    assert compiled["plan"] == found["plan"] and (tmp_path / "same.plan").read_bytes() == path.read_bytes()
    assert found["job"] == call("hash", net, "--json").json["job"]
    # forward twice, and the gradients of both weights and of the layer between
    assert len(found["kernels"]) == 5 and all(k["after"] <= k["before"] for k in found["kernels"])
    assert call("run", path, "--json").json["plan"] == found["plan"]


def test_less_than_the_clock_can_tell_is_no_gain(net: Path) -> None:
    """Kernels of a small job may take no time at all, the cost of an empty call once taken off."""
    plan = api.compile(net).compiled.plan
    routine = plan.routine("step")
    number = next(i for i, k in enumerate(routine.kernels) if k.kind == "contract")
    schedules = [routine.schedules[number], *possible_schedules(routine.kernels[number], plan.target)[-2:]]
    assert decided(routine, number, schedules, [2e-6, 0.0, 3e-6]).after == 2e-6
    assert decided(routine, number, schedules, [0.0, 0.0, 0.0]).schedule == schedules[0]
    assert decided(routine, number, schedules, [2e-6, 0.0, 1e-6]).schedule == schedules[2]


def test_only_schedules_that_could_have_been_chosen_are_taken(net: Path) -> None:
    plan = api.compile(net).compiled.plan
    kernel = next(k for k in plan.routine("step").kernels if k.kind == "contract")
    tunings, good = Tunings(open_home()), possible_schedules(kernel, plan.target)[-1]
    tunings.keep(kernel, plan.target, good)
    assert tunings(kernel, plan.target) == good
    path = open_home().tunings / key_of(kernel, plan.target).hex
    path.write_bytes(path.read_bytes()[:-1])
    assert tunings(kernel, plan.target) is None
    tunings.keep(kernel, plan.target, Schedule((*good.choices[:-1], (good.choices[-1][0], 1000))))
    assert tunings(kernel, plan.target) is None
    assert tunings(replace(kernel, axes=kernel.axes[::-1]), plan.target) is None


def test_a_plan_file_with_an_impossible_schedule_is_refused(call: Call, net: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.plan"
    call("compile", net, "-o", path)
    job, plan = decode_plan_file(path.read_bytes())
    wrong = tuned(plan, lambda kernel, target: Schedule((("rows", 1000),)))
    path.write_bytes(encode_plan_file(job, wrong))
    said = call("run", path, "--no-sandbox")
    assert said.code == 3 and "E0602" in said.err

"""Jobs as bytes, and the job hash: what decides the result is in it, what does not is not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobspec.ir.build import full
from jobspec.ir.canonical import Value, decode, encode
from jobspec.ir.codec.job import (
    LIMITS,
    JobFormatError,
    decode_job,
    differing_parts,
    encode_job,
    job_hash,
    job_parts,
    with_names,
)
from jobspec.ir.codec.job_check import check_job
from jobspec.ir.job import Batches, Feed, Job, Part, Phase, Slot, Source
from jobspec.ir.program import Program
from jobspec.ir.record import RecordError
from jobspec.ir.types import Type
from tests.runtime.jobs import F32, KEY, WIDTH, counting, evaluation, regression, regression_step

ROOT = "b3:" + "ab" * 32
OTHER_ROOT = "b3:" + "cd" * 32
LINE = regression(ROOT)


PHASE = LINE.phases[0]


def phase(**changes: Any) -> Job:
    return replace(LINE, phases=(replace(PHASE, **changes),))


def batches(**changes: Any) -> Job:
    return phase(batches=replace(PHASE.batches, **changes))


def stream(**changes: Any) -> Job:
    return batches(stream=replace(PHASE.batches.stream, **changes))


def slot(number: int, **changes: Any) -> Job:
    state = list(LINE.state)
    state[number] = replace(state[number], **changes)
    return replace(LINE, state=tuple(state))


def other_init() -> Program:
    outputs = (("w", full(Type("f32", (WIDTH,)), 1)), *LINE.init.outputs[1:])
    return Program((), outputs)


DECIDING: dict[str, Job] = {
    "profile": replace(LINE, profile="jobspec.f32.v2"),
    "seed": replace(LINE, seed=8),
    "steps": phase(steps=13),
    "roots": replace(LINE, roots_every=6),
    "state: axes": slot(0, axes=("Z",)),
    "state: kind": slot(0, kind="layer"),
    "init": replace(LINE, init=other_init()),
    "step": phase(step=regression_step(0.06)),
    "data": replace(LINE, sources=(replace(LINE.sources[0], root=OTHER_ROOT),)),
    "stream: order": stream(order="sequence"),
    "stream: first": batches(first=4),
    "stream: key": stream(key=bytes(32)),
    "batches: fields": batches(feeds=tuple(replace(f, field=f.field + "2") for f in PHASE.batches.feeds)),
}


def renamed_data() -> Job:
    """The same training with other names for data and batch."""
    names = {"batch.x": "b.x", "batch.y": "b.y"}
    feeds = tuple(replace(f, name=names[f.name]) for f in PHASE.batches.feeds)
    moved = Batches(replace(PHASE.batches.stream, parts=(Part("rows"),)), PHASE.batches.size, feeds)
    sources = (replace(LINE.sources[0], name="rows"),)
    phases = (Phase("all", PHASE.steps, with_names(PHASE.step, names), moved),)
    return replace(LINE, sources=sources, phases=phases, evaluations=())


IDLE: dict[str, Job] = {
    "name": replace(LINE, name="other"),
    "title": replace(LINE, title="other"),
    "evaluations": replace(LINE, evaluations=()),
    "evaluation": replace(LINE, evaluations=(evaluation(3, 1),)),
    "save_every": replace(LINE, save_every=1),
    "keep": replace(LINE, keep=9),
    "sizes": replace(LINE, sizes=()),
    "more data": replace(LINE, sources=(*LINE.sources, Source("test", OTHER_ROOT, "table", (("x", F32),)))),
    "names of data": renamed_data(),
}


@pytest.mark.parametrize("what", DECIDING)
def test_what_decides_changes_the_hash(what: str) -> None:
    changed = DECIDING[what]
    assert job_hash(changed) != job_hash(LINE)
    assert differing_parts(LINE, changed) == [what.split(":")[0]]


@pytest.mark.parametrize("what", IDLE)
def test_what_does_not_decide_does_not(what: str) -> None:
    changed = IDLE[what]
    assert changed != LINE
    assert job_hash(changed) == job_hash(LINE)
    assert differing_parts(LINE, changed) == []


def test_all_deciding_changes_differ_from_one_another() -> None:
    assert len({job_hash(job) for job in DECIDING.values()}) == len(DECIDING)


def test_parts_are_named_in_order() -> None:
    names = [name for name, _ in job_parts(LINE)]
    assert names == ["profile", "seed", "roots", "state", "init", "steps", "step", "data", "stream", "batches"]


TOKENS = counting(ROOT)
ENDING = replace(TOKENS, sources=(replace(TOKENS.sources[0], end=0),))
CHOOSING = replace(LINE, evaluations=(evaluation(best=("min", "error")),))


@pytest.mark.parametrize("job", [LINE, TOKENS, ENDING, CHOOSING, *IDLE.values()], ids=lambda job: job.name)
def test_jobs_read_back(job: Job) -> None:
    again = decode_job(encode_job(job))
    assert again == job
    assert encode_job(again) == encode_job(job)
    assert job_hash(again) == job_hash(job)


def test_places_in_the_text_are_left_out() -> None:
    placed = replace(LINE, places={PHASE.step.results[0]: (3, 1)})
    assert encode_job(placed) == encode_job(LINE)


SCRIPT = """
import locale, sys
try:
    locale.setlocale(locale.LC_ALL, sys.argv[1])
except locale.Error:
    pass
sys.path[:0] = [sys.argv[2]]
from jobspec.ir.codec.job import job_hash, encode_job
from jobspec.ir.codec.plan import plan_hash
from jobspec.ir.digest import blob_digest
from tests.runtime.jobs import compiled, regression
job = regression("b3:" + "ab" * 32)
print(job_hash(job), compiled(job).plan_hash, blob_digest(encode_job(job)))
"""


def test_hashes_are_the_same_everywhere(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    said = set()
    for seed, place, language in (("0", root, "C"), ("1", str(tmp_path), "C.UTF-8"), ("4242", "/", "de_DE.UTF-8")):
        env = {"PYTHONHASHSEED": seed, "LC_ALL": language, "PATH": "", "LLVM_DEBUG": "1", "JOBSPEC_DEBUG": seed[0]}
        command = [sys.executable, "-c", SCRIPT, language, root]
        done = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, check=True)
        said.add(done.stdout)
    assert len(said) == 1
    assert said.pop().startswith(str(job_hash(LINE)))


def test_changed_bytes_are_refused_or_another_job() -> None:
    data = encode_job(LINE)
    for place in range(0, len(data), 7):
        changed = bytearray(data)
        changed[place] ^= 1
        try:
            assert decode_job(bytes(changed)) != LINE
        except JobFormatError:
            continue


@pytest.mark.parametrize("cut", [0, 1, 50, -1])
def test_cut_bytes_are_refused(cut: int) -> None:
    with pytest.raises(JobFormatError):
        decode_job(encode_job(LINE)[:cut])


def altered(change: Callable[[dict[str, Any]], object]) -> bytes:
    value: Value = decode(encode_job(LINE), LIMITS)
    assert isinstance(value, dict)
    change(value)
    return encode(value)


def test_programs_in_another_spelling_are_refused() -> None:
    with pytest.raises(JobFormatError, match="canonical"):
        decode_job(altered(lambda v: v["steps"].append(v["steps"].pop() + "\n\n")))


MALFORMED: dict[str, Callable[[dict[str, Any]], object]] = {
    "unknown key `more`": lambda v: v.update(more=1),
    "lacks `seed`": lambda v: v.pop("seed"),
    "`steps` is not an integer": lambda v: v["phases"][0].update(steps=0),
    "`roots_every` is not an integer": lambda v: v.update(roots_every=0),
    "`seed` is not an integer": lambda v: v.update(seed=-1),
    "`format` is not an integer": lambda v: v.update(format=1),
    "slot 0 has an unknown element type": lambda v: v["state"][0].update(type=["f64", [3]]),
    "slot `w` has not one axis name per axis": lambda v: v["state"][0].update(axes=[]),
    "slot `w` comes twice": lambda v: v["state"].append(v["state"][0]),
    "unknown kind `weird`": lambda v: v["state"][0].update(kind="weird"),
    "does not give every slot": lambda v: v["state"].reverse(),
    "a size of slot 0": lambda v: v["state"][0].update(type=["f32", [0]]),
    "larger than": lambda v: v["state"][0].update(type=["f32", [1 << 40, 1 << 40]]),
    "also 0 is not text": lambda v: v.update(also=[3]),
    "keeps the end of a phase": lambda v: v.update(also=["late"]),
    "has blocks of one": lambda v: v["phases"][0]["batches"]["stream"].update(parts=[["train", 2]]),
    "common divisor": lambda v: v["phases"][0]["batches"]["stream"].update(parts=[["train", 2], ["more", 4]]),
    "the part of a stream `train` comes twice": lambda v: v["phases"][0]["batches"]["stream"].update(
        parts=[["train", 1], ["train", 1]]
    ),
    "has blocks of more": lambda v: v["phases"][0]["batches"]["stream"].update(parts=[["train", 1 << 20], ["b", 1]]),
    "is a table and has no documents": lambda v: v["sources"][0].update(end=3),
    "the phase `` comes twice": lambda v: v["phases"].append(v["phases"][0]),
    "`step` is not an integer from 0 to 0": lambda v: v["phases"][0].update(step=1),
    "no number of steps that fits": lambda v: v["phases"].append(dict(v["phases"][0], name="b", steps=(1 << 31) - 1)),
    "is not one of the job's": lambda v: v["phases"][0]["batches"]["stream"].update(parts=[["nobody", 1]]),
    "unknown order `backwards`": lambda v: v["phases"][0]["batches"]["stream"].update(order="backwards"),
    "a window belongs to": lambda v: v["phases"][0]["batches"]["stream"].update(window=4),
    "is not a digest of 32 bytes": lambda v: v["phases"][0]["batches"]["stream"].update(key=b"short"),
    "where its source gives": lambda v: v["phases"][0]["batches"].update(size=5),
    "has no field `z`": lambda v: v["phases"][0]["batches"]["feeds"][0].update(field="z"),
    "the evaluation `step` comes twice": lambda v: v["evaluations"][0].update(name="step"),
    "`best` names no metric": lambda v: v["evaluations"][0].update(best=["min", "other"]),
    "which nothing gives": lambda v: v["phases"][0]["batches"]["feeds"].pop(),
    "`init` has inputs": lambda v: v.update(init=v["steps"][0]),
    "not a job": lambda v: v.update(steps=["nonsense"]),
    "source `train` has the unknown kind `blob`": lambda v: v["sources"][0].update(kind="blob"),
    "has no field `late`": lambda v: v["phases"][0]["batches"]["feeds"][-1].update(field="late"),
    "trains on more than 16 data sets": lambda v: many_sources(v, 17),
}


def many_sources(value: dict[str, Any], count: int) -> None:
    source, stream = value["sources"][0], value["phases"][0]["batches"]["stream"]
    names = ["train", *(f"d{i}" for i in range(1, count))]
    value["sources"] = [dict(source, name=name) for name in names]
    stream["parts"] = [[name, 1] for name in names]


def test_sixteen_data_sets_fit() -> None:
    assert len(decode_job(altered(lambda v: many_sources(v, 16))).training_sources) == 16


@pytest.mark.parametrize("reason", MALFORMED)
def test_jobs_that_do_not_fit_together_are_refused(reason: str) -> None:
    with pytest.raises(JobFormatError, match=reason):
        decode_job(altered(MALFORMED[reason]))


def test_a_step_must_report_a_loss() -> None:
    step = Program(PHASE.step.inputs, PHASE.step.outputs[:3])
    with pytest.raises(RecordError, match=r"report\.loss"):
        check_job(replace(phase(step=step), evaluations=()))


def test_names_may_not_collide() -> None:
    state = (*LINE.state[:2], Slot("batch.x", "optimizer", Type("f32", (WIDTH,)), ("X",)))
    with pytest.raises(RecordError):
        check_job(replace(LINE, state=state))
    assert PHASE.batches.stream.key == KEY
    assert isinstance(PHASE.batches.feeds[0], Feed)


@pytest.mark.parametrize("what", ["job", "slot", "phase"])
def test_names_that_a_terminal_would_obey_are_refused(what: str) -> None:
    """They are printed as they stand."""
    evil, job = "\x1b]0;owned\x07", regression(ROOT)
    changed = {
        "job": replace(job, name=evil),
        "slot": replace(job, state=(replace(job.state[0], axes=(evil,)), *job.state[1:])),
        "phase": replace(job, phases=(replace(job.phases[0], name=evil),)),
    }[what]
    with pytest.raises(JobFormatError, match="cannot be printed"):
        decode_job(encode_job(changed))
    assert replace(job, title=evil).heading == "line: \N{REPLACEMENT CHARACTER}]0;owned\N{REPLACEMENT CHARACTER}"

"""Test vectors of what a run is described by: manifests, jobs, plans; one thing is wrong with each that is not good.

Takes: a store with the data of small jobs. Promises: the same list wherever it is made; a plan's bytes are written by
hand, so that no change of the compiler changes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from jobspec.backends.registry import backend
from jobspec.ir.canonical import Value, decode
from jobspec.ir.codec.job import encode_job, job_hash
from jobspec.ir.codec.plan import encode_plan, plan_hash
from jobspec.ir.digest import Digest
from jobspec.ir.job import Feed, Job, Part, Start
from jobspec.ir.kernel import Axis, Inst, Kernel, View
from jobspec.ir.plan import Barrier, Buffer, Call, Plan, Routine, Schedule, Turns
from jobspec.ir.target import Target
from jobspec.ir.types import Type
from jobspec.passes.layout import interpreted_plan
from jobspec.store.datasets import open_set
from jobspec.store.home import Home
from jobspec.store.manifest import Manifest
from tests.verify.vectoring import Vector, bad, changed, good

COMPILERS = [("jobspec-llvm", "1"), ("llvm", "22.1")]


# ---- manifests


def manifest_of(home: Home, job: Job) -> Manifest:
    return open_set(home.data(), Digest.parse(job.sources[0].root)).manifest


def manifests(table: Manifest, tokens: Manifest) -> Iterator[Vector]:
    """Of a table with the fields x and y, and of a token set of u16 without a vocabulary."""
    letters = replace(tokens, vocabulary="\n abcé")
    for name, found in {"with a vocabulary": letters, "of one letter": replace(tokens, vocabulary="ä")}.items():
        yield good(f"manifest {name}", "manifest", bytes=found.to_bytes().hex(), root=str(found.root))
    y = table.fields[1]
    wrong = {
        "with a record too many": replace(table, records=11),
        "with fields out of order": replace(table, fields=tuple(reversed(table.fields))),
        "with a field twice": replace(table, fields=(y, y)),
        "with a field of truths": replace(table, fields=(table.fields[0], (y[0], Type("bool")))),
        "with a field of no such name": replace(table, fields=(table.fields[0], ("Y-1", y[1]))),
        "of a table with a vocabulary": replace(table, vocabulary="ab"),
        "with letters out of order": replace(tokens, vocabulary="ba"),
        "with a letter twice": replace(tokens, vocabulary="aab"),
        "of tokens with sizes": replace(tokens, fields=(("tok", Type("u16", (1,))),)),
        "of tokens of another name": replace(tokens, fields=(("token", Type("u16")),)),
        "of another kind": replace(table, kind="list"),
        "with smaller shards than it says": replace(table, shard_records=4),
    }
    for name, found in wrong.items():
        yield bad(f"manifest {name}", "manifest", bytes=found.to_bytes().hex())
    yield bad("manifest of another format", "manifest", bytes=changed(table.to_bytes(), format=2))
    yield bad("manifest without records", "manifest", bytes=changed(table.to_bytes(), records=0, shards=[]))


# ---- jobs


def jobs(line: Job, counting: Job) -> Iterator[Vector]:
    """Of least squares on a table, and of a job on tokens."""
    documents = with_documents(counting)
    fine = {
        "that starts from weights": replace(line, start=Start("b3:" + "5a" * 32, (("w", "net.w"), ("b", "net.b")))),
        "that starts from nothing by name": replace(line, start=Start("b3:" + "5a" * 32, ())),
        "of documents": documents,
        "with an end that nobody asks for": with_end(counting),
        "with roots after every step": replace(line, roots_every=1),
        "of a mixture": mixed(line),
    }
    for name, job in fine.items():
        yield good(f"job {name}", "job", bytes=encode_job(job).hex(), job=str(job_hash(job)))
    assert job_hash(with_end(counting)) == job_hash(counting) != job_hash(documents)
    yield from wrong_jobs(encode_job(line))


def with_end(job: Job) -> Job:
    return replace(job, sources=(replace(job.sources[0], end=4),))


def with_documents(job: Job) -> Job:
    phase = job.phases[0]
    kind = Type("i32", (phase.batches.size, phase.batches.stream.window))
    feeds = (*phase.batches.feeds, Feed("t.doc", "doc", kind), Feed("t.pos", "pos", kind))
    return replace(with_end(job), phases=(replace(phase, batches=replace(phase.batches, feeds=feeds)),))


def mixed(job: Job) -> Job:
    """Of three examples two of its own data and one of other data."""
    other = replace(job.sources[0], name="more", root="b3:" + "0f" * 32)
    phase = job.phases[0]
    stream = replace(phase.batches.stream, parts=(Part("train", 2), Part("more", 1)))
    phases = (replace(phase, batches=replace(phase.batches, stream=stream)),)
    return replace(job, sources=(*job.sources, other), phases=phases)


def wrong_jobs(data: bytes) -> Iterator[Vector]:
    whole: Any = decode(data)
    phase, slot = whole["phases"][0], whole["state"][0]
    batches = phase["batches"]
    twice = {**phase, "batches": {**batches, "feeds": [batches["feeds"][0]] * 2}}
    elsewhere = {**phase, "batches": {**batches, "stream": {**batches["stream"], "parts": [["other", 1]]}}}
    wrong: dict[str, dict[str, Value]] = {
        "without roots": {"roots_every": 0},
        "of another format": {"format": 3},
        "with a key more": {"note": "me"},
        "with a negative seed": {"seed": -1},
        "of a step that is not there": {"phases": [{**phase, "step": 1}]},
        "with two sources of one name": {"sources": whole["sources"] * 2},
        "with a feed twice": {"phases": [twice]},
        "of a source that is not there": {"phases": [elsewhere]},
        "with a slot that has a key more": {"state": [{**slot, "note": "me"}, *whole["state"][1:]]},
        "with a start that is no digest": {"start": [b"short", []]},
        "with a phase without steps": {"phases": [{**phase, "steps": 0}]},
    }
    for name, fields in wrong.items():
        yield bad(f"job {name}", "job", bytes=changed(data, **fields))


# ---- plans


def plans(job: Job) -> Iterator[Vector]:
    """That of the reference, and one with kernels, loops and constants."""
    for name, found in {
        "plan": interpreted_plan(job, backend("reference").target),
        "plan with kernels": plan(),
    }.items():
        versions = [list(pair) for pair in COMPILERS]
        yield good(
            name, "plan", bytes=encode_plan(found).hex(), compilers=versions, plan=str(plan_hash(found, COMPILERS))
        )
    versions = [["llvm", "22.2"]]
    found = str(plan_hash(plan(), [("llvm", "22.2")]))
    yield good("plan of other compilers", "plan", bytes=encode_plan(plan()).hex(), compilers=versions, plan=found)
    yield from wrong_plans(encode_plan(plan()))


def plan() -> Plan:
    target = Target("llvm", "x86-64-v3", "+avx2", 8)
    return Plan("b3:" + "11" * 32, "jobspec.f32.v1", target, (routine("init"), routine("step")))


def routine(name: str) -> Routine:
    """One kernel that fills a row, called in a loop of three turns and once more."""
    place = View(0, 0, (1,), (0,))
    fill = Kernel(
        "fill",
        "rows",
        (Axis(7, "row"),),
        (Inst("const", (), "f32", (("bits", 0x3F800000),)), Inst("store", (0,), "", (("flag", 0), ("view", place)))),
    )
    buffers = (
        Buffer("w", Type("f32", (7,)), "arena", 0),
        Buffer("step", Type("i32"), "arena", 64),
        Buffer("flags", Type("i32", (1,)), "arena", 128),
    )
    return Routine(
        name=name,
        kernels=(fill,),
        schedules=(Schedule((("tile", 3), ("pack", 0))),),
        buffers=buffers,
        steps=(Turns(3, True, (Call(0), Barrier())), Barrier()),
        slots=(("w", 0),),
        feeds=(),
        constants=((0, bytes(range(28))),),
        reports=(),
        flags=("nonfinite: w",),
        flag_buffer=2,
        step=1,
        arena=192,
        feed=0,
    )


def wrong_plans(data: bytes) -> Iterator[Vector]:
    whole: Any = decode(data)
    first, *rest = whole["routines"]
    without = {key: value for key, value in first.items() if key != "steps"}
    wrong: dict[str, dict[str, Value]] = {
        "of another format": {"format": 2},
        "with a key more": {"note": "me"},
        "of a short job": {"job": bytes(31)},
        "with a routine without steps": {"routines": [without, *rest]},
    }
    for name, fields in wrong.items():
        yield bad(f"plan {name}", "plan", bytes=changed(data, **fields), compilers=[])


def described(home: Home, named: dict[str, Job]) -> Iterator[Vector]:
    """All of them; `named`: the jobs that were trained."""
    for name, job in named.items():
        found = manifest_of(home, job)
        yield good(f"manifest of {name}", "manifest", bytes=found.to_bytes().hex(), root=str(found.root))
        yield good(f"job {name}", "job", bytes=encode_job(job).hex(), job=str(job_hash(job)))
    yield from manifests(manifest_of(home, named["line"]), manifest_of(home, named["counting"]))
    yield from jobs(named["line"], named["counting"])
    yield from plans(named["line"])

"""The test vectors of docs/receipt-format.md: this implementation agrees with every one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from jobspec.ir.canonical import decode, encode
from jobspec.ir.codec.job import decode_job, job_hash
from jobspec.ir.codec.plan import decode_plan, plan_hash
from jobspec.ir.codec.receipt import decode_receipt
from jobspec.ir.digest import Digest, digest, merkle_root
from jobspec.runtime.chain import linked, read_record, start
from jobspec.runtime.history import history_of
from jobspec.store import checkpoint, manifest
from jobspec.store.runlog import MAGIC, entries
from jobspec.verify.segments import broken
from tests.verify.vectoring import Vector
from tests.verify.vectors import PATH, made

VECTORS: list[Vector] = json.loads(PATH.read_text())


def of_digest(v: Vector) -> Vector:
    return {"digest": str(digest(v["domain"], bytes.fromhex(v["bytes"])))}


def of_merkle(v: Vector) -> Vector:
    return {"digest": str(merkle_root(v["domain"], map(bytes.fromhex, v["leaves"])))}


def of_value(v: Vector) -> Vector:
    data = bytes.fromhex(v["bytes"])
    assert encode(decode(data)) == data
    return {}


def of_manifest(v: Vector) -> Vector:
    return {"root": str(manifest.from_bytes(bytes.fromhex(v["bytes"])).root)}


def of_checkpoint(v: Vector) -> Vector:
    found = checkpoint.from_bytes(bytes.fromhex(v["bytes"]))
    return {"state": str(found.state), "step": found.step}


def of_job(v: Vector) -> Vector:
    return {"job": str(job_hash(decode_job(bytes.fromhex(v["bytes"]))))}


def of_plan(v: Vector) -> Vector:
    compilers = [(name, version) for name, version in v["compilers"]]
    return {"plan": str(plan_hash(decode_plan(bytes.fromhex(v["bytes"])), compilers))}


def of_chain(v: Vector) -> Vector:
    begin = Digest.parse(v["start"])
    records = [read_record(decode(bytes.fromhex(record))) for record in v["records"]]
    trouble = broken(begin, records)
    if trouble:
        raise ValueError(trouble)
    link = start(Digest.parse(v["job"]), [Digest.parse(root) for root in v["data"]], begin).link
    for record in records:
        link = linked(link, record)
    return {"link": str(link)}


def of_log(v: Vector) -> Vector:
    data = bytes.fromhex(v["bytes"])
    if not data.startswith(MAGIC):
        raise ValueError("no log")
    return {"records": len(history_of(entry.value for entry in entries(data)).records)}


def of_receipt(v: Vector) -> Vector:
    found = decode_receipt(bytes.fromhex(v["bytes"]))
    return {"job": str(found.job), "steps": found.steps, "closed": found.closed}


ANSWERS: dict[str, Callable[[Vector], Vector]] = {
    "digest": of_digest,
    "merkle": of_merkle,
    "value": of_value,
    "manifest": of_manifest,
    "checkpoint": of_checkpoint,
    "job": of_job,
    "plan": of_plan,
    "chain": of_chain,
    "log": of_log,
    "receipt": of_receipt,
}


def named(vector: Vector) -> str:
    return f"{vector['kind']}: {vector['name']}"


def test_the_vectors_are_what_this_version_makes() -> None:
    """After a deliberate change of a format: `python -m tests.verify.vectors`."""
    assert made() == VECTORS
    assert sum(v["good"] for v in VECTORS) >= 20 and sum(not v["good"] for v in VECTORS) >= 20


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["kind"] in ANSWERS], ids=named)
def test_this_implementation(vector: Vector) -> None:
    """Whole folders are what `jobspec verify` is tested on elsewhere in this folder."""
    answer: Callable[[Vector], Any] = ANSWERS[vector["kind"]]
    if not vector["good"]:
        with pytest.raises(ValueError):
            answer(vector)
        return
    found = answer(vector)
    assert {key: vector[key] for key in found} == found

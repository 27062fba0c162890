"""The test vectors of docs/receipt-format.md: what is good, and one thing wrong with each that is not.

Promises: the same list wherever it is made; `python -m tests.verify.vectors` writes tests/vectors/receipts.json.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jobspec.backends.registry import backend
from jobspec.ir.canonical import Value, decode, encode
from jobspec.ir.codec.job import encode_job, job_hash
from jobspec.ir.codec.plan import encode_plan, plan_hash
from jobspec.ir.codec.receipt import Receipt, decode_receipt, encode_receipt
from jobspec.ir.digest import Digest, digest, merkle_root
from jobspec.ir.job import Job
from jobspec.passes.layout import interpreted_plan
from jobspec.runtime.chain import linked, start
from jobspec.runtime.events import Begun, Recorded, Saved, Stepped, event_value
from jobspec.runtime.folder import RunFolder
from jobspec.runtime.journal import read_history
from jobspec.store.checkpoint import from_bytes
from jobspec.store.datasets import open_set
from jobspec.store.home import Home
from jobspec.store.manifest import Manifest
from jobspec.store.runlog import MAGIC, START
from tests.runtime.jobs import counting, home_at, phased, regression, regression_data, token_data, train

PATH = Path(__file__).parents[1] / "vectors" / "receipts.json"
Vector = dict[str, Any]


def good(name: str, kind: str, **fields: Any) -> Vector:
    return {"name": name, "kind": kind, **fields, "good": True}


def bad(name: str, kind: str, **fields: Any) -> Vector:
    return {"name": name, "kind": kind, **fields, "good": False}


def made() -> list[Vector]:
    """All vectors, in order."""
    with tempfile.TemporaryDirectory() as folder:
        return [*digests(), *values(), *of_runs(home_at(Path(folder) / "home"))]


def digests() -> Iterator[Vector]:
    for text in (b"", b"jobspec", bytes(range(256)) * 9):
        yield good(
            f"digest of {len(text)} bytes", "digest", domain="job", bytes=text.hex(), digest=str(digest("job", text))
        )
    for count in (0, 1, 2, 3, 7):
        leaves = [bytes([i]) * i for i in range(count)]
        root = str(merkle_root("state", leaves))
        yield good(f"tree of {count}", "merkle", domain="state", leaves=[x.hex() for x in leaves], digest=root)


def values() -> Iterator[Vector]:
    whole: Value = {"a": [0, -1, 1 << 40, b"\x00", None, True], "bb": "ä", "aaa": {}}
    yield good("a value of every type", "value", bytes=encode(whole).hex())
    wrong = {
        "a head longer than needed": "1817",
        "an indefinite length": "9f01ff",
        "keys out of order": "a2626262006161 00",
        "a key twice": "a2616100616101",
        "a float": "f93c00",
        "a tag": "c000",
        "text that is not UTF-8": "61ff",
        "bytes after the end": "0000",
        "undefined": "f7",
        "cut": "4400ff",
    }
    for name, text in wrong.items():
        yield bad(name, "value", bytes=text.replace(" ", ""))


def of_runs(home: Home) -> Iterator[Vector]:
    """Manifests, jobs, plans, chains, logs, receipts and whole folders of three small runs."""
    line = replace(regression(str(regression_data(home))), evaluations=(), keep=0)
    jobs = {"line": line, "phases": phased(line.sources[0].root), "counting": counting(str(token_data(home)))}
    for name, job in jobs.items():
        yield good(f"manifest of {name}", "manifest", **manifest(home, job))
        yield good(f"job {name}", "job", bytes=encode_job(job).hex(), job=str(job_hash(job)))
    yield from manifests(home, line)
    yield good("plan", "plan", **plan(line))
    folder = train(line, home).folder
    yield from checkpoints(folder)
    yield from chains(folder)
    yield from receipts(folder)
    yield from folders(folder)


def manifest(home: Home, job: Job) -> dict[str, str]:
    found = open_set(home.data(), Digest.parse(job.sources[0].root)).manifest
    return {"bytes": found.to_bytes().hex(), "root": str(found.root)}


def manifests(home: Home, job: Job) -> Iterator[Vector]:
    found: Manifest = open_set(home.data(), Digest.parse(job.sources[0].root)).manifest
    yield bad("manifest with a record too many", "manifest", bytes=replace(found, records=11).to_bytes().hex())
    fields = tuple(reversed(found.fields))
    yield bad("manifest with fields out of order", "manifest", bytes=replace(found, fields=fields).to_bytes().hex())
    yield bad("manifest of another format", "manifest", bytes=changed(found.to_bytes(), format=2))


def changed(whole: bytes, /, **fields: Any) -> str:
    """A map's bytes with other values, or with keys more."""
    value = decode(whole)
    assert isinstance(value, dict)
    return encode({**value, **fields}).hex()


def plan(job: Job) -> dict[str, Any]:
    found = interpreted_plan(job, backend("reference").target)
    compilers = [("reference", "1")]
    return {
        "bytes": encode_plan(found).hex(),
        "compilers": [list(c) for c in compilers],
        "plan": str(plan_hash(found, compilers)),
    }


def checkpoints(folder: RunFolder) -> Iterator[Vector]:
    data = folder.states.get(read_history(folder).saved[0].name)
    found = from_bytes(data)
    yield good("checkpoint", "checkpoint", bytes=data.hex(), state=str(found.state), step=found.step)
    yield bad("checkpoint with another root", "checkpoint", bytes=changed(data, state=bytes(32)))
    tensors = [[t.name, t.type.dtype, list(t.type.shape), t.blob.raw, t.type.nbytes + 4] for t in found.tensors]
    yield bad("checkpoint with another size", "checkpoint", bytes=changed(data, tensors=tensors))


def chains(folder: RunFolder) -> Iterator[Vector]:
    receipt, records = decode_receipt(folder.receipt.read_bytes()), read_history(folder).records
    for count in (0, 1, len(records)):
        link = start(receipt.job, receipt.data, receipt.start).link
        for record in records[:count]:
            link = linked(link, record)
        given = {"job": str(receipt.job), "data": [str(root) for root in receipt.data], "start": str(receipt.start)}
        texts = [encode(record.value()).hex() for record in records[:count]]
        yield good(f"chain of {count}", "chain", **given, records=texts, link=str(link))


def receipts(folder: RunFolder) -> Iterator[Vector]:
    data = folder.receipt.read_bytes()
    found = decode_receipt(data)
    yield good("receipt", "receipt", bytes=data.hex(), job=str(found.job), steps=found.steps, closed=True)
    unfinished = encode_receipt(replace(found, closed=False, steps=5))
    yield good("receipt of an open chain", "receipt", bytes=unfinished.hex(), job=str(found.job), steps=5, closed=False)
    yield bad("receipt of another version", "receipt", bytes=changed(data, version=2))
    yield bad("receipt with a key more", "receipt", bytes=changed(data, note="me"))
    yield bad("receipt with a short digest", "receipt", bytes=changed(data, end=bytes(31)))
    yield bad("receipt without data", "receipt", bytes=changed(data, data=[]))
    yield bad("receipt with a number for a truth", "receipt", bytes=changed(data, closed=1))
    yield bad("receipt with negative steps", "receipt", bytes=changed(data, steps=-1))
    yield bad("receipt that is too long", "receipt", bytes=changed(data, profile="x" * 900))
    yield bad("receipt that is cut", "receipt", bytes=data[:-1].hex())


def log_bytes(events: list[Any]) -> bytes:
    """A log of these events, the pid and the time being what a test says."""
    data, before = MAGIC, START
    for event in events:
        payload = encode([before.raw, event_value(event)])
        before = digest("runlog", payload)
        data += len(payload).to_bytes(4, "little") + payload + before.raw
    return data


def events_of(folder: RunFolder) -> list[Any]:
    """What a log needs to say of the run, in one order."""
    history = read_history(folder)
    rows = [Stepped(s.first, s.names, s.reports) for s in joined(history.stepped)]
    begun = Begun(0, "reference", 1, digest("test", b"plan"), 1, 0)
    return [begun, *rows, *map(Recorded, history.records), *(Saved(s.name, s.chain) for s in history.saved)]


def joined(stepped: list[Stepped]) -> list[Stepped]:
    """One event per step: how a run cuts its steps depends on its speed."""
    return [Stepped(s.first + i, s.names, row[None]) for s in stepped for i, row in enumerate(s.reports)]


def folders(folder: RunFolder) -> Iterator[Vector]:
    """A run's folder, and one thing wrong with it."""
    events = events_of(folder)
    log, receipt = log_bytes(events), decode_receipt(folder.receipt.read_bytes())
    yield good("log", "log", bytes=log.hex(), records=len(read_history(folder).records))
    yield good("log with a torn tail", "log", bytes=(log + b"torn").hex(), records=3)
    taken = log_bytes([*events, Begun(5, "reference", 1, digest("test", b"plan"), 1, 0)])
    yield good("log taken up again", "log", bytes=taken.hex(), records=1)
    files = {name: (folder.path / name).read_bytes() for name in ("receipt.cbor", "job.cbor", "weights.safetensors")}
    files |= {f"states/{path.name}": path.read_bytes() for path in sorted(folder.states.folder.iterdir())}
    files["log"] = log
    yield good("folder", "folder", **packed(files))
    alone = {"receipt.cbor": files["receipt.cbor"]}
    yield good("folder with a receipt alone", "folder", **packed(alone))
    yield from wrong_folders(files, events, receipt)


def packed(files: Mapping[str, bytes], like: str | None = None) -> dict[str, Any]:
    """`like`: the vector whose other files these stand among."""
    found: dict[str, Any] = {"files": {name: data.hex() for name, data in sorted(files.items())}}
    return found if like is None else {"like": like, **found}


def wrong_folders(files: dict[str, bytes], events: list[Any], receipt: Receipt) -> Iterator[Vector]:
    other = digest("test", b"other")
    for field in ("job", "start", "end", "chain"):
        said = encode_receipt(replace(receipt, **{field: other}))  # type: ignore[arg-type]
        yield bad(f"folder whose receipt has another {field}", "folder", **packed({"receipt.cbor": said}, "folder"))
    blob = max((n for n in files if n.startswith("states/")), key=lambda n: len(files[n]))
    broken = bytes([files[blob][0] ^ 1]) + files[blob][1:]
    yield bad("folder with a changed checkpoint", "folder", **packed({blob: broken}, "folder"))
    rows = [replace(e, reports=e.reports + 1) if isinstance(e, Stepped) and e.first == 3 else e for e in events]
    yield bad("folder with other losses in the log", "folder", **packed({"log": log_bytes(rows)}, "folder"))
    records = [e for e in events if not (isinstance(e, Recorded) and e.record.step == 5)]
    yield bad("folder with a record less", "folder", **packed({"log": log_bytes(records)}, "folder"))
    weights = files["weights.safetensors"].replace(b'"step":"12"', b'"step":"13"')
    assert weights != files["weights.safetensors"]
    yield bad("folder with weights of another step", "folder", **packed({"weights.safetensors": weights}, "folder"))


if __name__ == "__main__":
    PATH.write_text(json.dumps(made(), indent=1) + "\n")

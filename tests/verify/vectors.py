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

import numpy as np

from jobspec.ir.canonical import Value, encode
from jobspec.ir.codec.receipt import Receipt, decode_receipt, encode_receipt
from jobspec.ir.digest import digest, merkle_root
from jobspec.ir.job import Job
from jobspec.runtime.chain import StepRecord, linked, start
from jobspec.runtime.events import Begun, Finished, Recorded, Saved, Stepped, event_value
from jobspec.runtime.folder import RunFolder
from jobspec.runtime.journal import read_history
from jobspec.store.checkpoint import from_bytes
from jobspec.store.home import Home
from jobspec.store.runlog import MAGIC, START
from tests.runtime.jobs import counting, home_at, phased, regression, regression_data, token_data, train
from tests.verify.described import described
from tests.verify.vectoring import Vector, bad, changed, good

PATH = Path(__file__).parents[1] / "vectors" / "receipts.json"
#: steps of the run whose reports fill more than one block between two records
LONG = 600


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
    """Manifests, jobs, plans, chains, logs, receipts and whole folders of small runs."""
    line = replace(regression(str(regression_data(home))), evaluations=(), keep=0)
    jobs = {"line": line, "phases": phased(line.sources[0].root), "counting": counting(str(token_data(home)))}
    yield from described(home, jobs)
    folder = train(line, home).folder
    yield from checkpoints(folder)
    yield from chains(folder)
    yield from receipts(folder)
    yield from logs(folder)
    yield from folders(folder)
    yield from long_folders(line, home)


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
    yield from wrong_chains(given, records)


def wrong_chains(given: dict[str, Any], records: list[StepRecord]) -> Iterator[Vector]:
    first, second, third = records
    wrong: dict[str, list[Value]] = {
        "with a record that begins elsewhere": [first.value(), replace(second, before=second.after).value()],
        "with a first record that begins elsewhere": [replace(first, before=first.after).value()],
        "with a record left out": [first.value(), third.value()],
        "with a record twice": [first.value(), first.value()],
        "with steps that do not grow": [first.value(), replace(second, step=first.step).value()],
        "with a key more in a record": [{**first.value(), "note": 1}],
        "with a key less in a record": [{k: v for k, v in first.value().items() if k != "reports"}],
        "with a negative step": [{**first.value(), "step": -1}],
        "with a short digest": [{**first.value(), "after": bytes(31)}],
    }
    for name, values in wrong.items():
        yield bad(f"chain {name}", "chain", **given, records=[encode(value).hex() for value in values])


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
    return log_of([event_value(event) for event in events])


def log_of(values: list[Value]) -> bytes:
    data, before = MAGIC, START
    for value in values:
        payload = encode([before.raw, value])
        before = digest("runlog", payload)
        data += len(payload).to_bytes(4, "little") + payload + before.raw
    return data


def events_of(folder: RunFolder) -> list[Any]:
    """What a log needs to say of the run, in one order."""
    history = read_history(folder)
    rows = [Stepped(s.first, s.names, s.reports) for s in joined(history.stepped)]
    return [begun(0), *rows, *map(Recorded, history.records), *(Saved(s.name, s.chain) for s in history.saved)]


def joined(stepped: list[Stepped]) -> list[Stepped]:
    """One event per step: how a run cuts its steps depends on its speed."""
    return [Stepped(s.first + i, s.names, row[None]) for s in stepped for i, row in enumerate(s.reports)]


def begun(step: int) -> Begun:
    return Begun(step, "reference", 1, digest("test", b"plan"), 1, 0)


def logs(folder: RunFolder) -> Iterator[Vector]:
    events = events_of(folder)
    log, finished = log_bytes(events), Finished(folder.receipt.read_bytes())
    fine = {
        "log": (log, 3),
        "log with a torn tail": (log + b"torn", 3),
        "log taken up again": (log_bytes([*events, begun(5)]), 1),
        "log begun afresh": (log_bytes([*events, begun(0)]), 0),
        "log of a run that finished": (log_bytes([*events, finished]), 3),
        "log of a run that finished and began again": (log_bytes([*events, finished, begun(10)]), 2),
        "log with a byte of its last entry changed": (log[:-1] + bytes([log[-1] ^ 1]), 3),
        "log without entries": (MAGIC, 0),
    }
    for name, (data, records) in fine.items():
        yield good(name, "log", bytes=data.hex(), records=records)
    yield from wrong_logs()


def wrong_logs() -> Iterator[Vector]:
    start: Value = event_value(begun(0))
    assert isinstance(start, dict)
    wrong: dict[str, Value] = {
        "with reports that are no whole rows": {"event": "stepped", "first": 0, "names": ["loss"], "reports": bytes(5)},
        "with reports without names": {"event": "stepped", "first": 0, "names": [], "reports": b""},
        "with a record that has a key more": {"event": "recorded", "record": {}, "note": 1},
        "with a receipt that is no bytes": {"event": "finished", "receipt": "text"},
        "with a beginning at no step": {**start, "step": -1},
    }
    for name, value in wrong.items():
        yield bad(f"log {name}", "log", bytes=log_of([value]).hex())
    yield bad("log of another version", "log", bytes=b"jobspec run log 2\n".hex())


def folders(folder: RunFolder) -> Iterator[Vector]:
    """A run's folder, and one thing wrong with it."""
    events = [*events_of(folder), Finished(folder.receipt.read_bytes())]
    log, receipt = log_bytes(events), decode_receipt(folder.receipt.read_bytes())
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
    yield from wrong_weights(files["weights.safetensors"])
    other_end = [*events[:-1], Finished(encode_receipt(replace(receipt, end=other)))]
    yield bad("folder that finished otherwise", "folder", **packed({"log": log_bytes(other_end)}, "folder"))


def wrong_weights(data: bytes) -> Iterator[Vector]:
    end = 8 + int.from_bytes(data[:8], "little")
    wrong = {
        "a changed weight": data[:-1] + bytes([data[-1] ^ 1]),
        "a weight that the state has not": data[:end].replace(b'"b":', b'"c":') + data[end:],
        "weights of another type": data[:end].replace(b'"F32"', b'"I32"') + data[end:],
        "weights of another shape": data[:end].replace(b"[3]", b"[1]") + data[end:],
        "weights that are cut": data[:-1],
    }
    assert len({data, *wrong.values()}) == len(wrong) + 1
    for name, written in wrong.items():
        yield bad(f"folder with {name}", "folder", **packed({"weights.safetensors": written}, "folder"))


def long_folders(line: Job, home: Home) -> Iterator[Vector]:
    """Of a run with more than two blocks of reports between its records."""
    job = replace(line, phases=(replace(line.phases[0], steps=LONG),), roots_every=LONG, save_every=0, keep=1)
    folder = train(job, home).folder
    history = read_history(folder)
    names, rows = history.stepped[0].names, np.concatenate([s.reports for s in history.stepped])
    files = {"receipt.cbor": folder.receipt.read_bytes(), "job.cbor": folder.job.read_bytes()}
    for name, at in {"folder with a long record": None, "folder with another loss in a long record": 400}.items():
        table = rows.copy()
        if at is not None:
            table[at] += 1
        events = [begun(0), Stepped(0, names, table[:300]), Stepped(300, names, table[300:])]
        log = log_bytes([*events, *map(Recorded, history.records)])
        written = packed({**files, "log": log})
        yield good(name, "folder", **written) if at is None else bad(name, "folder", **written)


if __name__ == "__main__":
    PATH.write_text(json.dumps(made(), indent=1) + "\n")

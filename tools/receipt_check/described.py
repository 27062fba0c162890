"""What a run is described by: manifest, checkpoint, job and plan, sections 4 to 7 of docs/receipt-format.md.

Each function takes a file's bytes and gives the digest that the page derives from them, or what other checks need
of it; bytes that are not of the page's form are refused. Only what a digest or a check stands on is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from canonical import (
    LIMIT,
    WORD,
    Value,
    as_bytes,
    as_int,
    as_list,
    as_map,
    as_text,
    decode,
    encode,
    extent,
    hashed,
    merkle,
    need,
    read_json,
    summed,
)

JOB = "format name title profile seed sources state init steps phases evaluations roots_every save_every keep also"
SLOT, KEPT = "name kind type axes", ("parameter", "layer")
# possessive (`*+`), or a long name would be remembered letter by letter
NAME = r'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"'
INPUT = re.compile(rf"^(  %[0-9]+ = input\(\) dtype=[^ \n]+ name=)({NAME})(?= shape=\[[^]\n]*\] : )", re.M)


# --- 4. Data root


def field_extents(kind: Value, fields: list[Value]) -> list[int]:
    rows = [as_list(entry, 3) for entry in fields]
    names = [as_text(row[0]) for row in rows]
    need(names == sorted(set(names)) and bool(names), "fields are not in ascending order, each once")
    need(all(re.fullmatch("[a-z_][A-Za-z0-9_]*", name) for name in names), "a field has no such name")
    need(all(row[1] != "bool" and len(as_list(row[2])) <= 8 for row in rows), "a field has no such type")
    tok: list[list[list[Value]]] = [[["tok", dtype, []]] for dtype in ("u8", "u16", "u32")]
    need(kind == "table" or rows in tok, "fields that tokens do not have")
    return [extent(row[1], row[2], least=1) for row in rows]


def check_shards(shards: list[Value], extents: list[int], records: int, each: int) -> None:
    for index, shard in enumerate(shards):
        count, pairs = as_list(shard, 2)
        rest = min(each, records - index * each)
        need(as_int(count, 1) == rest, "a shard has another number of records")
        for size, pair in zip(extents, as_list(pairs, len(extents)), strict=True):
            as_bytes(as_list(pair, 2)[0])
            need(as_int(as_list(pair)[1]) == rest * size, "a shard has another length")
    need((len(shards) - 1) * each < records <= len(shards) * each, "the shards do not have the records")


def check_vocabulary(value: Value, kind: Value, width: int) -> None:
    if value is not None:
        letters = as_text(value)
        need(kind == "tokens" and len(letters) <= 1 << 8 * width, "a vocabulary too many or too long")
        need(all(a < b for a, b in pairwise(letters)), "a vocabulary out of order")


def data_root(data: bytes) -> bytes:
    it = as_map(decode(data), "format kind fields records shard_records shards vocabulary")
    need(as_int(it["format"]) == 1 and it["kind"] in ("table", "tokens"), "a manifest of another format or kind")
    extents = field_extents(it["kind"], as_list(it["fields"]))
    shards = as_list(it["shards"])
    check_shards(shards, extents, as_int(it["records"], 1), as_int(it["shard_records"], 1))
    check_vocabulary(it["vocabulary"], it["kind"], extents[0])
    return hashed("data", it | {"shards": [len(shards), merkle("data.shards", map(encode, shards))]})


# --- 5. Checkpoint


@dataclass
class Checkpoint:
    job: bytes
    step: int
    state: bytes
    blobs: list[tuple[bytes, int]]
    tensors: dict[str, tuple[str, list[Value], bytes]]  # dtype, sizes, digest


def read_checkpoint(data: bytes) -> Checkpoint:
    it = as_map(decode(data), "format job step state tensors")
    need(as_int(it["format"]) == 1, "a checkpoint of another format")
    rows = [as_list(row, 5) for row in as_list(it["tensors"])]
    need(len({as_text(row[0]) for row in rows}) == len(rows), "a tensor's name comes twice")
    blobs = [(as_bytes(row[3]), as_int(row[4])) for row in rows]
    need(all(extent(row[1], row[2]) == row[4] for row in rows), "a tensor's bytes are not those of its type")
    state = as_bytes(it["state"])
    need(state == merkle("state", (encode(row[:4]) for row in rows)), "the state root is not that of the tensors")
    tensors = {as_text(row[0]): (as_text(row[1]), as_list(row[2]), as_bytes(row[3])) for row in rows}
    return Checkpoint(as_bytes(it["job"]), as_int(it["step"]), state, blobs, tensors)


# --- 6. Job, 7. Plan


@dataclass
class Job:
    hash: bytes
    profile: str
    every: int
    roots: list[bytes]
    steps: list[int]
    weights: set[str]  # names of what section 11 has in the weights


@dataclass
class Phase:
    steps: int
    step: int
    size: Value
    stream: list[Value]  # order, window, key, first
    parts: list[list[Value]]  # source's name, count
    feeds: list[dict[str, Value]]

    def names(self) -> tuple[str, ...]:
        return tuple(as_text(feed["name"]) for feed in self.feeds)


def read_phase(value: Value) -> Phase:
    it = as_map(value, "name steps step batches")
    batches = as_map(it["batches"], "stream size feeds first")
    stream = as_map(batches["stream"], "parts order window key")
    feeds = [as_map(feed, "name field type") for feed in as_list(batches["feeds"])]
    parts = [as_list(part, 2) for part in as_list(stream["parts"])]
    how = [stream["order"], stream["window"], stream["key"], batches["first"]]
    return Phase(as_int(it["steps"], 1), as_int(it["step"]), batches["size"], how, parts, feeds)


def deciding(program: str, names: tuple[str, ...]) -> str:
    places = {name: place for place, name in enumerate(names)}
    need(len(places) == len(names), "two feeds of one name")

    def rename(line: re.Match[str]) -> str:
        place = places.get(as_text(read_json(line[2])))
        return line[0] if place is None else f'{line[1]}"feed {place}"'

    return INPUT.sub(rename, program)


def step_part(phases: list[Phase], programs: list[Value]) -> Value:
    known: dict[tuple[int, tuple[str, ...]], str] = {}
    spent = 0
    for phase in phases:
        key = (phase.step, phase.names())
        need(phase.step < len(programs), "a phase of a step that is not there")
        if key not in known:  # many phases of one long text would otherwise take hours
            spent += len(as_text(programs[phase.step]))
            need(spent <= LIMIT, "more text than this checker reads")
            known[key] = deciding(as_text(programs[phase.step]), key[1])
    texts = [known[phase.step, phase.names()] for phase in phases]
    numbers = {one: number for number, one in enumerate(dict.fromkeys(texts))}
    return [list(numbers), [numbers[one] for one in texts]]


def read_sources(value: Value) -> dict[str, dict[str, Value]]:
    rows = [as_map(row, "name root kind fields end") for row in as_list(value)]
    for row in rows:
        as_bytes(row["root"])
        need(row["kind"] in ("table", "tokens"), "a source of another kind")
        need(row["end"] is None or as_int(row["end"], -1 - WORD) is not None, "an end that is no integer")
    sources = {as_text(row["name"]): row for row in rows}
    need(len(sources) == len(rows), "two sources of one name")
    return sources


def data_part(phase: Phase, sources: dict[str, dict[str, Value]]) -> Value:
    need(all(as_text(part[0]) in sources for part in phase.parts), "a stream of a source that is not there")
    ends = any(feed["field"] in ("doc", "pos") for feed in phase.feeds)
    rows = [(sources[as_text(name)], count) for name, count in phase.parts]
    return [[row["root"], row["kind"], count, row["end"] if ends else None] for row, count in rows]


def job_parts(it: dict[str, Value], phases: list[Phase], data: list[Value]) -> Iterator[tuple[str, Value]]:
    yield "profile", as_text(it["profile"])
    yield "seed", as_int(it["seed"])
    yield "roots", as_int(it["roots_every"], 1)
    yield "state", [as_map(slot, SLOT) for slot in as_list(it["state"])]
    yield "init", as_text(it["init"])
    if it["start"] is not None:
        yield "start", read_start(it["start"])
    yield "steps", [phase.steps for phase in phases]
    yield "step", step_part(phases, as_list(it["steps"]))
    yield "data", data
    yield "stream", [phase.stream for phase in phases]
    yield "batches", [[phase.size, [[feed["field"], feed["type"]] for feed in phase.feeds]] for phase in phases]


def read_job(data: bytes) -> Job:
    it = as_map(decode(data), f"{JOB} start sizes")
    need(as_int(it["format"]) == 2, "a job of another format")
    phases, sources = [read_phase(phase) for phase in as_list(it["phases"])], read_sources(it["sources"])
    part: list[Value] = [data_part(phase, sources) for phase in phases]
    roots = [as_bytes(sources[as_text(use[0])]["root"]) for phase in phases for use in phase.parts]
    hash_ = summed("job", job_parts(it, phases, part))
    steps = [phase.steps for phase in phases]
    weights = {as_text(as_map(slot, SLOT)["name"]) for slot in as_list(it["state"]) if kind_of(slot) in KEPT}
    return Job(hash_, as_text(it["profile"]), as_int(it["roots_every"]), list(dict.fromkeys(roots)), steps, weights)


def kind_of(slot: Value) -> str:
    return as_text(as_map(slot, SLOT)["kind"])


def read_start(value: Value) -> Value:
    root, tensors = as_list(value, 2)
    as_bytes(root)
    for pair in as_list(tensors):
        for name in as_list(pair, 2):
            as_text(name)
    return value


def plan_parts(it: dict[str, Value], compilers: Value) -> Iterator[tuple[str, Value]]:
    yield from (
        ("job", as_bytes(it["job"])),
        ("profile", it["profile"]),
        ("target", it["target"]),
        ("compilers", compilers),
    )
    for routine in as_list(it["routines"]):
        need(isinstance(routine, dict) and {"name", "kernels", "schedules", "steps"} <= routine.keys(), "no routine")
        assert isinstance(routine, dict)
        rest, name = dict(routine), as_text(routine["name"])
        for part, key in (("kernels", "kernels"), ("schedules", "schedules"), ("order", "steps")):
            yield f"{name}: {part}", rest.pop(key)
        yield f"{name}: memory", rest


def plan_hash(data: bytes, compilers: Value) -> bytes:
    it = as_map(decode(data), "format job profile target routines")
    need(as_int(it["format"]) == 1, "a plan of another format")
    return summed("plan", plan_parts(it, compilers))

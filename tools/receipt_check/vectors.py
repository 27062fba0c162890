"""Runs the vectors of section 13 of docs/receipt-format.md: what comes of each, held against what it says.

Takes the bytes of the file; gives how many vectors there are and a line for each one that disagrees. A file that is
no list of vectors is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from canonical import Refused, decode, keyed, merkle, need, read_json, text
from chained import last_link, read_log, read_receipt, read_record
from described import data_root, plan_hash, read_checkpoint, read_job
from folder import check_folder, shown

Vector = dict[str, Any]


def raw(written: str) -> bytes:
    return bytes.fromhex(written.removeprefix("b3:"))


def checkpoint(vector: Vector) -> Vector:
    found = read_checkpoint(raw(vector["bytes"]))
    return {"state": shown(found.state), "step": found.step}


def chain(vector: Vector) -> Vector:
    records = [read_record(decode(raw(record))) for record in vector["records"]]
    link = last_link(raw(vector["job"]), [raw(root) for root in vector["data"]], raw(vector["start"]), records)
    return {"link": shown(link)}


def receipt(vector: Vector) -> Vector:
    found = read_receipt(raw(vector["bytes"]))
    return {"job": shown(found.job), "steps": found.steps, "closed": found.closed}


def value(vector: Vector) -> Vector:
    decode(raw(vector["bytes"]))
    return {}


def folder(vector: Vector) -> Vector:
    files = {name: raw(written) for name, written in vector["files"].items()}
    run = check_folder(lambda name, most: files[name][:most] if name in files else None)
    need(not run.refused, "; ".join(line for line in run.lines if line.startswith("refused")))
    return {}


KINDS: dict[str, Callable[[Vector], Vector]] = {
    "digest": lambda it: {"digest": shown(keyed(it["domain"], raw(it["bytes"])))},
    "merkle": lambda it: {"digest": shown(merkle(it["domain"], map(raw, it["leaves"])))},
    "value": value,
    "manifest": lambda it: {"root": shown(data_root(raw(it["bytes"])))},
    "checkpoint": checkpoint,
    "job": lambda it: {"job": shown(read_job(raw(it["bytes"])).hash)},
    "plan": lambda it: {"plan": shown(plan_hash(raw(it["bytes"]), it["compilers"]))},
    "chain": chain,
    "log": lambda it: {"records": len(read_log(raw(it["bytes"])).records)},
    "receipt": receipt,
    "folder": folder,
}


def disagreement(vector: Vector) -> str | None:
    try:
        found = KINDS[vector["kind"]](vector)
    except Refused as why:
        return f"refused: {why}" if vector["good"] else None
    wanted = {key: vector[key] for key in found} if vector["good"] else "a refusal"
    return None if found == wanted else f"found {found}, the vector has {wanted}"


def alike(vector: Vector, by_name: dict[str, Vector]) -> Vector:
    """The vector with the files that it shares with the one it is like."""
    return vector | {"files": by_name[vector["like"]]["files"] | vector["files"]} if "like" in vector else vector


def disagreements(data: bytes) -> tuple[int, list[str]]:
    try:
        rows: list[Vector] = read_json(text(data))
        by_name = {row["name"]: row for row in rows}
        found = [(row["name"], disagreement(alike(row, by_name))) for row in rows]
    except (KeyError, TypeError, ValueError, AttributeError) as why:
        raise Refused(f"not a list of vectors: {why!r}") from None
    return len(found), [f"{name}: {what}" for name, what in found if what is not None]

"""The examples of codes.toml, and of the documentation, put into a whole job.

Takes: a fragment. Promises: a job that says what the fragment says and, in everything else, what BASE says: items
take the place of BASE's items of their name (or are added; axes of BASE that nothing mentions go), settings that of its
`train`'s, `update` that of its updates; other statements stand in its layer, before the last one. A fragment that
begins with `job` is a whole file, one that begins with `library` is imported as `mine`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from jobspec.ir.digest import blob_digest
from jobspec.ir.job import Job
from jobspec.lang.check import load
from jobspec.lang.source import Source
from jobspec.lang.training import COMPUTED, STATIC

BASE = {
    "dim B": "dim B=4",
    "dim X": "dim X=3",
    "dim H": "dim H=2",
    "data d": "data d = table(b3:00000000, x=f32[X], y=f32)",
    "function net": "layer net(x) {\n  param w: X -> H ~ normal(.1)\n  h = x @ w\n  BODY\n  sum[H](h)\n}",
    "function sgd": "optim sgd(p, g, lr) { p := p - lr*g }",
    "train": "",
}
AXES = ("dim X=3", "dim H=2")
TRAIN = {
    "seed": "seed = 1",
    "steps": "steps = 2",
    "batch": "batch = shuffle(d)",
    "loss": "loss = mean[B]((net(batch.x) - batch.y)^2)",
    "update": "update all by sgd(.1)",
}
#: what takes the place of both
INSTEAD = {"epochs": "steps", "freeze": "update"}
ITEM = re.compile(r"(import|dim|def|layer|optim|data|train|eval|save|run)\b(?=[^=(:]*[=({]|\s)")
SETTING = re.compile(rf"({'|'.join((*STATIC, *COMPUTED, 'lr'))})\s*=|(update|freeze|phase|average)\b")


def items(text: str) -> list[str]:
    """The fragment's items: what begins at the start of a line and is no closing brace."""
    return [part for part in re.split(r"\n(?=[^\s}#])", text.strip()) if part.strip()]


def key_of(item: str) -> str:
    words = re.findall(r"\w+", item)
    if words[0] in ("train", "save", "run") or (words[0] == "eval" and re.match(r"eval\s*\{", item)):
        return str(words[0])
    if words[0] in ("def", "layer", "optim"):
        return f"function {words[1]}"
    return " ".join(words[:2]) if words[0] != "import" else item


def whole(fragment: str) -> tuple[Source, Mapping[str, bytes]]:
    """The job with the fragment in it, and files that it imports."""
    fragment = fragment.strip()
    if fragment.startswith("job "):
        return Source("example.job", fragment), {}
    if fragment.startswith("library "):
        name = str(blob_digest(fragment.encode()))
        return Source("example.job", composed(dict(BASE) | {"import": f"import {name} as mine"}, TRAIN)), {
            name: fragment.encode()
        }
    if SETTING.match(fragment):
        return Source("example.job", composed(BASE, settings(fragment))), {}
    if ITEM.match(fragment):
        return Source("example.job", composed(with_items(fragment), TRAIN)), {}
    return Source("example.job", composed(BASE, TRAIN, fragment)), {}


def with_items(fragment: str) -> dict[str, str]:
    parts = dict(BASE)
    own: dict[str, str] = {}
    for item in items(fragment):
        key = key_of(item)
        own[key] = f"{own[key]}\n{item}" if key in own else item
    return parts | own


def settings(fragment: str) -> dict[str, str]:
    """BASE's settings with those of the fragment in their place."""
    given = [next(group for group in found if group) for found in SETTING.findall(fragment)]
    gone = {*given, *(INSTEAD[name] for name in given if name in INSTEAD)}
    if "phase" in given:
        gone.add("steps")
    kept = {name: text for name, text in TRAIN.items() if name not in gone}
    return kept | {"fragment": fragment}


def composed(parts: Mapping[str, str], train: Mapping[str, str], body: str = "") -> str:
    section = parts["train"] or "train {\n  " + "\n  ".join(train.values()) + "\n}"
    told = [part for name, part in parts.items() if part and name != "train"]
    everything = "\n".join([*told, section, body])
    told = [part for part in told if part not in AXES or len(re.findall(rf"\b{part[4]}\b", everything)) > 1]
    return "\n".join(["job example", *told, section, ""]).replace("  BODY\n", f"  {body}\n" if body else "")


#: weights that an example may begin with
WEIGHTS = {"b3:00000001": {"w": (3, 2), "bias": (2,)}}


def compiled(fragment: str) -> Job:
    source, files = whole(fragment)
    return load(source, fetch=files.get, weights=WEIGHTS.get)

"""Jobs that come with jobspec: where they lie, what they are called, how they are made small.

Promises: a shipped job is found by its name, or by a beginning that only one has; the table of small versions is
`specs/tiny.toml`, one entry a job: values for `--set` that make it train in seconds on data that is shipped too.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from jobspec.ir.errors import UsageError
from jobspec.lang.assigned import assignments
from jobspec.lang.diagnostics import did_you_mean
from jobspec.lang.override import overridden
from jobspec.lang.parse import parse
from jobspec.lang.source import Source
from jobspec.store.blobs import BlobStore

SUFFIX, CLUSTERS = ".job", "clusters/*.toml"
#: in an installed package, in a clone
PLACES = (Path(__file__).parent / "specs", Path(__file__).parents[1] / "specs")


def shipped_jobs() -> dict[str, Path]:
    """Name → file, in the order of the names."""
    found = {path.stem: path for place in PLACES for path in place.glob(f"*{SUFFIX}")}
    return dict(sorted(found.items()))


def shipped_clusters() -> dict[str, Path]:
    """Name → description of a cluster."""
    return {path.stem: path for place in PLACES for path in sorted(place.glob(CLUSTERS))}


def cluster_file(name: str, beside: Path | None = None) -> Path:
    """The description that is meant: a file, also one beside `beside`, or a shipped one by its name. Raises UsageError
    E0870."""
    found = [Path(name), *([beside / name] if beside else [])]
    if near := next((path for path in found if path.is_file()), shipped_clusters().get(name)):
        return near
    help = f"name a file, or one that is shipped: {', '.join(shipped_clusters())}"
    raise UsageError("E0870", f"there is no cluster `{name}`", help=help)


def shipped_job(model: str) -> Path:
    """The file of a shipped job, or of the only one that begins so. Raises UsageError E0817."""
    found = shipped_jobs()
    near = [name for name in found if name.startswith(model)]
    if model in found or len(near) == 1:
        return found[model] if model in found else found[near[0]]
    help = did_you_mean(model, found) or "there are:\n" + "\n".join(listed())
    if near:
        help = f"write one of {', '.join(near)}"
    raise UsageError("E0817", f"no job `{model}` is shipped", help=help)


def listed() -> list[str]:
    """A line for each: its name and its title."""
    titles = {name: parse(Source.read(path)).title or "" for name, path in shipped_jobs().items()}
    width = max(map(len, titles), default=0)
    return [f"  {name:<{width}}  {title}" for name, title in titles.items()]


def made_small(path: Path) -> Source:
    """The text with the values of its entry in tiny.toml set. Raises UsageError E0823 where it has none."""
    table = tomllib.loads((path.parent / "tiny.toml").read_text("utf-8"))
    if path.stem not in table:
        help = f"these have one: {', '.join(sorted(table))}"
        raise UsageError("E0823", f"`{path.stem}` has no small version", help=help)
    return overridden(Source.read(path), assignments(table[path.stem].get("set", ())))


def data_of(path: Path) -> BlobStore:
    """The data that lies beside a shipped job."""
    return BlobStore(path.parent / "data")

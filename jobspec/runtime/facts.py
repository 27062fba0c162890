"""What is worth knowing of a run and is no part of its receipt: plan, device, versions, times.

Takes: a finished run. Promises: a small JSON file beside the receipt; nobody trusts it. A verifier uses
the data folders in it as places to look, since every shard is checked against its hash.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from jobspec.ir.version import VERSION
from jobspec.store.files import FileLayer, write_file

#: bytes of facts that are read
LARGEST = 1 << 20


@dataclass(frozen=True)
class Facts:
    """`seconds`: spent in this process; `data`: folders the data was found in; `splits`: (steps done, after so many
    seconds of it)."""

    plan: str
    backend: str
    cpu: str
    threads: int
    compilers: dict[str, str]
    seconds: float
    finished: str
    data: list[str]
    splits: list[tuple[int, float]]
    jobspec: str = VERSION
    python: str = platform.python_version()
    system: str = field(default_factory=platform.platform)


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_facts(files: FileLayer, path: Path, facts: Facts) -> None:
    """Raises StoreError."""
    write_file(files, path, [(json.dumps(asdict(facts), indent=2) + "\n").encode()])


def data_folders(path: Path) -> Iterable[Path]:
    """The data folders that the facts at `path` name; none where there are no readable facts."""
    try:
        named = json.loads(FileLayer().read(path, LARGEST))["data"]
        return [Path(folder) for folder in named if isinstance(folder, str)]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []

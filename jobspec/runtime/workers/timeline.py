"""Who did what when, for a run's report.

Takes: attempts at tasks as they end. Promises: Chrome's trace format, a lane for each worker; of a long run the newest
MOST attempts. Nothing of it goes into a receipt.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from jobspec.store.files import FileLayer, write_file

FILE = "workers.json"
MOST = 20_000


@dataclass(frozen=True)
class Span:
    """`kind`: done, redone or checked. Seconds of the crew's clock."""

    worker: str
    task: str
    kind: str
    begun: float
    ended: float


@dataclass
class Timeline:
    spans: deque[Span] = field(default_factory=lambda: deque(maxlen=MOST))

    def trace(self) -> dict[str, object]:
        lanes = {name: i for i, name in enumerate(dict.fromkeys(span.worker for span in self.spans))}
        named = [
            {"name": "thread_name", "ph": "M", "pid": 1, "tid": lane, "args": {"name": name}}
            for name, lane in lanes.items()
        ]
        return {"traceEvents": [*named, *(event(span, lanes[span.worker]) for span in self.spans)]}

    def write(self, folder: Path, files: FileLayer) -> None:
        """Into the run's folder, where there is anything to say."""
        if self.spans:
            write_file(files, folder / FILE, [json.dumps(self.trace()).encode()])


def event(span: Span, lane: int) -> dict[str, object]:
    """Times in microseconds."""
    begun, length = round(span.begun * 1e6), round((span.ended - span.begun) * 1e6)
    return {"name": span.task, "cat": span.kind, "ph": "X", "ts": begun, "dur": length, "pid": 1, "tid": lane}

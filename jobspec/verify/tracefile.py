"""Traces on disk, beside a run: what a disputant shows of a segment and of one step.

Takes: traces. Promises: a trace reads back as it was written, or is a DataError naming the file; nothing of it is
believed that does not hash to what the run's chain commits to. Files of `RUN/traces`:

    segment-N.cbor   {format, job, number, first, states, reports}     the root after each step; its reports' bytes
    step-T.cbor      {format, job, step, state, frame, places}         the state's tensors before it; every value's
                                                                       digest; where it lies below
    step-T.values    values one behind another, each once
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType

from jobspec.ir.canonical import Limits, Value, decode, encode
from jobspec.ir.codec.values import as_bytes, keys, read_each
from jobspec.ir.digest import Digest
from jobspec.ir.errors import DataError
from jobspec.ir.record import Record, RecordError, as_array, as_digest, as_integer
from jobspec.runtime.folder import RunFolder
from jobspec.store.files import Draft, FileLayer, explained, write_file
from jobspec.verify.frames import Frame, linked, read_frame

FORMAT = 1
FOLDER = "traces"
LIMITS = Limits(size=256 << 20, depth=64, items=32 << 20)
SEGMENT_KEYS = keys("format job number first states reports")
STEP_KEYS = keys("format job step state frame places")

#: a value's digest → where it lies: (offset, bytes)
Places = Mapping[Digest, tuple[int, int]]


@dataclass(frozen=True)
class SegmentTrace:
    """The steps first … first+len(states)-1: the state root after each, and its row of reports."""

    job: Digest
    number: int
    first: int
    states: tuple[Digest, ...]
    reports: tuple[bytes, ...]

    @cached_property
    def links(self) -> tuple[Digest, ...]:
        """Prefix digests over the steps."""
        pairs = zip(self.states, self.reports, strict=True)
        return linked([[state.raw, row] for state, row in pairs])


@dataclass(frozen=True)
class StepTrace:
    """One step's frame. `state`: a digest for each tensor before the step, in state order; `places`: of the values
    that were kept, in `path`."""

    job: Digest
    step: int
    state: tuple[Digest, ...]
    frame: Frame
    places: Places
    path: Path


def segment_path(folder: RunFolder, number: int) -> Path:
    return folder.path / FOLDER / f"segment-{number}.cbor"


def step_path(folder: RunFolder, step: int) -> Path:
    return folder.path / FOLDER / f"step-{step}.cbor"


def values_path(folder: RunFolder, step: int) -> Path:
    return step_path(folder, step).with_suffix(".values")


def write_segment(folder: RunFolder, trace: SegmentTrace) -> Path:
    """Raises StoreError."""
    value: Value = {
        "format": FORMAT,
        "job": trace.job.raw,
        "number": trace.number,
        "first": trace.first,
        "states": [state.raw for state in trace.states],
        "reports": list(trace.reports),
    }
    path = segment_path(folder, trace.number)
    write_file(folder.files, path, [encode(value)])
    return path


def read_segment(folder: RunFolder, number: int) -> SegmentTrace | None:
    """None where there is none. Raises DataError."""
    record = _record(folder, segment_path(folder, number), SEGMENT_KEYS)
    if record is None:
        return None
    with _told(segment_path(folder, number)):
        states = read_each(record.get("states"), "the trace: `states`", as_digest)
        reports = read_each(record.get("reports"), "the trace: `reports`", as_bytes)
        if len(states) != len(reports):
            raise RecordError("the trace has not one row of reports per state")
        job, first = record.digest("job"), record.integer("first")
        return SegmentTrace(job, record.integer("number", number, number), first, states, reports)


def write_step(folder: RunFolder, trace: StepTrace) -> Path:
    """All but the values. Raises StoreError."""
    places: list[Value] = [[name.raw, *place] for name, place in sorted(trace.places.items())]
    value: Value = {
        "format": FORMAT,
        "job": trace.job.raw,
        "step": trace.step,
        "state": [name.raw for name in trace.state],
        "frame": trace.frame.value(),
        "places": places,
    }
    path = step_path(folder, trace.step)
    write_file(folder.files, path, [encode(value, depth=LIMITS.depth)])
    return path


def read_step(folder: RunFolder, step: int) -> StepTrace | None:
    """None where there is none. Raises DataError."""
    record = _record(folder, step_path(folder, step), STEP_KEYS)
    if record is None:
        return None
    with _told(step_path(folder, step)):
        places = dict(_read_place(value) for value in record.array("places"))
        state = read_each(record.get("state"), "the trace: `state`", as_digest)
        frame, job = read_frame(record.get("frame")), record.digest("job")
        return StepTrace(job, record.integer("step", step, step), state, frame, places, values_path(folder, step))


def _read_place(value: Value) -> tuple[Digest, tuple[int, int]]:
    name, offset, size = as_array(value, "a place", 3)
    return as_digest(name, "a value"), (as_integer(offset, "an offset"), as_integer(size, "a size"))


def open_value(trace: StepTrace, name: Digest) -> bytes | None:
    """The bytes that lie where the value is said to lie, which may be others; None where it was not kept."""
    place = trace.places.get(name)
    if place is None or not trace.path.is_file():
        return None
    with explained("read", trace.path):
        return bytes(FileLayer().map(trace.path)[1][place[0] : place[0] + place[1]])


class Values:
    """A context manager: values as they come, written one behind another; without `path` nothing is kept."""

    def __init__(self, files: FileLayer, path: Path | None) -> None:
        self._path, self._end = path, 0
        self._draft = Draft(files, path.parent) if path is not None else None
        self.places: dict[Digest, tuple[int, int]] = {}

    def keep(self, name: Digest, data: memoryview) -> None:
        if self._draft is None or name in self.places:
            return
        self._draft.write(data)
        self.places[name] = (self._end, data.nbytes)
        self._end += data.nbytes

    def __enter__(self) -> Values:
        if self._draft is not None:
            self._draft.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._draft is None:
            return
        if error is None and self._path is not None:
            self._draft.publish(self._path)
        self._draft.__exit__(kind, error, trace)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turns a form that is wrong into a DataError that names the file."""
    try:
        yield
    except ValueError as error:
        raise DataError("E0711", f"{path} is no trace: {error}", help="make it again with `jobspec trace`") from error


def _record(folder: RunFolder, path: Path, keys: frozenset[str]) -> Record | None:
    if not path.is_file():
        return None
    with explained("read", path):
        data = folder.files.read(path, LIMITS.size + 1)
    with _told(path):
        record = Record(decode(data, LIMITS), "the trace", keys)
        record.integer("format", FORMAT, FORMAT)
        return record

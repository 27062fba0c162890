"""Batches as bytes: rows that a session runs on.

Takes: the layout of a routine's feeds, a stream, its data sets. Promises: row i of `rows(first, n)` is the
batch of the phase's step first + i as the plan lays it out, a function of these arguments alone; asking for steps in
other portions gives the same rows. A shard that is missing or changed is a DataError naming it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobspec.ir.errors import DataError
from jobspec.ir.job import Batches, Evaluation, Job, Phase
from jobspec.ir.plan import Buffer, Routine
from jobspec.runtime.documents import documents, positions
from jobspec.runtime.mixing import parts_at, skips
from jobspec.runtime.sampling import Positions, examples_of, window_count
from jobspec.store.datasets import DataSet

Rows = NDArray[np.uint8]
LINE = 64
#: a field of a token stream out of windows with the token behind them
TOKEN_FIELDS: dict[str, Callable[[NDArray[Any], int | None], NDArray[Any]]] = {
    "tok": lambda tokens, end: tokens[:, :-1],
    "next": lambda tokens, end: tokens[:, 1:],
    "doc": lambda tokens, end: documents(tokens[:, :-1], end),
    "pos": lambda tokens, end: positions(tokens[:, :-1], end),
}


@dataclass(frozen=True)
class Share:
    """One part of a stream at hand. `end`: the token that ends a document; `skip`: examples that phases with other
    streams took before."""

    data: DataSet
    end: int | None = None
    skip: int = 0


def phase_shares(job: Job, phase: Phase, data: Mapping[str, DataSet]) -> list[Share]:
    """The parts of a phase's stream; `data`: the job's data sets by source name."""
    parts = zip(phase.batches.stream.sources, skips(job, phase), strict=True)
    return [Share(data[name], job.source(name).end, skip) for name, skip in parts]


def evaluation_shares(job: Job, evaluation: Evaluation, data: Mapping[str, DataSet]) -> list[Share]:
    return [Share(data[name], job.source(name).end) for name in evaluation.batches.stream.sources]


class Feeder:
    """The batches of one routine; `shares`: one per part of their stream. Raises DataError where a data set has not
    one example."""

    def __init__(self, routine: Routine, batches: Batches, shares: Sequence[Share]) -> None:
        self._width = routine.feed
        self._buffers: dict[str, Buffer] = {name: routine.buffers[place] for name, place in routine.feeds}
        self._batches, self._stream, self._shares = batches, batches.stream, shares
        self._wanted = tuple(dict.fromkeys(feed.field for feed in batches.feeds))
        self.examples = [self._examples(share.data) for share in shares]

    def _examples(self, data: DataSet) -> int:
        """Examples of an epoch."""
        if not self._stream.window:
            return data.records
        count = window_count(data.records, self._stream.window)
        if count == 0:
            raise too_short(data, self._stream.window)
        return count

    def rows(self, first: int, count: int) -> Rows:
        """The batches of the phase's steps first … first+count-1: uint8 [count, feed bytes]."""
        rows = _zeros(count, self._width)
        if count == 0 or not self._batches.feeds:
            return rows
        size = self._batches.size
        fields = self._fields(self._batches.first + first * size, count * size)
        for feed in self._batches.feeds:
            self._place(rows, self._buffers[feed.name], fields[feed.field])
        return rows

    def _fields(self, first: int, count: int) -> Mapping[str, NDArray[Any]]:
        """Each field that some feed names, one entry per position."""
        parts, before = parts_at(self._stream, first, count)
        if len(self._shares) == 1:
            return self._of_part(0, before)
        fields: dict[str, NDArray[Any]] = {}
        for number in range(len(self._shares)):
            mine = np.flatnonzero(parts == number)
            for name, values in self._of_part(number, before[mine]).items():
                whole = fields.setdefault(name, np.empty((count, *values.shape[1:]), values.dtype))
                whole[mine] = values
        return fields

    def _of_part(self, number: int, before: Positions) -> Mapping[str, NDArray[Any]]:
        """The fields of a part's examples at its places `before`."""
        share, window = self._shares[number], self._stream.window
        examples = examples_of(self._stream, self.examples[number], before + share.skip)
        if not window:
            return {field: share.data.take(field, examples) for field in self._wanted}
        tokens = share.data.windows(examples * window, window + 1)
        return {field: TOKEN_FIELDS[field](tokens, share.end) for field in self._wanted}

    def _place(self, rows: Rows, buffer: Buffer, values: NDArray[Any]) -> None:
        flat = np.ascontiguousarray(values).reshape(len(rows), -1).view(np.uint8)
        rows[:, buffer.offset : buffer.offset + buffer.type.nbytes] = flat


def too_short(data: DataSet, window: int) -> DataError:
    reason = f"the data set {data.root.short} has {data.records} tokens, "
    reason += f"and one example takes {window + 1} (a window of {window} and the token after it)"
    return DataError("E0408", reason, help="use a longer text or a shorter window")


def _zeros(count: int, width: int) -> Rows:
    """Zeroed rows; the first one starts on a cache line, and so do all where `width` is whole lines."""
    room = np.zeros(count * width + LINE, np.uint8)
    start = -room.ctypes.data % LINE
    return room[start : start + count * width].reshape(count, width)


class Ahead:
    """A feeder that fills the next rows on a thread of its own while the present ones run."""

    def __init__(self, feeder: Feeder) -> None:
        self._feeder = feeder
        self._worker = ThreadPoolExecutor(1, "jobspec-batches")
        self._asked: tuple[int, int] | None = None
        self._future: Future[Rows] | None = None

    def ask(self, first: int, count: int) -> None:
        """Begin to fill the rows of steps first … first+count-1."""
        self._asked = (first, count)
        self._future = self._worker.submit(self._feeder.rows, first, count)

    def rows(self, first: int, count: int) -> Rows:
        """The rows asked for; others are filled now."""
        future, asked = self._future, self._asked
        self._future = self._asked = None
        if future is not None and asked == (first, count):
            return future.result()
        return self._feeder.rows(first, count)

    def close(self) -> None:
        self._worker.shutdown(cancel_futures=True)

    def __enter__(self) -> Ahead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

"""Batches as bytes: rows that a session runs on.

Takes: the layout of a routine's feeds, a stream, its data set. Promises: row i of `rows(first, n)` is the
batch of the phase's step first + i as the plan lays it out, a function of these arguments alone; asking for steps in
other portions gives the same rows. A shard that is missing or changed is a DataError naming it.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobspec.ir.errors import DataError
from jobspec.ir.job import Batches
from jobspec.ir.plan import Buffer, Routine
from jobspec.runtime.sampling import Positions, examples_at, window_count
from jobspec.store.datasets import DataSet

Rows = NDArray[np.uint8]
LINE = 64


class Feeder:
    """The batches of one routine. Raises DataError where the data set has not one example."""

    def __init__(self, routine: Routine, batches: Batches, data: DataSet) -> None:
        self._width = routine.feed
        self._buffers: dict[str, Buffer] = {name: routine.buffers[place] for name, place in routine.feeds}
        self._batches = batches
        self._stream = batches.stream
        self._data = data
        self.examples = data.records
        if self._stream.window:
            self.examples = window_count(data.records, self._stream.window)
            self._need_one_window()

    def rows(self, first: int, count: int) -> Rows:
        """The batches of the phase's steps first … first+count-1: uint8 [count, feed bytes]."""
        rows = _zeros(count, self._width)
        if count == 0 or not self._batches.feeds:
            return rows
        size = self._batches.size
        position = self._batches.first + first * size
        fields = self._fields(examples_at(self._stream, self.examples, position, count * size))
        for feed in self._batches.feeds:
            self._place(rows, self._buffers[feed.name], fields[feed.field])
        return rows

    def _fields(self, examples: Positions) -> Mapping[str, NDArray[Any]]:
        """Each field that some feed names, one entry per example."""
        wanted = dict.fromkeys(feed.field for feed in self._batches.feeds)
        if not self._stream.window:
            return {field: self._data.take(field, examples) for field in wanted}
        tokens = self._data.windows(examples * self._stream.window, self._stream.window + 1)
        return {"tok": tokens[:, :-1], "next": tokens[:, 1:]}

    def _place(self, rows: Rows, buffer: Buffer, values: NDArray[Any]) -> None:
        flat = np.ascontiguousarray(values).reshape(len(rows), -1).view(np.uint8)
        rows[:, buffer.offset : buffer.offset + buffer.type.nbytes] = flat

    def _need_one_window(self) -> None:
        if self.examples == 0:
            window = self._stream.window
            reason = f"the data set {self._data.root.short} has {self._data.records} tokens, "
            reason += f"and one example takes {window + 1} (a window of {window} and the token after it)"
            raise DataError("E0408", reason, help="use a longer text or a shorter window")


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

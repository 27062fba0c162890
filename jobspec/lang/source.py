"""The text of one file and places in it.

Takes: bytes, a path or a string. Promises: a `Source` whose text is UTF-8 without NUL and no larger than a job may
be (10,240 bytes), or a CompileError that says why not, found without reading the whole of a huge file. A `Span` is a
stretch of one source and knows its line and column (both from 1, columns in characters).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from jobspec.ir.errors import CompileError, UsageError

SIZE_LIMIT = 10_240
LINE_END = re.compile(r"\r\n?|\n")


@dataclass(frozen=True, eq=False)
class Source:
    """A text with the name that messages call it by."""

    name: str
    text: str

    @classmethod
    def from_bytes(cls, name: str, data: bytes, limit: int = SIZE_LIMIT) -> Source:
        """Refuses what is too large, holds NUL bytes or is not UTF-8 (CompileError E0111, E0112)."""
        if b"\0" in data:
            raise not_text(name, f"byte {data.index(0)} is zero")
        if len(data) > limit:
            raise too_large(name, len(data), limit)
        try:
            return cls(name, data.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise not_text(name, f"byte {error.start} (0x{data[error.start]:02x}) is not UTF-8") from None

    @classmethod
    def read(cls, path: Path, limit: int = SIZE_LIMIT) -> Source:
        """The file at `path`; never reads more than `limit` bytes and one (UsageError E0801 if it cannot be read)."""
        try:
            with path.open("rb") as file:
                data = file.read(limit + 1)
                size = path.stat().st_size
        except OSError as error:
            raise unreadable(path, error) from None
        if size > limit and b"\0" not in data:
            raise too_large(str(path), size, limit)
        return cls.from_bytes(str(path), data, limit)

    @cached_property
    def line_starts(self) -> list[int]:
        """Offsets at which lines begin."""
        return [0, *(match.end() for match in LINE_END.finditer(self.text))]

    def line(self, number: int) -> str:
        """The text of line `number` (from 1), without its end."""
        start = self.line_starts[number - 1]
        end = LINE_END.search(self.text, start)
        return self.text[start : end.start() if end else len(self.text)]

    def span(self, start: int, end: int) -> Span:
        return Span(self, start, end)


@dataclass(frozen=True)
class Span:
    """Characters `start` to `end` (exclusive) of a source."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        return bisect_right(self.source.line_starts, self.start)

    @property
    def column(self) -> int:
        return self.start - self.source.line_starts[self.line - 1] + 1

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        """From the start of this span to the end of the other."""
        return Span(self.source, self.start, other.end)

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"


def not_text(name: str, reason: str) -> CompileError:
    help = "a job is UTF-8 text; if this is data, add it with `jobspec data add` and name it by its hash"
    return CompileError("E0111", f"`{name}` is not a text file: {reason}", help=plan_help(name) or help)


def plan_help(name: str) -> str | None:
    """The next step for who gives a plan file."""
    if name.endswith(".plan"):
        return "a plan file is for `jobspec run` and `jobspec diff`; give the job's own text here"
    return None


def too_large(name: str, size: int, limit: int) -> CompileError:
    help = "move what repeats into a `def`, a `layer` or an imported library; if this is data, add it with "
    help += "`jobspec data add` and name it by its hash"
    reason = f"`{name}` has {size:,} bytes; a job has at most {limit:,}"
    return CompileError("E0112", reason, help=plan_help(name) or help)


def unreadable(path: Path, error: OSError) -> UsageError:
    reason = (error.strerror or str(error)).lower()
    return UsageError("E0801", f"cannot read `{path}`: {reason}", help="name a .job file that exists")

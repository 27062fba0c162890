"""Text of one C function as it grows: lines, blocks, names that are used once.

Takes: statements. Promises: `text` is what was written, indented; two equal sequences of calls give equal text.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

STEP = "  "


class Writer:
    """Lines at the depth of the open blocks."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._depth = 0
        self._names = 0

    def line(self, text: str) -> None:
        self._lines.append(STEP * self._depth + text)

    def name(self, prefix: str = "t") -> str:
        """A name that no other call has given."""
        self._names += 1
        return f"{prefix}{self._names}"

    def let(self, type_: str, value: str, prefix: str = "t") -> str:
        """A constant of this block; its name."""
        name = self.name(prefix)
        self.line(f"const {type_} {name} = {value};")
        return name

    @contextmanager
    def block(self, head: str = "") -> Iterator[None]:
        """Everything written inside stands in braces behind `head`."""
        self.line(f"{head} {{".lstrip())
        self._depth += 1
        yield
        self._depth -= 1
        self.line("}")

    @contextmanager
    def count(self, type_: str, size: int | str, prefix: str = "i", start: str = "0") -> Iterator[str]:
        """A loop from `start` up to `size`; gives its variable."""
        name = self.name(prefix)
        with self.block(f"for ({type_} {name} = {start}; {name} < {size}; ++{name})"):
            yield name

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"

"""CSV: a header line, then one record per line, all numbers.

Takes: a path, the delimiter, perhaps the label's column. Promises: one field per column, named by the
header; with a label, that column is `y` and all others, in order, are `x` [records, columns]. A column
of whole numbers comes as integers. A line of another length, or a cell that is no number, is a
DataError naming line and column.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jobspec.ir.errors import DataError
from jobspec.store.dtypes import Array
from jobspec.store.importers.narrow import whole
from jobspec.store.importers.source import open_bytes

if TYPE_CHECKING:
    import _csv

#: lines turned into numbers at a time
BLOCK = 4096

Line = tuple[int, list[str]]


def read_csv(path: Path, delimiter: str, label: str | None) -> dict[str, Array]:
    """The fields of the table in `path`. Raises DataError."""
    with open_bytes(path) as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape", newline="")
        lines = _lines(path, csv.reader(text, delimiter=delimiter, strict=True))
        header = _header(path, lines)
        blocks = [_numbers(path, header, block) for block in _blocks(lines)]
    if not blocks:
        help = "give a file with one record at least, a line for each"
        raise DataError("E0415", f"{path} has a header line and no records", help=help)
    return _fields(path, header, np.concatenate(blocks), label)


def _lines(path: Path, reader: _csv.Reader) -> Iterator[Line]:
    """(line number, cells) of the lines that are not blank."""
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        help = "see to the quotes of that line; a cell with a comma or a quote in it stands in quotes"
        raise DataError("E0413", f"{path}, line {reader.line_num}: not CSV ({error})", help=help) from error


def _header(path: Path, lines: Iterator[Line]) -> list[str]:
    number, cells = next(lines, (0, []))
    _check_text(path, number, cells)
    header = [cell.strip() for cell in cells]
    help = "the first line names the columns, each by another name"
    if not header or all(_is_number(cell) for cell in header):
        raise DataError("E0419", f"{path} has no header line", help=help)
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise DataError("E0419", f"{path} has two columns `{twice}`", help=help)
    return header


def _blocks(lines: Iterator[Line]) -> Iterator[list[Line]]:
    while block := list(islice(lines, BLOCK)):
        yield block


def _numbers(path: Path, header: Sequence[str], block: list[Line]) -> Array:
    """float64 [lines, columns]."""
    for number, cells in block:
        if len(cells) != len(header):
            reason = f"{path}, line {number}: {len(cells)} cells where the header has {len(header)}"
            raise DataError("E0413", reason, help=_other_sign(header) or "every line has one cell per column")
    try:
        return np.array([cells for _, cells in block], np.float64)
    except ValueError as error:
        raise _not_a_number(path, header, block) from error


def _other_sign(header: Sequence[str]) -> str | None:
    """What to do where a header of one column looks like several."""
    signs = {";": "`;`", "|": "`|`", "\t": "tabs"}
    found = [word for sign, word in signs.items() if len(header) == 1 and sign in header[0]]
    return f"put commas between the cells (tabs in a .tsv), not {found[0]}; numbers have a point" if found else None


def _not_a_number(path: Path, header: Sequence[str], block: list[Line]) -> DataError:
    number, column, cell = next(
        (number, name, cell)
        for number, cells in block
        for name, cell in zip(header, cells, strict=True)
        if not _is_number(cell)
    )
    _check_text(path, number, [cell])
    what = f"`{cell}` is not a number" if cell.strip() else "the cell is empty"
    help = "put a number in its place: classes as 0, 1, 2, …; a missing value by a rule of your own"
    reason = f"{path}, line {number}, column `{column}`: {what}"
    return DataError("E0416", reason, help=_other_sign(header) or help)


def _check_text(path: Path, number: int, cells: Sequence[str]) -> None:
    """Bytes that are not UTF-8 come as lone surrogates, which cannot be written back."""
    try:
        "".join(cells).encode()
    except UnicodeEncodeError as error:
        reason = f"{path}, line {number}: not UTF-8 text"
        raise DataError("E0421", reason, help="convert the file to UTF-8") from error


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _fields(path: Path, header: list[str], values: Array, label: str | None) -> dict[str, Array]:
    if label is None:
        return {name: _integers(values[:, column]) for column, name in enumerate(header)}
    if label not in header or len(header) < 2:
        what = f"has only the column `{label}`" if label in header else f"has no column `{label}`"
        help = _other_sign(header) or f"its columns are {', '.join(header)}"
        raise DataError("E0419", f"{path} {what}", help=help)
    column = header.index(label)
    return {"x": _integers(np.delete(values, column, axis=1)), "y": _integers(values[:, column])}


def _integers(values: Array) -> Array:
    return values.astype(np.int64) if whole(values) else values

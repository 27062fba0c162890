"""A file to import: what the user named, opened and told apart.

Takes: `FILE` or `FIELD=FILE` and perhaps a format. Promises: a `Source` whose file exists and is not
empty; `open_bytes` unpacks gzip by itself; the format comes from the user, else from the file's ending,
else from its first bytes, and is never guessed beyond that.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from jobspec.ir.errors import DataError
from jobspec.store.files import explained

FORMATS = ("npy", "npz", "idx", "csv", "tsv", "text", "u16", "u32")
#: endings that decide the format (`.gz` is taken off first)
ENDINGS = {
    **{".npy": "npy", ".npz": "npz", ".csv": "csv", ".tsv": "tsv", ".idx": "idx"},
    **{".txt": "text", ".text": "text", ".md": "text", ".u16": "u16", ".u32": "u32"},
}
#: first bytes that decide it where the ending does not: numpy, zip, idx, token files of llm.c
MAGICS = (
    (re.compile(rb"\x93NUMPY"), "npy"),
    (re.compile(rb"PK\x03\x04"), "npz"),
    (re.compile(rb"\0\0[\x08\x09\x0b-\x0e][\x01-\x08]", re.DOTALL), "idx"),
    (re.compile(re.escape((20240520).to_bytes(4, "little"))), "u16"),
    (re.compile(re.escape((20240801).to_bytes(4, "little"))), "u32"),
)
GZIP = b"\x1f\x8b"
NAMED = re.compile(r"([a-z_][A-Za-z0-9_]*)=(.+)")
HELP = f"say what it is with --format; known: {', '.join(FORMATS)}"


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read as `format`; `field` is the name the user gave it, or None."""

    field: str | None
    path: Path
    format: str


def source(text: str, format: str | None) -> Source:
    """The source `text` names. Raises DataError where there is no such file, or its format is not known."""
    match = NAMED.fullmatch(text)
    path = Path(match[2] if match else text).expanduser()
    _check_file(path)
    return Source(match[1] if match else None, path, _format(path, format))


def _check_file(path: Path) -> None:
    if not path.exists():
        raise DataError("E0410", f"there is no file {path}", help="check the path; `FIELD=FILE` names a field")
    if not path.is_file():
        raise DataError("E0410", f"{path} is not a file", help="name the files in it one by one")
    with explained("read", path):
        empty = path.stat().st_size == 0
    if empty:
        raise DataError("E0415", f"{path} is empty", help="give a file with one record at least")


def _format(path: Path, wanted: str | None) -> str:
    if wanted is not None and wanted not in FORMATS:
        raise DataError("E0411", f"`{wanted}` is not a format", help=f"known: {', '.join(FORMATS)}")
    found = wanted or ENDINGS.get(_ending(path)) or _by_magic(path)
    if found is None:
        raise DataError("E0411", f"{path} has no format known here", help=HELP)
    return found


def _ending(path: Path) -> str:
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()


def _by_magic(path: Path) -> str | None:
    with open_bytes(path) as file:
        head = file.read(8)
    return next((format for magic, format in MAGICS if magic.match(head)), None)


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """The file's bytes, unpacked where it is gzip. Raises DataError where the packing is damaged."""
    with explained("read", path), path.open("rb") as raw:
        packed = raw.read(2) == GZIP
        raw.seek(0)
        try:
            yield cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if packed else raw
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise cut_short(path, f"its gzip packing is damaged ({error})") from error


def cut_short(path: Path, why: str) -> DataError:
    """The file does not hold what it says it holds."""
    return DataError("E0412", f"{path} cannot be read: {why}", help="get the file again from its source")

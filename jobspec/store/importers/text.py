"""Text, one token per character.

Takes: a path to UTF-8 text, perhaps gzipped. Promises: tokens numbered by the text's distinct characters
in code point order, and those characters as the vocabulary; the smallest of u8, u16, u32 that holds
them. No character is changed: line ends stay as they are.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jobspec.ir.errors import DataError
from jobspec.store.dtypes import NUMPY, Array
from jobspec.store.importers.source import open_bytes

CHUNK = 1 << 20
CODE_POINTS = 0x110000


def read_text(path: Path) -> tuple[Array, str]:
    """Tokens [characters] and the vocabulary. Raises DataError where the file is not UTF-8 text."""
    seen = np.zeros(CODE_POINTS, bool)
    for points in _code_points(path):
        seen[points] = True
    characters = np.nonzero(seen)[0]
    if not len(characters):
        raise DataError("E0415", f"{path} has no text", help="give a file with one character at least")
    dtype = NUMPY[_unsigned(len(characters))]
    number = np.zeros(CODE_POINTS, dtype)
    number[characters] = np.arange(len(characters), dtype=dtype)
    tokens = np.concatenate([number[points] for points in _code_points(path)])
    return tokens, "".join(map(chr, characters))


def _unsigned(count: int) -> str:
    """The smallest element type that tells `count` values apart."""
    return next(name for name in ("u8", "u16", "u32") if count <= 1 << (8 * NUMPY[name].itemsize))


def _code_points(path: Path) -> Iterator[Array]:
    """The text's code points, u32, a chunk at a time."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    done = 0
    with open_bytes(path) as file:
        more = True
        while more:
            raw = file.read(CHUNK)
            more = bool(raw)
            yield np.frombuffer(_decoded(path, decoder, raw, done).encode("utf-32-le"), "<u4")
            done += len(raw)


def _decoded(path: Path, decoder: codecs.IncrementalDecoder, raw: bytes, done: int) -> str:
    held = len(decoder.getstate()[0])
    try:
        return decoder.decode(raw, final=not raw)
    except UnicodeDecodeError as error:
        at = done - held + error.start
        help = "convert it to UTF-8; token files are added with --format u16 or u32"
        raise DataError("E0421", f"{path} is not UTF-8 text (at byte {at})", help=help) from error

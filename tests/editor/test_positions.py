"""Offsets and the protocol's positions: there and back, in all of its encodings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from jobspec.editor.positions import UNITS, Positions
from jobspec.lang.source import Source

TEXTS = st.text(st.sampled_from("ab é\N{GRINNING FACE}\u2028\x0b\n\r"), max_size=30)


@given(TEXTS, st.sampled_from(sorted(UNITS)), st.integers(0, 30))
def test_there_and_back(text: str, encoding: str, offset: int) -> None:
    offset = min(offset, len(text))
    here = Positions(Source("t", text), encoding)
    between = text[offset - 1 : offset + 1] == "\r\n" and 0 < offset < len(text)
    assert here.offset(here.position(offset)) == (offset - 1 if between else offset)


@pytest.mark.parametrize(("encoding", "column"), [("utf-8", 6), ("utf-16", 3), ("utf-32", 2)])
def test_columns_count_code_units(encoding: str, column: int) -> None:
    here = Positions(Source("t", "x\né\N{GRINNING FACE}y"), encoding)
    assert here.position(4) == types.Position(1, column)
    assert here.offset(types.Position(1, column)) == 4


def test_positions_outside_of_the_text_are_its_ends() -> None:
    here = Positions(Source("t", "ab\ncd"))
    assert here.offset(types.Position(0, 99)) == 2
    assert here.offset(types.Position(9, 0)) == 5

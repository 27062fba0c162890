"""Documents and places in windows of tokens."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jobspec.runtime.documents import documents, positions


def test_an_end_token_belongs_to_its_document() -> None:
    tokens = np.array([[5, 9, 6, 7, 9, 9, 1], [9, 1, 2, 3, 4, 5, 6]], np.uint16)
    assert documents(tokens, 9).tolist() == [[0, 0, 1, 1, 1, 2, 3], [0, 1, 1, 1, 1, 1, 1]]
    assert positions(tokens, 9).tolist() == [[0, 1, 0, 1, 2, 0, 0], [0, 0, 1, 2, 3, 4, 5]]


def test_without_ends_there_is_one_document() -> None:
    tokens = np.zeros((2, 4), np.uint32)
    assert documents(tokens, None).tolist() == [[0] * 4] * 2
    assert positions(tokens, None).tolist() == [[0, 1, 2, 3]] * 2


@given(st.lists(st.integers(0, 2), min_size=1, max_size=40))
def test_as_counted_one_by_one(tokens: list[int]) -> None:
    document, place, wanted = 0, 0, []
    for token in tokens:
        wanted.append((document, place))
        document, place = (document + 1, 0) if token == 2 else (document, place + 1)
    row = np.array([tokens], np.uint8)
    found = [*zip(documents(row, 2)[0].tolist(), positions(row, 2)[0].tolist(), strict=True)]
    assert found == wanted
    assert documents(row, 2).dtype == positions(row, 2).dtype == np.int32

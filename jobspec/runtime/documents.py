"""Documents in windows of tokens: which one a token belongs to, and where in it it stands.

Takes: windows of a token stream, the token that ends a document (None: the stream says nothing of documents).
Promises: functions of the window alone. An end token is the last of its document; the document a window begins
in is its document 0, wherever it began.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[Any]
Numbers = NDArray[np.int32]


def documents(tokens: Tokens, end: int | None) -> Numbers:
    """How many documents began in the window before or at each token, the first one not counted: i32 [n, window]."""
    return np.cumsum(_begins(tokens, end), axis=1, dtype=np.int32)


def positions(tokens: Tokens, end: int | None) -> Numbers:
    """Each token's place in its document, from 0 at the document's first token in the window: i32 [n, window]."""
    places = np.broadcast_to(np.arange(tokens.shape[1], dtype=np.int32), tokens.shape)
    starts: Numbers = np.maximum.accumulate(np.where(_begins(tokens, end), places, np.int32(0)), axis=1)
    return places - starts


def _begins(tokens: Tokens, end: int | None) -> NDArray[np.bool_]:
    """Whether a document begins at a token: behind every end token, but for the window's first."""
    begins = np.zeros(tokens.shape, bool)
    if end is not None:
        begins[:, 1:] = tokens[:, :-1] == end
    return begins

"""Where a run stands in its chain, while the root of its last record may still be computed.

Takes: reports, roots under way. Promises: `settled` is the chain that there would be had every root been waited for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from jobspec.runtime.chain import Chain, StepRecord
from jobspec.runtime.roots import Hashed

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Standing:
    """`chain`: as far as all roots are known; `closing`: the state at its end, where a record closes there; `rows`:
    what further steps reported since."""

    chain: Chain
    closing: Hashed | None = None
    rows: tuple[Rows, ...] = ()

    @property
    def done(self) -> int:
        """Steps."""
        return self.chain.done + sum(map(len, self.rows))

    def reported(self, rows: Rows) -> Standing:
        if self.closing is None:
            return Standing(self.chain.reported(rows))
        return replace(self, rows=(*self.rows, rows))

    def closed(self) -> tuple[Standing, StepRecord]:
        """The record that was closing, waited for."""
        assert self.closing is not None, "no record closes"
        chain, record = self.chain.recorded(self.closing.root())
        return Standing(reported(chain, self.rows)), record

    def settled(self) -> Chain:
        return self.chain if self.closing is None else self.closed()[0].chain


def reported(chain: Chain, tables: Iterable[Rows]) -> Chain:
    for rows in tables:
        chain = chain.reported(rows)
    return chain

"""What all contenders of a workload are given, on disk: the same weights and the same batches, whoever reads them.

Takes: a folder that handing.py has filled. Promises: no contender needs another's library to read it; `weights` are our
parameters, `plain` the same as PyTorch's layers lay them out (by permuting, slicing and joining alone), `batches` are
by field as the job's data has them; `rates` are those of the first steps, and the last of them stands for all later
ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
PLAN, ROWS, ABOUT = "job.plan", "rows.npy", "about.json"


@dataclass(frozen=True)
class Given:
    """The folder, read. `about`: name, steps of the job, optimizer with its settings, rates."""

    folder: Path
    about: Mapping[str, Any]
    weights: Mapping[str, Array]
    plain: Mapping[str, Array]
    statistics: Mapping[str, Array]
    batches: tuple[Mapping[str, Array], ...]

    @classmethod
    def read(cls, folder: Path) -> Given:
        about = json.loads((folder / ABOUT).read_text("utf-8"))
        names = ("weights", "plain", "layers", "fields")
        weights, plain, statistics, fields = (arrays(folder / f"{name}.npz") for name in names)
        count = len(next(iter(fields.values())))
        batches = tuple({name: values[i] for name, values in fields.items()} for i in range(count))
        return cls(folder, about, weights, plain, statistics, batches)

    def rate(self, step: int) -> float:
        rates: list[float] = self.about["rates"]
        return rates[min(step, len(rates) - 1)]


def arrays(path: Path) -> dict[str, Array]:
    with np.load(path) as found:
        return {name: found[name] for name in found.files}

"""A workload written down for its contenders: what given.py reads.

Takes: a workload, its plan, the state before step 0. Promises: one archive each for our weights, the same in PyTorch's
layout, what layers keep, and the batches by field; nothing is pickled.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.given import ABOUT, PLAN, ROWS, Array
from bench.torch_models import Model, model_of
from bench.torch_trainer import tensors
from bench.workloads import Workload, fields_of, of_kind
from jobspec.ir.codec.plan_file import encode_plan_file
from jobspec.ir.plan import Plan
from jobspec.runtime.batches import Rows

#: steps whose learning rates are written down
RATES = 4096


def write(folder: Path, work: Workload, plan: Plan, state: Mapping[str, Array], rows: Rows) -> None:
    """Everything into `folder`."""
    weights, layers = of_kind(dict(state), work.job, "parameter"), of_kind(dict(state), work.job, "layer")
    model = model_of(work.name, weights)
    (folder / PLAN).write_bytes(encode_plan_file(work.job, plan))
    (folder / ABOUT).write_text(json.dumps(about(work, model)), "utf-8")
    np.save(folder / ROWS, rows)
    batches = [fields_of(work.job, plan.routine("step"), row) for row in rows]
    plain = {name: np.ascontiguousarray(t.numpy()) for name, t in model.weights(tensors(weights)).items()}
    fields = {name: np.stack([batch[name] for batch in batches]) for name in batches[0]}
    for name, found in (("weights", weights), ("plain", plain), ("layers", layers), ("fields", fields)):
        with zipfile.ZipFile(folder / f"{name}.npz", "w") as archive:
            for key, value in found.items():
                with archive.open(f"{key}.npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, np.asanyarray(value), allow_pickle=False)


def about(work: Workload, model: Model) -> dict[str, Any]:
    rates = [model.rate(step, work.job.steps) for step in range(RATES)]
    settings = {"optimizer": model.optimizer, "betas": model.betas, "decay": model.decay, "all": model.decay_all}
    return {"name": work.name, "steps": work.job.steps, **settings, "clip": model.clip, "rates": rates}

"""Weights for other programs.

Takes: a state, its job. Promises: a safetensors file with the parameters and the layers' own state under their
label paths, in state order, and in its metadata the hashes that say where they come from; the same state
gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from jobspec.ir.digest import Digest
from jobspec.ir.job import Job, Slot
from jobspec.ir.later import later
from jobspec.runtime.safetensors import to_chunks
from jobspec.store.files import FileLayer, write_file

if TYPE_CHECKING:
    from jobspec.runtime.foreign import inward, outward
else:
    inward = later("jobspec.runtime.foreign", "inward")
    outward = later("jobspec.runtime.foreign", "outward")

Array = NDArray[Any]
EXPORTED = ("parameter", "layer")


def weights_of(job: Job, state: Mapping[str, Array], average: bool = False) -> dict[str, Array]:
    """What a model needs at work: everything but what optimizers keep. `average`: parameters that `train` averages
    as their averages."""
    kept = [slot.name for slot in job.state if slot.kind in EXPORTED]
    return {name: state.get(averaged(name), state[name]) if average else state[name] for name in kept}


def averaged(name: str) -> str:
    """The slot in which `average … by` keeps a parameter's average."""
    return f"{name}/average"


def has_averages(job: Job) -> bool:
    names = {slot.name for slot in job.state}
    return any(averaged(name) in names for name in names)


def weights_metadata(job: Digest, root: Digest, step: int) -> dict[str, str]:
    """What the file says of itself: the job's hash, the root of the whole state, the steps done."""
    return {"job": str(job), "state": str(root), "step": str(step)}


def write_weights(
    files: FileLayer,
    path: Path,
    job: Job,
    state: Mapping[str, Array],
    metadata: Mapping[str, str],
    average: bool = False,
    names: str | None = None,
) -> None:
    """Publish the file `path`; `names`: under the names of another program (runtime/foreign.py). Raises StoreError,
    UsageError where the table does not fit."""
    weights = weights_of(job, state, average)
    if names:
        weights = outward(names, model_slots(job), weights)
        metadata = {**metadata, "format": "pt"}  # what their loaders ask of a file
    write_file(files, path, to_chunks(weights, metadata))


def model_slots(job: Job) -> list[Slot]:
    """What is exported, in state order."""
    return [slot for slot in job.state if slot.kind in EXPORTED]


def taken_over(job: Job, names: str, theirs: Mapping[str, Array]) -> Iterator[bytes | memoryview]:
    """Another program's weights as a file that `job` can begin with. Raises UsageError, DataError."""
    return to_chunks(inward(names, model_slots(job), theirs), {"names": names})

"""The folder of a run: one per job hash, in the store's `runs`.

Promises: names of its files, nothing more; everything in it is written through the store's file layer and
published whole. Checkpoints lie in it too, so that removing the folder removes the run.

    HOME/runs/<job hash>/   job.cbor   log   receipt.cbor   facts.json   weights.safetensors   states/
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jobspec.ir.digest import Digest
from jobspec.store.blobs import BlobStore
from jobspec.store.files import FileLayer
from jobspec.store.home import Home

JOB = "job.cbor"
LOG = "log"
RECEIPT = "receipt.cbor"
FACTS = "facts.json"
WEIGHTS = "weights.safetensors"
STATES = "states"


@dataclass(frozen=True)
class RunFolder:
    """`path` need not exist."""

    path: Path
    files: FileLayer

    @property
    def job(self) -> Path:
        return self.path / JOB

    @property
    def log(self) -> Path:
        return self.path / LOG

    @property
    def receipt(self) -> Path:
        return self.path / RECEIPT

    @property
    def facts(self) -> Path:
        return self.path / FACTS

    @property
    def weights(self) -> Path:
        return self.path / WEIGHTS

    @property
    def states(self) -> BlobStore:
        return BlobStore(self.path / STATES, (), self.files)


def run_folder(home: Home, job: Digest) -> RunFolder:
    return RunFolder(home.runs / job.hex, home.files)

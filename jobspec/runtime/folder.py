"""The folder of a run: one per job hash, in the store's `runs`.

Promises: names of its files, nothing more; everything in it is written through the store's file layer and
published whole. Checkpoints lie in it too, so that removing the folder removes the run.

    HOME/runs/<job hash>/   job.cbor   log   receipt.cbor   facts.json   weights.safetensors   states/
                            text.job   set.json        the text that was run last, and what `--set` changed in it
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobspec.ir.digest import Digest
from jobspec.store.blobs import BlobStore
from jobspec.store.files import FileLayer, make_folders, write_file
from jobspec.store.home import Home

JOB = "job.cbor"
LOG = "log"
RECEIPT = "receipt.cbor"
FACTS = "facts.json"
WEIGHTS = "weights.safetensors"
STATES = "states"
TEXT = "text.job"
SETS = "set.json"


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
    def text(self) -> Path:
        return self.path / TEXT

    @property
    def sets(self) -> Path:
        return self.path / SETS

    @property
    def states(self) -> BlobStore:
        return BlobStore(self.path / STATES, (), self.files)


def run_folder(home: Home, job: Digest) -> RunFolder:
    return RunFolder(home.runs / job.hex, home.files)


def keep_text(folder: RunFolder, text: str, sets: Sequence[str]) -> None:
    """Write the job's text, values set, and the list of what was set. Neither decides a result: the job does."""
    make_folders(folder.files, folder.path)
    write_file(folder.files, folder.text, [text.encode()])
    write_file(folder.files, folder.sets, [json.dumps(list(sets), ensure_ascii=False).encode() + b"\n"])

"""The figures of specs/tiny.toml are earned: on scrambled data, the same job, trained as long, does not reach them.

Scrambled: a text's characters in random order; a table's fields each in its own random order of all elements, so that
labels and pixels are still as frequent as they were, and go together no more.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

import jobspec
from jobspec.ir.digest import Digest
from jobspec.ir.job import Source
from jobspec.loading import open_data
from jobspec.store.blobs import BlobStore
from jobspec.store.datasets import DataSet
from jobspec.store.home import Home
from jobspec.store.shards import write_table, write_tokens
from tests.specs.tiny import SPECS, Tiny, entries

pytestmark = pytest.mark.slow
TINY = entries()
#: what is trained on keeps its name apart from what is measured on
MEASURED = ("val", "test")
#: noise is told from noise as images are; a teacher can be asked about noise, and its student learns as much
ALIKE = ("contrastive", "distillation")


@pytest.mark.parametrize("name", [name for name in TINY if name not in ALIKE])
def test_scrambled(name: str, tmp_path: Path, trained: Callable[[str], Path]) -> None:
    tiny = TINY[name]
    if tiny.base:
        copytree(trained(tiny.base), tmp_path / "store")
    home = Home(tmp_path / "store")
    values = {**tiny.values, **scrambled(tiny, home)}
    run = jobspec.run(jobspec.load(SPECS / f"{name}.job", home=home.folder, **values), threads=1, home=home.folder)
    losses = run.metrics[tiny.report]
    reached = float(np.mean(losses[-(len(losses) // 10) :]))
    print(f"{name}: {losses[0]:.4g}, scrambled {reached:.4g}, figure {tiny.loss}")
    assert reached > tiny.loss


def scrambled(tiny: Tiny, home: Home) -> dict[str, str]:
    """Settings that put scrambled data in place of what is trained on."""
    spec = tiny.spec(home.folder)
    sets = open_data(spec, home)
    random = np.random.default_rng(3)
    found = {}
    for source in spec.job.sources:
        if source.name not in MEASURED:
            root = str(mixed(sets[source.name], source, home.data(), random))
            said = tiny.values.get(f"data.{source.name}", root)
            found[f"data.{source.name}"] = said.replace(source.root, root)
    return found


def mixed(data: DataSet, source: Source, store: BlobStore, random: np.random.Generator) -> Digest:
    fields = {name: data.array(name) for name, _ in source.fields}
    moved = {name: random.permutation(a.reshape(-1)).reshape(a.shape) for name, a in fields.items()}
    if source.kind == "tokens":
        return write_tokens(store, next(iter(moved.values()))).root
    return write_table(store, moved).root

"""The reference specs as tests use them: whole or made small, on real data or on data made up here.

Promises: `made_up` needs nothing but numpy; a spec on it differs from the file in specs/ by the roots of its data and
the values that a test sets, and in nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.workloads import SPECS, Workload, of_spec
from jobspec.loading import read_spec, text_spec
from jobspec.store.home import Home
from jobspec.store.importers.add import add
from jobspec.store.shards import write_table, write_tokens

NAMES = ("digits", "mnist_cnn", "char_gpt")
#: values that make a spec small without leaving anything of it out
SMALL = {
    "digits": {"B": "20", "H": "40", "G": "24"},
    "mnist_cnn": {"B": "6", "C": "7", "D": "18"},
    "char_gpt": {"L": "2", "D": "36", "H": "3", "T": "18", "B": "3"},
}


def made_up(folder: Path) -> Home:
    """A store with a small data set for each spec, of the spec's own form."""
    home, random = Home(folder), np.random.default_rng(11)
    digits, images = random.integers(0, 17, (150, 64)), random.integers(0, 256, (300, 28, 28))
    tables = {"digits": digits, "mnist_cnn": images}
    for name, x in tables.items():
        y = random.integers(0, 10, len(x))
        root = write_table(home.data(), {"x": x.astype("u1"), "y": y.astype("u1")}).root
        (folder / name).write_text(str(root))
    text = np.cumsum(random.integers(0, 5, 3000)) % 65
    (folder / "char_gpt").write_text(str(write_tokens(home.data(), text.astype("u1")).root))
    return home


def on_made_up(name: str, home: Home, values: Mapping[str, str] = {}) -> Workload:
    """The spec on the data of `made_up`, with `values` set."""
    return of_spec(name, read_spec(SPECS / f"{name}.job", {**roots(name, home), **values}, home), home)


def roots(name: str, home: Home) -> dict[str, str]:
    """Values that put the made-up data in place of the spec's."""
    root = (home.folder / name).read_text()
    return {"data.train": root, "data.val" if name == "char_gpt" else "data.test": root}


def edited(name: str, home: Home, edits: Mapping[str, str], values: Mapping[str, str]) -> Workload:
    """The spec on made-up data with pieces of its text exchanged; each must stand in it once."""
    text = (SPECS / f"{name}.job").read_text()
    for old, new in edits.items():
        assert text.count(old) == 1, f"`{old}` stands {text.count(old)} times in {name}.job"
        text = text.replace(old, new)
    return of_spec(name, text_spec(text, {**roots(name, home), **values}, home), home)


def real(folder: Path, shared: Path) -> Home:
    """A store with MNIST and tinyshakespeare, added as the specs' comments say; digits come with the specs."""
    home = Home(folder)
    mnist = shared / "mnist"
    for name, part in (("train", "train"), ("test", "t10k")):
        images, labels = mnist / f"{part}-images-idx3-ubyte.gz", mnist / f"{part}-labels-idx1-ubyte.gz"
        add([f"x={images}", f"y={labels}"], home, name=name)
    add([str(shared / "tinyshakespeare" / "input.txt")], home, split="0.9")
    return home

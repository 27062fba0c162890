"""The data of the benched jobs, in a store of the run's own.

Takes: the folder of real data sets (MNIST, tinyshakespeare, GPT-2's vocabulary), a folder for the store. Promises:
`roots_of` adds what one workload needs and gives the values that put it into the job; a data set that is not there is
a `Missing` that names it. Images of CIFAR-10's size are made up: nothing that is measured depends on what they show.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from bench.bpe import Vocabulary
from jobspec.store.home import Home
from jobspec.store.importers.add import add
from jobspec.store.shards import write_table, write_tokens

SIDE_FOLDER = Path(__file__).parents[2] / "shared" / "data"
#: characters of the text that are cut into GPT-2's tokens
LETTERS = 300_000
IMAGES = 512
#: GPT-2's, and how many are made up
TOKENS, LENGTH = 50_257, 1 << 20


class Missing(Exception):
    """Real data that this machine does not have."""


def side_folder() -> Path:
    return Path(os.environ.get("JOBSPEC_TEST_DATA", SIDE_FOLDER))


def found(*names: str) -> list[Path]:
    """Files of the folder of real data. Raises Missing."""
    paths = [side_folder() / name for name in names]
    for path in paths:
        if not path.is_file():
            raise Missing(f"needs {path.name} in the folder that JOBSPEC_TEST_DATA names ({side_folder()})")
    return paths


def shipped(home: Home) -> dict[str, str]:
    """They come with the specs."""
    return {}


def mnist(home: Home) -> dict[str, str]:
    for part in ("train", "t10k"):
        images, labels = found(f"mnist/{part}-images-idx3-ubyte.gz", f"mnist/{part}-labels-idx1-ubyte.gz")
        add([f"x={images}", f"y={labels}"], home, name=part)
    return {}


def characters(home: Home) -> dict[str, str]:
    (text,) = found("tinyshakespeare/input.txt")
    add([str(text)], home, split="0.9")
    return {}


def words(home: Home) -> dict[str, str]:
    """tinyshakespeare in GPT-2's tokens."""
    text, ranks, merges = found("tinyshakespeare/input.txt", "gpt2_bpe/encoder.json", "gpt2_bpe/vocab.bpe")
    tokens = Vocabulary.read(ranks, merges).encode(text.read_text("utf-8")[:LETTERS])
    root = str(write_tokens(home.data(), np.array(tokens, "<u2")).root)
    return {"data.train": root, "data.val": root}


def images(home: Home) -> dict[str, str]:
    random = np.random.default_rng(10)
    pixels, labels = random.integers(0, 256, (IMAGES, 32, 32, 3)), random.integers(0, 10, IMAGES)
    return {"data.train": str(write_table(home.data(), {"img": pixels.astype("u1"), "lab": labels.astype("u1")}).root)}


def made_up_words(home: Home) -> dict[str, str]:
    """Tokens of GPT-2's in no order: what a step takes does not depend on them."""
    tokens = np.random.default_rng(11).integers(0, TOKENS, LENGTH).astype("<u2")
    return {"data.train": str(write_tokens(home.data(), tokens).root)}


def made_up_to_judge(home: Home) -> dict[str, str]:
    """The same, to be evaluated on as well."""
    words = made_up_words(home)
    return {**words, "data.val": words["data.train"]}


SOURCES: Mapping[str, Callable[[Home], dict[str, str]]] = {
    "shipped": shipped,
    "mnist": mnist,
    "characters": characters,
    "words": words,
    "images": images,
    "made up": made_up_words,
    "made up, with val": made_up_to_judge,
}

"""A run's folder in which anything may have been changed: every command answers in words, and none lies."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from jobspec.ir.canonical import CanonicalError, decode, encode
from jobspec.store.runlog import entries
from tests.cli.conftest import Answer, Call, home, tiny
from tests.cli.conftest import call as call
from tests.security.mutants import changed, flipped
from tests.verify.vectors import log_of

__all__ = ["call", "home", "tiny"]

REFERENCE = ("--on", "reference")


class Folder:
    """A finished run with a trace, kept whole beside the one that is damaged."""

    def __init__(self, call: Call, job: Path, seed: int) -> None:
        self.call, self.job, self.chance = call, job, random.Random(seed)
        text = job.read_text().replace("  seed = 3\n", "  seed = 3\n  roots = 4\n")
        job.write_text(text)
        self.path = Path(call("run", job, *REFERENCE, "--json").json["receipt"]).parent
        assert call("trace", self.path, "--step", "5", "--values", *REFERENCE).code == 0
        self.good = job.parent / "good"
        shutil.copytree(self.path, self.good)
        self.files = sorted(path.relative_to(self.good) for path in self.good.rglob("*") if path.is_file())

    def damage(self) -> list[Path]:
        """One file or two are others; which."""
        shutil.rmtree(self.path)
        shutil.copytree(self.good, self.path)
        chosen = self.chance.sample(self.files, self.chance.choice((1, 1, 2)))
        for name in chosen:
            (self.path / name).write_bytes(self.other((self.good / name).read_bytes(), name))
        return chosen

    def other(self, data: bytes, name: Path) -> bytes:
        """A decoded value changed and sealed again, or some bits, or a piece cut off."""
        if self.chance.random() < 0.6:
            if name.name == "log":
                values = [entry.value for entry in entries(data)]
                at = self.chance.randrange(len(values))
                values[at] = changed(values[at], self.chance)
                return log_of(values)
            try:
                return encode(changed(decode(data), self.chance))
            except CanonicalError:
                pass
        cut = data[: self.chance.randrange(len(data))] if self.chance.random() < 0.3 else data
        return flipped(cut, self.chance) if cut else b"x"

    def ask(self) -> Answer:
        """Some command that reads the folder."""
        receipt = self.path / "receipt.cbor"
        return self.call(
            *self.chance.choice(
                [
                    ["verify", receipt, *REFERENCE],
                    ["verify", receipt, "--sample", "2", *REFERENCE],
                    ["dispute", self.path, self.good, *REFERENCE],
                    ["trace", self.path, "--step", "6", *REFERENCE],
                    ["run", self.job, *REFERENCE],
                    ["run", self.job, "--until", "3", *REFERENCE],
                    ["export", self.job, "-o", self.job.with_suffix(".safetensors")],
                    ["diff", receipt, self.job],
                    ["store", "ls"],
                    ["store", "verify"],
                    ["store", "gc", "--dry-run"],
                ]
            )
        )


def answers(folder: Folder, times: int) -> None:
    for _ in range(times):
        damaged = folder.damage()
        said = folder.ask()
        assert said.code in (0, 1, 2, 4, 5) and "this is a bug" not in said.err, (damaged, said)


def test_some_damages(call: Call, tiny: Path) -> None:
    answers(Folder(call, tiny, 1), 12)


@pytest.mark.slow
def test_a_thousand_damages(call: Call, tiny: Path) -> None:
    answers(Folder(call, tiny, 2), 1000)


def test_an_accepted_folder_has_what_it_had(call: Call, tiny: Path) -> None:
    """Whatever was changed: what is accepted is the receipt of the run."""
    folder = Folder(call, tiny, 3)
    accepted = 0
    for _ in range(10):
        folder.damage()
        receipt = folder.path / "receipt.cbor"
        if call("verify", receipt, *REFERENCE).code == 0:
            accepted += 1
            assert receipt.read_bytes() == (folder.good / "receipt.cbor").read_bytes()
            assert (folder.path / "weights.safetensors").read_bytes() == (
                folder.good / "weights.safetensors"
            ).read_bytes()
    assert accepted

"""The small siblings of the specs, as specs/tiny.toml lists them.

Promises: `entries` are in the file's order; a small job is the spec's own text with the listed values set.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import jobspec
from jobspec.lang.assigned import assignments
from jobspec.loading import Spec, read_spec
from jobspec.store.home import Home

SPECS = Path(__file__).parents[2] / "specs"


@dataclass(frozen=True)
class Tiny:
    """`report`: which of a run's series must fall below `loss`: the losses, or an evaluation's metric. `base`: the
    spec whose last state it begins with."""

    name: str
    values: dict[str, str]
    loss: float
    report: str
    base: str | None

    def spec(self, home: Path) -> Spec:
        """The job made small; its data lie beside the specs, or in `home`."""
        return read_spec(SPECS / f"{self.name}.job", self.values, Home(home))

    def compiled(self, home: Path, on: str = "llvm") -> jobspec.Program:
        return jobspec.compile(self.spec(home), on, home=home)


def entries() -> dict[str, Tiny]:
    """By name of the spec."""
    table = tomllib.loads((SPECS / "tiny.toml").read_text())
    return {name: entry(name, **row) for name, row in table.items()}


def entry(name: str, set: list[str], loss: float, report: str = "step.loss", base: str | None = None) -> Tiny:
    return Tiny(name, assignments(set), loss, report, base)

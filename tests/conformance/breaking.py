"""Builds that break one clause of the contract on purpose, and the pack's answer to them.

Takes: how a kernel is run (any backend), a clause of the conformance pack. Promises: `refused` is what the pack says of
the cases of that clause; it is empty for a sound build.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobspec.backends.conformance.examine import Run, answer
from jobspec.backends.conformance.pack import pack

CASES = list(pack())
CLAUSES = {case.clause for case in CASES}


@dataclass(frozen=True)
class Broken:
    """`clause`: the one that must refuse it. `edits`: pieces of the text that a compiler gets, and what they become;
    each must stand in it."""

    clause: str
    edits: tuple[tuple[str, str], ...]

    def text(self, sound: str) -> str:
        for old, new in self.edits:
            assert old in sound, f"`{old}` is not in the text: this build would not be broken"
            sound = sound.replace(old, new)
        return sound


def refused(clause: str, run: Run) -> str:
    """What the pack finds wrong, empty where nothing is."""
    assert clause in CLAUSES
    return next((found for case in CASES if case.clause == clause and (found := answer(case, run))), "")

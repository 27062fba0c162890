"""Rendered text to what a GPU loads, by way of what was compiled before.

Takes: text, an sm level, where compiled programs are kept. Promises: a text that was compiled with the same compiler
and options is not compiled again. Every PTX was held against the contract, as it is held now, before it is used.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobspec.backends.cuda.audit import audit
from jobspec.backends.cuda.nvrtc import EXACT, Compiled, compile_text, version
from jobspec.backends.kept import Kept, sources
from jobspec.ir.canonical import decode, encode
from jobspec.ir.digest import Digest, digest_value

#: what holds PTX against the contract: what it let pass before it changed is compiled afresh
AUDITS = ("backends/cuda/audit.py", "backends/cuda/ptx.py")


@dataclass(frozen=True)
class Builder:
    """`level`: as `compile_text` takes it; `machine`: machine code is made here, not by the driver; `matrices`: the
    profile allows matrix instructions."""

    level: int | str
    kept: Kept
    machine: bool
    matrices: bool = False

    def compiled(self, text: str) -> Compiled:
        """Raises RuntimeError where the compiler made something else of the text than it says."""
        key = self._key(text)
        stored = self.kept.recall(key)
        return self._made(text, key) if stored is None else opened(stored)

    def _key(self, text: str) -> Digest:
        options = [version(), self.level, self.machine, self.matrices, list(EXACT)]
        return digest_value("cuda.object.key", [sources(*AUDITS).raw, options, text])

    def _made(self, text: str, key: Digest) -> Compiled:
        made = compile_text(text, self.level, EXACT, self.machine)
        if violations := audit(made.ptx, text, self.matrices):
            raise RuntimeError(f"NVRTC broke the contract: {violations[0]}")
        self.kept.keep(key, encode([made.ptx, made.code, made.log]))
        return made


def opened(body: bytes) -> Compiled:
    """What was kept, whose bytes are bound to its key."""
    match decode(body):
        case [str() as ptx, bytes() as code, str() as log]:
            return Compiled(ptx, code, log)
    raise AssertionError("a kept program is no program")

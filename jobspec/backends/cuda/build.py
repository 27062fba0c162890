"""Rendered text to what a GPU loads, by way of a folder of what was compiled before.

Takes: text, an sm level, a folder or none. Promises: a text that was compiled with the same compiler and options is not
compiled again; what is kept carries its own digest, and anything else is compiled afresh. Every PTX is held
against the contract before it is used.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from jobspec.backends.cuda.audit import audit
from jobspec.backends.cuda.nvrtc import EXACT, Compiled, compile_text, version
from jobspec.ir.canonical import decode, encode
from jobspec.ir.digest import digest, digest_value


@dataclass(frozen=True)
class Builder:
    """`level`: as `compile_text` takes it; `machine`: machine code is made here, not by the driver; `matrices`: the
    profile allows matrix instructions."""

    level: int | str
    cache: Path | None
    machine: bool
    matrices: bool = False

    def compiled(self, text: str) -> Compiled:
        """Raises RuntimeError where the compiler made something else of the text than it says."""
        machine, matrices = self.machine, self.matrices
        key = digest_value("cuda.object.key", [version(), self.level, machine, matrices, list(EXACT), text]).hex
        found = self._kept(key)
        if found is None:
            found = compile_text(text, self.level, EXACT, self.machine)
            if violations := audit(found.ptx, text, self.matrices):
                raise RuntimeError(f"NVRTC broke the contract: {violations[0]}")
            self._keep(key, found)
        return found

    def _kept(self, key: str) -> Compiled | None:
        if self.cache is None:
            return None
        with suppress(OSError):
            data = (self.cache / key).read_bytes()
            if data[:32] == seal(key, data[32:]):
                return opened(data[32:])
        return None

    def _keep(self, key: str, made: Compiled) -> None:
        if self.cache is None:
            return
        body = encode([made.ptx, made.code, made.log])
        with suppress(OSError):
            self.cache.mkdir(parents=True, exist_ok=True)
            part = self.cache / f".new-{key}"
            part.write_bytes(seal(key, body) + body)
            part.replace(self.cache / key)


def opened(body: bytes) -> Compiled | None:
    match decode(body):
        case [str() as ptx, bytes() as code, str() as log]:
            return Compiled(ptx, code, log)
    return None


def seal(key: str, body: bytes) -> bytes:
    """What a kept file begins with: binds its bytes to its key."""
    return digest("cuda.object", key.encode() + body).raw

"""The code of a routine: recalled from an earlier build of the same routine, or built.

Takes: a routine, a compiler. Promises: what is recalled is what building would give. Its key is made of the routine,
of all that decides the objects of a text, and of the sources of whatever writes the texts, so that no version number
has to be kept; a record that is torn, or names an object that is not there whole, is made anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobspec.backends.kept import sources
from jobspec.backends.llvm.compile import Compiler
from jobspec.ir.canonical import CanonicalError, Value, decode, encode
from jobspec.ir.codec.plan import routine_value
from jobspec.ir.codec.values import keys
from jobspec.ir.digest import Digest
from jobspec.ir.later import later
from jobspec.ir.plan import Routine
from jobspec.ir.record import Record, RecordError, as_digest

if TYPE_CHECKING:
    from jobspec.backends.llvm.driver import Driver
else:
    Driver = later("jobspec.backends.llvm.driver", "Driver")

#: where everything lies that a text is made of
WRITERS = ("ir/**/*.py", "backends/*.py", "backends/llvm/**/*.py")
KEYS = keys("shared private work objects")


@dataclass(frozen=True)
class Built:
    """`objects`: to be linked, with @run among them; `shared`, `private`: bytes of scratch, for all threads and for
    each; `work`: vector instructions of one step, roughly."""

    objects: tuple[bytes, ...]
    shared: int
    private: int
    work: int


def built(routine: Routine, compiler: Compiler, threads: int) -> Built:
    """The code of `routine`, made by `threads` threads where it is not known."""
    if compiler.cache is None:
        return build(routine, compiler, threads)[0]
    key = compiler.key_of("llvm.routine.key", [sources(*WRITERS).raw, routine_value(routine)])
    found = recalled(key, compiler)
    if found is None:
        found, names = build(routine, compiler, threads)
        record: Value = {"shared": found.shared, "private": found.private, "work": found.work, "objects": names}
        compiler.kept.keep(key, encode(record))
    return found


def build(routine: Routine, compiler: Compiler, threads: int) -> tuple[Built, list[Value]]:
    """The code, and the keys of its objects."""
    driver = Driver(routine, compiler.target)
    entries = compiler.entries_of(driver.modules(), threads)
    objects = tuple(body for _, body in entries)
    return Built(objects, driver.shared, driver.private, driver.work), [key.raw for key, _ in entries]


def recalled(key: Digest, compiler: Compiler) -> Built | None:
    """What an earlier build kept, where all of it is there."""
    stored = compiler.kept.recall(key)
    if stored is None:
        return None
    try:
        record = Record(decode(stored), "a kept routine", KEYS)
        names = [as_digest(name, "an object") for name in record.array("objects")]
        sizes = [record.integer(name) for name in ("shared", "private", "work")]
    except (CanonicalError, RecordError):
        return None
    bodies = [body for name in names if (body := compiler.kept.recall(name)) is not None]
    return Built(tuple(bodies), *sizes) if len(bodies) == len(names) else None

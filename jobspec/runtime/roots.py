"""Roots of the state in a session, and copies of it: hashed while the next steps run.

Takes: a session, the job's slots, which of them no step changes. Promises: a root is that of the state when it was
asked for, whatever runs meanwhile; a tensor that no step has changed since is neither copied for it nor hashed again;
a checkpoint of the same step shares copies and digests. What goes wrong on the thread is raised where the root is
taken.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, TypeAlias, runtime_checkable

from jobspec.backends.session import Session
from jobspec.ir.digest import Digest
from jobspec.ir.job import Slot
from jobspec.store.checkpoint import Tensor, array_digest, root_of
from jobspec.store.dtypes import Array

#: bytes below which hashing takes less than handing it to a thread
SMALL = 1 << 20

Hashing: TypeAlias = Future[Mapping[str, Digest]]


@dataclass(frozen=True)
class Hashed:
    """A state's tensors, each in one of `parts` as soon as that is done."""

    slots: Sequence[Slot]
    parts: tuple[Hashing, ...]

    @property
    def ready(self) -> bool:
        return all(part.done() for part in set(self.parts))

    def tensors(self) -> tuple[Tensor, ...]:
        """Waits for them."""
        each = zip(self.slots, self.parts, strict=True)
        return tuple(Tensor(slot.name, slot.type, part.result()[slot.name]) for slot, part in each)

    def root(self) -> Digest:
        return root_of(self.tensors())


@dataclass(frozen=True)
class Copied:
    """A state that stays as it was, and its digests."""

    arrays: Mapping[str, Array]
    hashed: Hashed


@runtime_checkable
class Elsewhere(Protocol):
    """A session whose state lies with others: arrays that it gives never change, and digests are known without them."""

    def digest(self, slot: str) -> Digest:
        """The name of the bytes of a tensor of state."""


class Roots:
    """A context manager: leaving it waits for the thread and drops copies. `fixed`: slots that no step changes."""

    def __init__(self, session: Session, slots: Sequence[Slot], fixed: Collection[str]) -> None:
        self._session, self._slots, self._fixed = session, slots, frozenset(fixed)
        self._known: dict[str, Hashing] = {}
        self._copies: dict[str, Array] = {}
        self._worker = ThreadPoolExecutor(1, "jobspec-roots")

    def changed(self, names: Iterable[str]) -> None:
        """These tensors may be others now."""
        for name in names:
            self._known.pop(name, None)
        self._copies = {}

    def now(self) -> Digest:
        """The root, hashed where the state lies."""
        return self._here().root()

    def later(self, *, copy: bool) -> Hashed:
        """The present state, which may go on changing. Without `copy`, and where there is little to hash, it is
        hashed at once."""
        wanted = [slot for slot in self._slots if slot.name not in self._known]
        if not copy or isinstance(self._session, Elsewhere) or sum(slot.type.nbytes for slot in wanted) <= SMALL:
            return self._here()
        self._hash_copies({slot.name: self._copy(slot.name) for slot in wanted})
        return self._hashed()

    def copied(self) -> Copied:
        """A copy of the present state; of tensors that never change their memory itself, where the host can read it."""
        if isinstance(self._session, Elsewhere):
            self._here()
        arrays = {slot.name: self._copy(slot.name) for slot in self._slots}
        self._hash_copies({name: array for name, array in arrays.items() if name not in self._known})
        return Copied(arrays, self._hashed())

    def _copy(self, name: str) -> Array:
        if name not in self._copies:
            stays = name in self._fixed or isinstance(self._session, Elsewhere)
            take = self._session.peek if stays else self._session.read
            self._copies[name] = take(name)
        return self._copies[name]

    def _hash_copies(self, arrays: Mapping[str, Array]) -> None:
        if arrays:
            self._known |= dict.fromkeys(arrays, self._worker.submit(digests_of, arrays))

    def _here(self) -> Hashed:
        wanted = [slot.name for slot in self._slots if slot.name not in self._known]
        done: Hashing = Future()
        done.set_result(self._digests(wanted))
        self._known |= dict.fromkeys(wanted, done)
        return self._hashed()

    def _digests(self, names: Iterable[str]) -> dict[str, Digest]:
        if isinstance(self._session, Elsewhere):
            return {name: self._session.digest(name) for name in names}
        return digests_of({name: self._session.peek(name) for name in names})

    def _hashed(self) -> Hashed:
        return Hashed(self._slots, tuple(self._known[slot.name] for slot in self._slots))

    def __enter__(self) -> Roots:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._worker.shutdown()
        self._copies = {}


def digests_of(arrays: Mapping[str, Array]) -> dict[str, Digest]:
    return {name: array_digest(array) for name, array in arrays.items()}

"""A checked job: what the language hands to the passes and the runtime.

Takes: programs built by lang. Promises: plain immutable values, everything that decides the result is
in here by value or by hash. `init` makes the state, a phase's `step` maps state and a batch to the next
state and reports, each evaluation maps state and a batch to metrics. The state is the same in all phases.

    step inputs   one per slot (its name), one per feed (its name), `step` (i32 scalar, from 0 over the run)
    step outputs  one per slot (its name), then `report.loss` and further `report.…` scalars (f32)
    init outputs  one per slot;  evaluation outputs `metric.…` scalars (f32), averaged over its batches
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate

from jobspec.ir.mesh import Mesh, mesh_of
from jobspec.ir.program import Node, Program
from jobspec.ir.types import Type


@dataclass(frozen=True)
class Slot:
    """One tensor of state. `kind`: parameter, optimizer or layer. A parameter is called by its label path
    (`attn.wq`); what an optimizer keeps for it is `attn.wq/m`. `axes`: names for people, one per axis."""

    name: str
    kind: str
    type: Type
    axes: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """A data set by hash. `kind`: table or tokens; `fields`: (name, type of one record), a token stream
    has one field `tok` of scalar type u8, u16 or u32. `end`: the token that ends a document."""

    name: str
    root: str
    kind: str
    fields: tuple[tuple[str, Type], ...]
    end: int | None = None


@dataclass(frozen=True)
class Part:
    """A data set's share of a stream: `count` examples of every block."""

    source: str
    count: int = 1


@dataclass(frozen=True)
class Stream:
    """Which example comes at which position. `parts`: one data set, or those of a mixture, each with exactly its
    count in every block. `order`: `shuffle` (keyed permutation of each epoch, and of each block) or `sequence`.
    `window`: tokens per example of a token stream, else 0. `key`: 32 bytes."""

    parts: tuple[Part, ...]
    order: str
    window: int
    key: bytes

    @property
    def block(self) -> int:
        """Positions of a block."""
        return sum(part.count for part in self.parts)

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(part.source for part in self.parts)


@dataclass(frozen=True)
class Feed:
    """One batch input: `field` of the stream's sources as the input `name` of type `type` (first axis: the
    batch). For token streams the fields are `tok`, `next` (the token one position later), `doc` (documents
    begun in the window so far) and `pos` (place in the document), both i32. `axes`: their names in the text; in no
    hash and no plan."""

    name: str
    field: str
    type: Type
    axes: tuple[str, ...] = dataclasses.field(default=(), compare=False, hash=False)


@dataclass(frozen=True)
class Batches:
    """A stream cut into batches of `size` examples. `first`: the stream's position at which they begin."""

    stream: Stream
    size: int
    feeds: tuple[Feed, ...]
    first: int = 0


@dataclass(frozen=True)
class Phase:
    """`steps` steps of one kind, on one stream. A job whose text has no phases has one, called ""."""

    name: str
    steps: int
    step: Program
    batches: Batches


@dataclass(frozen=True)
class Evaluation:
    """`program` runs on `batches` whole batches from the stream's start, after every `every` steps and at
    the end; a metric is the mean over batches. `best`: (`min`|`max`, metric) or None."""

    name: str
    every: int
    batches: Batches
    count: int
    program: Program
    best: tuple[str, str] | None = None


@dataclass(frozen=True)
class Start:
    """The weights that a run begins with: those of the file or state `root`, instead of what `init` gives. `tensors`:
    (slot, what it is called there); other slots begin as `init` says."""

    root: str
    tensors: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Job:
    """`roots_every`: steps between state roots in the chain. `save_every`/`keep`: checkpoints; `also`: phases whose
    end keeps one for good; not part of the job's hash. `places`: where in the text a node comes from, as (line,
    column); for people only. `runs`: where it runs; in no hash and no plan."""

    name: str
    title: str
    profile: str
    seed: int
    sources: tuple[Source, ...]
    state: tuple[Slot, ...]
    init: Program
    phases: tuple[Phase, ...]
    evaluations: tuple[Evaluation, ...]
    roots_every: int
    save_every: int
    keep: int
    also: tuple[str, ...] = ()
    start: Start | None = None
    sizes: tuple[tuple[str, int], ...] = ()
    places: Mapping[Node, tuple[int, int]] = field(default_factory=dict, compare=False, hash=False)
    runs: tuple[Mesh, ...] = field(default=(), compare=False, hash=False)

    @property
    def heading(self) -> str:
        """Name and title on one line, without what a terminal would obey."""
        text = f"{self.name}: {self.title}" if self.title else self.name
        return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)

    @property
    def steps(self) -> int:
        """Of all phases."""
        return sum(phase.steps for phase in self.phases)

    @property
    def borders(self) -> tuple[int, ...]:
        """Steps done at each phase's end."""
        return tuple(accumulate(phase.steps for phase in self.phases))

    def phase_of(self, step: int) -> Phase:
        """The phase of the step that ends with `step` steps done."""
        ends = zip(self.phases, self.borders, strict=True)
        return next((phase for phase, end in ends if step <= end), self.phases[-1])

    @property
    def milestones(self) -> frozenset[int]:
        """Steps done at the end of the phases whose checkpoints stay for good."""
        ends = zip(self.phases, self.borders, strict=True)
        return frozenset(end for phase, end in ends if phase.name in self.also)

    @property
    def step_names(self) -> tuple[str, ...]:
        """For each phase the routine that it runs: phases with equal steps and feeds share the first one's."""
        first: dict[tuple[Program, tuple[Feed, ...]], str] = {}
        return tuple(first.setdefault((p.step, p.batches.feeds), routine_name(p)) for p in self.phases)

    @property
    def programs(self) -> tuple[tuple[str, Program, Batches | None], ...]:
        """Every program once, in the plan's order: (the routine's name, the program, the batches it is fed)."""
        steps = dict(reversed([*zip(self.step_names, self.phases, strict=True)]))
        return (
            ("init", self.init, None),
            *((name, steps[name].step, steps[name].batches) for name in dict.fromkeys(self.step_names)),
            *((e.name, e.program, e.batches) for e in self.evaluations),
        )

    @property
    def training_sources(self) -> tuple[str, ...]:
        """Names of the data that is trained on, in the order of its first use."""
        return tuple(dict.fromkeys(name for phase in self.phases for name in phase.batches.stream.sources))

    def mesh(self, phase: str) -> Mesh:
        """Where a phase runs; one position where the text does not say."""
        return mesh_of(self.runs, phase)

    def slot(self, name: str) -> Slot:
        return next(s for s in self.state if s.name == name)

    def source(self, name: str) -> Source:
        return next(s for s in self.sources if s.name == name)


def routine_name(phase: Phase) -> str:
    """`step`, or `step.warm` for the phase `warm`."""
    return f"step.{phase.name}" if phase.name else "step"

"""How long a phase is: `steps = n`, `until = n`, `epochs = n`.

Takes: the settings of a phase, its stream, what the phases before have seen. Promises: a whole number of steps of at
least one. `until` counts over the whole run: tokens where the batch is cut out of token streams, else examples; a
broken last step is a whole one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jobspec.lang.data import BATCH, examples_of
from jobspec.lang.frame import Frame
from jobspec.lang.phases import LENGTHS, Setting
from jobspec.lang.refusal import Refusal, Silenced, need
from jobspec.lang.settings import Settings, misspelt
from jobspec.lang.things import Ordered, need_number, need_whole


@dataclass(frozen=True)
class Seen:
    """What the steps so far have taken."""

    steps: int = 0
    examples: int = 0
    tokens: int = 0

    def after(self, steps: int, batch: int, window: int) -> Seen:
        """`window`: tokens of an example, 0 in a table."""
        examples = steps * batch
        return Seen(self.steps + steps, self.examples + examples, self.tokens + examples * window)


def no_epoch(instead: str) -> Refusal:
    return Refusal("E0342", "a mixture has no epoch: its data sets end at different times", help=instead)


@dataclass
class Streams:
    """How far each stream has been read."""

    ends: dict[tuple[object, ...], int] = field(default_factory=dict)

    def passed(self, stream: Ordered, examples: int) -> int:
        """Where the next `examples` of the stream begin. A data set is known by its root."""
        parts = tuple((data.root, count) for data, count in stream.parts)
        key = (parts, stream.order, stream.window)
        first = self.ends.get(key, 0)
        self.ends[key] = first + examples
        return first


def epoch_steps(frame: Frame, stream: Ordered) -> float | None:
    """Steps per epoch, None for a mixture; 1 where the data is not at hand."""
    if stream.single is None:
        return None
    examples = examples_of(stream.single)
    return 1.0 if examples is None else examples / frame.work.sizes[BATCH]


def tell_assumed(frame: Frame, stream: Ordered) -> None:
    """An epoch of the stream is asked for, and it may be one of unknown length."""
    if stream.single is not None and examples_of(stream.single) is None:
        frame.work.places.watcher.assumed(stream.single.name)


def step_count(frame: Frame, phase: Setting, settings: Settings, stream: Ordered, seen: Seen) -> int:
    """Steps of the phase. Raises Silenced after a report."""
    given = [name for name in LENGTHS if name in settings.given]
    if len(given) != 1:
        where = f"the phase `{phase.name}`" if phase.name else "`train`"
        says = f"says both {' and '.join(f'`{name}`' for name in given)}" if given else "does not say how long it is"
        help = misspelt(settings, *LENGTHS) or "say one of `steps`, `until` and `epochs`, as in `steps = 2000`"
        frame.report(Refusal("E0313", f"{where} {says}", help=help), phase.word)
        raise Silenced
    (name,) = given
    return int(settings.value(name, lambda value: counted(frame, name, value, stream, seen)))


def counted(frame: Frame, name: str, value: Any, stream: Ordered, seen: Seen) -> int:
    if name == "steps":
        return need_whole(value, 1)
    if name == "epochs":
        return of_epochs(frame, value, stream)
    return of_until(frame, value, stream, seen)


def of_epochs(frame: Frame, value: Any, stream: Ordered) -> int:
    per_epoch = epoch_steps(frame, stream)
    if per_epoch is None:
        raise no_epoch("say `steps`")
    tell_assumed(frame, stream)
    count = -int(-need_number(value) * per_epoch // 1)
    need(count >= 1, "E0222", "this is not even one step")
    return count


def of_until(frame: Frame, value: Any, stream: Ordered, seen: Seen) -> int:
    batch, window = frame.work.sizes[BATCH], stream.window
    before, each = (seen.tokens, batch * window) if window else (seen.examples, batch)
    count = -(-(need_whole(value, 1) - before) // each)
    word = "tokens" if window else "examples"
    if count < 1:
        help = f"`until` counts {word} from the start of the run"
        raise Refusal("E0341", f"{before:,} {word} have been seen before this phase: no step is left for it", help=help)
    return count

"""Runs that went wrong in one step, as their prover would show them: log, checkpoints, receipt and traces hang
together, and only the step itself was not computed as the job says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jobspec.backends.reference.numbers import Array
from jobspec.ir.codec.job import encode_job, job_hash
from jobspec.ir.codec.receipt import Receipt, encode_receipt
from jobspec.ir.digest import digest
from jobspec.ir.job import Job
from jobspec.ir.program import Node, Program
from jobspec.runtime.course import Course
from jobspec.runtime.events import Begun, Recorded, Saved, Stepped
from jobspec.runtime.folder import RunFolder, run_folder
from jobspec.runtime.journal import open_journal, read_history
from jobspec.runtime.stops import Looks, closes_record
from jobspec.store import checkpoint
from jobspec.store.files import make_folders, write_file
from jobspec.store.home import Home
from jobspec.verify.follow import Follower, Keep
from jobspec.verify.frames import Entry, Frame
from jobspec.verify.replaying import Means, course_of
from jobspec.verify.segments import segments
from jobspec.verify.tracefile import SegmentTrace, StepTrace, Values, values_path, write_segment, write_step
from jobspec.verify.tracing import inputs_of, program_of

Inputs = dict[str, Array]


def flipped(value: Array, place: int = 0, bit: int = 0) -> Array:
    """One bit of one element changed."""
    changed = np.array(value, order="C")
    changed.reshape(-1).view(f"u{value.itemsize}")[place] ^= 1 << bit
    return changed


class Machine(Follower):
    """One that computes as it should; the faulty ones override. `turn`: of the loop under way, -1 outside."""

    turn = -1
    skips = False

    def inputs(self, inputs: Inputs) -> Inputs:
        """What the step is given."""
        return inputs

    def result(self, node: Node, value: Array, operands: list[Array]) -> Array:
        """What an operation gives."""
        return value

    def handed(self, given: list[Array]) -> list[Array]:
        """What a turn of a loop's body is given."""
        return given

    def left(self, results: tuple[Array, ...]) -> tuple[Array, ...]:
        """What a loop leaves."""
        return results

    def program(self, program: Program, given: Sequence[Array]) -> tuple[list[Array], Frame]:
        if self.turn < 0:
            return super().program(program, given)
        found = super().program(program, self.handed(list(given)))
        self.turn += 1
        return found

    def _value(self, node: Node, handed: dict[Node, Array], values: dict[Node, Any]) -> Array:
        value = super()._value(node, handed, values)
        if node in handed:
            return value
        return self.result(node, value, [v for v in (values[a] for a in node.args) if isinstance(v, np.ndarray)])

    def _loop(self, node: Node, operands: Sequence[Array]) -> tuple[tuple[Array, ...], Entry]:
        self.turn = 0
        results, entry = super()._loop(node, operands)
        self.turn = -1
        results = self.left(results)
        return results, Entry(tuple(map(self.digest, results)), entry.turns)


@dataclass
class Prover:
    """A run under way in `course`, what is shown of it so far, and where."""

    course: Course
    folder: RunFolder
    states: list[Any]
    stepped: list[Stepped]
    events: list[Any]

    def train(self, last: int) -> None:
        """Run on as the job says."""
        looks = Looks((1,), last, self.course.job.borders)
        for portion in self.course.portions(looks):
            self._done(Stepped(portion.first, portion.names, portion.reports))

    def _done(self, stepped: Stepped) -> None:
        """A record and a checkpoint, where the job wants a record."""
        course = self.course
        self.stepped.append(stepped)
        self.states.append(course.root())
        if closes_record(course.job, course.chain.done):
            record = course.record(course.root())
            name = checkpoint.save(self.folder.states, course.hash, course.chain.done, course.state())
            self.events += [Recorded(record), Saved(name, course.chain)]

    def wrong_step(self, make: Callable[[Keep], Machine], step: int) -> StepTrace:
        """One step on the faulty machine; its trace."""
        course, path = self.course, values_path(self.folder, step)
        program, slots = program_of(course.job, step), [slot.name for slot in course.job.state]
        with Values(self.folder.files, path) as kept:
            machine = make(kept.keep)
            inputs = machine.inputs(inputs_of(course, step))
            state = tuple(machine.digest(inputs[name]) for name in slots)
            results, frame = machine.program(program, [inputs[node["name"]] for node in program.inputs])
        found = dict(zip((name for name, _ in program.outputs), results, strict=True))
        reports = [name for name in found if name not in slots]
        rows = np.array([[found[name] for name in reports]], np.float32)
        after = course.state() if machine.skips else {name: np.asarray(found.get(name, inputs[name])) for name in slots}
        course.restore(course.chain.reported(rows), after)
        self._done(Stepped(step, tuple(name.removeprefix("report.") for name in reports), rows))
        return StepTrace(course.hash, step, state, frame, kept.places, path)

    def close(self) -> Receipt:
        """Write log, job and receipt."""
        course, chain, folder = self.course, self.course.chain, self.folder
        with open_journal(folder) as log:
            log.add(Begun(0, "reference", 1, digest("test", b"plan"), 1, 0))
            for event in (*self.stepped, *self.events):
                log.add(event)
        end = (chain.start, chain.state, course.job.steps, chain.link, True)
        receipt = Receipt(course.hash, course.job.profile, tuple(course.roots), *end)
        write_file(folder.files, folder.job, [encode_job(course.job)])
        write_file(folder.files, folder.receipt, [encode_receipt(receipt)])
        return receipt

    def show(self, receipt: Receipt, trace: StepTrace) -> None:
        """Write the traces that such a prover makes on its faulty machine."""
        for segment in segments(receipt, read_history(self.folder).records):
            first, last = segment.chain.done, segment.record.step
            if first <= trace.step < last:
                rows = tuple(s.reports.astype("<f4").tobytes() for s in self.stepped[first:last])
                states = tuple(self.states[first:last])
                write_segment(self.folder, SegmentTrace(receipt.job, segment.number, first, states, rows))
        write_step(self.folder, trace)


def faulty_run(
    job: Job,
    data: Home,
    to: Home,
    step: int,
    make: Callable[[Keep], Machine],
    traces: bool = True,
    on: str = "reference",
) -> RunFolder:
    """A closed run of `job` in `to` whose step `step` was done by another machine, all others on the backend `on`;
    `data`: where its data lies."""
    folder = run_folder(to, job_hash(job))
    make_folders(folder.files, folder.path)
    with course_of(job, run_folder(data, job_hash(job)), Means(data, on, 1)) as course:
        prover = Prover(course, folder, [], [], [])
        course.begin()
        prover.train(step)
        trace = prover.wrong_step(make, step)
        prover.train(job.steps)
        receipt = prover.close()
    if traces:
        prover.show(receipt, trace)
    return folder

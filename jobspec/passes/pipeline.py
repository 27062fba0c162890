"""The compiler's way from a checked job to a plan, in one visible tuple.

Takes: a job and a target. Promises: the same job and target give the same plan, byte for byte; each
pass takes a valid program and leaves one.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from jobspec.ir.check import check
from jobspec.ir.classes import has_matrices
from jobspec.ir.codec.job import job_hash
from jobspec.ir.contract import BF16_PROFILE, FAST_PROFILE, PROFILE
from jobspec.ir.errors import CompileError
from jobspec.ir.job import Batches, Job
from jobspec.ir.kernel import Kernel
from jobspec.ir.origin import Place, following
from jobspec.ir.plan import Buffer, Plan, Routine, Schedule, Steps
from jobspec.ir.plan_check import check_plan
from jobspec.ir.program import Node, Program
from jobspec.ir.target import Target
from jobspec.ir.trio import Trio
from jobspec.ir.types import DTYPES, Type
from jobspec.passes.barriers import insert_barriers
from jobspec.passes.chains import take_out_sums
from jobspec.passes.differentiate import differentiate
from jobspec.passes.halve import store_halves
from jobspec.passes.layout import NONFINITE, aligned, feed_buffers, interpreted_plan, slot_buffers
from jobspec.passes.lower import Location
from jobspec.passes.memory import find_lives, plan_memory
from jobspec.passes.operands import round_operands
from jobspec.passes.own_order import mark_own_order
from jobspec.passes.regions import Target as Output
from jobspec.passes.regions import compile_region, made_by
from jobspec.passes.round_once import round_once
from jobspec.passes.route import route_tokens
from jobspec.passes.schedule import choose_schedule
from jobspec.passes.schedule_between import keep_apart, with_trios, without_memory
from jobspec.passes.simplify import simplify
from jobspec.passes.widen import widen
from jobspec.passes.workshop import Workshop

#: routine → number of a buffer → line and column of the text that makes it
Origins = Mapping[str, Mapping[int, Place]]

Pass = Callable[[Program], Program]
#: program → program, in this order, by the job's profile; each leaves tensor operations alone
PASSES: Mapping[str, tuple[Pass, ...]] = {
    PROFILE: (differentiate, simplify, route_tokens, widen),
    BF16_PROFILE: (differentiate, round_operands, simplify, route_tokens, widen),
    FAST_PROFILE: (differentiate, round_operands, simplify, round_once, simplify, route_tokens, widen),
}


def lower_program(program: Program, profile: str = PROFILE, checked: bool = False) -> Program:
    """The program after all tensor passes: what kernels are made from and what the reference evaluates.
    `checked`: the checker runs before, between and after; it raises ir.check.IllFormed for a pass gone wrong."""
    if checked:
        check(program, "surface")
    for run in PASSES[profile]:
        program = run(program)
        if checked:
            check(program, "tensor")
    return program


def compile_job(job: Job, target: Target, checked: bool = False) -> Plan:
    """The plan of `job` for `target`; `checked`: every pass and the plan itself are checked. Raises CompileError E0605
    for a profile that is not known."""
    if job.profile not in PASSES:
        reason = f"the job is of the numerics profile `{job.profile[:40]}`, which this version does not know"
        raise CompileError("E0605", reason, help=f"known are: {', '.join(sorted(PASSES))}")
    plan = make_plan(job, target, checked)
    if checked:
        check_plan(plan)
    return plan


def make_plan(job: Job, target: Target, checked: bool) -> Plan:
    if target.backend == "reference":
        return interpreted_plan(job, target)
    routines = [compile_routine(job, *parts, target, checked) for parts in job.programs]
    return Plan(str(job_hash(job)), job.profile, target, tuple(routines))


def compile_traced(job: Job, target: Target) -> tuple[Plan, Origins]:
    """The plan of `job`, and where in its text each buffer comes from, as far as that is known."""
    if target.backend == "reference":
        return interpreted_plan(job, target), {}
    routines, origins = [], {}
    with following(job.places) as trail:
        for name, program, batches in job.programs:
            maker = RoutineMaker(job, name, lower_program(program, job.profile), batches)
            routines.append(maker.routine(target))
            found = ((number, origin(node, trail.table)) for number, node in maker.shop.made_for.items())
            origins[name] = {number: place for number, place in found if place is not None}
    return Plan(str(job_hash(job)), job.profile, target, tuple(routines)), origins


def compile_routine(
    job: Job, name: str, program: Program, batches: Batches | None, target: Target, checked: bool = False
) -> Routine:
    """One program as a routine: slots and feeds first, then what the program needs."""
    return RoutineMaker(job, name, lower_program(program, job.profile, checked), batches).routine(target)


def origin(node: Node, places: Mapping[Any, Place]) -> Place | None:
    """The place of `node`, or of the nearest node below it that has one; a loop's result is what its body makes."""
    seen, queue = {node}, deque([node])
    while queue:
        node = queue.popleft()
        if node in places and node.op != "get":
            return places[node]
        below = (made_by(node.args[0], node["index"]),) if node.op == "get" else node.args[::-1]
        queue += (fresh := [n for n in below if n not in seen])
        seen |= set(fresh)
    return None


class RoutineMaker:
    """A routine under construction. Pinned buffers come first and keep their bytes for the whole run."""

    def __init__(self, job: Job, name: str, program: Program, batches: Batches | None) -> None:
        self.name, self.program = name, program
        self.own_order = job.profile == FAST_PROFILE and name != "init"
        self.slots, self.state_end = slot_buffers(job.state)
        self.feeds, self.feed_bytes = feed_buffers(batches)
        slot_names = {slot.name for slot in job.state}
        self.reported = [output for output, _ in program.outputs if output not in slot_names]
        self.shop = Workshop()
        self.number = {b.name: self.shop.buffer(b.name, b.type) for b in (*self.slots, *self.feeds)}
        for report in self.reported:
            self.number[report] = self.shop.buffer(report, Type("f32"))
        self.step = self.shop.buffer("step", Type("i32"))
        self.number["step"] = self.step

    def routine(self, target: Target) -> Routine:
        inputs = {node: Location(self.number[node["name"]]) for node in self.program.inputs}
        self.shop.made_for |= {location.buffer: node for node, location in inputs.items()}
        steps = compile_region(self.shop, self.program, inputs, self._outputs(), 0)
        if target.backend == "llvm":
            steps = take_out_sums(steps, self.shop.kernels)
        flags = tuple(self.shop.flags)
        flag_buffer = self.shop.buffer("flags", Type("i32", (max(1, len(flags)),)))
        kernels = mark_own_order(self.shop.kernels) if self.own_order else tuple(self.shop.kernels)
        if self.own_order and has_matrices(target):
            store_halves(self.shop, kernels, self._outside())
        schedules, trios = self._scheduled(steps, kernels, target)
        buffers, arena = self._place(steps, flag_buffer, trios)
        return Routine(
            name=self.name,
            kernels=kernels,
            schedules=schedules,
            buffers=buffers,
            steps=insert_barriers(steps, kernels, buffers),
            slots=tuple((b.name, self.number[b.name]) for b in self.slots),
            feeds=tuple((b.name, self.number[b.name]) for b in self.feeds),
            constants=tuple(self._constants()),
            reports=tuple((report, self.number[report]) for report in self.reported),
            flags=flags,
            flag_buffer=flag_buffer,
            step=self.step,
            arena=arena,
            feed=self.feed_bytes,
        )

    def _scheduled(
        self, steps: Steps, kernels: tuple[Kernel, ...], target: Target
    ) -> tuple[tuple[Schedule, ...], list[Trio]]:
        """The schedule of each kernel, and the trios of them that are one launch."""
        chosen = [choose_schedule(kernel, target) for kernel in kernels]
        return with_trios(chosen, steps, kernels, self.shop.buffers, self._outside(), target)

    def _outside(self) -> list[int]:
        """Buffers that are read or written by others than the kernels."""
        return [self.number[name] for name in (*(b.name for b in (*self.slots, *self.feeds)), *self.reported)]

    def _outputs(self) -> list[Output]:
        checked = {b.name for b in self.slots if b.type.dtype == "f32"}
        return [
            Output(node, Location(self.number[name]), NONFINITE + name if name in checked else None)
            for name, node in self.program.outputs
        ]

    def _constants(self) -> list[tuple[int, bytes]]:
        tables = [(number, packed(node)) for node, number in self.shop.constants.items()]
        turns = [(n, struct.pack(f"<{count}i", *range(count))) for count, n in self.shop.counters.items()]
        return sorted(tables + turns)

    def _place(self, steps: Steps, flag_buffer: int, trios: list[Trio]) -> tuple[tuple[Buffer, ...], int]:
        """Every buffer with its place: state and feeds as laid out, pinned ones next, scratch behind them."""
        fixed = {self.number[b.name]: b for b in (*self.slots, *self.feeds)}
        pinned = [*(self.number[r] for r in self.reported), self.step, flag_buffer]
        pinned += [*self.shop.constants.values(), *self.shop.counters.values()]
        offset, offsets = self.state_end, {}
        for number in pinned:
            offsets[number] = offset
            offset += aligned(self.shop.buffers[number][1].nbytes)
        lives = find_lives(steps, self.shop.kernels)
        keep_apart(lives, steps, self.shop.kernels, trios)
        everything, unseen = self.shop.buffers, {i for trio in trios for i in trio.unseen}
        scratch = {i: everything[i][1] for i in lives if i not in fixed and i not in offsets and i not in unseen}
        more, arena = plan_memory(scratch, lives, offset)
        offsets |= more
        buffers = [fixed.get(i) or Buffer(n, t, "arena", offsets.get(i, 0)) for i, (n, t) in enumerate(everything)]
        return without_memory(buffers, trios), arena


def packed(node: Node) -> bytes:
    """The bytes of a constant tensor, as stored."""
    size = DTYPES[node.dtype]
    data = b"".join(bits.to_bytes(size, "little") for bits in node["bits"])
    return data * (node.type.nbytes // len(data))

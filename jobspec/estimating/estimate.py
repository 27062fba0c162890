"""What training a job would take on a cluster.

Takes: a job, its phases' routines, a cluster. Promises: for each phase the time of a step, where it goes, what a device
holds; for the whole run hours, price, how often to save and what interruptions cost. Of the ways to cut a pipeline
into chunks the finest that memory holds is taken; where none is, layers keep only what goes in and are computed again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from jobspec.estimating import outages
from jobspec.estimating.anatomy import AFTER, BACK, BEFORE, LAYERS, MIDDLE, UPDATE, anatomy
from jobspec.estimating.cluster import Cluster
from jobspec.estimating.links import sent, shared
from jobspec.estimating.operations import HALVED, Operation, Work, work_of
from jobspec.estimating.pipeline import Chunk, Timeline, timeline
from jobspec.estimating.roles import BATCH, Roles, roles
from jobspec.estimating.roofline import Device, Times
from jobspec.estimating.room import F32, Room, Sizes, room_of, sizes_of, state_bytes
from jobspec.estimating.told import Told, told
from jobspec.ir.errors import UsageError
from jobspec.ir.job import Job, Phase
from jobspec.ir.mesh import Mesh, mesh_of
from jobspec.ir.plan import Routine

HOUR = 3600.0


@dataclass(frozen=True)
class Step:
    """A phase's step. `micro`: pieces that each replica goes through; `chunks` of layers on a stage; `again`: layers
    are computed again on the way back; `useful`: FLOP that the model asks for; `spent`: seconds of the busiest stage by
    what they go to, all together `seconds`; `told`: bytes between devices."""

    phase: Phase
    roles: Roles
    micro: int
    chunks: int
    again: bool
    seconds: float
    useful: float
    spent: Mapping[str, float]
    room: Room
    told: Told

    @property
    def rate(self) -> float:
        """FLOP/s of a device."""
        return self.useful / self.seconds / self.roles.devices

    @property
    def tokens(self) -> int:
        return self.phase.batches.size * self.phase.batches.stream.window


@dataclass(frozen=True)
class Estimate:
    """`steps`: one for each phase; `write`: seconds for a checkpoint, `every`: seconds between two, `effective`: the
    fraction of the time in which training gets on (all None where the cluster says nothing of outages)."""

    job: Job
    cluster: Cluster
    steps: tuple[Step, ...]
    write: float | None
    every: float | None
    effective: float | None

    @property
    def devices(self) -> int:
        return max(step.roles.devices for step in self.steps)

    @property
    def training(self) -> float:
        """Seconds of steps alone."""
        return sum(step.seconds * step.phase.steps for step in self.steps)

    def hours_for(self, seconds: float) -> float:
        """Hours in which so many seconds of training get done, interruptions included."""
        return seconds / HOUR / (self.effective or 1.0)

    @property
    def hours(self) -> float:
        return self.hours_for(self.training)

    @property
    def device_hours(self) -> float:
        return self.hours_for(sum(step.seconds * step.phase.steps * step.roles.devices for step in self.steps))

    @property
    def cost(self) -> float | None:
        return None if self.cluster.price is None else self.cluster.price * self.device_hours

    @property
    def fits(self) -> bool:
        return all(step.room.total <= self.cluster.memory for step in self.steps)

    @property
    def peak(self) -> float:
        """FLOP/s of a device, in the type of the job's contractions."""
        return self.cluster.peak_of(dtype_of(self.job))


def dtype_of(job: Job) -> str:
    return "bf16" if job.profile in HALVED else "f32"


def estimate(job: Job, routines: Mapping[str, Routine], cluster: Cluster) -> Estimate:
    """`routines`: the phases' by name. A job without a mesh is spread by its pieces. Raises UsageError E0872 for a
    cluster without a rate that is needed, E0868 for a mesh that cuts unevenly, E0873 for one with more positions than
    devices, E0874 for more replicas than pieces."""
    steps = tuple(
        Maker(job, phase, routines[name], cluster, mesh_for(job, phase, routines[name], cluster)).step()
        for phase, name in zip(job.phases, job.step_names, strict=True)
    )
    found = Estimate(job, cluster, steps, None, None, None)
    if cluster.outages is None or cluster.store is None:
        return found
    write, between = state_bytes(job) / cluster.store, cluster.outages.device_hours * HOUR / found.devices
    every = outages.interval(write, between)
    return replace(
        found, write=write, every=every, effective=outages.effective(every, write, cluster.outages.restart, between)
    )


def mesh_for(job: Job, phase: Phase, routine: Routine, cluster: Cluster) -> Mesh:
    """What the text says; else as many replicas as there are devices, each with as many pieces as any other."""
    if job.runs:
        return mesh_of(job.runs, phase.name)
    pieces = anatomy(routine, None).pieces
    count = max(n for n in range(1, min(pieces, cluster.devices) + 1) if pieces % n == 0)
    return Mesh((("dp", count),), ((BATCH, "dp"),)) if count > 1 else Mesh()


class Maker:
    """One phase's step in the making."""

    def __init__(self, job: Job, phase: Phase, routine: Routine, cluster: Cluster, mesh: Mesh) -> None:
        mesh.need_fit()
        if mesh.count > cluster.devices:
            raise too_many(mesh, cluster)
        self.job, self.phase, self.cluster = job, phase, cluster
        self.roles: Roles = roles(job, phase, mesh)
        self.work: Work = work_of(job, routine, self.roles.cut, self.roles.stacked)
        if self.work.pieces < self.roles.data:
            raise too_few(self.work.pieces, self.roles.data, phase)
        self.micro = -(-self.work.pieces // self.roles.data)
        self.sizes: Sizes = sizes_of(job, self.work, self.roles)
        self.device = Device(cluster, dtype_of(job), self.roles.tensor * self.roles.context)

    def step(self) -> Step:
        """The finest way to cut that fits, keeping all results, else computing layers again; else the smallest."""
        found = []
        for again in (False, True):
            for chunks in self.ways():
                step = self.cut(chunks, again)
                if step.room.total <= self.cluster.memory:
                    return step
                found.append(step)
        return min(found, key=lambda step: step.room.total)

    def ways(self) -> Iterator[int]:
        """Chunks on a stage, the most first; with one stage a chunk for each layer."""
        if self.roles.pipeline == 1:
            yield self.work.layers
            return
        count = -(-self.work.layers // self.roles.pipeline)
        while count > 1:
            yield count
            count = -(-count // 2)
        yield 1

    def cut(self, chunks: int, again: bool) -> Step:
        counts = layers_of(self.work.layers, self.roles.pipeline, chunks)
        whole = self.timeline(counts, again, gradients=True)
        alone = self.timeline(counts, again, gradients=False)
        spent = self.spent(counts, again)
        update = self.device_seconds(UPDATE) / max(1, self.roles.pipeline * self.roles.data)
        parts = {name: value for name, value in vars(spent).items() if value}
        parts["pipeline"] = max(0.0, alone.seconds - spent.total)
        parts["gradients"] = max(0.0, whole.seconds - alone.seconds)
        parts["update"] = update
        return Step(
            phase=self.phase, roles=self.roles, micro=self.micro, chunks=chunks, again=again,
            seconds=whole.seconds + update, useful=self.work.useful, spent=parts,
            room=room_of(self.sizes, self.work, self.roles, max(map(sum, counts)), self.held(whole, again)),
            told=told(self.work, self.roles, self.sizes, chunks, again),
        )  # fmt: skip

    def held(self, line: Timeline, again: bool) -> float:
        """Elements kept for the way back: of each layer held all results, or only what goes in and one layer's all."""
        if not again:
            return line.held * self.work.kept
        goes_in = max(self.work.summed.get(LAYERS, ()), default=0) or self.work.kept / max(1, len(self.work.at[LAYERS]))
        return line.held * goes_in + self.work.kept

    def timeline(self, counts: list[list[int]], again: bool, gradients: bool) -> Timeline:
        group = self.roles.gradient_group
        stages = []
        for row in self.chunks_of(counts, again):
            chunks = []
            for layers, forth, back, numbers in row:
                gather = shared(self.cluster, group, numbers * self.work.width) if gradients else 0.0
                reduce = shared(self.cluster, group, numbers * F32) if gradients else 0.0
                chunks.append(Chunk(forth.total, back.total, gather, reduce, layers))
            stages.append(chunks)
        return timeline(stages, self.micro, self.hop())

    def spent(self, counts: list[list[int]], again: bool) -> Times:
        """Of the busiest stage, all micro-batches."""
        each = [sum((f + b for _, f, b, _ in row), Times()) for row in self.chunks_of(counts, again)]
        return max(each, key=lambda times: times.total).times(self.micro)

    def chunks_of(self, counts: list[list[int]], again: bool) -> list[list[tuple[int, Times, Times, float]]]:
        """For each chunk of each stage: layers, what one micro-batch takes forth and back, numbers of parameters. The
        first one has the model's entry too, the last one what follows the layers."""
        forth, back, layer = self.forth(), self.back(again), self.sizes.layer
        found = [[(n, forth.times(n), back.times(n), n * layer) for n in row] for row in counts]
        n, f, b, size = found[0][0]
        found[0][0] = (n, f + self.entry(), b + self.entry_back(), size + self.sizes.first)
        n, f, b, size = found[-1][-1]
        more = self.sizes.last if len(counts) > 1 else 0.0
        found[-1][-1] = (n, f + self.exit(), b + self.exit_back(), size + more)
        return found

    def forth(self) -> Times:
        """Of one layer."""
        return self.device.times(self.work.at[LAYERS]) + self.talk(LAYERS, 2) + self.places(1)

    def back(self, again: bool) -> Times:
        """With the rows that make what was not kept."""
        rows = [o for o in self.work.at[LAYERS] if not o.flop]
        made = self.forth() if again else self.device.times(rows)
        return self.device.times(self.work.at[BACK]) + self.talk(LAYERS, 2) + self.places(2) + made

    def entry(self) -> Times:
        return self.device.times(self.work.at[BEFORE]) + self.talk(BEFORE, 1)

    def entry_back(self) -> Times:
        return self.device.times([o for o in self.work.at[AFTER] if not o.flop]) + self.talk(BEFORE, 1)

    def exit(self) -> Times:
        return self.device.times(self.work.at[MIDDLE]) + self.talk(MIDDLE, 2)

    def exit_back(self) -> Times:
        return self.device.times([o for o in self.work.at[AFTER] if o.flop])

    def talk(self, place: str, times: int) -> Times:
        """Results that are sums over parts are added up, each device keeping its places, and gathered again."""
        sizes = self.work.summed.get(place, ())
        each = (shared(self.cluster, self.roles.tensor_group, n * self.work.width / self.roles.context) for n in sizes)
        return Times(tensor=times * sum(each))

    def places(self, times: int) -> Times:
        """Keys and values of all places, gathered; on the way back their gradients are added up too."""
        size = self.work.met * self.work.width / self.roles.tensor
        return Times(context=times * shared(self.cluster, self.roles.context_group, size))

    def hop(self) -> float:
        """A micro-batch's values from stage to stage."""
        size = self.work.handed * self.work.width / (self.roles.tensor * self.roles.context)
        return sent(self.cluster, self.roles.next_stage, size)

    def device_seconds(self, place: str) -> float:
        operations: tuple[Operation, ...] = self.work.at[place]
        return self.device.times(operations).total


def layers_of(layers: int, stages: int, chunks: int) -> list[list[int]]:
    """For each stage the layers of its chunks: equal, but that the ends of the model, which have other work, get one
    fewer where layers do not come out even."""
    slots = stages * chunks
    each = -(-layers // slots)
    counts, spare = [each] * slots, each * slots - layers
    for place in [slots - 1, 0, *range(slots - 2, 0, -1)][: max(0, spare)]:
        counts[place] -= 1
    return [[counts[v * stages + p] for v in range(chunks)] for p in range(stages)]


def too_many(mesh: Mesh, cluster: Cluster) -> UsageError:
    said = ", ".join(f"{name}={size}" for name, size in mesh.sizes)
    have = "one device" if cluster.devices == 1 else f"{cluster.devices:,} devices"
    reason = f"the mesh [{said}] has {mesh.count:,} positions, and {cluster.source} says {have}"
    return UsageError("E0873", reason, help="make an axis of the mesh smaller, or name a larger cluster")


def too_few(pieces: int, data: int, phase: Phase) -> UsageError:
    where = f" in the phase `{phase.name}`" if phase.name else ""
    have = "one piece" if pieces == 1 else f"{pieces:,} pieces"
    reason = f"the batch has {have}{where}, and {data:,} replicas are to share it"
    setting = f"train.{phase.name}.shards" if phase.name else "train.shards"
    help = f"cut it into more: `--set {setting}={data}`; or make the mesh smaller where B is cut over it"
    return UsageError("E0874", reason, help=help)

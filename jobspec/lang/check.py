"""The front door of the language: text in, a checked job out.

Takes: the text of a job, and what is known of its data. Promises: `ir.job.Job`, everything in it by value or by hash;
or a DiagnosticsError with every independent error. The same text gives the same job on any machine; the number of
records of the data decides only what the text leaves to it (`epochs`, `every = 1 * epoch`, the size of an evaluation's
batch).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

# the rules of the tree register themselves
from jobspec.ir.job import Evaluation, Job, Phase, Start
from jobspec.ir.mesh import Mesh
from jobspec.ir.program import Program
from jobspec.lang import declarations, evaluation, expressions, loops, statements, training, tree
from jobspec.lang.clock import before
from jobspec.lang.data import BATCH, Catalog, batches_of, declared, source_of
from jobspec.lang.diagnostics import Reporter, did_you_mean
from jobspec.lang.frame import Activation, Frame
from jobspec.lang.lengths import Seen, Streams
from jobspec.lang.modules import Fetch, Importer
from jobspec.lang.parse import parse
from jobspec.lang.phases import Setting, settings_of, without_dims
from jobspec.lang.refusal import Silenced
from jobspec.lang.registry import Registry
from jobspec.lang.running import Known, runs
from jobspec.lang.saving import Saving, saving
from jobspec.lang.scope import Scope
from jobspec.lang.source import Source
from jobspec.lang.stages import Made, Stage, need_steps, said, size_of
from jobspec.lang.start import Weights, first_values, start_of
from jobspec.lang.things import Module
from jobspec.lang.work import Places, Watcher, Work

MEANINGS = (expressions, statements, declarations, loops)


def load(
    source: Source,
    *,
    catalog: Catalog | None = None,
    fetch: Fetch | None = None,
    watcher: Watcher | None = None,
    weights: Weights | None = None,
) -> Job:
    """The checked job of a text; `watcher` is told what each part of it means. Raises DiagnosticsError (exit 3)."""
    hooks = Hooks(catalog or (lambda root: None), fetch, weights or (lambda root: None))
    reporter = Reporter()
    file = parse(source)
    try:
        return Elaboration(source, file, reporter, hooks, watcher or Watcher()).job()
    except Silenced:
        reporter.stop()
    except RecursionError:
        reporter.error("E0264", "this nests too deep", file.name.span, help="name parts of it with `def` or `=`")
        reporter.stop()


@dataclass(frozen=True)
class Hooks:
    """What is known of the world outside of the text: records of data, imported files, weights to start from."""

    catalog: Catalog
    fetch: Fetch | None
    weights: Weights


@dataclass
class Elaboration:
    """One text on its way to a job."""

    source: Source
    file: tree.Job
    reporter: Reporter
    hooks: Hooks
    watcher: Watcher = field(default_factory=Watcher)

    def job(self) -> Job:
        if self.file.kind == "library":
            self.reporter.error(
                "E0275", f"`{self.file.name.text}` is a library: it is imported, not trained", self.file.name.span
            )
            raise Silenced
        self.places = Places(self.source, watcher=self.watcher)
        self.registry = Registry()
        self.used: set[str] = set()
        self.sizes: dict[str, int] = {}
        self.module: Module = Importer(self.reporter, self.hooks.fetch).module(self.source, self.file)
        self.dims()
        self.data_sets()
        self.reporter.stop_if_any()
        train = self.section("train")
        self.need_batch_axis(train)
        return self.assembled(train)

    def frame(self, work: Work, kind: str, module: Module | None = None) -> Frame:
        return Frame(work, module or self.module, Scope(work.root), Activation(is_section=True), kind)

    def work(self, seed: int = 0, stage: Stage | None = None) -> Work:
        """The training step in the making."""
        return Work(
            True,
            seed,
            stage.sizes if stage else self.sizes,
            self.registry,
            self.reporter,
            self.places,
            training.step_input(),
            used_axes=self.used,
            notes=stage.notes if stage else (),
        )

    # ---- declarations ----

    def dims(self) -> None:
        """Sizes in the order of the text; a later one may use earlier ones."""
        seen: dict[str, int] = {}
        for item in self.file.items:
            if isinstance(item, tree.DimDef):
                name = item.axis.text
                if name in seen or name.endswith("'"):
                    prime = "has a prime: that marks an axis made fresh by a rename"
                    twice = f"is declared twice; first at line {seen[name]}" if name in seen else prime
                    help = "keep one of the two" if name in seen else None
                    self.reporter.error("E0206", f"{name} {twice}", item.axis.span, help=help)
                seen.setdefault(name, item.axis.span.line)
        self.sizes.update(self.sizes_with({}))

    def sizes_with(self, rebound: Mapping[str, tree.SetDim], notes: tuple[str, ...] = ()) -> dict[str, int]:
        """Sizes of all dims where a phase has rebound some; the new ones may use the old."""
        sizes: dict[str, int] = {}
        old = self.frame(self.work(), "dim")
        new = self.frame(replace(self.work(), sizes=sizes, notes=notes), "dim")
        for item in self.file.items:
            if isinstance(item, tree.DimDef) and item.axis.text not in sizes:
                changed = rebound.get(item.axis.text)
                sizes[item.axis.text] = size_of(old, changed.value) if changed else size_of(new, item.value)
        return sizes

    def data_sets(self) -> None:
        for item in self.file.items:
            if isinstance(item, tree.DataDef):
                if item.name.text in self.module.names():
                    self.reporter.error(
                        "E0242", f"`{item.name.text}` is declared a second time in this file", item.name.span
                    )
                else:
                    self.data_set(self.module, self.frame(self.work(), "data"), item)

    def data_set(self, module: Module, frame: Frame, item: tree.DataDef) -> None:
        with suppress(Silenced):
            module.data[item.name.text] = declared(frame, item, self.hooks.catalog)

    # ---- phases ----

    def stages(self, train: tree.Section) -> list[Stage]:
        """The phases of the text, each with its sizes and data."""
        stages = [self.stage(setting, number) for number, setting in enumerate(settings_of(self.reporter, train))]
        self.reporter.stop_if_any()
        return stages

    def known_dims(self, dims: Mapping[str, tree.SetDim]) -> None:
        """Reports those that the text does not declare."""
        for name, statement in dims.items():
            if name not in self.sizes:
                help = did_you_mean(name, self.sizes) or f"declare it: `dim {name}=64`"
                self.reporter.error("E0201", f"there is no axis {name}", statement.span, help=help)
            self.used.add(name)

    def stage(self, setting: Setting, number: int) -> Stage:
        self.known_dims(setting.dims)
        if not setting.dims:
            return Stage(setting, self.sizes, self.module, said(setting, number))
        return self.rebound(setting, f"the phase `{setting.name}`", said(setting, number))

    def rebound(self, setting: Setting, place: str, notes: tuple[str, ...]) -> Stage:
        """The phase or evaluation with dims of its own, and data sets that follow them."""
        sizes = self.sizes_with(setting.dims, (f"in {place}",))
        module = replace(self.module, data={})
        frame = self.frame(replace(self.work(), sizes=sizes), "data")
        for item in self.file.items:
            if isinstance(item, tree.DataDef):
                self.data_set(module, frame, item)
        return Stage(setting, sizes, module, notes)

    def courses(self, stages: Sequence[Stage]) -> list[training.Course]:
        """What is known of each phase: how long it is, and where it begins in its stream."""
        known: list[training.Course] = []
        seen, places = Seen(), Streams()
        for stage in stages:
            frame = self.frame(self.work(0, stage), "train", stage.module)
            course = training.course(frame, stage.setting, seen)
            batch = stage.sizes[BATCH]
            known.append(replace(course, first=places.passed(course.stream, course.length * batch)))
            seen = seen.after(course.length, batch, course.stream.window)
        need_steps(self.reporter, stages[-1], seen.steps)
        return [replace(course, steps=seen.steps) for course in known]

    def steps(self, stages: Sequence[Stage], courses: Sequence[training.Course]) -> list[Made]:
        """Each phase's step. Raises DiagnosticsError at the first phase with errors: the next would repeat them."""
        made: list[Made] = []
        for stage, known in zip(stages, courses, strict=True):
            frame = self.frame(self.work(known.seed, stage), "train", stage.module)
            if made:
                last = made[-1].step
                frame.work.before = before(last.names, last.course.phase, known.seen.steps - 1)
                self.registry.phase, self.registry.place = known.phase, f"the phase `{known.phase}`"
            made.append(Made(frame, self.step(frame, stage.setting.section, known)))
        training.unused_names(made[0].frame, [one.step for one in made])
        self.registry.frozen = True
        return made

    def step(self, frame: Frame, train: tree.Section, known: training.Course) -> training.Step:
        try:
            return training.step_of(frame, train, known)
        except Silenced:
            self.reporter.stop()
        finally:
            self.reporter.stop_if_any()

    # ---- sections ----

    def sections(self, kind: str) -> list[tree.Section]:
        return [item for item in self.file.items if isinstance(item, tree.Section) and item.kind == kind]

    def section(self, kind: str) -> tree.Section:
        """The one section of its kind, which has to be there."""
        found = self.sections(kind)
        for other in found[1:]:
            self.reporter.error(
                "E0316", f"there is a `{kind}` already, at line {found[0].span.line}", training.keyword(other)
            )
        if not found:
            self.reporter.error(
                "E0316",
                f"the job has no `{kind} {{ … }}`",
                self.file.name.span,
                help="`jobspec new` writes a whole job to start from",
            )
        self.reporter.stop_if_any()
        return found[0]

    def need_batch_axis(self, train: tree.Section) -> None:
        if BATCH not in self.sizes:
            self.reporter.error(
                "E0201",
                f"there is no axis {BATCH}: it counts the examples of a batch",
                training.keyword(train),
                help=f"declare it: `dim {BATCH}=64`",
            )
            raise Silenced
        self.used.add(BATCH)

    def assembled(self, train: tree.Section) -> Job:
        stages = self.stages(train)
        courses = self.courses(stages)
        steps = self.steps(stages, courses)
        evaluations = self.evaluations(courses[0])
        kept = self.saving(courses[0], [stage.setting.name for stage in stages])
        meshes = self.runs(courses[0], stages)
        self.unused_axes()
        start = self.start(courses[0])
        self.reporter.stop_if_any()
        return replace(self.finished(steps, evaluations, kept, start), runs=meshes)

    def start(self, known: training.Course) -> Start | None:
        """What the run begins with besides first values; None after reports."""
        if known.start is None:
            return None
        with suppress(Silenced):
            frame = self.frame(self.work(known.seed), "train")
            return start_of(frame, known.start, self.registry.ordered(), self.hooks.weights)
        return None

    def evaluations(self, known: training.Course) -> tuple[Evaluation, ...]:
        found: dict[str, Evaluation] = {}
        for node in self.sections("eval"):
            try:
                new = self.evaluation(node, known)
            except Silenced:
                continue
            if new.name in found:
                self.reporter.error(
                    "E0316",
                    f"there is an evaluation `{new.name}` already",
                    training.keyword(node),
                    help="name it: `eval small { … }`",
                )
            found[new.name] = new
        return tuple(found.values())

    def evaluation(self, node: tree.Section, known: training.Course) -> Evaluation:
        """With the dims at the top, but for those that it rebinds."""
        node, dims = without_dims(self.reporter, node)
        if not dims:
            return evaluation.evaluation(self.frame(self.work(known.seed), "eval"), node, known)
        self.known_dims(dims)
        self.reporter.stop_if_any()
        place = f"the evaluation `{node.name.text if node.name else node.kind}`"
        stage = self.rebound(Setting("", node, training.keyword(node), dims), place, (f"in {place}",))
        outside, self.registry.place = self.registry.place, place
        try:
            return evaluation.evaluation(self.frame(self.work(known.seed, stage), "eval", stage.module), node, known)
        finally:
            self.registry.place = outside

    def saving(self, known: training.Course, phases: Sequence[str]) -> Saving:
        frame = self.frame(self.work(known.seed), "save")
        return saving(frame, self.sections("save"), known, phases)

    def runs(self, known: training.Course, stages: Sequence[Stage]) -> tuple[Mesh, ...]:
        """Where each phase runs."""
        stacked = {axis for h in self.registry.ordered() for axis in h.slot.axes[: h.stacks]}
        frame = self.frame(self.work(known.seed), "run")
        return runs(frame, self.sections("run"), Known({s.setting.name: s.sizes for s in stages}, stacked))

    def unused_axes(self) -> None:
        for item in self.file.items:
            if isinstance(item, tree.DimDef) and item.axis.text not in self.used:
                self.reporter.error(
                    "E0205",
                    f"the axis {item.axis.text} is declared and never used",
                    item.span,
                    help="use it, or take it out",
                )

    def finished(
        self, steps: Sequence[Made], evaluations: tuple[Evaluation, ...], kept: Saving, start: Start | None
    ) -> Job:
        held = self.registry.ordered()
        known = steps[0].step.course
        phases = tuple(self.phase(one) for one in steps)
        used = [name for phase in phases for name in phase.batches.stream.sources]
        used += [name for e in evaluations for name in e.batches.stream.sources]
        return Job(
            name=self.file.name.text,
            title=self.file.title or "",
            profile=known.profile,
            seed=known.seed,
            sources=tuple(source_of(self.module.data[name]) for name in dict.fromkeys(used)),
            state=tuple(h.slot for h in held),
            init=Program((), first_values(held, start)),
            start=start,
            phases=phases,
            evaluations=evaluations,
            roots_every=known.roots_every,
            save_every=kept.every,
            keep=kept.keep,
            also=kept.also,
            sizes=tuple(self.sizes.items()),
            places=self.places.table,
        )

    def phase(self, made: Made) -> Phase:
        """The phase in the job; what it does not set of the state stays as it is."""
        step, known = made.step, made.step.course
        outputs = [(h.slot.name, step.state.get(h.slot.name, h.tensor.node)) for h in self.registry.ordered()]
        batches = batches_of(made.frame.work, known.stream, known.first)
        return Phase(known.phase, known.length, training.program(made.frame, [*outputs, *step.reports]), batches)

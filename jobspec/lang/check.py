"""The front door of the language: text in, a checked job out.

Takes: the text of a job, and what is known of its data. Promises: `ir.job.Job`, everything in it by value or by hash;
or a DiagnosticsError with every independent error. The same text gives the same job on any machine; the number of
records of the data decides only what the text leaves to it (`epochs`, `every = 1 * epoch`, the size of an evaluation's
batch).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

# the rules of the tree register themselves
from jobspec.ir.job import Evaluation, Job, Phase
from jobspec.ir.program import Node, Program
from jobspec.lang import declarations, evaluation, expressions, loops, statements, training, tree
from jobspec.lang.data import BATCH, Catalog, batches_of, declared, source_of
from jobspec.lang.diagnostics import Reporter
from jobspec.lang.dispatch import evaluate
from jobspec.lang.frame import Activation, Frame
from jobspec.lang.modules import Fetch, Importer
from jobspec.lang.parse import parse
from jobspec.lang.refusal import Refusal, Silenced, need
from jobspec.lang.registry import Registry
from jobspec.lang.saving import Saving, ignored_run, saving
from jobspec.lang.scope import Scope
from jobspec.lang.source import Source
from jobspec.lang.things import Module, need_whole
from jobspec.lang.work import Places, Watcher, Work

LARGEST = 2**31
MEANINGS = (expressions, statements, declarations, loops)


def load(
    source: Source, *, catalog: Catalog | None = None, fetch: Fetch | None = None, watcher: Watcher | None = None
) -> Job:
    """The checked job of a text; `watcher` is told what each part of it means. Raises DiagnosticsError (exit 3)."""
    reporter = Reporter()
    file = parse(source)
    try:
        return Elaboration(source, file, reporter, catalog or (lambda root: None), fetch, watcher or Watcher()).job()
    except Silenced:
        reporter.stop()
    except RecursionError:
        reporter.error("E0264", "this nests too deep", file.name.span, help="name parts of it with `def` or `=`")
        reporter.stop()


def load_file(path: Path, *, catalog: Catalog | None = None, fetch: Fetch | None = None) -> Job:
    """`load` of a file. Raises UsageError where it cannot be read."""
    return load(Source.read(path), catalog=catalog, fetch=fetch)


@dataclass
class Elaboration:
    """One text on its way to a job."""

    source: Source
    file: tree.Job
    reporter: Reporter
    catalog: Catalog
    fetch: Fetch | None
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
        self.module: Module = Importer(self.reporter, self.fetch).module(self.source, self.file)
        self.dims()
        self.data_sets()
        self.reporter.stop_if_any()
        train = self.section("train")
        self.need_batch_axis(train)
        return self.assembled(train)

    def frame(self, work: Work, kind: str) -> Frame:
        return Frame(work, self.module, Scope(work.root), Activation(is_section=True), kind)

    def work(self, seed: int = 0) -> Work:
        """The training step in the making."""
        return Work(
            True,
            seed,
            self.sizes,
            self.registry,
            self.reporter,
            self.places,
            training.step_input(),
            used_axes=self.used,
        )

    # ---- declarations ----

    def dims(self) -> None:
        """Sizes in the order of the text; a later one may use earlier ones."""
        frame = self.frame(self.work(), "dim")
        for item in self.file.items:
            if isinstance(item, tree.DimDef):
                self.dim(frame, item)

    def dim(self, frame: Frame, item: tree.DimDef) -> None:
        name = item.axis.text
        if name in self.sizes or name.endswith("'"):
            why = (
                "is declared twice" if name in self.sizes else "has a prime: that marks an axis made fresh by a rename"
            )
            self.reporter.error("E0206", f"{name} {why}", item.axis.span)
            return
        try:
            size = need_whole(evaluate(frame, item.value), 1)
            need(size < LARGEST, "E0222", f"an axis has fewer than 2^31 places, not {size}")
            self.sizes[name] = size
        except Refusal as refusal:
            frame.report(refusal, item.value.span)
            self.sizes[name] = 1
        except Silenced:
            self.sizes[name] = 1

    def data_sets(self) -> None:
        frame = self.frame(self.work(), "data")
        for item in self.file.items:
            if isinstance(item, tree.DataDef):
                self.data_set(frame, item)

    def data_set(self, frame: Frame, item: tree.DataDef) -> None:
        if item.name.text in self.module.names():
            self.reporter.error("E0242", f"`{item.name.text}` is declared a second time in this file", item.name.span)
            return
        try:
            self.module.data[item.name.text] = declared(frame, item, self.catalog)
        except Silenced:
            return

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
        known = training.course(self.frame(self.work(), "train"), train)
        frame = self.frame(self.work(known.seed), "train")
        step = self.step(frame, train, known)
        self.registry.frozen = True
        evaluations = self.evaluations(known)
        kept = self.saving(known)
        self.unused_axes()
        self.reporter.stop_if_any()
        assert step is not None
        return self.finished(frame, step, evaluations, kept)

    def step(self, frame: Frame, train: tree.Section, known: training.Course) -> training.Step | None:
        """None where the step has errors; then evaluations are not looked at, they would repeat them."""
        try:
            step = training.step_of(frame, train, known)
        except Silenced:
            step = None
        self.reporter.stop_if_any()
        return step

    def evaluations(self, known: training.Course) -> tuple[Evaluation, ...]:
        found: dict[str, Evaluation] = {}
        for node in self.sections("eval"):
            try:
                new = evaluation.evaluation(self.frame(self.work(known.seed), "eval"), node, known)
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

    def saving(self, known: training.Course) -> Saving:
        frame = self.frame(self.work(known.seed), "save")
        for node in self.sections("run"):
            ignored_run(frame, node)
        return saving(frame, self.sections("save"), known)

    def unused_axes(self) -> None:
        for item in self.file.items:
            if isinstance(item, tree.DimDef) and item.axis.text not in self.used:
                self.reporter.error(
                    "E0205",
                    f"the axis {item.axis.text} is declared and never used",
                    item.span,
                    help="use it, or take it out",
                )

    def phase(self, frame: Frame, step: training.Step, outputs: list[tuple[str, Node]]) -> Phase:
        batches = batches_of(frame.work, step.course.stream)
        return Phase("", step.course.steps, training.program(frame, outputs), batches)

    def finished(self, frame: Frame, step: training.Step, evaluations: tuple[Evaluation, ...], kept: Saving) -> Job:
        held = self.registry.ordered()
        init = Program((), tuple((h.slot.name, h.initial) for h in held))
        outputs = [(h.slot.name, step.state.get(h.slot.name, h.tensor.node)) for h in held]
        used = [step.course.stream.data.name, *(name for e in evaluations for name in e.batches.stream.sources)]
        return Job(
            name=self.file.name.text,
            title=self.file.title or "",
            profile=step.course.profile,
            seed=step.course.seed,
            sources=tuple(source_of(self.module.data[name]) for name in dict.fromkeys(used)),
            state=tuple(h.slot for h in held),
            init=init,
            phases=(self.phase(frame, step, [*outputs, *step.reports]),),
            evaluations=evaluations,
            roots_every=step.course.roots_every,
            save_every=kept.every,
            keep=kept.keep,
            sizes=tuple(self.sizes.items()),
            places=self.places.table,
        )

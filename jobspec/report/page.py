"""A run's page: what it came to, its curves, what ran when, where memory went, its hashes, its receipt and its text.

Takes: what a run's folder holds, the plan's steps. Promises: one file of HTML that loads and runs nothing; equal runs
give equal bytes; a part of which nothing is known is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from jobspec.ir.codec.receipt import Receipt
from jobspec.ir.job import Job
from jobspec.ir.plan import Routine
from jobspec.report.chart import Series, chart
from jobspec.report.markup import Markup, Part, table, tag
from jobspec.report.memory_map import memory_map
from jobspec.report.style import CSS, POLICY
from jobspec.report.timeline import Trace, drawn
from jobspec.runtime.history import History

LOSS, RATE = "loss", "lr"
TITLES = {LOSS: "loss", RATE: "learning rate (lr)"}


@dataclass(frozen=True)
class Content:
    """`hash`: of the job; `history`: what its log tells; `facts`: what stands beside the receipt, believed by nobody;
    `text`, `sets`: the job as it was run last, None where the folder does not keep it; `routine`: the step whose
    memory is drawn; `traces`: titles and what ran when."""

    job: Job
    hash: str
    history: History
    receipt: Receipt | None
    facts: Mapping[str, Any]
    text: str | None
    sets: Sequence[str]
    routine: Routine | None
    traces: Sequence[tuple[str, Trace]] = ()

    @property
    def steps(self) -> int:
        """Done."""
        return max((event.first + len(event.reports) for event in self.history.stepped), default=0)


def page(content: Content) -> str:
    """The whole file."""
    sections = [(name, parts) for name, parts in sections_of(content) if parts]
    title = content.job.title or content.job.name
    width = "width=device-width, initial-scale=1"
    head = tag(
        "head", tag("meta", charset="utf-8"), tag("meta", name="viewport", content=width),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY), tag("title", f"{content.job.name}: a run"),
        tag("style", Markup(CSS)),
    )  # fmt: skip
    links = tag("ul", [tag("li", tag("a", name, href=f"#{anchor(name)}")) for name, _ in sections])
    body = tag(
        "body", tag("header", tag("h1", title), tag("p", state_of(content)), tag("nav", links, aria_label="parts")),
        tag("main", [tag("section", tag("h2", name), parts, id=anchor(name)) for name, parts in sections]),
    )  # fmt: skip
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def anchor(name: str) -> str:
    return name.replace(" ", "-")


def sections_of(content: Content) -> Iterator[tuple[str, list[Part]]]:
    yield "the run", [summary(content)]
    yield "curves", list(curves(content))
    yield "throughput", [throughput(content)]
    yield "timeline", [drawn(title, trace) for title, trace in content.traces]
    yield "memory", [memory_map(content.routine)] if content.routine else []
    yield "hashes and receipt", list(hashes(content))
    yield "the text", list(text_of_job(content))


def state_of(content: Content) -> Part:
    job, done = content.job, content.steps
    if content.receipt and content.receipt.closed:
        return f"{job.name}: finished after {content.receipt.steps:,} steps; it has a receipt."
    if not done:
        return f"{job.name}: no step is done yet."
    return f"{job.name}: {done:,} of {job.steps:,} steps are done; there is no receipt yet."


def summary(content: Content) -> Markup:
    job = content.job
    numbers = sum(slot.type.size for slot in job.state if slot.kind == "parameter")
    rows: list[tuple[Part, ...]] = [
        ("parameters", f"{numbers:,}"),
        ("steps", f"{content.steps:,} of {job.steps:,}"),
        ("batch", " or ".join(dict.fromkeys(f"{phase.batches.size:,} examples" for phase in job.phases))),
        ("seed, profile", f"{job.seed}, {job.profile}"),
    ]
    for name, (_, values) in content.history.reports().items():
        rows.append((f"last {name} of training", f"{values[-1]:.6g}"))
    last = {f"{event.name}: {name}": value for event in content.history.evaluated for name, value in event.metrics}
    rows += [(f"last {name}", f"{value:.6g}") for name, value in last.items()]
    return table(rows)


def curves(content: Content) -> Iterator[Markup]:
    """The loss first, then the learning rate, then whatever else was reported or evaluated."""
    found = by_name(content.history)
    for name in sorted(found, key=lambda name: (name != LOSS, name != RATE)):
        yield chart(TITLES.get(name, name), found[name])


def by_name(history: History) -> dict[str, list[Series]]:
    """Series of one name together: the training's, then those of evaluations."""
    found: dict[str, list[Series]] = {}
    for name, (steps, values) in history.reports().items():
        points = [(float(step) + 1, float(value)) for step, value in zip(steps, values, strict=True)]
        found.setdefault(name, []).append(Series("training", points))
    evaluated: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for event in history.evaluated:
        for name, value in event.metrics:
            evaluated.setdefault((name, event.name), []).append((float(event.step), float(value)))
    for (name, evaluation), points in evaluated.items():
        found.setdefault(name, []).append(Series(evaluation, points))
    return found


def throughput(content: Content) -> Markup:
    """Each process that took the run up; the last one's speed where it came to the end."""
    begun = content.history.begun
    rows = [
        (f"from step {one.step:,}", moment(one.time), one.backend, f"{one.threads:,}", tag("code", str(one.plan)))
        for one in begun
    ]
    heads = ("process", "begun (UTC)", "backend", "threads", "plan")
    return Markup(table(rows, heads) + tag("p", speed(content)) + chart("examples a second", [paces(content)]))


def paces(content: Content) -> Series:
    """Examples a second between two times that the last process noted, by steps done."""
    noted = content.facts.get("splits")
    times = [entry for entry in noted if is_split(entry)] if isinstance(noted, list) else []
    points = [
        (float(after), (after - before) * content.job.phase_of(after).batches.size / (end - begun))
        for (before, begun), (after, end) in pairwise(times)
        if before < after and begun < end
    ]
    return Series("last process", points)


def is_split(entry: object) -> bool:
    """Whether it is (steps done, seconds)."""
    return (
        isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], int) and isinstance(entry[1], int | float)
    )


def speed(content: Content) -> str:
    seconds, begun = content.facts.get("seconds"), content.history.begun
    if not isinstance(seconds, int | float) or not seconds or not begun or content.receipt is None:
        return "How fast it went is known when it is finished."
    steps = content.receipt.steps - begun[-1].step
    size = content.job.phases[-1].batches
    each = [f"{steps / seconds:,.4g} steps", f"{steps * size.size / seconds:,.4g} examples"]
    if size.stream.window:
        each.append(f"{steps * size.size * size.stream.window / seconds:,.4g} tokens")
    where = f" on {content.facts['cpu']}" if isinstance(content.facts.get("cpu"), str) else ""
    return f"The last process did {steps:,} steps in {seconds:,.4g} s{where}: {', '.join(each)} a second, all told."


def moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def hashes(content: Content) -> Iterator[Part]:
    def row(name: str, value: object) -> tuple[Part, Part]:
        return name, tag("span", str(value), class_="hash")

    yield table([row("job", content.hash), *(row(f"data {s.name}", s.root) for s in content.job.sources)])
    if receipt := content.receipt:
        yield tag("p", "The receipt claims this, and ", tag("code", "jobspec verify"), " computes it again:")
        fields = [("profile", receipt.profile), ("steps", receipt.steps), ("closed", "yes" if receipt.closed else "no")]
        roots = [(f"data {number}", root) for number, root in enumerate(receipt.data, 1)]
        ends = [("state before step 0", receipt.start), ("state at the end", receipt.end), ("chain", receipt.chain)]
        yield table([row(name, value) for name, value in (*fields, *roots, *ends)])
    records, saved = content.history.records, content.history.saved
    said = f"The log has {len(records):,} step records and {len(saved):,} checkpoints that are there"
    yield tag("p", f"{said}{f', the newest after step {saved[-1].chain.done:,}' if saved else ''}.")


def text_of_job(content: Content) -> Iterator[Part]:
    if content.sets:
        yield tag("p", "Set on the command line: ", tag("code", "  ".join(content.sets)))
    if content.text is None:
        yield tag("p", "The run's folder does not keep the text: it was run from a plan file.")
    else:
        yield tag("pre", tag("code", content.text), tabindex="0")

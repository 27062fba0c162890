"""What a benchmark found, as tables for people and as JSON.

Takes: comparisons, kernels alone, start-up times, the machine's limits. Promises: both say the same; nothing is rounded
in the JSON, and every window is in it.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.compare import FREE, FUSED, OURS, Comparison, Row
from bench.kernels import Alone
from bench.startup import Startup
from bench.timing import Spread
from jobspec.ir.version import VERSION

PEERS = ("torch", "jax", "tinygrad", "numpy")


@dataclass(frozen=True)
class Findings:
    """`peaks`: threads → GFLOP/s of float32 multiply-adds, the most measured before and after; `left_out`: workload →
    why."""

    peaks: Mapping[int, float]
    comparisons: Sequence[Comparison]
    kernels: Sequence[Alone]
    startups: Mapping[str, Startup]
    left_out: Mapping[str, str]


def text_of(found: Findings) -> str:
    """Markdown: the machine, a table for each thing measured, what is not there."""
    tables = [step_table(found), kernel_table(found), wait_table(found), memory_table(found), notes(found)]
    return "\n\n".join(filter(None, [machine_line(found), *("\n".join(table) for table in tables)]))


def machine_line(found: Findings) -> str:
    peaks = ", ".join(f"{peak:.0f} on {n} thread{'s' if n > 1 else ''}" for n, peak in found.peaks.items())
    named = ", ".join(f"{name} {number}" for name, number in versions().items())
    machine = f"{processor()}, {os.cpu_count()} cores; {named}; {datetime.now(UTC).date()}"
    return f"{machine}. Peak of float32 multiply-adds in GFLOP/s: {peaks}."


def versions() -> dict[str, str]:
    found = {"jobspec": VERSION, "python": platform.python_version()}
    for name in PEERS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def step_table(found: Findings) -> Iterator[str]:
    """Milliseconds per step, one line per job and number of threads; windows from least to most in brackets."""
    if not found.comparisons:
        return
    names = list(dict.fromkeys(row.contender for c in found.comparisons for row in c.rows if row.contender != FREE))
    yield f"| job | threads | {' | '.join(names)} | against the best of them | of the peak | price of exactness |"
    yield "|---" * (len(names) + 5) + "|"
    for comparison in found.comparisons:
        for threads, peak in found.peaks.items():
            yield step_line(comparison, names, threads, peak)


def step_line(comparison: Comparison, names: Sequence[str], threads: int, peak: float) -> str:
    rows = [comparison.row(name, threads) for name in names]
    ratio, ours, price = comparison.ratio(threads), comparison.row(OURS, threads), comparison.price(threads)
    reached = f"{comparison.flops / ours.timing.median / 1e9 / peak:.0%}" if ours else ""
    against = f"**{ratio.median:.2f}×** ({ratio.low:.2f}–{ratio.high:.2f})" if ratio else ""
    last = [against, reached, priced(price) if price else ""]
    return f"| {comparison.name} | {threads} | {' | '.join([*map(cell, rows), *last])} |"


def priced(price: Spread) -> str:
    """By how much longer, and the bounds of that."""
    return f"{price.median - 1:+.1%} ({price.low - 1:+.1%} to {price.high - 1:+.1%})"


def cell(row: Row | None) -> str:
    if row is None:
        return ""
    if row.void:
        return f"void: losses differ by {row.difference:.1e}"
    t = row.timing
    return f"{short(t.median)} ({short(t.low)}–{short(t.high)})"


def short(seconds: float) -> str:
    """Milliseconds with three digits."""
    return f"{seconds * 1e3:.3g}"


def kernel_table(found: Findings) -> Iterator[str]:
    if not found.kernels:
        return
    yield "| kernel alone | threads | ms | against the best peer | of the limit |"
    yield "|---|---|---|---|---|"
    for k in found.kernels:
        peers = ", ".join(f"{name} {short(t.median)}" for name, t in k.peers.items())
        against = f"**{k.ratio:.2f}×** ({peers})" if k.ratio else ""
        ours = f"{short(k.ours.median)} ({short(k.ours.low)}–{short(k.ours.high)})"
        yield f"| {k.name} | {k.threads} | {ours} | {against} | {k.reached:.0%} of {k.limit:.0f} {k.unit} |"


def wait_table(found: Findings) -> Iterator[str]:
    if not found.startups:
        return
    yield "| job | text to plan | plan to code, cold | warm | `run --until 1`, cold | warm |"
    yield "|---|---|---|---|---|---|"
    for name, s in found.startups.items():
        seconds = (s.plan, s.code_cold, s.code_warm, s.step_cold, s.step_warm)
        yield f"| {name} | {' | '.join('' if x is None else f'{x:.2f} s' for x in seconds)} |"


def memory_table(found: Findings) -> Iterator[str]:
    """The whole process, alone, over three steps."""
    known = [c for c in found.comparisons if c.memory]
    if not known:
        return
    yield "| job | state and values planned | most memory of jobspec | of what it may take | of PyTorch, fused |"
    yield "|---|---|---|---|---|"
    for c in known:
        planned, ours, theirs = map(megabytes, (c.planned, c.memory.get(OURS), c.memory.get(FUSED)))
        yield f"| {c.name} | {planned} | {ours} | {'' if c.used is None else f'{c.used:.0%}'} | {theirs} |"


def megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:.0f} MB"


def notes(found: Findings) -> Iterator[str]:
    for name, why in found.left_out.items():
        yield f"{name} was left out: {why}."
    for comparison in found.comparisons:
        for contender, why in comparison.failed.items():
            yield f"{contender} did not run {comparison.name}: {why}."


def json_of(found: Findings) -> dict[str, Any]:
    return {
        "processor": processor(),
        "versions": versions(),
        "peaks": {str(n): peak for n, peak in found.peaks.items()},
        "workloads": [comparison_json(c) for c in found.comparisons],
        "kernels": [asdict(k) | {"ratio": k.ratio, "reached": k.reached} for k in found.kernels],
        "startup": {name: asdict(s) for name, s in found.startups.items()},
        "left_out": dict(found.left_out),
    }


def comparison_json(c: Comparison) -> dict[str, Any]:
    threads = sorted({r.threads for r in c.rows})
    ratios = {str(n): on_threads(c, n) for n in threads}
    measured = {"flops": c.flops, "planned": c.planned, "memory": dict(c.memory), "failed": dict(c.failed)}
    return {"name": c.name, **measured, "rows": [row_json(r) for r in c.rows], "threads": ratios}


def on_threads(c: Comparison, threads: int) -> dict[str, Any]:
    """`ratio`: against the best; `pairs`: ours and ours in a free order, seconds per step."""
    ratio, price = c.ratio(threads), c.price(threads)
    both = {"ratio": asdict(ratio) if ratio else None, "price": asdict(price) if price else None}
    against = {name: asdict(found) for name, found in c.ratios(threads).items()}
    return both | {"against": against, "pairs": [list(pair) for pair in c.pairs.get(threads, ())]}


def row_json(row: Row) -> dict[str, Any]:
    named = {"contender": row.contender, "threads": row.threads, "void": row.void, "difference": row.difference}
    return named | {"ready": row.ready, "median": row.timing.median, "windows": list(row.timing.windows)}


def processor() -> str:
    """The processor by its own name."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines() if Path("/proc/cpuinfo").is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())

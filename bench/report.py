"""What a benchmark found, as a table for people and as JSON.

Takes: comparisons, start-up times, the machine's peak. Promises: both say the same; nothing is rounded in the JSON.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from bench.compare import OURS, Comparison, Row
from bench.startup import Startup
from jobspec.ir.version import VERSION


@dataclass(frozen=True)
class Findings:
    """`peaks`: threads → GFLOP/s of float32 multiply-adds, the most measured before and after."""

    peaks: Mapping[int, float]
    comparisons: Sequence[Comparison]
    startups: Mapping[str, Startup]


def text_of(found: Findings) -> str:
    """Markdown: the machine, a table of steps, a table of waiting."""
    parts = [machine_line(found), "\n".join(step_table(found)), "\n".join(wait_table(found))]
    return "\n\n".join(parts)


def machine_line(found: Findings) -> str:
    peaks = ", ".join(f"{peak:.0f} on {n} thread{'s' if n > 1 else ''}" for n, peak in found.peaks.items())
    versions = f"jobspec {VERSION}, PyTorch {torch.__version__}, Python {platform.python_version()}"
    machine = f"{processor()}, {os.cpu_count()} cores; {versions}; {datetime.now(UTC).date()}"
    return f"{machine}. Peak of float32 multiply-adds in GFLOP/s: {peaks}."


def step_table(found: Findings) -> Iterator[str]:
    """Milliseconds per step, one line per job and number of threads; windows from least to most in brackets."""
    names = list(dict.fromkeys(row.contender for c in found.comparisons for row in c.rows))
    yield f"| job | threads | {' | '.join(names)} | against the best of them | of the peak |"
    yield "|---" * (len(names) + 4) + "|"
    for comparison in found.comparisons:
        for threads, peak in found.peaks.items():
            yield step_line(comparison, names, threads, peak)


def step_line(comparison: Comparison, names: Sequence[str], threads: int, peak: float) -> str:
    rows = [comparison.row(name, threads) for name in names]
    ratio, ours = comparison.ratio(threads), comparison.row(OURS, threads).timing.median
    last = [f"**{ratio:.2f}×**" if ratio else "", f"{comparison.flops / ours / 1e9 / peak:.0%}"]
    return f"| {comparison.name} | {threads} | {' | '.join([*map(cell, rows), *last])} |"


def cell(row: Row) -> str:
    if row.void:
        return f"void: losses differ by {row.difference:.1e}"
    t = row.timing
    return f"{short(t.median)} ({short(t.low)}–{short(t.high)})"


def short(seconds: float) -> str:
    """Milliseconds with three digits."""
    return f"{seconds * 1e3:.3g}"


def wait_table(found: Findings) -> Iterator[str]:
    yield "| job | text to plan | plan to code, cold | warm | `run --until 1`, cold | warm |"
    yield "|---|---|---|---|---|---|"
    for name, s in found.startups.items():
        seconds = (s.plan, s.code_cold, s.code_warm, s.step_cold, s.step_warm)
        yield f"| {name} | {' | '.join(f'{x:.2f} s' for x in seconds)} |"


def json_of(found: Findings) -> dict[str, Any]:
    """Everything, with every window."""
    return {
        "processor": processor(),
        "versions": {"jobspec": VERSION, "torch": torch.__version__, "python": platform.python_version()},
        "peaks": {str(n): peak for n, peak in found.peaks.items()},
        "workloads": [
            {"name": c.name, "flops": c.flops, "rows": [row_json(r) for r in c.rows], "ratio": ratios(c)}
            for c in found.comparisons
        ],
        "startup": {name: asdict(s) for name, s in found.startups.items()},
    }


def row_json(row: Row) -> dict[str, Any]:
    named = {"contender": row.contender, "threads": row.threads, "void": row.void, "difference": row.difference}
    return named | {"median": row.timing.median, "windows": list(row.timing.windows)}


def ratios(comparison: Comparison) -> dict[str, float | None]:
    return {str(n): comparison.ratio(n) for n in sorted({r.threads for r in comparison.rows})}


def processor() -> str:
    """The processor by its own name."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines() if Path("/proc/cpuinfo").is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())

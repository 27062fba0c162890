"""docs/specs.md names every shipped job, and what it says of sizes and files is so."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SPECS = ROOT / "specs"
PAGE = (ROOT / "docs" / "specs.md").read_text()


def test_every_job_is_there() -> None:
    named = set(re.findall(r"`(\w+)\.job`", PAGE))
    assert named == {path.stem for path in SPECS.glob("*.job")}


def test_sizes_of_texts() -> None:
    rows = re.findall(r"^\| `(\w+)\.job` \|[^|]*\| ([\d,]+) \|", PAGE, re.MULTILINE)
    said = {name: int(size.replace(",", "")) for name, size in rows if int(size.replace(",", "")) < 10_240}
    assert len(said) > 10 and said == {name: (SPECS / f"{name}.job").stat().st_size for name in said}


def test_files_exist() -> None:
    named = set(re.findall(r"\btests/[\w/]+(?:\.py)?", PAGE))
    assert len(named) > 20 and all((ROOT / path).exists() for path in named)


def test_what_is_expressed_is_a_job() -> None:
    table = PAGE.split("## Where to find what")[1].split("\n## ")[0]
    cells = [row.split("|")[2] for row in table.splitlines() if row.startswith("| ") and "---" not in row][1:]
    assert len(cells) == 21
    assert all((SPECS / f"{name}.job").exists() for cell in cells for name in re.findall(r"`(\w+)`", cell))


def test_hashes_are_the_jobs_own() -> None:
    """What `pretrained` ends with stands in both jobs that begin with it (test_tiny.py: training gives it)."""
    starts = [re.findall(r"load\((b3:\w+)", (SPECS / f"{name}.job").read_text()) for name in ("lora", "dpo")]
    assert starts[0] == starts[1] and len(starts[0]) == 1

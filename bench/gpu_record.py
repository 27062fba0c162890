"""The file of a GPU's figures (gpu.py), and the tables that docs/performance.md shows of it.

Takes: findings one by one. Promises: after each the file is whole, whenever the process is killed; findings of another
device are not mixed with its own; tables say what the windows in the file come to, and nothing else.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OURS, FREE = "jobspec", "jobspec, free order"
#: contenders in bfloat16 say so; what tensor cores do is another peak
NARROW = "fast "
HEAD = ("what", "by", "ms a step (windows)", "TFLOP/s", "of the most measured", "time, ours = 1", "tokens/s")


@dataclass(frozen=True)
class Record:
    """`path`: of the file, or none. `device`: with its driver and the compilers; `setting`: the class of devices, and
    whether schedules were measured; `found`: of every setting."""

    path: Path | None
    device: str
    setting: str
    found: list[dict[str, Any]]

    @classmethod
    def of(cls, path: Path | None, device: str, setting: str) -> Record:
        """With what was found before, on the same device alone."""
        kept = json.loads(path.read_text("utf-8")) if path is not None and path.exists() else {}
        return cls(path, device, setting, kept["found"] if kept.get("device") == device else [])

    @property
    def names(self) -> set[str]:
        return {entry["name"] for entry in self.found if entry["setting"] == self.setting}

    def add(self, name: str, told: Mapping[str, Any]) -> None:
        self.found.append({"name": name, "setting": self.setting, "command": sys.argv[1:], **told})
        if self.path is not None:
            text = json.dumps({"device": self.device, "found": self.found}, indent=1)
            written(self.path, text + "\n")
            written(self.path.with_name(self.path.name + ".md"), "\n".join(tables(self.device, self.found)) + "\n")


def written(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, "utf-8")
    part.replace(path)


def tables(device: str, found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Markdown: the device, a table for each setting."""
    yield f"{device}. Medians, lowest and highest of windows that alternate."
    for setting in dict.fromkeys(entry["setting"] for entry in found):
        entries = [entry for entry in found if entry["setting"] == setting]
        yield f"\n{setting}: `python -m bench.gpu {' '.join(entries[0]['command'])}`\n"
        yield from (row(HEAD), row(["---"] * len(HEAD)))
        for entry in entries:
            yield from rows(entry, most(found, entry["name"].startswith(NARROW)))
        yield from (f"\n{line}" for entry in entries if (line := exactness(entry)))


def most(found: Sequence[Mapping[str, Any]], narrow: bool) -> float:
    """Operations a second: the most that any contender has done, in float32 or in bfloat16."""
    alike = [entry for entry in found if entry["name"].startswith(NARROW) == narrow]
    return max(entry["flops"] / statistics.median(windows) for entry in alike for windows in entry["s"].values())


def rows(entry: Mapping[str, Any], peak: float) -> Iterator[str]:
    ours = statistics.median(entry["s"][OURS])
    for name, windows in entry["s"].items():
        seconds = statistics.median(windows)
        rate, spread = entry["flops"] / seconds, f"{min(windows) * 1e3:.3f}–{max(windows) * 1e3:.3f}"
        tokens = f"{entry['tokens'] / seconds:,.0f}" if entry["tokens"] else ""
        share = [f"{rate / 1e12:.2f}", f"{rate / peak:.0%}", f"{seconds / ours:.2f}"]
        yield row([entry["name"], name, f"{seconds * 1e3:.3f} ({spread})", *share, tokens])


def exactness(entry: Mapping[str, Any]) -> str:
    """Its price, where it was measured."""
    if FREE not in entry["s"]:
        return ""
    price = statistics.median(entry["s"][OURS]) / statistics.median(entry["s"][FREE]) - 1
    return f"{entry['name']}: the contract's order costs {price:+.1%} over a free one."


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main(words: Sequence[str]) -> int:
    """`python -m bench.gpu_record FILE`: its tables."""
    kept = json.loads(Path(words[0]).read_text("utf-8"))
    print("\n".join(tables(kept["device"], kept["found"])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Checks the receipt of a training run; written from docs/receipt-format.md alone, and shares no code with jobspec.

    python tools/receipt_check FOLDER            what section 12 of that page says, of what lies in a run's folder
    python tools/receipt_check --vectors FILE    the cases of section 13

A line for each thing checked (`ok`, `not there`, `refused`); exit code 0 when nothing is refused, 4 when something is,
1 for a vector it disagrees with, 2 for wrong usage.
"""

from __future__ import annotations

import sys
from pathlib import Path

from canonical import Refused
from folder import check_folder, file_reader
from vectors import disagreements

USAGE = "usage: python tools/receipt_check FOLDER\n       python tools/receipt_check --vectors FILE"


def folder(path: Path) -> int:
    if not path.is_dir():
        print(USAGE, file=sys.stderr)
        return 2
    run = check_folder(file_reader(path))
    print("\n".join(run.lines))
    return 4 if run.refused else 0


def vectors(path: Path) -> int:
    try:
        count, wrong = disagreements(path.read_bytes())
    except (OSError, Refused) as why:
        print(f"no vectors in this file: {why}", file=sys.stderr)
        return 2
    print("\n".join([*wrong, f"{count} vectors, {len(wrong)} disagreements"]))
    return 1 if wrong else 0


def main(arguments: list[str]) -> int:
    match arguments:
        case ["--vectors", path]:
            return vectors(Path(path))
        case [path] if not path.startswith("-"):
            return folder(Path(path))
    print(USAGE, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

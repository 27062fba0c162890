"""`jobspec diff A B`: in what two jobs differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from jobspec.commands.options import FILE, json_option, say_json
from jobspec.comparing import known_job
from jobspec.difference import Difference, Known, Places, differences, program_changes, text_changes
from jobspec.ir.codec.job import differing_parts
from jobspec.store.home import open_home

DIFFERENT = 1
MOST_LINES = 12
#: sections that decide nothing
ASIDE = ("eval", "save", "run")


@click.command()
@click.argument("first", metavar="A", type=FILE)
@click.argument("second", metavar="B", type=FILE)
@json_option
def command(first: Path, second: Path, as_json: bool) -> int:
    """Say in what two jobs differ. Each is a job, a plan file, a receipt or a run's folder. Exit code 0: the same
    job, 1: another."""
    home = open_home()
    a, b = known_job(first, home), known_job(second, home)
    if as_json:
        say_json(answer(a, b))
    else:
        click.echo("\n".join(report(a, b)))
    return 0 if a.hash == b.hash else DIFFERENT


def answer(a: Known, b: Known) -> dict[str, object]:
    """What `--json` says, as the documentation lists it."""
    return {
        "same": a.hash == b.hash,
        "jobs": [str(a.hash), str(b.hash)],
        "parts": differing_parts(a.job, b.job),
        "differences": [asdict(difference) for difference in differences(a, b)],
        "texts": [asdict(places) for places in text_changes(a, b)],
        "programs": [asdict(places) for places in program_changes(a, b)],
    }


def report(a: Known, b: Known) -> Iterator[str]:
    same, found, texts = a.hash == b.hash, differences(a, b), text_changes(a, b)
    yield f"the same job: {a.hash}" if same else f"two jobs: {a.hash.short} and {b.hash.short}"
    if not same:
        yield f"what differs of the job hash: {', '.join(differing_parts(a.job, b.job))}"
    yield from values([d for d in found if d.decides])
    for places in texts:
        yield from lines(places, a, b)
    shown = {(i, line.number) for p in texts for i, side in enumerate((p.first, p.second)) for line in side}
    for places in program_changes(a, b):
        yield from program(places, shown, a, b)
    left_out = [d for d in found if not d.decides]
    if left_out:
        yield "not part of the job hash:"
        yield from values(left_out)


def values(found: list[Difference]) -> Iterator[str]:
    named = [f"{d.part} {d.name}".rstrip() for d in found]
    width = max((len(name) for name in named), default=0)
    for name, difference in zip(named, found, strict=True):
        first, second = (value or "–" for value in (difference.first, difference.second))
        yield f"  {name:<{width}}  {first if first == second else f'{first} → {second}'}"


def lines(places: Places, a: Known, b: Known) -> Iterator[str]:
    aside = "" if places.where.split()[0] not in ASIDE else " (not part of the job hash)"
    yield f"{places.where}{aside}:"
    for sign, known, side in (("-", a, places.first), ("+", b, places.second)):
        for line in side[:MOST_LINES]:
            yield f"  {sign} {known.name}:{line.number}: {line.text}"
        if len(side) > MOST_LINES:
            yield f"  {sign} and {len(side) - MOST_LINES} more lines"


def program(places: Places, shown: set[tuple[int, int]], a: Known, b: Known) -> Iterator[str]:
    """Lines of the program that the statements above do not show already."""
    if a.text is None or b.text is None:
        yield f"{places.where}: computes something else; one of the two has no text to show where"
        return
    new = [
        tuple(line for line in side if (i, line.number) not in shown)
        for i, side in enumerate((places.first, places.second))
    ]
    if any(new):
        yield from lines(Places(f"{places.where}, in consequence", *new), a, b)

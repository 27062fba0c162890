"""Options that several commands share, and how they answer.

Promises: one meaning per option everywhere; `--json` is one line, keys in the order given, no NaN.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from jobspec.ir.errors import UsageError
from jobspec.ir.later import later
from jobspec.lang.assigned import assignments
from jobspec.loading import Spec, known_spec, read_spec
from jobspec.store.home import Home, open_home

if TYPE_CHECKING:
    from jobspec.backends.registry import fastest
else:
    fastest = later("jobspec.backends.registry", "fastest")

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(path_type=Path)
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGTP]?)B?", re.IGNORECASE)
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15}


def job_argument(function: F) -> F:
    """FILE, and values to set in it."""
    help = "Set a dim, a setting or a data set: another text, with its own hash."
    function = click.option("--set", "sets", multiple=True, metavar="NAME=VALUE", help=help)(function)
    return click.argument("file", type=FILE)(function)


def backend_option(function: F) -> F:
    help = "llvm, opencl, cuda, cuda.sm_90a or reference (default: cuda where a GPU is admitted, else llvm)."
    return click.option("--on", "on", default=fastest, metavar="BACKEND", help=help)(function)


def threads_option(function: F) -> F:
    help = "Threads to use (default: all cores); never changes a result."
    return click.option("--threads", type=click.IntRange(1, 1024), metavar="N", help=help)(function)


def tuned_option(function: F) -> F:
    help = "Execute kernels as `jobspec tune` found fastest here; never changes a result."
    return click.option("--tuned", is_flag=True, help=help)(function)


def json_option(function: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")(function)


def spec_of(file: Path, sets: tuple[str, ...], home: Home | None = None) -> Spec:
    """The job in `file`, with values set."""
    return read_spec(file, assignments(sets), home or open_home())


def known_spec_of(file: Path, sets: tuple[str, ...], home: Home) -> Spec:
    """The same for a run on this machine."""
    return known_spec(file, assignments(sets), home)


def say_json(answer: Mapping[str, Any]) -> None:
    """One line on standard output."""
    click.echo(json.dumps(plain(answer), ensure_ascii=False, allow_nan=False))


def plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null; paths become text."""
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def size_of(text: str) -> int:
    """`16G` as bytes."""
    match = SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError("E0850", f"`{text}` is no size of memory", help="write it as `16G`, `512M` or `4T`")
    return int(float(match[1]) * UNITS[match[2].lower()])


def read_size(context: click.Context, option: click.Parameter, text: str | None) -> int | None:
    """The bytes of an option that takes a size."""
    return None if text is None else size_of(text)

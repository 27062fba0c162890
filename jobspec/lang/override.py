"""`--set NAME=VALUE`: another text, with other values in it.

Takes: a job's text, names and values. Promises: the text with just these values exchanged (or put in, where the
language knows a setting that the text leaves out), so that it has a hash of its own and could have been written so.
What a name can stand for: jobspec/lang/settable.py. For a data set, a hash takes the place of the root alone and
anything else that of the whole declaration.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from jobspec.ir.errors import UsageError
from jobspec.lang import tree
from jobspec.lang.assigned import said
from jobspec.lang.diagnostics import closest
from jobspec.lang.parse import parse
from jobspec.lang.settable import Place, addable, full_path, settable
from jobspec.lang.source import Source, Span

#: what would end the value and begin something else
FORBIDDEN = re.compile(r"[\n\r;{}#]")
ROOT = re.compile(r"b3:[0-9a-f]+")


def overridden(source: Source, values: Mapping[str, str]) -> Source:
    """The text with `values` in place of its own. Raises UsageError E0813, E0814; DiagnosticsError where the text
    does not parse, before or after."""
    if not values:
        return source
    job = parse(source)
    text = source.text
    for span, value in sorted(edits(job, values), key=lambda edit: edit[0].start, reverse=True):
        text = text[: span.start] + value + text[span.end :]
    changed = Source(f"{source.name} with {', '.join(said(values))}", text)
    check_only(job, parse(changed), values)
    return changed


def edits(job: tree.Job, values: Mapping[str, str]) -> Iterator[tuple[Span, str]]:
    stated, missing = dict(settable(job)), dict(addable(job))
    for name, value in values.items():
        path = full_path(name)
        place = stated.get(path) or missing.get(path)
        if place is None:
            raise unknown(name, stated)
        if FORBIDDEN.search(value):
            raise UsageError("E0814", f"`{value}` is not one value", help="write a number or an expression")
        if path.startswith("data.") and ROOT.fullmatch(value):
            place = Place(root_span(job, path) or place.span)
        yield place.span, f"{place.before}{value}{place.after}"


def unknown(name: str, stated: Mapping[str, Place]) -> UsageError:
    """Names the nearest; a word that stands in another section is nearer than any spelling."""
    same = [path for tail in (name, name.rpartition(".")[2]) for path in stated if path.endswith(f".{tail}")]
    shown = [path.removeprefix("train.") if "." not in name else path for path in stated]
    near = same[0] if same else closest(name, shown)
    help = f"did you mean `{near}`?" if near else f"it can be {', '.join(stated)}"
    return UsageError("E0813", f"the job sets no `{name}`", help=help)


def root_span(job: tree.Job, path: str) -> Span | None:
    """The hash in `table(b3:…, …)`; None where the declaration has none."""
    for item in job.items:
        if isinstance(item, tree.DataDef) and f"data.{item.name.text}" == path:
            return next((node.span for node in tree.walk(item.value) if isinstance(node, tree.Hash)), None)
    return None


def check_only(before: tree.Job, after: tree.Job, values: Mapping[str, str]) -> None:
    """Raise E0814 where a value brought names of its own: `B=4, Q=2` would be two dims."""
    known = {path for path, _ in settable(before)} | {full_path(name) for name in values}
    for path, _ in settable(after):
        if path not in known:
            raise UsageError("E0814", f"this sets `{path}` too", help="give `--set` once for each value")

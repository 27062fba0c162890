"""`--set NAME=VALUE`: another text, with other numbers in it.

Takes: a job's text, names and values. Promises: the text with just these values exchanged, so that it has a hash of
its own and could have been written so; what a name can stand for is a dim (`B`), a setting of `train` (`steps`), a
setting of another section (`eval.every`, `small.every` for `eval small`), or a data set (`train=b3:…`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from jobspec.ir.errors import UsageError
from jobspec.lang import tree
from jobspec.lang.diagnostics import did_you_mean
from jobspec.lang.parse import parse
from jobspec.lang.source import Source, Span

#: what would end the value and begin something else
FORBIDDEN = re.compile(r"[\n\r;{}#\"]")


def assignments(pairs: Iterable[str]) -> dict[str, str]:
    """`NAME=VALUE` words as a table. Raises UsageError E0813."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name.strip() and equals and value.strip()):
            raise UsageError("E0813", f"`--set {pair}` sets nothing", help="write `--set steps=500`")
        found[name.strip()] = value.strip()
    return found


def overridden(source: Source, values: Mapping[str, str]) -> Source:
    """The text with `values` in place of its own. Raises UsageError E0813, E0814; DiagnosticsError where the text
    does not parse, before or after."""
    if not values:
        return source
    places = dict(settable(parse(source)))
    text = source.text
    for span, value in sorted(edits(places, values), key=lambda edit: edit[0].start, reverse=True):
        text = text[: span.start] + value + text[span.end :]
    changed = ", ".join(f"{name}={value}" for name, value in values.items())
    return Source(f"{source.name} with {changed}", text)


def edits(places: Mapping[str, Span], values: Mapping[str, str]) -> Iterator[tuple[Span, str]]:
    for name, value in values.items():
        if name not in places:
            help = did_you_mean(name, places) or f"it can be {', '.join(places)}"
            raise UsageError("E0813", f"the job sets no `{name}`", help=help)
        if FORBIDDEN.search(value):
            raise UsageError("E0814", f"`{value}` is not one value", help="write a number or an expression")
        yield places[name], value


def settable(job: tree.Job) -> Iterator[tuple[str, Span]]:
    """Names that can be set, with the place of their value."""
    for item in job.items:
        if isinstance(item, tree.DimDef):
            yield item.axis.text, item.value.span
        elif isinstance(item, tree.DataDef):
            yield item.name.text, hash_span(item)
        elif isinstance(item, tree.Section):
            yield from settings(item)


def hash_span(item: tree.DataDef) -> Span:
    """The hash in `table(b3:…, …)`; the whole value where there is none."""
    call = item.value
    if isinstance(call, tree.Call) and call.arguments and isinstance(call.arguments[0], tree.Hash):
        return call.arguments[0].span
    return call.span


def settings(section: tree.Section) -> Iterator[tuple[str, Span]]:
    """Plain statements `name = value`; those of `train` need no prefix."""
    prefix = "" if section.kind == "train" else f"{section.name.text if section.name else section.kind}."
    for statement in section.body:
        if isinstance(statement, tree.Let) and not isinstance(statement.value, tree.Scan):
            (target, *others) = statement.targets
            if not others:
                yield prefix + target.name.text, statement.value.span

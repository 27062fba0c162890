"""What the named files hold, read and checked as one table or one token stream.

Takes: sources. Promises: fields of equal record counts in their stored element types, under names the
language allows; nothing that was asked for is passed over in silence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobspec.ir.errors import DataError
from jobspec.store.dtypes import Array, dtype_name
from jobspec.store.importers.idx import read_idx
from jobspec.store.importers.narrow import narrow
from jobspec.store.importers.npy import read_npy, read_npz
from jobspec.store.importers.source import Source
from jobspec.store.importers.table import read_csv
from jobspec.store.importers.text import read_text
from jobspec.store.importers.tokens import read_tokens
from jobspec.store.manifest import NAME, TOKEN

#: formats whose files hold a stream of tokens, not fields
STREAMS = frozenset({"text", "u16", "u32"})
#: formats of one record per line, with their delimiters
LINES = {"csv": ",", "tsv": "\t"}


@dataclass(frozen=True, slots=True)
class Content:
    """What the files hold, by field; `vocabulary` for text alone."""

    kind: str
    fields: Mapping[str, Array]
    vocabulary: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def records(self) -> int:
        return len(next(iter(self.fields.values())))

    def part(self, first: int, last: int) -> Content:
        fields = {name: array[first:last] for name, array in self.fields.items()}
        return Content(self.kind, fields, self.vocabulary, self.notes)


def read_content(sources: Sequence[Source], label: str | None, dtypes: Mapping[str, str]) -> Content:
    """All that `sources` (one at least) hold, in stored element types. `label`, `dtypes`: see `add`.
    Raises DataError."""
    if label is not None and not any(item.format in LINES for item in sources):
        help = "leave it out: arrays keep the names that they have in their files, and `y=FILE` names one"
        raise DataError("E0419", f"--label {label} names a column, but no file is CSV", help=help)
    if any(item.format in STREAMS for item in sources):
        return _read_stream(sources, dtypes)
    raw: dict[str, Array] = {}
    for item in sources:
        for field, values in _read_fields(item, label).items():
            _check_field(item, field, values, raw)
            raw[field] = values
    _check_dtypes(raw, dtypes)
    return _content(raw, dtypes)


def _read_stream(sources: Sequence[Source], dtypes: Mapping[str, str]) -> Content:
    if len(sources) > 1:
        reason = "a token set is made of one file; several were named"
        raise DataError("E0417", reason, help="join the files first, or add each and mix them in the job")
    if dtypes or sources[0].field is not None:
        reason = "a token set has one unnamed field, whose element type follows from the file"
        raise DataError("E0419", reason, help="leave out --dtype and `FIELD=`")
    path, format = sources[0].path, sources[0].format
    if format == "text":
        tokens, vocabulary = read_text(path)
        return Content("tokens", {TOKEN: tokens}, vocabulary)
    return Content("tokens", {TOKEN: _some(read_tokens(path, format), str(path))})


def _read_fields(item: Source, label: str | None) -> dict[str, Array]:
    if item.format in LINES:
        found = read_csv(item.path, LINES[item.format], label)
    elif item.format == "npz":
        found = read_npz(item.path)
    else:
        found = {"x": read_npy(item.path) if item.format == "npy" else read_idx(item.path)}
    return _renamed(item, found)


def _renamed(item: Source, found: dict[str, Array]) -> dict[str, Array]:
    """A name given by the user replaces the file's own, which must then be one."""
    if item.field is None:
        return found
    if len(found) != 1:
        reason = f"{item.path} holds {len(found)} fields ({', '.join(found)}), so `{item.field}=` names none"
        raise DataError("E0419", reason, help="leave the name out, or give a file with one field")
    return dict(zip([item.field], found.values(), strict=True))


def _check_field(item: Source, field: str, values: Array, others: Mapping[str, Array]) -> None:
    if NAME.fullmatch(field) is None:
        help = "a name starts with a lowercase letter and goes on with letters, digits and _"
        raise DataError("E0419", f"{item.path}: `{field}` cannot be the name of a field", help=help)
    if field in others:
        reason = f"two files give the field `{field}`, one of them {item.path}"
        raise DataError("E0419", reason, help=f"name the field of each file, as in `x=… y={item.path}`")
    if values.ndim == 0:
        reason = f"{item.path}: field `{field}` is a single number, not a row of records"
        raise DataError("E0415", reason, help="save an array whose first axis counts the records")
    _some(values, f"{item.path}: field `{field}`")
    for other, array in others.items():
        if len(array) != len(values):
            reason = f"field `{field}` has {len(values)} records, field `{other}` has {len(array)}"
            raise DataError("E0417", reason, help="the fields of a table have one value per record each")


def _some(values: Array, what: str) -> Array:
    if not values.size:
        raise DataError("E0415", f"{what} has no records", help="give a file with one record at least")
    return values


def _check_dtypes(raw: Mapping[str, Array], dtypes: Mapping[str, str]) -> None:
    for field in dtypes:
        if field not in raw:
            help = f"the fields are {', '.join(sorted(raw))}"
            raise DataError("E0419", f"--dtype names the field `{field}`, which is not there", help=help)


def _content(raw: Mapping[str, Array], dtypes: Mapping[str, str]) -> Content:
    fields = {name: narrow(name, values, dtypes.get(name)) for name, values in raw.items()}
    kinds = [(name, dtype_name(raw[name].dtype), dtype_name(fields[name].dtype)) for name in sorted(raw)]
    notes = [f"{name}: {raw[name].dtype.name} stored as {new}" for name, old, new in kinds if old != new]
    return Content("table", fields, None, tuple(notes))

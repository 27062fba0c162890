"""Meaning of `data name = table(…)` and `tokens(…)`, and of a batch's fields.

Takes: declarations of the job, and what is known of the data at hand (a catalog). Promises: data sets with typed, named
fields; a batch's field as an input of the program, whole numbers widened to i32. Checking needs no data: a catalog may
know nothing, and then one batch of records is assumed where a count is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jobspec.ir.job import Batches, Feed, Part, Source, Stream
from jobspec.ir.mesh import BATCH as BATCH
from jobspec.ir.program import make
from jobspec.ir.types import Type
from jobspec.lang import draws, tree
from jobspec.lang.diagnostics import did_you_mean
from jobspec.lang.dispatch import evaluate
from jobspec.lang.frame import Frame, Located
from jobspec.lang.hints import TYPES
from jobspec.lang.refusal import Refusal, Silenced, need
from jobspec.lang.things import Batch, DataSet, Ordered, need_whole
from jobspec.lang.values import Axes, Entry, Tensor, cast
from jobspec.lang.work import Work

TIME = "T"
TOKEN_TYPES = ("u8", "u16", "u32")
FIELD_TYPES = (*TOKEN_TYPES, "i32", "f32")
TOKEN = "tok"
NEXT = "next"
DOCUMENT = "doc"
POSITION = "pos"

#: root of a data set → its number of records (tokens, for a token set); None where it is not at hand
Catalog = Callable[[str], int | None]


def declared(frame: Frame, node: tree.DataDef, catalog: Catalog) -> DataSet:
    """The data set that the declaration names. Raises Silenced after a report."""
    try:
        return read(frame, node, catalog)
    except Refusal as refusal:
        frame.report(refusal, node.value.span)
        raise Silenced from None


def read(frame: Frame, node: tree.DataDef, catalog: Catalog) -> DataSet:
    call = node.value
    kind = call.function.id if isinstance(call, tree.Call) and isinstance(call.function, tree.Name) else ""
    if not isinstance(call, tree.Call) or kind not in ("table", "tokens"):
        raise Refusal(
            "E0430", "a data set is a `table(…)` or `tokens(…)`", help="`jobspec data add` prints the line to write"
        )
    if not call.arguments or not isinstance(call.arguments[0], tree.Hash):
        help = f"as in `{kind}(b3:…, …)`; `jobspec data ls` prints the lines of what is here"
        raise Refusal("E0431", f"`{kind}` begins with the hash of the data", help=help)
    root = call.arguments[0].text
    if kind == "table":
        return DataSet(node.name.text, root, kind, table_fields(frame, call), catalog(root), None, node)
    fields = token_field(frame, call)
    type_, (window,) = fields[TOKEN]
    return DataSet(node.name.text, root, kind, fields, catalog(root), window, node, end_token(frame, call, type_))


def table_fields(frame: Frame, call: tree.Call) -> Mapping[str, tuple[Type, Axes]]:
    if len(call.arguments) > 1 or not call.keywords:
        raise Refusal("E0431", "a table names its fields", help="as in `table(b3:…, x=u8[Y X], y=u8)`")
    fields: dict[str, tuple[Type, Axes]] = {}
    for keyword in call.keywords:
        if keyword.name.text in fields:
            raise Located("E0431", f"the field `{keyword.name.text}` is named twice", keyword.span)
        fields[keyword.name.text] = field_type(frame, keyword.value, FIELD_TYPES)
    return fields


def token_field(frame: Frame, call: tree.Call) -> Mapping[str, tuple[Type, Axes]]:
    """One window of tokens: along T, or along the axis that is written, as in `u16[C]`."""
    if len(call.arguments) != 2 or [k.name.text for k in call.keywords] not in ([], ["end"]):
        help = "as in `tokens(b3:…, u16)`, or `tokens(b3:…, u16, end=50256)` where a token ends documents"
        raise Refusal("E0431", "`tokens` takes the hash and the type of a token", help=help)
    type_, axes = field_type(frame, call.arguments[1], TOKEN_TYPES)
    if not axes:
        axis = tree.Axis(call.arguments[1].span, TIME)
        axes = frame.resolve_all([axis])
    if len(axes) != 1:
        raise Located("E0431", "an example of a token stream has one axis", call.arguments[1].span)
    return {TOKEN: (Type(type_.dtype, frame.sizes(axes)), axes)}


def end_token(frame: Frame, call: tree.Call, type_: Type) -> int | None:
    """`end=…`: the token that ends a document."""
    if not call.keywords:
        return None
    node = call.keywords[0].value
    try:
        end = need_whole(evaluate(frame, node))
        need(end < 1 << 8 * Type(type_.dtype).nbytes, "E0431", f"no token of type {type_.dtype} is {end}")
    except Refusal as refusal:
        raise Located(refusal.code, refusal.message, node.span, help=refusal.help) from None
    return end


def field_type(frame: Frame, node: tree.Expr, allowed: tuple[str, ...]) -> tuple[Type, Axes]:
    """`u8[Y X]` or `u8`."""
    base = node.value if isinstance(node, tree.View) else node
    if not isinstance(base, tree.Name) or base.id not in allowed:
        near = near_type(base.id, allowed) if isinstance(base, tree.Name) else None
        raise Located("E0432", "this is no type of a field", node.span, help=near or f"one of {', '.join(allowed)}")
    axes: Axes = ()
    if isinstance(node, tree.View):
        if len(node.items) != 1 or not isinstance(node.items[0], tree.AxisList):
            raise Located("E0432", "a field's bracket lists its axes", node.span, help=f"as in `{base.id}[Y X]`")
        axes = frame.resolve_all(node.items[0].axes)
    if BATCH in axes:
        raise Located("E0432", f"{BATCH} counts the examples; a field has it anyway", node.span)
    return Type(base.id, frame.sizes(axes)), axes


def near_type(word: str, allowed: tuple[str, ...]) -> str | None:
    meant = TYPES.get(word)
    return f"write `{meant}`" if meant in allowed else did_you_mean(word, allowed)


# ---- batches ----


def source_of(data: DataSet) -> Source:
    """The data set as the job's record names it; fields in the order of their names."""
    if data.kind == "tokens":
        return Source(data.name, data.root, data.kind, ((TOKEN, Type(data.fields[TOKEN][0].dtype)),), data.end)
    return Source(data.name, data.root, data.kind, tuple(sorted((n, t) for n, (t, _) in data.fields.items())))


def examples_of(data: DataSet) -> int | None:
    """Examples per epoch, None where the data is not at hand."""
    if data.records is None or data.window is None:
        return data.records
    return (data.records - 1) // data.fields[TOKEN][0].shape[0]


def batch_of(work: Work, data: DataSet) -> Batch:
    """The batch of `work`'s program."""
    return Batch(data, lambda field: fetched(work, data, field))


def fetched(work: Work, data: DataSet, field: str) -> Tensor:
    """One field of the batch, an input of the program from now on."""
    offered = offered_by(data)
    if field not in offered:
        raise Refusal(
            "E0433",
            f"the data set `{data.name}` has no field `{field}`",
            help=did_you_mean(field, offered) or f"it has {', '.join(offered)}",
        )
    if field not in work.feeds:
        type_, axes = offered[field]
        node = make("input", name=f"batch.{field}", dtype=type_.dtype, shape=(work.sizes[BATCH], *type_.shape))
        entry = Entry(f"field `{field}` of `{data.name}` (line {data.declared.span.line})", data.declared.span)
        work.feeds[field] = Tensor(node, (BATCH, *axes), entered=dict.fromkeys((BATCH, *axes), entry))
    tensor = work.feeds[field]
    return tensor if tensor.dtype == "f32" else cast(tensor, "i32")


def offered_by(data: DataSet) -> Mapping[str, tuple[Type, Axes]]:
    """The fields of a batch: those of the data; of tokens also the next one, its document and its place there."""
    if data.kind != "tokens":
        return data.fields
    type_, axes = data.fields[TOKEN]
    counted = (Type("i32", type_.shape), axes)
    return {TOKEN: (type_, axes), NEXT: (type_, axes), DOCUMENT: counted, POSITION: counted}


def batches_of(work: Work, stream: Ordered, first: int = 0) -> Batches:
    """The stream from position `first` on, cut into batches, with the feeds that the program uses."""
    key = draws.key_of(work.seed, ("order",)) if stream.order == "shuffle" else bytes(32)
    parts = tuple(Part(data.name, count) for data, count in stream.parts)
    feeds = tuple(Feed(f"batch.{name}", name, t.node.type, t.axes) for name, t in sorted(work.feeds.items()))
    return Batches(Stream(parts, stream.order, stream.window, key), work.sizes[BATCH], feeds, first)

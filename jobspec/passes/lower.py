"""From a group of tensor nodes to one kernel: a loop nest over scalar SSA.

Takes: a group, where its operands lie and where its results go. Promises: the kernel computes each
element by the very expression tree of the tensor program; movements have become strides. Raises
NeedsCopy with the operands that no common loop nest can walk over; the caller copies them first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jobspec.ir.kernel import Inst, Kernel
from jobspec.ir.ops import OPS
from jobspec.ir.program import Node
from jobspec.ir.types import row_major
from jobspec.passes.arrange import Loop, NeedsCopy, Proto, Walk, arrange
from jobspec.passes.groups import REDUCES, Group, Grouping
from jobspec.passes.reads import chain_of
from jobspec.passes.views import MOVES, Digits, Strided, dense, dense_axes, follow, tidy, trace

__all__ = ["Location", "NeedsCopy", "Store", "lower"]


@dataclass(frozen=True)
class Location:
    """Where a dense tensor begins: buffer number, offset in elements, one stride per enclosing loop."""

    buffer: int
    offset: int = 0
    turns: tuple[int, ...] = ()


@dataclass(frozen=True)
class Store:
    """Write `value` (a node of the group, or anything the group can read) to `target`; `walk` says where each of
    its elements goes, dense where it is None; `flag` is raised by a non-finite element, -1: no check."""

    value: Node
    target: Location
    walk: Strided | None = None
    flag: int = -1


def lower(
    group: Group,
    grouping: Grouping,
    stores: list[Store],
    locate: Callable[[Node], Location],
    raise_flag: Callable[[str], int],
) -> Kernel:
    """The kernel of `group`, writing `stores`. `raise_flag` gives the number of the flag with that meaning."""
    return Lowering(group, grouping, locate, raise_flag).kernel(stores)


class Lowering:
    """One kernel under construction. Positions: for each axis of a value, the axis of the domain it walks."""

    def __init__(
        self,
        group: Group,
        grouping: Grouping,
        locate: Callable[[Node], Location],
        raise_flag: Callable[[str], int],
    ) -> None:
        self.group, self.grouping, self.locate, self.raise_flag = group, grouping, locate, raise_flag
        self.body: list[Proto] = []
        self.memo: dict[object, int] = {}
        self.reader: Node | None = None
        self.loops = self._loops()

    def _loops(self) -> list[Loop]:
        group = self.group
        if group.kind == "contract":
            return product_loops(group.nodes[0])
        if group.kind == "route":
            return [Loop(n, "place") for n in group.domain]
        if group.kind == "scatter":
            rank = len(group.nodes[0].args[1].shape)
            return [Loop(n, "place" if i < rank else "rest") for i, n in enumerate(group.domain)]
        inner = {"columns": "reduced"}.get(group.kind, "row")
        outer = {"columns": "kept"}.get(group.kind, "outer")
        return [Loop(n, inner if i in group.inner else outer) for i, n in enumerate(group.domain)]

    def kernel(self, stores: list[Store]) -> Kernel:
        for node in self.group.nodes:
            self._compute(node)
        for store in stores:
            self._store(store)
        name = "_".join(dict.fromkeys(n.op for n in self.group.nodes)) or "copy"
        return arrange(name, self._kind(), self.loops, self.body)

    def _kind(self) -> str:
        return "rows" if self.group.kind == "copy" else self.group.kind

    # ---- values

    def _positions(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Which domain axes a value of `shape` walks: all of them, or those outside the folded ones."""
        everything = tuple(range(len(self.group.domain)))
        if shape == self.group.domain:
            return everything
        assert shape == self.group.outside, (shape, self.group.domain, self.group.inner)
        return tuple(i for i in everything if i not in self.group.inner)

    def _compute(self, node: Node) -> None:
        if node in self.memo:
            return
        if node.op == "contract":
            self.memo[node] = self._product(node)
        elif node.op == "block_products":
            self.memo[node] = self._block_product(node)
        elif node.op == "segment_sums":
            self.memo[node] = self._segment_sum(node)
        elif node.op in ("scatter_add", "route"):
            self.memo[node] = self.operand(node.args[0], self._positions(node.args[0].shape))
        elif node.op in REDUCES:
            how = {"sum": "sum", "reduce_max": "max", "argmax": "argmax"}[node.op]
            x = self.operand(node.args[0], tuple(range(len(self.group.domain))))
            self.memo[node] = self._emit("reduce", (x,), node.dtype, how=how)
        elif node.op == "gather":
            self.memo[node] = self._gather(node)
        elif OPS[node.op].has("elementwise"):
            positions = self._positions(node.shape)
            self.memo[node] = self._apply(node, [self.operand(a, positions) for a in node.args])

    def operand(self, node: Node, positions: tuple[int, ...], copying: bool = False) -> int:
        """The inst that holds `node` at the domain point. `copying`: `node` is being copied, so look below it."""
        copied = self.grouping.copied - {node} if copying else self.grouping.copied
        base, moves = chain_of(node, copied)
        if base in self.group.nodes and base in self.memo:
            return self.memo[base]
        if base in self.grouping.virtual and base not in copied:
            return self._recompute(base, moves, positions)
        return self._load(trace(node, copied), node, positions)

    def _recompute(self, base: Node, moves: list[Node], positions: tuple[int, ...]) -> int:
        """A virtual node; where strides cannot reach what it is made of, it has to be made in memory itself."""
        self.reader = base
        try:
            return self._inline(base, moves, positions)
        except Unreachable:
            raise NeedsCopy((base,)) from None
        finally:
            self.reader = None

    def _inline(self, node: Node, moves: list[Node], positions: tuple[int, ...]) -> int:
        """Compute a virtual node at the place that `moves` lead to."""
        if node.op == "const":
            return self._constant(node)
        key = (node, tuple(moves), positions)
        if key not in self.memo:
            if node.op == "iota":
                self.memo[key] = self._iota(said(dense(node), moves), positions)
            else:
                self.memo[key] = self._apply(node, [self._inline_operand(a, moves, positions) for a in node.args])
        return self.memo[key]

    def _inline_operand(self, node: Node, moves: list[Node], positions: tuple[int, ...]) -> int:
        """An operand of a virtual node, which is moved by `moves`."""
        base, inner = chain_of(node, self.grouping.copied)
        if base in self.group.nodes and base in self.memo:
            return self.memo[base]
        if base in self.grouping.virtual and base not in self.grouping.copied:
            return self._inline(base, inner + moves, positions)
        return self._load(said(dense(base), inner + moves), node, positions)

    def _constant(self, node: Node) -> int:
        return self._emit("const", (), loaded(node.dtype), bits=node["bits"][0])

    def _iota(self, view: Strided, positions: tuple[int, ...]) -> int:
        walk = Walk(Location(-1), view.offset, self._spread(view.axes, positions), self.reader)
        return self._emit("iota", (), "i32", view=walk)

    def _load(self, view: Strided, source: Node, positions: tuple[int, ...]) -> int:
        walk = self._walk(view, positions, source)
        return self._emit("load", (), loaded(view.base.dtype), view=walk)

    def _walk(self, view: Strided, positions: tuple[int, ...], node: Node) -> Walk:
        return Walk(self.locate(view.base), view.offset, self._spread(view.axes, positions), self._source(node))

    def _source(self, node: Node) -> Node | None:
        """What to copy if this walk stands in the way: the virtual node being recomputed, or a movement."""
        return self.reader or (node if node.op in MOVES else None)

    def _spread(self, axes: tuple[Digits, ...], positions: tuple[int, ...]) -> tuple[Digits, ...]:
        placed = dict(zip(positions, axes, strict=False))
        return tuple(placed.get(i, ()) for i in range(len(self.loops)))

    def _apply(self, node: Node, args: list[int]) -> int:
        if node.op == "cast" and node.args[0].dtype in ("u8", "u16", "i32") and node.dtype == "i32":
            return args[0]
        return self._emit(node.op, tuple(args), loaded(node.dtype))

    def _gather(self, node: Node) -> int:
        table, index = node.args
        positions = self._positions(node.shape)
        at = self.operand(index, positions[: len(index.shape)])
        view, batch = trace(table, self.grouping.copied), node["batch"]
        picked = view.axes[batch]
        if len(picked) > 1:
            raise NeedsCopy((table,))
        rest = positions[len(index.shape) :]
        axes = self._spread((*view.axes[:batch], *view.axes[batch + 1 :]), (*positions[:batch], *rest))
        walk = Walk(self.locate(view.base), view.offset, axes, self._source(table))
        flag = self.raise_flag(f"index outside 0 … {table.shape[batch] - 1}")
        pick = picked[0][1] if picked else 0
        return self._emit("load", (at,), loaded(node.dtype), view=walk, pick=pick, bound=table.shape[batch], flag=flag)

    def _product(self, node: Node) -> int:
        a, b = (trace(x, self.grouping.copied) for x in node.args)
        outputs, k = len(node.shape), len(node["a_over"])
        ks = tuple(range(outputs, outputs + k))
        a_at = places(len(a.axes), dict(zip(node["a_over"], ks, strict=True)), range(outputs))
        taken = dict(zip(node["b_over"], ks, strict=True))
        taken |= {j: a_at[i] for i, j in zip(node["a_batch"], node["b_batch"], strict=True)}
        b_at = places(len(b.axes), taken, range(len(a.axes) - k, outputs))
        a_walk, b_walk = self._walk(a, a_at, node.args[0]), self._walk(b, b_at, node.args[1])
        return self._emit("product", (), "f32", a=a_walk, b=b_walk)

    def _block_product(self, node: Node) -> int:
        """Loops: block, slot, output, input; the owner of a block picks the map."""
        x, w, owners = (trace(a, self.grouping.copied) for a in node.args)
        picked = w.axes[0]
        if len(picked) > 1:
            raise NeedsCopy((node.args[1],))
        a = self._walk(x, (0, 1, 3), node.args[0])
        b = self._walk(Strided(w.base, w.offset, w.axes[1:]), (3, 2), node.args[1])
        owner = self._walk(owners, (0,), node.args[2])
        pick = picked[0][1] if picked else 0
        attrs = {"owner": owner, "pick": pick, "bound": node.args[1].shape[0], "tokens": node["tokens"]}
        return self._emit("product", (), "f32", a=a, b=b, **attrs)

    def _segment_sum(self, node: Node) -> int:
        """Loops: expert, row of x, column of g, slot; of the slots only the expert's own."""
        x, g, firsts, counts = (trace(a, self.grouping.copied) for a in node.args)
        a, b = self._walk(x, (3, 1), node.args[0]), self._walk(g, (3, 2), node.args[1])
        first, count = self._walk(firsts, (0,), node.args[2]), self._walk(counts, (0,), node.args[3])
        return self._emit("product", (), "f32", a=a, b=b, first=first, count=count, tokens=node["tokens"])

    # ---- stores

    def _store(self, store: Store) -> None:
        node = store.value
        if self.group.kind == "route" and node.op == "route":
            self._route(node, store)
            return
        if self.group.kind == "scatter" and node.op == "scatter_add":
            self._accumulate(node, store)
            return
        value = self._stored(node)
        shape = store.walk.axes if store.walk else dense_axes(node.shape)
        offset = store.walk.offset if store.walk else 0
        positions = self._positions(node.shape)
        walk = Walk(store.target, offset, self._spread(shape, positions), None)
        self._emit("store", (value,), node.dtype, view=walk, flag=store.flag)

    def _stored(self, node: Node) -> int:
        if node in self.memo:
            return self.memo[node]
        return self.operand(node, self._positions(node.shape), copying=node in self.group.nodes)

    def _accumulate(self, node: Node, store: Store) -> None:
        index = node.args[1]
        everything, batch = tuple(range(len(self.group.domain))), node["batch"]
        at = self.operand(index, everything[: len(index.shape)])
        strides = row_major(node.shape)
        target = tuple(tidy(((n, s),)) for n, s in zip(node.shape, strides, strict=True))
        axes = self._spread(
            (*target[:batch], *target[batch + 1 :]), (*everything[:batch], *everything[len(index.shape) :])
        )
        flag = self.raise_flag(f"index outside 0 … {node['size'] - 1}")
        walk = Walk(store.target, 0, axes, None)
        args = (self.memo[node], at)
        self._emit("accumulate", args, "f32", view=walk, pick=strides[batch], bound=node["size"], flag=flag)

    def _route(self, node: Node, store: Store) -> None:
        walk = Walk(store.target, 0, self._spread((), ()), None)
        size, block = node["size"], node["block"]
        flag = self.raise_flag(f"index outside 0 … {size - 1}")
        self._emit("route", (self.memo[node],), "i32", view=walk, size=size, block=block, flag=flag)

    def _emit(self, op: str, args: tuple[int, ...], dtype: str, **attrs: object) -> int:
        key = (op, args, dtype, tuple(sorted(attrs.items(), key=lambda kv: kv[0])))
        if key in self.memo and op != "store":
            return self.memo[key]
        self.body.append(Proto(Inst(op, args, dtype, key[3])))
        self.memo[key] = len(self.body) - 1
        return self.memo[key]


def loaded(dtype: str) -> str:
    """The type a stored element has once it is loaded."""
    return "i32" if dtype in ("u8", "u16") else dtype


class Unreachable(Exception):
    """Movements that strides cannot say."""


def said(view: Strided, moves: list[Node]) -> Strided:
    result = follow(view, moves)
    if result is None:
        raise Unreachable
    return result


def product_loops(node: Node) -> list[Loop]:
    """Loops of a contraction in its result's axis order, then the summed axes."""
    if node.op != "contract":
        summed_size = node.args[0].shape[2 if node.op == "block_products" else 0]
        return [Loop(n, role) for n, role in zip((*node.shape, summed_size), ("batch", "m", "n", "k"), strict=True)]
    a, _ = node.args
    kept = ["batch" if i in node["a_batch"] else "m" for i in range(len(a.shape)) if i not in node["a_over"]]
    roles = kept + ["n"] * (len(node.shape) - len(kept))
    summed = [Loop(a.shape[i], "k") for i in node["a_over"]]
    return [Loop(n, role) for n, role in zip(node.shape, roles, strict=True)] + summed


def places(rank: int, taken: dict[int, int], free: range) -> tuple[int, ...]:
    """For each axis of an operand, its loop: the one in `taken`, the others `free` in turn."""
    others = iter(free)
    return tuple(taken[i] if i in taken else next(others) for i in range(rank))

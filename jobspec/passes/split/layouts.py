"""Which axis of a value is cut over which axis of the mesh.

Takes: a node and the layouts of its operands. Promises: a layout is only ever an axis of the *result*; the order of no
fold depends on it. Of the axes that it may be, the one for which the least is moved: an operand that is cut alike stays
where it is, one that is cut otherwise moves in part, one that is whole in every part moves as often as there are parts.
"""

from __future__ import annotations

from collections.abc import Mapping

from jobspec.ir.ops import OPS
from jobspec.ir.program import Node
from jobspec.passes.split.axes import Sources, place_in, sources, span_out
from jobspec.passes.split.boxes import spans

#: axis of the mesh → axis of the value
Layout = Mapping[str, int]
#: axis of the mesh → positions along it
Grid = Mapping[str, int]
WHOLE: Layout = {}
#: operations that do much for each element, so that their results are cut even where no operand's axis goes on
HEAVY = frozenset({"contract", "sum", "reduce_max", "argmax", "gather", "scatter_add", "experts"})


def layout_of(node: Node, given: list[Layout], grid: Grid, wish: Layout = WHOLE) -> Layout:
    """The layout of `node` where its operands have those in `given`. `wish`: how what is made of it would best be cut;
    it decides where an operation goes element by element, or where several axes cost the same."""
    found, tables = wished(node, given, wish), sources(node)
    for over, parts in grid.items():
        if parts == 1 or over in found or not any(over in layout for layout in given):
            continue
        if axes := candidates(node, given, over, parts) - set(found.values()):
            costs = {d: moved(node, tables, given, over, parts, d) for d in sorted(axes)}
            stays = kept(node, given, over, parts)
            found[over] = min(costs, key=lambda d: (costs[d], d != wish.get(over), d not in stays, d))
    return found


def wished(node: Node, given: list[Layout], wish: Layout) -> dict[str, int]:
    """What of `wish` an operation follows without a choice: each place of a scatter_add has its own contributions, and
    nothing is saved where single elements are computed elsewhere than they are wanted."""
    if OPS[node.op].has("elementwise"):
        return {over: d for over, d in wish.items() if any(over in layout for layout in given)}
    return dict(wish) if node.op == "scatter_add" else {}


def candidates(node: Node, given: list[Layout], over: str, parts: int) -> set[int]:
    """Axes of the result that operands are cut along; all others too where the work is worth it."""
    worth = {d for d, n in enumerate(node.shape) if n % parts == 0} if node.op in HEAVY else set()
    return kept(node, given, over, parts) | worth


def kept(node: Node, given: list[Layout], over: str, parts: int) -> set[int]:
    """Axes of the result that operands are cut along."""
    axes: set[int] = set()
    for i, layout in enumerate(given):
        if over in layout:
            d = place_in(node, i, layout[over])
            if d is not None and goes_on(node, i, layout[over], d, parts):
                axes.add(d)
    return axes


def goes_on(node: Node, operand: int, axis: int, d: int, parts: int) -> bool:
    """Whether the parts of an operand's axis are those of the result's."""
    here = [span_out(node, operand, d, span) for span in spans(node.args[operand].shape[axis], parts)]
    return here == spans(node.shape[d], parts)


def least_moved(node: Node, given: list[Layout], grid: Grid) -> int:
    """What is moved for `layout_of`, of all axes of the mesh."""
    tables, found = sources(node), layout_of(node, given, grid)
    axes = [over for over in grid if any(over in layout for layout in given)]
    return sum(moved(node, tables, given, over, grid[over], found.get(over, -1)) for over in axes)


def moved(node: Node, tables: tuple[Sources, ...], given: list[Layout], over: str, parts: int, axis: int) -> int:
    """Elements that all positions together get from others, `parts` times over."""
    total = 0
    for x, table, layout in zip(node.args, tables, given, strict=True):
        if over in layout and table.get(axis) != layout[over]:
            total += x.type.size * (1 if axis in table else parts)
    return total


def loses(node: Node, given: list[Layout]) -> bool:
    """Whether the operation folds or picks along an axis that is cut."""
    return OPS[node.op].has("reduction") and any(
        place_in(node, i, d) is None for i, layout in enumerate(given) for d in layout.values()
    )

"""The tensor program: SSA over statically shaped tensors.

Takes: operations of the op table (ops.py). Promises: nodes are frozen and interned, so equal
expressions are one object and common subexpressions never exist twice; a node's type is computed
once by its op's rule; a `Program` is closed: its nodes reach only its own inputs and constants.

    program := inputs, outputs            output := name = node
    node    := op(args…, attrs…)          one result, but `loop`, which has many: get(loop, i)
    loop    := carried values, sliced inputs, shared inputs, a body that is a Program
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast
from weakref import WeakValueDictionary

from jobspec.ir.ops import OPS, Result
from jobspec.ir.origin import inherit
from jobspec.ir.types import Type

Attrs = tuple[tuple[str, Any], ...]


class Node:
    """One operation applied to other nodes. Made only by `make`; compared by identity. A loop has many results, so no
    `type`, `shape` and `dtype`: its results are read by `get`."""

    __slots__ = ("__weakref__", "args", "attrs", "dtype", "op", "result", "shape", "type")

    type: Type
    shape: tuple[int, ...]
    dtype: str

    def __init__(self, op: str, args: tuple[Node, ...], attrs: Attrs, result: Result) -> None:
        self.op, self.args, self.attrs, self.result = op, args, attrs, result
        if isinstance(result, Type):
            self.type, self.shape, self.dtype = result, result.shape, result.dtype

    def __getitem__(self, key: str) -> Any:
        """The attribute `key`; KeyError where the op has none of that name."""
        for name, value in self.attrs:
            if name == key:
                return value
        raise KeyError(key)

    def __repr__(self) -> str:
        return f"<{self.op} {self.result}>"


_interned: WeakValueDictionary[tuple[object, ...], Node] = WeakValueDictionary()


def make(op: str, *args: Node, **attrs: Any) -> Node:
    """The one node for `op(args, attrs)`. Raises ir.ops.IllTyped where the op's rule refuses the operands."""
    return interned(op, args, tuple(sorted(attrs.items())))


def interned(op: str, args: tuple[Node, ...], attrs: Attrs, result: Result | None = None) -> Node:
    """`make` of sorted attributes; `result`: what the op's rule gives, where that is known."""
    key = (op, tuple(map(id, args)), attrs)
    found = _interned.get(key)
    if found is not None:
        return found
    if result is None:
        result = OPS[op].typed(tuple(a.result for a in args), dict(attrs))
    return _interned.setdefault(key, Node(op, args, attrs, result))


@dataclass(frozen=True)
class Program:
    """Closed SSA: `inputs` are `input` nodes with distinct names; `outputs` are (name, node)."""

    inputs: tuple[Node, ...]
    outputs: tuple[tuple[str, Node], ...]

    @property
    def results(self) -> tuple[Node, ...]:
        return tuple(node for _, node in self.outputs)

    def output(self, name: str) -> Node:
        return dict(self.outputs)[name]

    def nodes(self) -> tuple[Node, ...]:
        """Every node that an output reaches, operands before users; inputs that nothing uses are left out."""
        return self._nodes

    @cached_property
    def _nodes(self) -> tuple[Node, ...]:
        return tuple(order(self.results))

    def with_results(self, results: Iterable[Node]) -> Program:
        """Outputs of the same names; the program itself where nothing changed."""
        outputs = tuple((name, node) for (name, _), node in zip(self.outputs, results, strict=True))
        return self if outputs == self.outputs else Program(self.inputs, outputs)


def order(roots: Iterable[Node]) -> list[Node]:
    """Nodes that `roots` reach, operands first, each once. Iterative: depth is not bounded by Python's stack."""
    done: dict[Node, None] = {}
    opened: set[Node] = set()
    stack = list(roots)[::-1]
    while stack:
        node = stack.pop()
        if node in done:
            continue
        if node in opened or not node.args:
            done[node] = None
        else:
            opened.add(node)
            stack.append(node)
            stack += node.args[::-1]
    return list(done)


def rebuild(node: Node, args: tuple[Node, ...]) -> Node:
    """The same operation on other operands; the node itself where nothing changed."""
    if args == node.args:
        return node
    alike = [a.result for a in args] == [a.result for a in node.args]
    new = interned(node.op, args, node.attrs, node.result if alike else None)
    inherit(new, node)
    return new


def rebuilt(node: Node, image: Mapping[Node, Node]) -> Node:
    """The same operation on the images of its operands."""
    return rebuild(node, tuple(map(image.__getitem__, node.args)))


def replace(roots: Iterable[Node], mapping: Mapping[Node, Node]) -> list[Node]:
    """`roots` with every node in `mapping` exchanged; what does not reach one is kept as it is."""
    image: dict[Node, Node] = dict(mapping)
    wanted = list(roots)
    for node in order(wanted):
        if node not in image:
            image[node] = rebuilt(node, image)
    return [image[node] for node in wanted]


def users(nodes: Iterable[Node]) -> dict[Node, list[Node]]:
    """For each node, the nodes that read it, in program order."""
    table: dict[Node, list[Node]] = {}
    for node in nodes:
        table.setdefault(node, [])
        for arg in dict.fromkeys(node.args):
            table.setdefault(arg, []).append(node)
    return table


def body_of(loop: Node) -> Program:
    return cast(Program, loop["body"])
